package commands

import (
	"bytes"
	"slices"
	"strings"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/types/stream"
)

// xrange replies with the entries between two IDs.
func xrange(c *call.Call) { rangeStream(c, false) }

// xrevrange replies with the entries between two IDs, the last first.
func xrevrange(c *call.Call) { rangeStream(c, true) }

func rangeStream(c *call.Call, reverse bool) {
	first, last := 2, 3
	if reverse {
		first, last = last, first
	}
	from, ok := streamBound(c, first, false)
	if !ok {
		return
	}
	to, ok := streamBound(c, last, true)
	if !ok {
		return
	}
	count := int64(-1)
	for i := 4; i < len(c.Args); i += 2 {
		if i+1 == len(c.Args) || !c.Is(i, "COUNT") {
			c.Fail(reply.ErrSyntax)
			return
		}
		if count, ok = c.Int(i + 1); !ok {
			return
		}
		count = max(count, 0)
	}
	s, ok := openStream(c, c.Args[1])
	switch {
	case !ok:
	case s == nil:
		c.Out.Array(0)
	case count == 0:
		c.Out.NullArray()
	default:
		replyEntries(c, s.Range(from, to, reverse), max(count, 0))
	}
}

// readArgs are the arguments of XREAD and XREADGROUP.
type readArgs struct {
	count           int64 // 0 is all
	blocks          bool
	blockMs         int64  // of BLOCK; 0 is for ever
	group, consumer []byte // nil in XREAD
	noAck           bool
	streams         int // argument where the keys begin
	keys            int // how many there are, and as many IDs
}

// parseRead reads the arguments of XREAD or, grouped, XREADGROUP but the IDs, or
// replies with an error.
func parseRead(c *call.Call, grouped bool) (a readArgs, ok bool) {
	for i := 1; i < len(c.Args) && a.streams == 0; i++ {
		more := len(c.Args) - 1 - i
		switch {
		case more > 0 && c.Is(i, "BLOCK"):
			i++
			a.blocks = true
			if a.blockMs, ok = parseBlock(c, i); !ok {
				return a, false
			}
		case more > 0 && c.Is(i, "COUNT"):
			i++
			if a.count, ok = c.Int(i); !ok {
				return a, false
			}
			a.count = max(a.count, 0)
		case more > 0 && c.Is(i, "STREAMS"):
			a.streams, a.keys = i+1, more/2
			if more%2 != 0 {
				c.Fail("ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.")
				return a, false
			}
		case more > 1 && c.Is(i, "GROUP"):
			if !grouped {
				c.Fail("ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.")
				return a, false
			}
			a.group, a.consumer = c.Args[i+1], c.Args[i+2]
			i += 2
		case c.Is(i, "NOACK"):
			if !grouped {
				c.Fail("ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.")
				return a, false
			}
			a.noAck = true
		default:
			c.Fail(reply.ErrSyntax)
			return a, false
		}
	}
	switch {
	case a.streams == 0:
		c.Fail(reply.ErrSyntax)
		return a, false
	case grouped && a.group == nil:
		c.Fail("ERR Missing GROUP option for XREADGROUP")
		return a, false
	}
	return a, true
}

// parseBlock reads the milliseconds of BLOCK at argument i, or replies with an error.
func parseBlock(c *call.Call, i int) (ms int64, ok bool) {
	if c.InScript {
		why := string(reply.CText(c.Args[0])) + " command is not allowed with BLOCK option from scripts"
		if c.Semantic >= semantic.Conversation {
			why = "ERR " + why
		}
		c.Fail(reply.Error(why))
		return 0, false
	}
	ms, ok = call.ParseInt(c.Args[i])
	switch {
	case !ok:
		c.Fail("ERR timeout is not an integer or out of range")
	case ms < 0:
		c.Fail(reply.ErrNegativeTimeout)
		ok = false
	}
	return ms, ok
}

// readBlocks reports whether a call of XREAD or XREADGROUP has the option BLOCK.
func readBlocks(args [][]byte) bool {
	for i := 1; i < len(args); i++ {
		switch {
		case call.EqualFold(args[i], "BLOCK"):
			return true
		case call.EqualFold(args[i], "COUNT"):
			i++
		case call.EqualFold(args[i], "GROUP"):
			i += 2
		case !call.EqualFold(args[i], "NOACK"):
			return false
		}
	}
	return false
}

// allKeys returns the keys.
func (a *readArgs) allKeys(c *call.Call) [][]byte { return c.Args[a.streams : a.streams+a.keys] }

// indexOf returns which key is the given one, the first of several.
func (a *readArgs) indexOf(c *call.Call, key []byte) int {
	return slices.IndexFunc(a.allKeys(c), func(k []byte) bool { return bytes.Equal(k, key) })
}

// keyID returns the i-th key and the ID that stands for it.
func (a *readArgs) keyID(c *call.Call, i int) (key, id []byte) {
	return c.Args[a.streams+i], c.Args[a.streams+a.keys+i]
}

// xread replies with the entries after given IDs of several streams.
func xread(c *call.Call) {
	a, ok := parseRead(c, false)
	if !ok {
		return
	}
	streams, after := make([]*stream.Stream, a.keys), make([]stream.ID, a.keys)
	for i := range after {
		key, text := a.keyID(c, i)
		s, ok := openStream(c, key)
		if !ok {
			return
		}
		streams[i] = s
		switch string(reply.CText(text)) {
		case "$":
			if s != nil {
				after[i] = s.LastID
			}
			continue
		case "+":
			if c.TooNew(semantic.Geo, errStreamID) {
				return
			}
			after[i] = beforeLast(s)
			continue
		case ">":
			c.Fail("ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.")
			return
		}
		if after[i], ok = streamID(c, a.streams+a.keys+i); !ok {
			return
		}
	}
	mark, n := c.Out.Mark(), 0
	for i, s := range streams {
		from, ok := after[i].Next()
		if s == nil || !ok || !hasEntries(s, from) {
			continue
		}
		n++
		key, _ := a.keyID(c, i)
		beginStream(c, key)
		replyEntries(c, s.Range(from, stream.MaxID, false), a.count)
		if i > 0 && tooLong(c, mark) {
			return
		}
	}
	if n == 0 && a.blocks && c.Wait(keyspace.Stream, a.allKeys(c), a.blockMs, a.resolved(c, after)) {
		return
	}
	endStreams(c, mark, n)
}

// resolved returns the call with the IDs that its own stand for now.
func (a *readArgs) resolved(c *call.Call, after []stream.ID) [][]byte {
	args := slices.Clone(c.Args)
	for i, id := range after {
		args[a.streams+a.keys+i] = id.Append(nil)
	}
	return args
}

// serveXread replies with the entries of key alone.
func serveXread(c *call.Call, key []byte) bool {
	if !holds(c, key, keyspace.Stream) {
		return false
	}
	a, _ := parseRead(c, false)
	after, _ := streamID(c, a.streams+a.keys+a.indexOf(c, key))
	s, _ := openStream(c, key)
	if !hasEntriesAfter(s, after) {
		return false
	}
	from, _ := after.Next()
	mark := c.Out.Mark()
	beginStream(c, key)
	replyEntries(c, s.Range(from, stream.MaxID, false), a.count)
	endStreams(c, mark, 1)
	return true
}

// beforeLast returns the ID after which there is the last entry and nothing else,
// that of the stream if it has no entries; a nil stream's is zero.
func beforeLast(s *stream.Stream) stream.ID {
	if s == nil {
		return stream.ID{}
	}
	it := s.Range(stream.ID{}, stream.MaxID, true)
	if !it.Next() {
		return s.LastID
	}
	id, _ := it.ID().Prev() // no entry has the ID zero
	return id
}

func hasEntries(s *stream.Stream, from stream.ID) bool {
	it := s.Range(from, stream.MaxID, false)
	return it.Next()
}

// beginStream writes the key before its entries: in RESP3 as the key of a map.
func beginStream(c *call.Call, key []byte) {
	if c.Out.Proto() != reply.RESP3 {
		c.Out.Array(2)
	}
	c.Out.Bulk(key)
}

// endStreams ends the reply, begun at mark, for n streams.
func endStreams(c *call.Call, mark, n int) {
	switch {
	case n == 0:
		c.Out.NullArray()
	case c.Out.Proto() == reply.RESP3:
		c.Out.EndMap(mark, n)
	default:
		c.Out.EndArray(mark, n)
	}
}

// subcommandSyntax tells that a subcommand got arguments it does not know.
func subcommandSyntax(c *call.Call) reply.Error {
	return reply.SubcommandSyntax(strings.ToUpper(string(c.Args[0])), c.Args[1])
}
