package commands

import (
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/stream"
)

var memoryRows = []call.Row{
	{Spec: command.Spec{Name: "memory", Group: command.Server, Arity: -2}}, // its subcommands do it all; others are the session's
	{Spec: command.Spec{Name: "memory|usage", Group: command.Server, Arity: -3, Flags: command.ReadOnly, Keys: subcommandKey}, Do: memoryUsage},
}

// keyOverheadBytes is about what a key takes beside its name and its value:
// header of the record, slot in the table, unused space of both.
const keyOverheadBytes = 40

// memoryUsage implements MEMORY USAGE key [SAMPLES count]. Every value knows its size,
// so that nothing is sampled but for scripts.
func memoryUsage(c *call.Call) {
	for i := 3; i < len(c.Args); i += 2 {
		if !c.Is(i, "SAMPLES") || i+1 == len(c.Args) {
			c.Fail(reply.ErrSyntax)
			return
		}
		n, ok := c.Int(i + 1)
		if !ok {
			return
		}
		if n < 0 {
			c.Fail(reply.ErrSyntax)
			return
		}
	}
	key := c.Args[2]
	e, found := c.Peek(key)
	if !found {
		c.Out.Null()
		return
	}
	size := keyOverheadBytes + len(key) + len(e.Packed)
	switch {
	case e.Object == nil:
	case c.InScript:
		size += contentBytes(c, e.Type)
	default:
		size += e.Object.MemBytes()
	}
	c.Out.Int(int64(size))
}

const (
	// samplesMax is how many elements of a large value stand for all of them.
	samplesMax = 16

	// What an element takes beside its bytes, about.
	listElementBytes   = 4
	memberBytes        = 16 // of a set, and a field of a hash
	scoredBytes        = 56
	streamEntryBytes   = 12
	pendingBytes       = 80
	streamPartBytes    = 2 // of a field or a value
	groupOverheadBytes = 200
)

// contentBytes estimates what the large value at the key takes. What it takes indeed
// hangs on how it came about, and so differs between nodes, of which one may come from
// a snapshot; a script must not see that. So it is told by what the nodes share: the
// number of elements, and the sizes of the first ones.
func contentBytes(c *call.Call, t keyspace.Type) int {
	c.Reads = false // it was looked up before, and that does not count here
	key := c.Args[2]
	var s sample
	switch t {
	case keyspace.List:
		l, _ := openList(c, key)
		var digits [20]byte
		for at := l.At(0); at.Valid() && s.add(listElementBytes+len(at.Text(digits[:]))); at.Next() {
		}
		return s.bytesOf(l.Len())
	case keyspace.Set:
		set, _ := openSet(c, key)
		for member := range set.All() {
			if !s.add(memberBytes + len(member)) {
				break
			}
		}
		return s.bytesOf(set.Len())
	case keyspace.Hash:
		h, _ := openHash(c, key)
		for field, value := range h.All() {
			if !s.add(memberBytes + len(field) + len(value)) {
				break
			}
		}
		return s.bytesOf(h.Len())
	case keyspace.Zset:
		z, _ := openZset(c, key)
		for member := range z.Ascend(0) {
			if !s.add(scoredBytes + 2*len(member)) { // it stands in both orders
				break
			}
		}
		return s.bytesOf(z.Len())
	default:
		stream, _ := openStream(c, key)
		return streamBytes(stream)
	}
}

func streamBytes(st *stream.Stream) int {
	var s sample
	for it := st.Range(stream.ID{}, stream.MaxID, false); it.Next(); {
		size := streamEntryBytes
		it.Each(func(field, value []byte) { size += 2*streamPartBytes + len(field) + len(value) })
		if !s.add(size) {
			break
		}
	}
	total := s.bytesOf(st.Len())
	for _, g := range st.Groups() {
		total += groupOverheadBytes + pendingBytes*g.PendingLen()
	}
	return total
}

// sample is the first elements of a value.
type sample struct{ n, bytes int }

// add takes an element in, and reports whether another one is wanted.
func (s *sample) add(bytes int) bool {
	s.n++
	s.bytes += bytes
	return s.n < samplesMax
}

// bytesOf estimates what n elements take.
func (s *sample) bytesOf(n int) int {
	if s.n == 0 {
		return 0
	}
	return s.bytes * n / s.n
}
