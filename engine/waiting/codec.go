package waiting

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/quorate/quorate/engine/fields"
	"github.com/quorate/quorate/engine/keyspace"
)

// The formats of Append. A table refuses others.
const (
	format      = 1
	formatUsers = 2 // each waiter has its user, too
)

var errDamaged = errors.New("the waiting commands in the snapshot are damaged")

// Append appends the table. Its bytes follow from the content. No key is ready.
func (t *Table) Append(dst []byte) []byte {
	all := t.All()
	users := slices.ContainsFunc(all, func(w *Waiter) bool { return w.User != "" })
	if users {
		dst = append(dst, formatUsers)
	} else {
		dst = append(dst, format)
	}
	dst = binary.AppendUvarint(dst, t.last)
	dst = binary.AppendUvarint(dst, uint64(len(all)))
	for _, w := range all {
		dst = binary.AppendUvarint(dst, w.ID)
		dst = append(dst, w.Owner[:]...)
		dst = binary.AppendUvarint(dst, uint64(w.DB))
		dst = append(dst, byte(w.Type))
		dst = binary.AppendVarint(dst, w.Deadline)
		dst = appendAll(dst, w.Args)
		dst = appendAll(dst, w.Keys)
		if users {
			dst = binary.AppendUvarint(dst, uint64(len(w.User)))
			dst = append(dst, w.User...)
			dst = binary.AppendUvarint(dst, w.Born)
		}
	}
	return dst
}

func appendAll(dst []byte, all [][]byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(all)))
	for _, b := range all {
		dst = binary.AppendUvarint(dst, uint64(len(b)))
		dst = append(dst, b...)
	}
	return dst
}

// Decode reads what Append wrote, for so many databases. It keeps nothing of b.
func Decode(b []byte, databases int) (*Table, error) {
	if len(b) == 0 || b[0] != format && b[0] != formatUsers {
		return nil, errDamaged
	}
	d := fields.Decoder{Rest: b[1:]}
	t := new(Table)
	t.last = d.Uvarint()
	var before uint64
	for n := d.Count(); n > 0; n-- {
		w := &Waiter{ID: d.Uvarint()}
		copy(w.Owner[:], d.Take(len(w.Owner)))
		w.DB = int(d.Uvarint())
		w.Type = keyspace.Type(d.Byte())
		w.Deadline = d.Varint()
		w.Args, w.Keys = copyOf(takeAll(&d)), distinct(takeAll(&d))
		if b[0] == formatUsers {
			w.User, w.Born = string(d.Bytes()), d.Uvarint()
		}
		if d.Failed || w.ID <= before || w.ID > t.last || w.DB < 0 || w.DB >= databases || len(w.Args) == 0 || len(w.Keys) == 0 {
			return nil, errDamaged
		}
		before = w.ID
		t.insert(w)
	}
	if !d.Whole() {
		return nil, errDamaged
	}
	return t, nil
}

func takeAll(d *fields.Decoder) [][]byte {
	all := make([][]byte, 0, 4)
	for n := d.Count(); n > 0 && !d.Failed; n-- {
		all = append(all, d.Bytes())
	}
	return all
}
