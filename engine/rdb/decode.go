package rdb

import (
	"fmt"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/seed"
)

// Build says how values are built.
type Build struct {
	// Seed orders large collections.
	Seed seed.Seed
	// Settings holds the limits of the small forms.
	Settings call.Settings
	// Derive chooses the form of hashes, sets and sorted sets by the limits, as
	// redis-server does when it loads. Without it the file's type decides where it
	// says which form the value had.
	Derive bool
}

// errEmpty is returned for a collection without elements.
var errEmpty = fmt.Errorf("%w: empty collection", ErrCorrupt)

// ownBytes is the length from which on a packed value has memory of its own.
const ownBytes = 64 << 10

// decoder reads values.
type decoder struct {
	source
	build Build

	text, text2 []byte // elements, while they are read
	block       []byte // a packed value
}

// value reads a value of the given type. Packed is valid until the next call, unless
// it is given away.
func (d *decoder) value(valueType byte) (keyspace.Value, error) {
	d.text, d.text2, d.block = scratch(d.text), scratch(d.text2), scratch(d.block)
	var v keyspace.Value
	switch valueType {
	case typeString:
		v = d.stringValue()
	case typeList, typeListZiplist, typeQuicklist, typeQuicklist2:
		v = d.list(valueType)
	case typeSet, typeSetIntset, typeSetListpack:
		v = d.set(valueType)
	case typeZset, typeZset2, typeZsetZiplist, typeZsetListpack:
		v = d.zset(valueType)
	case typeHash, typeHashZipmap, typeHashZiplist, typeHashListpack,
		typeHashExpiring, typeHashExpiringRC, typeHashListpackEx, typeHashListpackExRC:
		v = d.hash(valueType)
	case typeStream, typeStream2, typeStream3:
		v = d.stream(valueType)
	case typeModule, typeModule2:
		d.unsupported("a value of module " + d.moduleID())
	default:
		d.fail("value of type %d", valueType)
	}
	return v, d.err
}

func (d *decoder) unsupported(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrUnsupported, what)
	}
}

func (d *decoder) empty() {
	if d.err == nil {
		d.err = errEmpty
	}
}

func (d *decoder) stringValue() keyspace.Value {
	d.block = d.string(d.block[:0])
	return d.packed(keyspace.String, StringEncoding(d.block))
}

// packed returns the value whose packed form is in block. A long one is given away,
// so that it is not held twice.
func (d *decoder) packed(typ keyspace.Type, enc keyspace.Encoding) keyspace.Value {
	v := keyspace.Value{Type: typ, Enc: enc, Packed: d.block}
	if len(d.block) >= ownBytes && cap(d.block)-len(d.block) <= len(d.block)/8 {
		v.Given, d.block = true, nil
	}
	return v
}

// StringEncoding returns the encoding of a string that was read from a file, and
// of one that was set as a whole: files do not tell it.
func StringEncoding(text []byte) keyspace.Encoding {
	const embstrMax = 44
	if _, isInt := listpack.ParseInt(text); isInt {
		return keyspace.Int
	}
	if len(text) <= embstrMax {
		return keyspace.Embstr
	}
	return keyspace.Raw
}

// count reads the number of a collection's elements.
func (d *decoder) count() uint64 {
	n := d.length()
	if n == 0 {
		d.empty()
	}
	return n
}

// listpack reads a listpack, fully checked, with elements in groups of so many.
func (d *decoder) listpack(dst []byte, group int) []byte {
	lp := d.string(dst)
	if d.err != nil {
		return nil
	}
	if err := listpack.Validate(lp); err != nil {
		d.fail("%v", err)
		return nil
	}
	switch n := listpack.Len(lp); {
	case n == 0:
		d.empty()
	case n%group != 0:
		d.fail("listpack of %d elements in groups of %d", n, group)
	}
	return lp
}

// ziplist is listpack for the same in a ziplist.
func (d *decoder) ziplist(dst []byte, group int) []byte {
	d.text = d.string(d.text[:0])
	if d.err != nil {
		return nil
	}
	lp := listpack.AppendEmpty(dst)
	n, err := eachOfZiplist(d.text, func(element []byte) { lp = listpack.Append(lp, element) })
	switch {
	case err != nil:
		d.fail("%v", err)
	case n == 0:
		d.empty()
	case n%group != 0:
		d.fail("ziplist of %d elements in groups of %d", n, group)
	}
	return lp
}

// distinct checks that the elements of a listpack are distinct, step by step of so
// many.
func (d *decoder) distinct(lp []byte, step int) {
	const fewElements = 32
	var digits [20]byte
	if listpack.Len(lp) <= fewElements*step {
		for p := listpack.First(lp); p >= 0; {
			next := forward(lp, p, step)
			if next >= 0 && listpack.Find(lp, next, listpack.Text(lp, p, digits[:]), step-1) >= 0 {
				d.fail("element twice")
				return
			}
			p = next
		}
		return
	}
	seen := make(map[string]struct{})
	for p := listpack.First(lp); p >= 0; p = forward(lp, p, step) {
		text := listpack.Text(lp, p, digits[:])
		if _, twice := seen[string(text)]; twice {
			d.fail("element twice")
			return
		}
		seen[string(text)] = struct{}{}
	}
}

// forward goes n elements on; -1 is the end.
func forward(lp []byte, pos, n int) int {
	for ; n > 0 && pos >= 0; n-- {
		pos = listpack.Next(lp, pos)
	}
	return pos
}
