package commands

import (
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/stream"
)

var streamGroupRows = []call.Row{
	{Spec: command.Spec{Name: "xgroup", Group: command.Stream, Arity: -2, Categories: command.NoGroup}}, // its subcommands do it all
	{Spec: command.Spec{Name: "xgroup|create", Group: command.Stream, Arity: -5, Flags: command.Write | command.DenyOOM, Keys: groupKey(command.Insert)}, Do: xgroupCreate},
	{Spec: command.Spec{Name: "xgroup|setid", Group: command.Stream, Arity: -5, Flags: command.Write, Keys: groupKey(command.Update)}, Do: xgroupSetID},
	{Spec: command.Spec{Name: "xgroup|destroy", Group: command.Stream, Arity: 4, Flags: command.Write, Keys: groupKey(command.Delete)}, Do: xgroupDestroy},
	{Spec: command.Spec{Name: "xgroup|createconsumer", Group: command.Stream, Arity: 5, Flags: command.Write | command.DenyOOM, Keys: groupKey(command.Insert)}, Do: xgroupCreateConsumer},
	{Spec: command.Spec{Name: "xgroup|delconsumer", Group: command.Stream, Arity: 5, Flags: command.Write, Keys: groupKey(command.Delete)}, Do: xgroupDelConsumer},
	{Spec: command.Spec{Name: "xgroup|help", Group: command.Stream, Arity: 2, Flags: command.Loading | command.Stale}, Do: xgroupHelp},
	{Spec: command.Spec{Name: "xreadgroup", Group: command.Stream, Arity: -7, Flags: command.Write | command.Blocking, Keys: streamsKeys(4)}, Waits: readBlocks, Do: xreadgroup, Serve: serveXreadgroup},
	{Spec: command.Spec{Name: "xack", Group: command.Stream, Arity: -4, Flags: command.Write | command.Fast, Keys: command.One(command.RW | command.Update)}, Do: xack},
	{Spec: command.Spec{Name: "xpending", Group: command.Stream, Arity: -3, Flags: command.ReadOnly, Tips: byChance, Keys: command.One(command.RO | command.Access)}, Do: xpending},
	{Spec: command.Spec{Name: "xclaim", Group: command.Stream, Arity: -6, Flags: command.Write | command.Fast, Tips: byChance, Keys: command.One(command.RW | command.Update)}, Do: xclaim},
	{Spec: command.Spec{Name: "xautoclaim", Group: command.Stream, Arity: -6, Flags: command.Write | command.Fast, Tips: byChance, Keys: command.One(command.RW | command.Delete)}, Do: xautoclaim},
	{Spec: command.Spec{Name: "xinfo|groups", Group: command.Stream, Arity: 3, Flags: command.ReadOnly, Keys: []command.KeySpec{command.Range(command.RO|command.Access, 2, 0, 1)}}, Do: xinfoGroups},
	{Spec: command.Spec{Name: "xinfo|consumers", Group: command.Stream, Arity: 4, Flags: command.ReadOnly, Tips: byChance, Keys: []command.KeySpec{command.Range(command.RO|command.Access, 2, 0, 1)}}, Do: xinfoConsumers},
	{Spec: command.Spec{Name: "xinfo|help", Group: command.Stream, Arity: 2, Flags: command.Loading | command.Stale}, Do: xinfoHelp},
}

func groupKey(flags command.KeyFlags) []command.KeySpec {
	return []command.KeySpec{command.Range(command.RW|flags, 2, 0, 1)}
}

// noGroup tells that a key has no such group.
func noGroup(group, key []byte) reply.Error {
	return reply.Error("NOGROUP No such consumer group '" + string(reply.CText(group)) + "' for key name '" + string(reply.CText(key)) + "'")
}

// noKeyOrGroup tells that there is no such key, or that it has no such group.
func noKeyOrGroup(key, group []byte) reply.Error {
	return reply.Error("NOGROUP No such key '" + string(reply.CText(key)) + "' or consumer group '" + string(reply.CText(group)) + "'")
}

// groupOptions are what XGROUP CREATE and SETID take after the ID.
type groupOptions struct {
	createKey   bool
	entriesRead int64
}

func parseGroupOptions(c *call.Call, create bool) (o groupOptions, ok bool) {
	o.entriesRead = stream.EntriesReadUnknown
	for i := 5; i < len(c.Args); i++ {
		switch {
		case create && c.Is(i, "MKSTREAM"):
			o.createKey = true
		case c.Is(i, "ENTRIESREAD") && i+1 < len(c.Args):
			i++
			if o.entriesRead, ok = c.Int(i); !ok {
				return o, false
			}
			if o.entriesRead < 0 && o.entriesRead != stream.EntriesReadUnknown {
				c.Fail("ERR value for ENTRIESREAD must be positive or -1")
				return o, false
			}
		default:
			c.Fail(subcommandSyntax(c))
			return o, false
		}
	}
	return o, true
}

// openGroupStream returns the stream of an XGROUP subcommand; with mayMiss nil if
// there is none. It replies with errors itself.
func openGroupStream(c *call.Call, mayMiss bool) (s *stream.Stream, ok bool) {
	s, ok = openStream(c, c.Args[2])
	if ok && s == nil && !mayMiss {
		c.Fail("ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.")
		return nil, false
	}
	return s, ok
}

// groupStart returns argument 4, an ID or "$" for the last one.
func groupStart(c *call.Call, s *stream.Stream) (stream.ID, bool) {
	if string(reply.CText(c.Args[4])) != "$" {
		return streamID(c, 4)
	}
	if s == nil {
		return stream.ID{}, true
	}
	return s.LastID, true
}

// xgroupCreate adds a group to a stream.
func xgroupCreate(c *call.Call) {
	o, ok := parseGroupOptions(c, true)
	if !ok {
		return
	}
	key := c.Args[2]
	s, ok := openGroupStream(c, o.createKey)
	if !ok {
		return
	}
	if len(c.Args) > 8 {
		c.Fail(subcommandSyntax(c))
		return
	}
	start, ok := groupStart(c, s)
	if !ok {
		return
	}
	if s == nil {
		s = stream.New()
		putStream(c, key, s)
	}
	if s.Group(c.Args[3]) != nil {
		c.Fail("BUSYGROUP Consumer Group name already exists")
		return
	}
	writeStream(c, key)
	s.CreateGroup(c.Args[3], start, o.entriesRead)
	c.Out.OK()
	c.Notify(call.EventStream, "xgroup-create", key)
}

// xgroupSetID sets how far a group has read.
func xgroupSetID(c *call.Call) {
	o, ok := parseGroupOptions(c, false)
	if !ok {
		return
	}
	s, ok := openNamedGroup(c)
	if !ok {
		return
	}
	if len(c.Args) != 5 && len(c.Args) != 7 {
		c.Fail(subcommandSyntax(c))
		return
	}
	start, ok := groupPosition(c, s)
	if !ok {
		return
	}
	writeStream(c, c.Args[2])
	g := s.EditGroup(c.Args[3])
	g.SetPosition(start, o.entriesRead)
	c.Out.OK()
	c.Notify(call.EventStream, "xgroup-setid", c.Args[2])
}

// groupPosition is groupStart with "-" and "+" for the ends of all IDs.
func groupPosition(c *call.Call, s *stream.Stream) (stream.ID, bool) {
	switch string(reply.CText(c.Args[4])) {
	case "-":
		return stream.ID{}, true
	case "+":
		return stream.MaxID, true
	}
	return groupStart(c, s)
}

// openNamedGroup returns the stream of an XGROUP subcommand whose group must
// exist. It replies with errors itself.
func openNamedGroup(c *call.Call) (s *stream.Stream, ok bool) {
	s, ok = openGroupStream(c, false)
	if ok && s.Group(c.Args[3]) == nil {
		c.Fail(noGroup(c.Args[3], c.Args[2]))
		return nil, false
	}
	return s, ok
}

// xgroupDestroy removes a group and replies with whether it was there.
func xgroupDestroy(c *call.Call) {
	s, ok := openGroupStream(c, false)
	if !ok {
		return
	}
	if s.Group(c.Args[3]) == nil {
		c.Out.Int(0)
		return
	}
	writeStream(c, c.Args[2])
	s.DeleteGroup(c.Args[3])
	c.Out.Int(1)
	c.Notify(call.EventStream, "xgroup-destroy", c.Args[2])
}

// xgroupCreateConsumer adds a consumer and replies with whether it is new.
func xgroupCreateConsumer(c *call.Call) {
	s, ok := openNamedGroup(c)
	if !ok {
		return
	}
	if s.Group(c.Args[3]).Consumer(c.Args[4]) != nil {
		c.Out.Int(0)
		return
	}
	writeStream(c, c.Args[2])
	createConsumer(c, s.EditGroup(c.Args[3]), c.Args[2], c.Args[4])
	c.Out.Int(1)
}

// createConsumer adds a consumer to a group under change, if it is not there,
// and otherwise notes that it was seen.
func createConsumer(c *call.Call, g *stream.Group, key, consumer []byte) {
	if g.CreateConsumer(consumer, c.Now) {
		c.Notify(call.EventStream, "xgroup-createconsumer", key)
		return
	}
	g.Touch(consumer, c.Now)
}

// xgroupDelConsumer removes a consumer and replies with how many entries were
// pending for it.
func xgroupDelConsumer(c *call.Call) {
	s, ok := openNamedGroup(c)
	if !ok {
		return
	}
	if s.Group(c.Args[3]).Consumer(c.Args[4]) == nil {
		c.Out.Int(0)
		return
	}
	writeStream(c, c.Args[2])
	pending, _ := s.EditGroup(c.Args[3]).DeleteConsumer(c.Args[4])
	c.Out.Int(int64(pending))
	c.Notify(call.EventStream, "xgroup-delconsumer", c.Args[2])
}

// xack takes entries off what is pending and replies with how many were.
func xack(c *call.Call) {
	s, ok := openStream(c, c.Args[1])
	c.LookedUp(c.Args[1], s != nil || !ok)
	if !ok {
		return
	}
	if s == nil || s.Group(c.Args[2]) == nil {
		c.Out.Int(0)
		return
	}
	ids := make([]stream.ID, len(c.Args)-3)
	for i := range ids {
		if ids[i], ok = streamID(c, i+3); !ok {
			return
		}
	}
	writeStream(c, c.Args[1])
	g, acknowledged := s.EditGroup(c.Args[2]), 0
	for _, id := range ids {
		if g.Acknowledge(id) {
			acknowledged++
		}
	}
	c.Out.Int(int64(acknowledged))
}

// xinfoGroups replies with what a stream knows of its groups.
func xinfoGroups(c *call.Call) {
	s := streamToTell(c)
	if s == nil {
		return
	}
	out := c.Out
	out.Array(len(s.Groups()))
	for _, g := range s.Groups() {
		out.Map(6)
		out.BulkString("name")
		out.BulkString(g.Name())
		out.BulkString("consumers")
		out.Int(int64(len(g.Consumers())))
		out.BulkString("pending")
		out.Int(int64(g.PendingLen()))
		out.BulkString("last-delivered-id")
		replyID(c, g.LastID)
		replyProgress(c, s, g)
	}
}

// xinfoConsumers replies with what a group knows of its consumers.
func xinfoConsumers(c *call.Call) {
	s := streamToTell(c)
	if s == nil {
		return
	}
	g := s.Group(c.Args[3])
	if g == nil {
		c.Fail(noGroup(c.Args[3], c.Args[2]))
		return
	}
	out := c.Out
	out.Array(len(g.Consumers()))
	for _, consumer := range g.Consumers() {
		out.Map(3)
		out.BulkString("name")
		out.BulkString(consumer.Name())
		out.BulkString("pending")
		out.Int(int64(consumer.PendingLen()))
		out.BulkString("idle")
		out.Int(max(c.Wall-consumer.SeenMs, 0))
	}
}

// xgroupHelp replies with the subcommands of XGROUP.
func xgroupHelp(c *call.Call) {
	replyLines(c,
		"XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
		"CREATE <key> <groupname> <id|$> [option]",
		"    Create a new consumer group. Options are:",
		"    * MKSTREAM",
		"      Create the empty stream if it does not exist.",
		"    * ENTRIESREAD entries_read",
		"      Set the group's entries_read counter (internal use).",
		"CREATECONSUMER <key> <groupname> <consumer>",
		"    Create a new consumer in the specified group.",
		"DELCONSUMER <key> <groupname> <consumer>",
		"    Remove the specified consumer.",
		"DESTROY <key> <groupname>",
		"    Remove the specified group.",
		"SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
		"    Set the current group ID and entries_read counter.",
		"HELP",
		"    Prints this help.",
	)
}
