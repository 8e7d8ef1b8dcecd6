package rdb

import (
	"errors"

	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/list"
	"github.com/quorate/quorate/engine/types/listpack"
)

func (d *decoder) list(valueType byte) keyspace.Value {
	limits := list.Limits{ListpackSize: d.build.Settings.ListMaxListpackSize}
	l := list.FromPacked(listpack.AppendEmpty(d.block[:0]), limits)
	switch valueType {
	case typeQuicklist, typeQuicklist2:
		l = d.quicklist(valueType, limits)
	case typeListZiplist:
		d.text2 = d.ziplist(d.text2[:0], 1)
		if d.err == nil {
			var digits [20]byte
			for p := listpack.First(d.text2); p >= 0; p = listpack.Next(d.text2, p) {
				l.PushBack(listpack.Text(d.text2, p, digits[:]))
			}
		}
	default:
		for n := d.count(); n > 0 && d.err == nil; n-- {
			d.text = d.string(d.text[:0])
			l.PushBack(d.text)
		}
	}
	if o := l.Object(); o != nil {
		return keyspace.Value{Type: keyspace.List, Enc: keyspace.Quicklist, Object: keyspace.Box(o)}
	}
	d.block = l.Packed()
	return d.packed(keyspace.List, keyspace.Quicklist)
}

// quicklist keeps the nodes as they are. A single short one is the list's packed
// form.
func (d *decoder) quicklist(valueType byte, limits list.Limits) list.List {
	long := list.NewChunked(limits)
	for n := d.count(); n > 0 && d.err == nil; n-- {
		kind := uint64(quicklistPacked)
		if valueType == typeQuicklist2 {
			kind = d.length()
		}
		var lp []byte
		switch {
		case kind == quicklistPlain:
			if element := d.string(nil); d.err == nil {
				long.AppendPlain(element)
			}
			continue
		case kind != quicklistPacked:
			d.fail("quicklist node of kind %d", kind)
			continue
		case valueType == typeQuicklist:
			lp = d.ziplist(nil, 1)
		default:
			lp = d.listpack(nil, 1)
		}
		if errors.Is(d.err, errEmpty) { // Redis leaves such a node out
			d.err = nil
			continue
		}
		if d.err == nil {
			long.AppendListpack(lp)
		}
	}
	if d.err == nil && long.Len() == 0 {
		d.empty()
	}
	if lp, ok := onlyListpack(long); ok && len(lp) <= list.PackedBytesMax {
		return list.FromPacked(lp, limits)
	}
	return list.FromObject(long)
}

// onlyListpack returns the listpack of a list that has one and nothing else.
func onlyListpack(l *list.Chunked) (lp []byte, only bool) {
	for data, plain := range l.Nodes {
		if plain || lp != nil {
			return nil, false
		}
		lp = data
	}
	return lp, lp != nil
}
