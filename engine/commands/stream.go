package commands

import (
	"math"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/stream"
)

// byChance is the tip of commands whose replies two nodes need not share.
var byChance = []string{"nondeterministic_output"}

var streamRows = []call.Row{
	{Spec: command.Spec{
		Name: "xadd", Group: command.Stream, Arity: -5, Flags: command.Write | command.DenyOOM | command.Fast, Tips: byChance,
		Keys: []command.KeySpec{{Flags: command.RW | command.Update, Index: 1, Step: 1, Notes: "an update rather than an insertion, because it may trim"}},
	}, Do: xadd},
	{Spec: command.Spec{Name: "xlen", Group: command.Stream, Arity: 2, Flags: command.ReadOnly | command.Fast, Keys: command.One(command.RO)}, Do: xlen},
	{Spec: command.Spec{Name: "xdel", Group: command.Stream, Arity: -3, Flags: command.Write | command.Fast, Keys: command.One(command.RW | command.Delete)}, Do: xdel},
	{Spec: command.Spec{Name: "xtrim", Group: command.Stream, Arity: -4, Flags: command.Write, Tips: byChance, Keys: command.One(command.RW | command.Delete)}, Do: xtrim},
	{Spec: command.Spec{Name: "xsetid", Group: command.Stream, Arity: -3, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(command.RW | command.Update)}, Do: xsetid},
	{Spec: command.Spec{Name: "xrange", Group: command.Stream, Arity: -4, Flags: command.ReadOnly, Keys: command.One(command.RO | command.Access)}, Do: xrange},
	{Spec: command.Spec{Name: "xrevrange", Group: command.Stream, Arity: -4, Flags: command.ReadOnly, Keys: command.One(command.RO | command.Access)}, Do: xrevrange},
	{Spec: command.Spec{Name: "xread", Group: command.Stream, Arity: -4, Flags: command.ReadOnly | command.Blocking, Keys: streamsKeys(1)}, Waits: readBlocks, Do: xread, Serve: serveXread},
	{Spec: command.Spec{Name: "xinfo", Group: command.Stream, Arity: -2, Categories: command.NoGroup}}, // its subcommands do it all
	{Spec: command.Spec{Name: "xinfo|stream", Group: command.Stream, Arity: -3, Flags: command.ReadOnly, Keys: []command.KeySpec{command.Range(command.RO|command.Access, 2, 0, 1)}}, Do: xinfoStream},
}

// streamsKeys says that the first half of what follows STREAMS are keys.
func streamsKeys(startFrom int) []command.KeySpec {
	return []command.KeySpec{{Flags: command.RO | command.Access, Index: startFrom, Keyword: "STREAMS", Last: -1, Step: 1, Limit: 2}}
}

// addOptions are what XADD and XTRIM take before the ID.
type addOptions struct {
	noCreate bool
	trims    bool
	trim     stream.Trim

	// Of XADD: the ID or, with anySeq, its time alone; neither for "*".
	id            stream.ID
	given, anySeq bool
	fields        int // argument where the fields begin
}

// parseAddOptions reads the options of XADD, with the ID, or XTRIM, or replies
// with an error.
func parseAddOptions(c *call.Call, xadd bool) (o addOptions, ok bool) {
	limitGiven := false
	for i := 2; i < len(c.Args); i++ {
		more := len(c.Args) - 1 - i
		switch {
		case xadd && string(c.Args[i]) == "*":
			o.fields = i + 1
		case more > 0 && (c.Is(i, "MAXLEN") || c.Is(i, "MINID")):
			if i, ok = o.parseTrim(c, i); !ok {
				return o, false
			}
			continue
		case more > 0 && c.Is(i, "LIMIT"):
			i++
			limit, ok := c.Int(i)
			if !ok {
				return o, false
			}
			if limit < 0 {
				c.Fail("ERR The LIMIT argument must be >= 0.")
				return o, false
			}
			o.trim.Limit, limitGiven = int(limit), true
			continue
		case xadd && c.Is(i, "NOMKSTREAM"):
			o.noCreate = true
			continue
		case xadd:
			if o.id, o.anySeq, ok = stream.ParseID(c.Args[i], 0); !ok {
				c.Fail(errStreamID)
				return o, false
			}
			o.given, o.fields = true, i+1
		default:
			c.Fail(reply.ErrSyntax)
			return o, false
		}
		break
	}
	return o, o.checkTrim(c, xadd, limitGiven)
}

// parseTrim reads MAXLEN or MINID, which stands at i, and returns the position of
// the last argument that belongs to it.
func (o *addOptions) parseTrim(c *call.Call, i int) (last int, ok bool) {
	if o.trims {
		c.Fail("ERR syntax error, MAXLEN and MINID options at the same time are not compatible")
		return 0, false
	}
	o.trims = true
	o.trim.ByID = c.Is(i, "MINID")
	i++
	if i+1 < len(c.Args) && (string(c.Args[i]) == "~" || string(c.Args[i]) == "=") {
		o.trim.Approx = c.Args[i][0] == '~'
		i++
	}
	if o.trim.ByID {
		o.trim.MinID, ok = streamID(c, i)
		return i, ok
	}
	n, ok := c.Int(i)
	if ok && n < 0 {
		c.Fail("ERR The MAXLEN argument must be >= 0.")
		return 0, false
	}
	o.trim.MaxLen = int(n)
	return i, ok
}

// checkTrim checks what options there are beside each other, and gives a trim by
// nodes the limit it has by default: a hundred nodes.
func (o *addOptions) checkTrim(c *call.Call, xadd, limitGiven bool) bool {
	switch {
	case o.trim.Limit > 0 && !o.trims:
		c.Fail("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
		return false
	case !xadd && !o.trims:
		c.Fail("ERR syntax error, XTRIM must be called with a trimming strategy")
		return false
	case limitGiven && !o.trim.Approx:
		c.Fail("ERR syntax error, LIMIT cannot be used without the special ~ option")
		return false
	}
	if o.trim.Approx && !limitGiven {
		o.trim.Limit = min(100*c.Settings.StreamNodeMaxEntries, 1_000_000)
		if o.trim.Limit <= 0 {
			o.trim.Limit = 10_000
		}
	}
	return true
}

const errEntryTooLarge reply.Error = "ERR Elements are too large to be stored"

// nextID returns the ID that the entry gets in s, or an error.
func (o *addOptions) nextID(now int64, s *stream.Stream) (stream.ID, reply.Error) {
	const tooSmall = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
	last := s.LastID
	next, ok := last.Next()
	if !ok {
		return next, "ERR The stream has exhausted the last possible ID, unable to add more items"
	}
	id := o.id
	switch {
	case !o.given && uint64(now) > last.Ms:
		return stream.ID{Ms: uint64(now)}, ""
	case !o.given:
		return next, ""
	case o.anySeq && id.Ms == last.Ms && last.Seq == math.MaxUint64:
		return id, errEntryTooLarge // what redis-server says here, too
	case o.anySeq && id.Ms == last.Ms:
		id = next
	}
	if !last.Less(id) {
		return id, tooSmall
	}
	return id, ""
}

// xadd appends an entry to a stream and replies with its ID.
func xadd(c *call.Call) {
	o, ok := parseAddOptions(c, true)
	if !ok {
		return
	}
	pairs := c.Args[min(o.fields, len(c.Args)):]
	if o.fields == 0 || len(pairs) < 2 || len(pairs)%2 == 1 {
		c.Fail(reply.WrongArgs("xadd"))
		return
	}
	if o.given && !o.anySeq && o.id.IsZero() {
		c.Fail("ERR The ID specified in XADD must be greater than 0-0")
		return
	}
	key := c.Args[1]
	s, ok := openStream(c, key)
	if !ok {
		return
	}
	created := s == nil
	if created && o.noCreate {
		c.Out.Null()
		return
	}
	if created {
		s = stream.New()
	}
	id, failure := o.nextID(c.Now, s)
	if failure != "" {
		c.Fail(failure)
		return
	}
	if !created {
		writeStream(c, key)
	}
	limits := stream.Limits{NodeBytes: c.Settings.StreamNodeMaxBytes, NodeEntries: c.Settings.StreamNodeMaxEntries}
	if err := s.Add(id, pairs, limits); err != nil {
		c.Fail(errEntryTooLarge)
		return
	}
	if created {
		putStream(c, key, s)
	}
	replyID(c, id)
	c.Notify(call.EventStream, "xadd", key)
	if o.trims && s.Trim(o.trim) > 0 {
		c.Notify(call.EventStream, "xtrim", key)
	}
	if c.Followed() {
		o.become(c, id, s, pairs)
	}
}

// become tells followers the ID that an entry got, and what was left of the stream.
func (o *addOptions) become(c *call.Call, id stream.ID, s *stream.Stream, pairs [][]byte) {
	args := []any{"XADD", c.Args[1]}
	if o.trims {
		args = append(args, "MAXLEN", "=", s.Len())
	}
	args = append(args, id.String())
	for _, arg := range pairs {
		args = append(args, arg)
	}
	c.Become(args...)
}

// xtrim removes entries from the front of a stream and replies with how many.
func xtrim(c *call.Call) {
	o, ok := parseAddOptions(c, false)
	if !ok {
		return
	}
	s, ok := openStream(c, c.Args[1])
	if !ok {
		return
	}
	if s == nil {
		c.Out.Int(0)
		return
	}
	writeStream(c, c.Args[1])
	removed := s.Trim(o.trim)
	if removed > 0 {
		c.Notify(call.EventStream, "xtrim", c.Args[1])
	}
	c.Become()
	if removed > 0 && c.Followed() {
		c.Become("XTRIM", c.Args[1], "MAXLEN", "=", s.Len())
	}
	c.Out.Int(int64(removed))
}

// xlen replies with the number of entries.
func xlen(c *call.Call) {
	s, ok := openStream(c, c.Args[1])
	switch {
	case !ok:
	case s == nil:
		c.Out.Int(0)
	default:
		c.Out.Int(int64(s.Len()))
	}
}

// xdel removes entries by ID and replies with how many there were.
func xdel(c *call.Call) {
	s, ok := openStream(c, c.Args[1])
	if !ok {
		return
	}
	if s == nil {
		c.Out.Int(0)
		return
	}
	ids := make([]stream.ID, len(c.Args)-2)
	for i := range ids {
		if ids[i], ok = streamID(c, i+2); !ok {
			return
		}
	}
	writeStream(c, c.Args[1])
	removed := 0
	for _, id := range ids {
		if s.Delete(id) {
			removed++
		}
	}
	if removed > 0 {
		c.Notify(call.EventStream, "xdel", c.Args[1])
	}
	c.Out.Int(int64(removed))
}

// xsetid sets what a stream knows of its past.
func xsetid(c *call.Call) {
	id, ok := streamID(c, 2)
	if !ok {
		return
	}
	var maxDeleted stream.ID
	added := int64(-1)
	for i := 3; i < len(c.Args); i += 2 {
		more := i+1 < len(c.Args)
		switch {
		case more && c.Is(i, "ENTRIESADDED"):
			if added, ok = c.Int(i + 1); !ok {
				return
			}
			if added < 0 {
				c.Fail("ERR entries_added must be positive")
				return
			}
		case more && c.Is(i, "MAXDELETEDID"):
			if maxDeleted, ok = streamID(c, i+1); !ok {
				return
			}
			if id.Less(maxDeleted) {
				c.Fail("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
				return
			}
		default:
			c.Fail(reply.ErrSyntax)
			return
		}
	}
	s, ok := openStream(c, c.Args[1])
	if !ok {
		return
	}
	if failure := checkSetID(s, id, added); failure != "" {
		c.Fail(failure)
		return
	}
	writeStream(c, c.Args[1])
	meta := s.Meta
	meta.LastID = id
	if added >= 0 {
		meta.EntriesAdded = uint64(added)
	}
	if !maxDeleted.IsZero() {
		meta.MaxDeletedID = maxDeleted
	}
	s.SetMeta(meta)
	c.Out.OK()
	c.Notify(call.EventStream, "xsetid", c.Args[1])
}

// checkSetID returns what forbids the last ID and number of entries added (-1 is
// none) that XSETID wants.
func checkSetID(s *stream.Stream, id stream.ID, added int64) reply.Error {
	switch {
	case s == nil:
		return reply.ErrNoSuchKey
	case s.Len() == 0:
		return ""
	case id.Less(s.Edge(true)):
		return "ERR The ID specified in XSETID is smaller than the target stream top item"
	case added >= 0 && int64(s.Len()) > added:
		return "ERR The entries_added specified in XSETID is smaller than the target stream length"
	}
	return ""
}
