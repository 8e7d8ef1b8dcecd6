package rdb_test

import (
	"fmt"
	"strings"

	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/hash"
	"github.com/quorate/quorate/engine/types/list"
	"github.com/quorate/quorate/engine/types/seed"
	"github.com/quorate/quorate/engine/types/set"
	"github.com/quorate/quorate/engine/types/stream"
	"github.com/quorate/quorate/engine/types/zset"
)

// describe writes a value out: its encoding, then what is in it, in its order.
func describe(v *keyspace.Value) string {
	words := []string{v.Enc.String()}
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	switch v.Type {
	case keyspace.String:
		add("%s", v.Packed)
	case keyspace.List:
		l := list.FromPacked(v.Packed, list.DefaultLimits)
		if v.Object != nil {
			l = list.FromObject(keyspace.Unbox[*list.Chunked](v.Object))
			words[0] = "long " + words[0]
		}
		for at := l.At(0); at.Valid(); at.Next() {
			add("%s", at.Text(nil))
		}
	case keyspace.Set:
		s := set.FromPacked(seed.Seed{}, v.Packed)
		if v.Object != nil {
			s = set.FromObject(keyspace.Unbox[*set.Large](v.Object))
		}
		for m := range s.All() {
			add("%s", m)
		}
	case keyspace.Hash:
		h := v.Hash(seed.Seed{})
		h.Each(func(f, value []byte, at int64) bool {
			if at != hash.Never {
				add("%s=%s until %d", f, value, at)
			} else {
				add("%s=%s", f, value)
			}
			return true
		})
	case keyspace.Zset:
		z := zset.FromPacked(seed.Seed{}, v.Packed)
		if v.Object != nil {
			z = zset.FromObject(keyspace.Unbox[*zset.Large](v.Object))
		}
		for m, score := range z.Ascend(0) {
			add("%s=%v", m, score)
		}
	case keyspace.Stream:
		describeStream(keyspace.Unbox[*stream.Stream](v.Object), add)
	}
	return strings.Join(words, " ")
}

func describeStream(s *stream.Stream, add func(format string, args ...any)) {
	add("last %v first %v deleted %v added %d", s.LastID, s.FirstID, s.MaxDeletedID, s.EntriesAdded)
	for it := s.Range(stream.ID{}, stream.MaxID, false); it.Next(); {
		add("%v", it.ID())
		it.Each(func(field, value []byte) { add("%s=%s", field, value) })
	}
	for _, g := range s.Groups() {
		add("group %s at %v read %d", g.Name(), g.LastID, g.EntriesRead)
		g.EachPending(stream.ID{}, func(p stream.Pending) bool {
			add("pending %v for %s since %d times %d", p.ID, p.Consumer, p.DeliveredMs, p.Deliveries)
			return true
		})
		for _, c := range g.Consumers() {
			add("consumer %s seen %d has %d", c.Name(), c.SeenMs, c.PendingLen())
		}
	}
}
