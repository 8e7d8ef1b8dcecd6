package rdb

import (
	"fmt"

	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/hash"
	"github.com/quorate/quorate/engine/types/list"
	"github.com/quorate/quorate/engine/types/seed"
	"github.com/quorate/quorate/engine/types/set"
	"github.com/quorate/quorate/engine/types/stream"
	"github.com/quorate/quorate/engine/types/zset"
)

// valueType returns the type under which v is written. Its form decides: what is
// packed in memory is written packed.
func (e *encoder) valueType(v *keyspace.Value) byte {
	switch v.Type {
	case keyspace.String:
		return typeString
	case keyspace.List:
		return typeQuicklist2
	case keyspace.Set:
		if v.Enc == keyspace.Intset {
			return typeSetIntset
		}
		return typeSet
	case keyspace.Zset:
		if v.Object == nil {
			return typeZsetListpack
		}
		return typeZset2
	case keyspace.Hash:
		return e.hashType(v)
	case keyspace.Stream:
		return typeStream2
	}
	panic(fmt.Sprintf("rdb: value of type %d", v.Type))
}

// value writes v without its type.
func (e *encoder) value(v *keyspace.Value) {
	switch {
	case v.Type == keyspace.List:
		e.list(v)
	case v.Type == keyspace.Set && v.Enc != keyspace.Intset:
		e.set(v)
	case v.Type == keyspace.Hash && e.hashType(v) >= typeHashExpiring:
		e.expiringHash(v)
	case v.Enc == keyspace.ListpackEx:
		e.string(withoutTimes(v.Packed))
	case v.Object == nil: // strings, intsets and listpacks are blocks of bytes
		e.string(v.Packed)
	case v.Type == keyspace.Zset:
		e.zset(keyspace.Unbox[*zset.Large](v.Object))
	case v.Type == keyspace.Hash:
		e.hash(keyspace.Unbox[*hash.Large](v.Object))
	default:
		e.stream(keyspace.Unbox[*stream.Stream](v.Object))
	}
}

func (e *encoder) list(v *keyspace.Value) {
	if v.Object == nil {
		e.length(1)
		e.length(quicklistPacked)
		e.string(v.Packed)
		return
	}
	l := keyspace.Unbox[*list.Chunked](v.Object)
	nodes := 0
	for range l.Nodes {
		nodes++
	}
	e.length(uint64(nodes))
	for data, plain := range l.Nodes {
		if plain {
			e.length(quicklistPlain)
		} else {
			e.length(quicklistPacked)
		}
		e.string(data)
		e.spill()
	}
}

func (e *encoder) set(v *keyspace.Value) {
	s := set.FromPacked(seed.Seed{}, v.Packed) // for reading no seed is needed
	if v.Object != nil {
		s = set.FromObject(keyspace.Unbox[*set.Large](v.Object))
	}
	e.length(uint64(s.Len()))
	for member := range s.All() {
		e.string(member)
		e.spill()
	}
}

func (e *encoder) hashType(v *keyspace.Value) byte {
	switch {
	case v.Enc == keyspace.ListpackEx && !e.noFieldTimes:
		return typeHashListpackEx
	case v.Object == nil:
		return typeHashListpack
	}
	if h := v.Hash(seed.Seed{}); h.Timed() && !e.noFieldTimes {
		return typeHashExpiring
	}
	return typeHash
}

func (e *encoder) hash(l *hash.Large) {
	h := hash.FromObject(l)
	e.length(uint64(h.Stored()))
	for field, value := range h.All() {
		e.string(field)
		e.string(value)
		e.spill()
	}
}

// zset begins with the highest score: so Redis does, to insert each at the front.
func (e *encoder) zset(l *zset.Large) {
	z := zset.FromObject(l)
	e.length(uint64(z.Len()))
	for member, score := range z.Descend(z.Len() - 1) {
		e.string(member)
		e.double(score)
		e.spill()
	}
}

func (e *encoder) stream(s *stream.Stream) {
	e.length(uint64(s.NodeCount()))
	for id, lp := range s.Nodes {
		key := id.Key()
		e.string(key[:])
		e.string(lp)
		e.spill()
	}
	e.length(uint64(s.Len()))
	e.id(s.LastID)
	e.id(s.FirstID)
	e.id(s.MaxDeletedID)
	e.length(s.EntriesAdded)
	e.length(uint64(len(s.Groups())))
	for _, g := range s.Groups() {
		e.group(g)
	}
}

func (e *encoder) group(g *stream.Group) {
	e.string([]byte(g.Name()))
	e.id(g.LastID)
	e.length(uint64(g.EntriesRead))
	e.length(uint64(g.PendingLen()))
	g.EachPending(stream.ID{}, func(p stream.Pending) bool {
		key := p.ID.Key()
		e.buf = append(e.buf, key[:]...)
		e.millis(p.DeliveredMs)
		e.length(p.Deliveries)
		e.spill()
		return true
	})
	e.length(uint64(len(g.Consumers())))
	for _, c := range g.Consumers() {
		e.string([]byte(c.Name()))
		e.millis(c.SeenMs)
		e.length(uint64(c.PendingLen()))
		c.EachPendingID(stream.ID{}, func(id stream.ID) bool {
			key := id.Key()
			e.buf = append(e.buf, key[:]...)
			e.spill()
			return true
		})
	}
}

func (e *encoder) id(id stream.ID) {
	e.length(id.Ms)
	e.length(id.Seq)
}
