package commands

import (
	"math"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/stream"
)

// openStream returns the stream at key for reading, nil if there is none. It
// replies WRONGTYPE itself, and then returns false.
func openStream(c *call.Call, key []byte) (s *stream.Stream, ok bool) {
	e, found, failed := c.GetType(key, keyspace.Stream)
	if failed || !found {
		return nil, !failed
	}
	return keyspace.Unbox[*stream.Stream](e.Object), true
}

// writeStream makes an existing stream ready for changes, which must come.
func writeStream(c *call.Call, key []byte) { c.DB.Edit(key, c.Now) }

// putStream gives a key that does not exist a stream.
func putStream(c *call.Call, key []byte, s *stream.Stream) {
	v := keyspace.Value{Type: keyspace.Stream, Enc: keyspace.StreamEncoding, Object: keyspace.Box(s)}
	c.DB.Put(key, v, keyspace.NoExpiry)
	c.Notify(call.EventNew, "new", key)
}

const errStreamID reply.Error = "ERR Invalid stream ID specified as stream command argument"

// streamID returns argument i as an ID, or replies with an error. An ID without
// a number gets number 0.
func streamID(c *call.Call, i int) (stream.ID, bool) {
	id, anySeq, ok := stream.ParseID(c.Args[i], 0)
	if !ok || anySeq {
		c.Fail(errStreamID)
		return stream.ID{}, false
	}
	return id, true
}

// streamBound returns argument i as a bound of a range, or replies with an error:
// an ID, "-" or "+" for the ends of all, or "(" and an ID for its neighbour inside
// the range. An ID without a number is the bound of its millisecond.
func streamBound(c *call.Call, i int, upper bool) (stream.ID, bool) {
	missingSeq, text := uint64(0), c.Args[i]
	if upper {
		missingSeq = math.MaxUint64
	}
	open := len(text) > 1 && text[0] == '('
	switch {
	case open:
		text = text[1:]
	case string(reply.CText(text)) == "-":
		return stream.ID{}, true
	case string(reply.CText(text)) == "+":
		return stream.MaxID, true
	}
	id, anySeq, ok := stream.ParseID(text, missingSeq)
	if !ok || anySeq {
		c.Fail(errStreamID)
		return stream.ID{}, false
	}
	if !open {
		return id, true
	}
	if upper {
		if id, ok = id.Prev(); !ok {
			c.Fail("ERR invalid end ID for the interval")
		}
		return id, ok
	}
	if id, ok = id.Next(); !ok {
		c.Fail("ERR invalid start ID for the interval")
	}
	return id, ok
}

// replyID writes an ID as text.
func replyID(c *call.Call, id stream.ID) {
	var buf [41]byte
	c.Out.Bulk(id.Append(buf[:0]))
}

// replyEntry writes the entry that it is at: its ID, and its fields with values.
func replyEntry(c *call.Call, it *stream.Iter) {
	c.Out.Array(2)
	replyID(c, it.ID())
	c.Out.Array(2 * it.NumFields())
	it.Each(func(field, value []byte) {
		c.Out.Bulk(field)
		c.Out.Bulk(value)
	})
}

// replyOneEntry writes the entry with the given ID and reports whether it exists.
func replyOneEntry(c *call.Call, s *stream.Stream, id stream.ID) bool {
	it := s.Range(id, id, false)
	if !it.Next() {
		return false
	}
	replyEntry(c, &it)
	return true
}

// replyEntries writes an array of at most count entries; 0 is no limit.
func replyEntries(c *call.Call, it stream.Iter, count int64) {
	mark, n := c.Out.Mark(), 0
	for it.Next() {
		replyEntry(c, &it)
		n++
		if int64(n) == count {
			break
		}
	}
	c.Out.EndArray(mark, n)
}
