package engine

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"

	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/list"
	"github.com/quorate/quorate/engine/types/seed"
	"github.com/quorate/quorate/engine/types/set"
	"github.com/quorate/quorate/engine/types/stream"
	"github.com/quorate/quorate/engine/types/zset"
)

// Digest returns a digest of all data, as 40 hexadecimal digits: what DEBUG
// DIGEST of a redis-server tells that holds the same. It depends neither on the
// order of keys nor on the forms of values; keys that are due by the log clock
// are not there.
//
// It holds the lock for reading all the while, a second or two for a
// million keys.
func (e *Engine) Digest() string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	var all digest
	for db := range Databases {
		empty := true
		visit := func(entry keyspace.Entry) {
			if entry.Expired(e.clock) {
				return
			}
			if empty {
				all.mixUint32(uint32(db))
				empty = false
			}
			var d digest
			d.mix(entry.Key)
			d.value(&entry, e.clock)
			all.xor(d[:])
		}
		const keysPerStep = 1024
		for cursor := e.env.Keyspace.DB(db).Scan(0, keysPerStep, visit); cursor != 0; {
			cursor = e.env.Keyspace.DB(db).Scan(cursor, keysPerStep, visit)
		}
	}
	return all.String()
}

// DigestValue returns the digest of what a key holds, as DEBUG DIGEST-VALUE
// does: 40 zeros if there is no such key.
func (v *View) DigestValue(db int, key []byte) string {
	var d digest
	if entry, ok := v.engine.env.Keyspace.DB(db).Get(key, v.engine.clock); ok {
		d.value(&entry, v.engine.clock)
	}
	return d.String()
}

// digest is a SHA1 that pieces are added to in two ways, as Redis does: by xor,
// whose order does not matter, and by mixing, whose order does.
type digest [sha1.Size]byte

// String returns the digest in hexadecimal.
func (d *digest) String() string { return hex.EncodeToString(d[:]) }

func (d *digest) xor(b []byte) {
	sum := sha1.Sum(b)
	for i := range d {
		d[i] ^= sum[i]
	}
}

func (d *digest) mix(b []byte) {
	d.xor(b)
	*d = sha1.Sum(d[:])
}

func (d *digest) mixUint32(n uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	d.mix(b[:])
}

// mixScore mixes the text that C's %.17g gives.
func (d *digest) mixScore(score float64) {
	var b [32]byte
	switch {
	case math.IsInf(score, 1):
		d.mix([]byte("inf"))
	case math.IsInf(score, -1):
		d.mix([]byte("-inf"))
	default:
		d.mix(strconv.AppendFloat(b[:0], score, 'g', 17, 64))
	}
}

// redisTypes are the numbers that Redis has for the types.
var redisTypes = [...]uint32{
	keyspace.String: 0,
	keyspace.List:   1,
	keyspace.Set:    2,
	keyspace.Zset:   3,
	keyspace.Hash:   4,
	keyspace.Stream: 6,
}

// value adds what a key holds at now and whether it expires; when it does is left out.
func (d *digest) value(e *keyspace.Entry, now int64) {
	d.mixUint32(redisTypes[e.Type])
	switch e.Type {
	case keyspace.String:
		d.mix(e.Packed)
	case keyspace.List:
		d.list(e)
	case keyspace.Set:
		d.set(e)
	case keyspace.Zset:
		d.zset(e)
	case keyspace.Hash:
		d.hash(e, now)
	case keyspace.Stream:
		d.stream(keyspace.Unbox[*stream.Stream](e.Object))
	}
	if e.ExpireAt != keyspace.NoExpiry {
		d.xor([]byte("!!expire!!"))
	}
}

func (d *digest) list(e *keyspace.Entry) {
	l := list.FromPacked(e.Packed, list.DefaultLimits)
	if e.Object != nil {
		l = list.FromObject(keyspace.Unbox[*list.Chunked](e.Object))
	}
	var digits [20]byte
	for at := l.At(0); at.Valid(); at.Next() {
		d.mix(at.Text(digits[:]))
	}
}

// The values below are only read, which needs no seed.

func (d *digest) set(e *keyspace.Entry) {
	s := set.FromPacked(seed.Seed{}, e.Packed)
	if e.Object != nil {
		s = set.FromObject(keyspace.Unbox[*set.Large](e.Object))
	}
	for member := range s.All() {
		d.xor(member)
	}
}

func (d *digest) hash(e *keyspace.Entry, now int64) {
	h := e.Hash(seed.Seed{}).AsOf(now)
	for field, value := range h.All() {
		var element digest
		element.mix(field)
		element.mix(value)
		d.xor(element[:])
	}
}

func (d *digest) zset(e *keyspace.Entry) {
	z := zset.FromPacked(seed.Seed{}, e.Packed)
	if e.Object != nil {
		z = zset.FromObject(keyspace.Unbox[*zset.Large](e.Object))
	}
	for member, score := range z.Ascend(0) {
		var element digest
		element.mix(member)
		element.mixScore(score)
		d.xor(element[:])
	}
}

// stream adds the entries; groups are left out.
func (d *digest) stream(s *stream.Stream) {
	var text [48]byte
	for it := s.Range(stream.ID{}, stream.MaxID, false); it.Next(); {
		id := it.ID()
		b := strconv.AppendUint(text[:0], id.Ms, 10)
		d.mix(strconv.AppendUint(append(b, '.'), id.Seq, 10))
		it.Each(func(field, value []byte) {
			d.mix(field)
			d.mix(value)
		})
	}
}
