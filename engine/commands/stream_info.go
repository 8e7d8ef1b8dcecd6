package commands

import (
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/stream"
)

// streamToTell returns the stream that an XINFO asks about, or nil, having replied
// with an error.
func streamToTell(c *call.Call) *stream.Stream {
	s, ok := openStream(c, c.Args[2])
	if ok && s == nil {
		c.Fail(reply.ErrNoSuchKey)
	}
	return s
}

// xinfoStream replies with what a stream knows of itself; with FULL also with
// entries, groups and what is pending.
func xinfoStream(c *call.Call) {
	s := streamToTell(c)
	if s == nil {
		return
	}
	options := len(c.Args) - 3
	full := options > 0
	count := int64(10)
	if full && (options != 1 && options != 3 || !c.Is(3, "FULL") || options == 3 && !c.Is(4, "COUNT")) {
		c.Fail(subcommandSyntax(c))
		return
	}
	if options == 3 {
		var ok bool
		if count, ok = c.Int(5); !ok {
			return
		}
		if count < 0 {
			count = 10
		}
	}
	out := c.Out
	if out.Discards() {
		return
	}
	if full {
		out.Map(9)
	} else {
		out.Map(10)
	}
	out.BulkString("length")
	out.Int(int64(s.Len()))
	out.BulkString("radix-tree-keys")
	out.Int(int64(s.NodeCount()))
	out.BulkString("radix-tree-nodes")
	out.Int(int64(s.RadixNodeCount()))
	out.BulkString("last-generated-id")
	replyID(c, s.LastID)
	out.BulkString("max-deleted-entry-id")
	replyID(c, s.MaxDeletedID)
	out.BulkString("entries-added")
	out.Int(int64(s.EntriesAdded))
	out.BulkString("recorded-first-entry-id")
	replyID(c, s.FirstID)
	if full {
		replyFull(c, s, count)
		return
	}
	out.BulkString("groups")
	out.Int(int64(len(s.Groups())))
	out.BulkString("first-entry")
	replyEdge(c, s, false)
	out.BulkString("last-entry")
	replyEdge(c, s, true)
}

// replyEdge writes the first or the last entry, or null.
func replyEdge(c *call.Call, s *stream.Stream, last bool) {
	it := s.Range(stream.ID{}, stream.MaxID, last)
	if !it.Next() {
		c.Out.Null()
		return
	}
	replyEntry(c, &it)
}

// replyFull writes what FULL adds: at most count of everything, 0 being all.
func replyFull(c *call.Call, s *stream.Stream, count int64) {
	out := c.Out
	out.BulkString("entries")
	replyEntries(c, s.Range(stream.ID{}, stream.MaxID, false), count)
	out.BulkString("groups")
	out.Array(len(s.Groups()))
	for _, g := range s.Groups() {
		out.Map(7)
		out.BulkString("name")
		out.BulkString(g.Name())
		out.BulkString("last-delivered-id")
		replyID(c, g.LastID)
		replyProgress(c, s, g)
		out.BulkString("pel-count")
		out.Int(int64(g.PendingLen()))
		out.BulkString("pending")
		replyPending(c, g, count)
		out.BulkString("consumers")
		out.Array(len(g.Consumers()))
		for _, consumer := range g.Consumers() {
			out.Map(4)
			out.BulkString("name")
			out.BulkString(consumer.Name())
			out.BulkString("seen-time")
			out.Int(consumer.SeenMs)
			out.BulkString("pel-count")
			out.Int(int64(consumer.PendingLen()))
			out.BulkString("pending")
			replyConsumerPending(c, g, consumer, count)
		}
	}
}

// replyProgress writes how much a group has read, and has still to read.
func replyProgress(c *call.Call, s *stream.Stream, g *stream.Group) {
	c.Out.BulkString("entries-read")
	if g.EntriesRead == stream.EntriesReadUnknown {
		c.Out.Null()
	} else {
		c.Out.Int(g.EntriesRead)
	}
	c.Out.BulkString("lag")
	if lag, ok := s.Lag(g); ok {
		c.Out.Int(lag)
	} else {
		c.Out.Null()
	}
}

func replyPending(c *call.Call, g *stream.Group, count int64) {
	mark, n := c.Out.Mark(), 0
	g.EachPending(stream.ID{}, func(p stream.Pending) bool {
		c.Out.Array(4)
		replyID(c, p.ID)
		c.Out.BulkString(p.Consumer)
		c.Out.Int(p.DeliveredMs)
		c.Out.Int(int64(p.Deliveries))
		n++
		return int64(n) != count
	})
	c.Out.EndArray(mark, n)
}

func replyConsumerPending(c *call.Call, g *stream.Group, consumer *stream.Consumer, count int64) {
	mark, n := c.Out.Mark(), 0
	consumer.EachPendingID(stream.ID{}, func(id stream.ID) bool {
		p, _ := g.Pending(id)
		c.Out.Array(3)
		replyID(c, id)
		c.Out.Int(p.DeliveredMs)
		c.Out.Int(int64(p.Deliveries))
		n++
		return int64(n) != count
	})
	c.Out.EndArray(mark, n)
}

// xinfoHelp replies with the subcommands of XINFO.
func xinfoHelp(c *call.Call) {
	replyLines(c,
		"XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
		"CONSUMERS <key> <groupname>",
		"    Show consumers of <groupname>.",
		"GROUPS <key>",
		"    Show the stream consumer groups.",
		"STREAM <key> [FULL [COUNT <count>]",
		"    Show information about the stream.",
		"HELP",
		"    Prints this help.",
	)
}

func replyLines(c *call.Call, lines ...string) {
	c.Out.Array(len(lines))
	for _, line := range lines {
		c.Out.Status(line)
	}
}
