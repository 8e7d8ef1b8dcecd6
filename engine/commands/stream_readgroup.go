package commands

import (
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/types/stream"
)

// groupRead is what XREADGROUP wants of one stream.
type groupRead struct {
	key     []byte
	s       *stream.Stream
	fresh   bool      // entries that nobody of the group was given
	history stream.ID // else what is pending for the consumer after this
}

// xreadgroup replies with entries of several streams that no consumer of the
// group was given yet, and notes them as pending for this one; or with those that
// are pending for it.
func xreadgroup(c *call.Call) {
	a, ok := parseRead(c, true)
	if !ok {
		return
	}
	reads, ok := parseGroupReads(c, &a)
	if !ok {
		return
	}
	c.Become()
	mark, n := c.Out.Mark(), 0
	for i := range reads {
		if r := &reads[i]; !r.fresh || r.hasFresh(&a) {
			n++
			r.reply(c, &a)
		}
	}
	if n == 0 && a.blocks && c.Wait(keyspace.Stream, a.allKeys(c), a.blockMs, c.Args) {
		return
	}
	endStreams(c, mark, n)
}

// hasFresh reports whether there are entries that nobody of the group was given.
func (r *groupRead) hasFresh(a *readArgs) bool {
	return hasEntriesAfter(r.s, r.s.Group(a.group).LastID)
}

// reply writes the key and what the consumer gets of it.
func (r *groupRead) reply(c *call.Call, a *readArgs) {
	beginStream(c, r.key)
	writeStream(c, r.key)
	g := r.s.EditGroup(a.group)
	if g.Consumer(a.consumer) == nil && (a.noAck || !r.fresh) && c.Followed() {
		c.Become("XGROUP", "CREATECONSUMER", r.key, a.group, a.consumer)
	}
	createConsumer(c, g, r.key, a.consumer)
	if r.fresh {
		deliver(c, r.key, r.s, g, a)
	} else {
		redeliver(c, r, g, a)
	}
}

// serveXreadgroup replies with the fresh entries of key alone. That there is no
// stream any more, or no group, ends the wait too.
func serveXreadgroup(c *call.Call, key []byte) bool {
	if !holds(c, key, keyspace.Stream) {
		c.Fail("UNBLOCKED the stream key no longer exists")
		return true
	}
	a, _ := parseRead(c, true)
	s, _ := openStream(c, key)
	r := groupRead{key: key, s: s, fresh: true}
	switch {
	case s.Group(a.group) == nil:
		c.Fail("NOGROUP the consumer group this client was blocked on no longer exists")
		return true
	case !r.hasFresh(&a):
		return false
	}
	c.Become()
	mark := c.Out.Mark()
	r.reply(c, &a)
	endStreams(c, mark, 1)
	return true
}

// parseGroupReads looks up the streams and reads the IDs, or replies with an
// error.
func parseGroupReads(c *call.Call, a *readArgs) ([]groupRead, bool) {
	reads := make([]groupRead, a.keys)
	for i := range reads {
		r := &reads[i]
		key, text := a.keyID(c, i)
		s, ok := openStream(c, key)
		c.LookedUp(key, s != nil || !ok)
		if !ok {
			return nil, false
		}
		if s == nil || s.Group(a.group) == nil {
			c.Fail(noKeyOrGroup(key, a.group) + " in XREADGROUP with GROUP option")
			return nil, false
		}
		r.key, r.s = key, s
		switch id := string(reply.CText(text)); id {
		case "$", "+":
			if id == "+" && c.TooNew(semantic.Geo, errStreamID) {
				return nil, false
			}
			c.Fail(meaninglessID(id))
			return nil, false
		case ">":
			r.fresh = true
			continue
		}
		if r.history, ok = streamID(c, a.streams+a.keys+i); !ok {
			return nil, false
		}
		r.fresh = r.history == stream.MaxID // as redis-server keeps ">" in mind
	}
	return reads, true
}

// meaninglessID refuses an ID that makes sense for XREAD alone.
func meaninglessID(id string) reply.Error {
	return reply.Error("ERR The " + id + " ID is meaningless in the context of XREADGROUP: " +
		"you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. " +
		"The " + id + " ID would just return an empty result set.")
}

func hasEntriesAfter(s *stream.Stream, id stream.ID) bool {
	from, ok := id.Next()
	return ok && hasEntries(s, from)
}

// deliver writes entries that nobody was given and makes them pending for the
// consumer.
func deliver(c *call.Call, key []byte, s *stream.Stream, g *stream.Group, a *readArgs) {
	from, _ := g.LastID.Next()
	mark, n := c.Out.Mark(), 0
	for it := s.Range(from, stream.MaxID, false); it.Next(); {
		id := it.ID()
		advance(s, g, id)
		replyEntry(c, &it)
		if !a.noAck {
			p := stream.Pending{ID: id, Consumer: string(a.consumer), DeliveredMs: c.Now, Deliveries: 1}
			g.Assign(p)
			becomeClaim(c, key, g, &p)
		}
		n++
		if int64(n) == a.count {
			break
		}
	}
	c.Out.EndArray(mark, n)
	if a.noAck {
		becomePosition(c, key, g)
	}
}

// advance notes that the group has read up to the entry id.
func advance(s *stream.Stream, g *stream.Group, id stream.ID) {
	read := g.EntriesRead
	if read != stream.EntriesReadUnknown && !s.HasTombstone(id) {
		read++
	} else if s.EntriesAdded > 0 {
		read = s.EntriesReadAt(id)
	}
	g.SetPosition(id, read)
}

// redeliver writes what is pending for the consumer, with null in the place of
// entries that were deleted.
func redeliver(c *call.Call, r *groupRead, g *stream.Group, a *readArgs) {
	var ids []stream.ID
	if from, ok := r.history.Next(); ok {
		g.Consumer(a.consumer).EachPendingID(from, func(id stream.ID) bool {
			ids = append(ids, id)
			return int64(len(ids)) != a.count
		})
	}
	c.Out.Array(len(ids))
	for _, id := range ids {
		if !replyOneEntry(c, r.s, id) {
			c.Out.Array(2)
			replyID(c, id)
			c.Out.NullArray()
			continue
		}
		p, _ := g.Pending(id)
		p.DeliveredMs = c.Now
		p.Deliveries++
		g.Assign(p)
		becomeClaim(c, r.key, g, &p)
	}
}

// xpending replies with what is pending in a group: a summary or, given a range,
// entry by entry.
func xpending(c *call.Call) {
	if len(c.Args) != 3 && (len(c.Args) < 6 || len(c.Args) > 9) {
		c.Fail(reply.ErrSyntax)
		return
	}
	var q pendingQuery
	if len(c.Args) > 3 {
		var ok bool
		if q, ok = parsePendingQuery(c); !ok {
			return
		}
	}
	s, ok := openStream(c, c.Args[1])
	if !ok {
		return
	}
	if s == nil || s.Group(c.Args[2]) == nil {
		c.Fail(noKeyOrGroup(c.Args[1], c.Args[2]))
		return
	}
	g := s.Group(c.Args[2])
	if len(c.Args) == 3 {
		replyPendingSummary(c, g)
		return
	}
	replyPendingRange(c, g, &q)
}

// pendingQuery is the long form of XPENDING.
type pendingQuery struct {
	minIdleMs int64
	from, to  stream.ID
	count     int64
	consumer  []byte // nil for all
}

func parsePendingQuery(c *call.Call) (q pendingQuery, ok bool) {
	first := 3
	if c.Is(3, "IDLE") {
		if q.minIdleMs, ok = c.Int(4); !ok {
			return q, false
		}
		if len(c.Args) < 8 {
			c.Fail(reply.ErrSyntax)
			return q, false
		}
		first = 5
	}
	if q.count, ok = c.Int(first + 2); !ok {
		return q, false
	}
	if q.from, ok = streamBound(c, first, false); !ok {
		return q, false
	}
	if q.to, ok = streamBound(c, first+1, true); !ok {
		return q, false
	}
	if first+3 < len(c.Args) {
		q.consumer = c.Args[first+3]
	}
	return q, true
}

func replyPendingSummary(c *call.Call, g *stream.Group) {
	out := c.Out
	out.Array(4)
	out.Int(int64(g.PendingLen()))
	if g.PendingLen() == 0 {
		out.Null()
		out.Null()
		out.NullArray()
		return
	}
	first, last := g.PendingEdges()
	replyID(c, first)
	replyID(c, last)
	mark, n := out.Mark(), 0
	for _, consumer := range g.Consumers() {
		if consumer.PendingLen() == 0 {
			continue
		}
		out.Array(2)
		out.BulkString(consumer.Name())
		out.BulkInt(int64(consumer.PendingLen()))
		n++
	}
	out.EndArray(mark, n)
}

func replyPendingRange(c *call.Call, g *stream.Group, q *pendingQuery) {
	mark, n := c.Out.Mark(), int64(0)
	visit := func(p stream.Pending) bool {
		if n >= q.count || q.to.Less(p.ID) {
			return false
		}
		idle := c.Wall - p.DeliveredMs
		if q.minIdleMs != 0 && idle < q.minIdleMs {
			return true
		}
		c.Out.Array(4)
		replyID(c, p.ID)
		c.Out.BulkString(p.Consumer)
		c.Out.Int(max(idle, 0))
		c.Out.Int(int64(p.Deliveries))
		n++
		return true
	}
	if q.consumer == nil {
		g.EachPending(q.from, visit)
	} else if consumer := g.Consumer(q.consumer); consumer != nil {
		consumer.EachPendingID(q.from, func(id stream.ID) bool {
			p, _ := g.Pending(id)
			return visit(p)
		})
	}
	c.Out.EndArray(mark, int(n))
}
