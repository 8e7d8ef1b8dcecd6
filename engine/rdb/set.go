package rdb

import (
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/intset"
	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/set"
)

func (d *decoder) set(valueType byte) keyspace.Value {
	limits := set.Limits{IntsetEntries: d.build.Settings.SetMaxIntsetEntries}
	if valueType == typeSetIntset {
		return d.intset(limits)
	}
	s := set.NewHashtable(d.build.Seed, d.block)
	if d.build.Derive {
		s = set.New(d.build.Seed, d.block)
	}
	add := func(member []byte) {
		if !s.Add(member, limits) {
			d.fail("member %.64q twice", member)
		}
	}
	if valueType == typeSetListpack {
		lp := d.listpack(nil, 1)
		if d.err == nil {
			var digits [20]byte
			for p := listpack.First(lp); p >= 0 && d.err == nil; p = listpack.Next(lp, p) {
				add(listpack.Text(lp, p, digits[:]))
			}
		}
		return d.setValue(&s)
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		if d.text = d.string(d.text[:0]); d.err == nil {
			add(d.text)
		}
	}
	return d.setValue(&s)
}

func (d *decoder) intset(limits set.Limits) keyspace.Value {
	d.block = d.string(d.block[:0])
	if d.err != nil {
		return keyspace.Value{}
	}
	if err := intset.Validate(d.block); err != nil {
		d.fail("%v", err)
		return keyspace.Value{}
	}
	s := set.FromPacked(d.build.Seed, d.block)
	switch {
	case s.Len() == 0:
		d.empty()
	case d.build.Derive && s.Len() > limits.IntsetEntries:
		large := set.NewHashtable(d.build.Seed, nil)
		for member := range s.All() {
			large.Add(member, limits)
		}
		s = large
	}
	return d.setValue(&s)
}

func (d *decoder) setValue(s *set.Set) keyspace.Value {
	if l := s.Object(); l != nil {
		return keyspace.Value{Type: keyspace.Set, Enc: keyspace.Hashtable, Object: keyspace.Box(l)}
	}
	enc := keyspace.Hashtable
	if s.IsIntset() {
		enc = keyspace.Intset
	}
	d.block = s.Packed()
	return d.packed(keyspace.Set, enc)
}
