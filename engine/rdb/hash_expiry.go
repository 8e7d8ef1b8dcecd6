package rdb

import (
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/hash"
	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/seed"
)

// Hashes whose fields expire are written as redis-server 7.4 does, and only they, so
// that older ones load every file that holds none:
//
//	typeHashExpiring   first, number of fields, then for each: time, field, value
//	typeHashListpackEx first, listpack of field, value, time, field ...
//
// First is the earliest expiry time, in milliseconds, as eight bytes. A time of the
// former is a length: 0 for a field that does not expire, else how much later than
// first, plus 1. Times of the latter are whole ones, or 0, and fields stand in the
// order of package hash. Release candidates of 7.4 wrote no first, and whole times in
// both.

// expiringHash reads a hash that is written field by field, each after its time, to
// which base is added.
func (d *decoder) expiringHash(base uint64, limits hash.Limits) hash.Hash {
	return d.plainHash(limits, func() int64 {
		n := d.length()
		switch {
		case n == 0:
			return hash.Never
		case n > uint64(hash.ExpiryMax), base > uint64(hash.ExpiryMax), n+base > uint64(hash.ExpiryMax):
			d.fail("field that expires at %d after %d", n, base)
			return hash.Never
		}
		return int64(n + base)
	})
}

// listpackEx reads a hash in a listpack with expiry times.
func (d *decoder) listpackEx(entries int) hash.Hash {
	lp := d.listpack(d.block[:0], 3)
	if d.err != nil {
		return hash.Hash{}
	}
	d.distinct(lp, 3)
	if d.timesInOrder(lp) == 0 {
		return d.packedHash(withoutTimes(lp), entries)
	}
	h := hash.FromTimed(d.build.Seed, lp)
	if d.build.Derive && h.Stored() > entries {
		return largeHash(d.build.Seed, &h)
	}
	return h
}

// timesInOrder checks that the times of a listpack with expiry times are some, and in
// order: ascending, then those of fields that do not expire. It returns how many do.
func (d *decoder) timesInOrder(lp []byte) (expiring int) {
	last := int64(1)
	for pos := forward(lp, listpack.First(lp), 2); pos >= 0; pos = forward(lp, pos, 3) {
		at, ok := listpack.Int(lp, pos)
		if !ok || at > hash.ExpiryMax || at < last && at != hash.Never || last == hash.Never && at != hash.Never {
			d.fail("field that expires at %.32q after one at %d", listpack.Text(lp, pos, nil), last)
			return 0
		}
		if last = at; at != hash.Never {
			expiring++
		}
	}
	return expiring
}

// withoutTimes returns the listpack of fields and values alone.
func withoutTimes(lp []byte) []byte {
	plain := listpack.New(len(lp))
	h := hash.FromTimed(seed.Seed{}, lp)
	for field, value := range h.All() {
		plain = listpack.Append(listpack.Append(plain, field), value)
	}
	return plain
}

// expiringHash writes a hash of which a field expires.
func (e *encoder) expiringHash(v *keyspace.Value) {
	h := v.Hash(seed.Seed{})
	first := h.NextExpiry()
	e.millis(first)
	if v.Object == nil {
		e.string(v.Packed)
		return
	}
	e.length(uint64(h.Stored()))
	h.Each(func(field, value []byte, at int64) bool {
		if at != hash.Never {
			at -= first - 1
		}
		e.length(uint64(at))
		e.string(field)
		e.string(value)
		e.spill()
		return true
	})
}
