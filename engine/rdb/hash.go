package rdb

import (
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/hash"
	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/seed"
)

func (d *decoder) hash(valueType byte) keyspace.Value {
	limits := hash.Limits{Entries: d.build.Settings.HashMaxListpackEntries, Value: d.build.Settings.HashMaxListpackValue}
	var h hash.Hash
	switch valueType {
	case typeHash:
		h = d.plainHash(limits, func() int64 { return hash.Never })
	case typeHashListpack:
		h = d.packedHash(d.listpack(d.block[:0], 2), limits.Entries)
	case typeHashZiplist:
		h = d.packedHash(d.ziplist(d.block[:0], 2), limits.Entries)
	case typeHashZipmap:
		lp, longest := d.zipmap(d.block[:0])
		if longest > limits.Value {
			limits.Entries = 0
		}
		h = d.packedHash(lp, limits.Entries)
	case typeHashExpiring:
		h = d.expiringHash(d.uint64()-1, limits)
	case typeHashExpiringRC:
		h = d.expiringHash(0, limits)
	case typeHashListpackEx:
		d.uint64() // the first time there is in it
		h = d.listpackEx(limits.Entries)
	case typeHashListpackExRC:
		h = d.listpackEx(limits.Entries)
	}
	if d.err != nil {
		return keyspace.Value{}
	}
	v := keyspace.HashValue(&h)
	if v.Object != nil {
		return v
	}
	d.block = v.Packed
	return d.packed(v.Type, v.Enc)
}

// plainHash reads a hash that is written field by field. Before each, timeOf reads
// its expiry time.
func (d *decoder) plainHash(limits hash.Limits, timeOf func() int64) hash.Hash {
	h := hash.NewLarge(d.build.Seed)
	if d.build.Derive {
		h = hash.New(d.build.Seed, d.block)
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		at := timeOf()
		d.text = d.string(d.text[:0])
		d.text2 = d.string(d.text2[:0])
		if d.err == nil && !h.SetUntil(d.text, d.text2, at, limits) {
			d.fail("field %.64q twice", d.text)
		}
	}
	return h
}

// packedHash returns the hash in a listpack. Redis looks at the number of its
// fields alone when it loads one.
func (d *decoder) packedHash(lp []byte, entries int) hash.Hash {
	if d.err == nil {
		d.distinct(lp, 2)
	}
	if d.err != nil {
		return hash.Hash{}
	}
	h := hash.FromPacked(d.build.Seed, lp)
	if d.build.Derive && h.Len() > entries {
		return largeHash(d.build.Seed, &h)
	}
	return h
}

// zipmap reads a zipmap and appends its fields and values to dst, as a listpack.
// It also returns the length of the longest of them.
func (d *decoder) zipmap(dst []byte) (lp []byte, longest int) {
	d.text = d.string(d.text[:0])
	if d.err != nil {
		return nil, 0
	}
	lp = listpack.AppendEmpty(dst)
	err := eachOfZipmap(d.text, func(field, value []byte) {
		lp = listpack.Append(listpack.Append(lp, field), value)
		longest = max(longest, len(field), len(value))
	})
	if err != nil {
		d.fail("%v", err)
	} else if listpack.Len(lp) == 0 {
		d.empty()
	}
	return lp, longest
}

// largeHash returns h in the large form.
func largeHash(s seed.Seed, h *hash.Hash) hash.Hash {
	large := hash.NewLarge(s)
	h.Each(func(field, value []byte, at int64) bool {
		large.SetUntil(field, value, at, hash.Limits{})
		return true
	})
	return large
}
