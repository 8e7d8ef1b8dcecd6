package commands

import (
	"math"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/stream"
)

// claimArgs are the arguments of XCLAIM and XAUTOCLAIM.
type claimArgs struct {
	minIdleMs int64
	justID    bool

	// Of XCLAIM.
	ids         []stream.ID
	deliveredMs int64 // -1: now
	deliveries  int64 // -1: one more
	force       bool
	lastID      stream.ID

	// Of XAUTOCLAIM.
	from  stream.ID
	count int
}

// openClaim returns the group of XCLAIM or XAUTOCLAIM, or replies with an error.
func openClaim(c *call.Call) (s *stream.Stream, g *stream.Group, ok bool) {
	s, ok = openStream(c, c.Args[1])
	c.LookedUp(c.Args[1], s != nil || !ok)
	if !ok {
		return nil, nil, false
	}
	if s == nil || s.Group(c.Args[2]) == nil {
		c.Fail(noKeyOrGroup(c.Args[1], c.Args[2]))
		return nil, nil, false
	}
	return s, s.Group(c.Args[2]), true
}

// xclaim makes pending entries pending for another consumer.
func xclaim(c *call.Call) {
	s, _, ok := openClaim(c)
	if !ok {
		return
	}
	a, ok := parseClaim(c)
	if !ok {
		return
	}
	writeStream(c, c.Args[1])
	g := s.EditGroup(c.Args[2])
	c.Become()
	if g.LastID.Less(a.lastID) {
		g.SetPosition(a.lastID, g.EntriesRead)
		becomePosition(c, c.Args[1], g)
	}
	if a.deliveredMs < 0 || a.deliveredMs > c.Now {
		a.deliveredMs = c.Now
	}
	mark, n := c.Out.Mark(), 0
	for _, id := range a.ids {
		p, pending := g.Pending(id)
		if !hasEntry(s, id) {
			g.Acknowledge(id)
			becomeAck(c, id)
			continue
		}
		switch {
		case pending && a.minIdleMs > 0 && c.Now-p.DeliveredMs < a.minIdleMs, !pending && !a.force:
			continue
		case !pending:
			p = stream.Pending{ID: id, Deliveries: 1}
		}
		if a.deliveries >= 0 {
			p.Deliveries = uint64(a.deliveries)
		} else if !a.justID {
			p.Deliveries++
		}
		p.DeliveredMs = a.deliveredMs
		claim(c, g, p)
		replyClaimed(c, s, id, a.justID)
		n++
	}
	c.Out.EndArray(mark, n)
}

// claim makes p pending for the consumer that the command names. As in Redis 7.0
// a consumer that claims nothing is not created and was not seen.
func claim(c *call.Call, g *stream.Group, p stream.Pending) {
	createConsumer(c, g, c.Args[1], c.Args[3])
	p.Consumer = string(c.Args[3])
	g.Assign(p)
	becomeClaim(c, c.Args[1], g, &p)
}

// becomeClaim tells followers what has become of a pending entry.
func becomeClaim(c *call.Call, key []byte, g *stream.Group, p *stream.Pending) {
	if c.Followed() {
		c.Become("XCLAIM", key, g.Name(), p.Consumer, 0, p.ID.String(), "TIME", p.DeliveredMs,
			"RETRYCOUNT", int64(p.Deliveries), "FORCE", "JUSTID", "LASTID", g.LastID.String())
	}
}

// becomeAck tells followers that an entry is no more pending in the group of XCLAIM's
// arguments.
func becomeAck(c *call.Call, id stream.ID) {
	if c.Followed() {
		c.Become("XACK", c.Args[1], c.Args[2], id.String())
	}
}

// becomePosition tells followers how far a group has read.
func becomePosition(c *call.Call, key []byte, g *stream.Group) {
	if c.Followed() {
		c.Become("XGROUP", "SETID", key, g.Name(), g.LastID.String(), "ENTRIESREAD", g.EntriesRead)
	}
}

func hasEntry(s *stream.Stream, id stream.ID) bool {
	it := s.Range(id, id, false)
	return it.Next()
}

func replyClaimed(c *call.Call, s *stream.Stream, id stream.ID, justID bool) {
	if justID {
		replyID(c, id)
		return
	}
	replyOneEntry(c, s, id)
}

func parseClaim(c *call.Call) (a claimArgs, ok bool) {
	a.deliveredMs, a.deliveries = -1, -1
	if a.minIdleMs, ok = claimInt(c, 4, "min-idle-time argument for XCLAIM"); !ok {
		return a, false
	}
	i := 5
	for ; i < len(c.Args); i++ {
		id, anySeq, ok := stream.ParseID(c.Args[i], 0)
		if !ok || anySeq {
			break // an option, or so we will see
		}
		a.ids = append(a.ids, id)
	}
	for ; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		switch {
		case c.Is(i, "FORCE"):
			a.force = true
			continue
		case c.Is(i, "JUSTID"):
			a.justID = true
			continue
		case more && c.Is(i, "IDLE"):
			a.deliveredMs, ok = claimInt(c, i+1, "IDLE option argument for XCLAIM")
			a.deliveredMs = c.Now - a.deliveredMs
		case more && c.Is(i, "TIME"):
			a.deliveredMs, ok = claimInt(c, i+1, "TIME option argument for XCLAIM")
		case more && c.Is(i, "RETRYCOUNT"):
			a.deliveries, ok = claimInt(c, i+1, "RETRYCOUNT option argument for XCLAIM")
		case more && c.Is(i, "LASTID"):
			a.lastID, ok = streamID(c, i+1)
		default:
			c.Fail(reply.Error("ERR Unrecognized XCLAIM option '" + string(reply.CText(c.Args[i])) + "'"))
			return a, false
		}
		if !ok {
			return a, false
		}
		i++
	}
	return a, true
}

// claimInt returns argument i as an integer, or replies that the argument called
// what is invalid.
func claimInt(c *call.Call, i int, what string) (int64, bool) {
	n, ok := call.ParseInt(c.Args[i])
	if !ok {
		c.Fail(reply.Error("ERR Invalid " + what))
	}
	return n, ok
}

// autoClaimFactor is how many pending entries XAUTOCLAIM looks at for each that
// it may claim.
const autoClaimFactor = 10

// xautoclaim makes entries that have been pending for long pending for another
// consumer, and replies with where to go on, what it claimed, and what it dropped
// because the stream has it no more.
func xautoclaim(c *call.Call) {
	a, ok := parseAutoClaim(c)
	if !ok {
		return
	}
	s, _, ok := openClaim(c)
	if !ok {
		return
	}
	writeStream(c, c.Args[1])
	g := s.EditGroup(c.Args[2])
	c.Become()
	looked, next := lookAhead(g, &a)
	var claimed, dropped []stream.ID
	for i, p := range looked {
		if len(claimed)+len(dropped) == a.count {
			next = looked[i].ID
			break
		}
		if !hasEntry(s, p.ID) {
			g.Acknowledge(p.ID)
			becomeAck(c, p.ID)
			dropped = append(dropped, p.ID)
			continue
		}
		if a.minIdleMs > 0 && c.Now-p.DeliveredMs < a.minIdleMs {
			continue
		}
		if !a.justID {
			p.Deliveries++
		}
		p.DeliveredMs = c.Now
		claim(c, g, p)
		claimed = append(claimed, p.ID)
	}
	c.Out.Array(3)
	replyID(c, next)
	c.Out.Array(len(claimed))
	for _, id := range claimed {
		replyClaimed(c, s, id, a.justID)
	}
	c.Out.Array(len(dropped))
	for _, id := range dropped {
		replyID(c, id)
	}
}

// lookAhead returns the pending entries that XAUTOCLAIM looks at, and the ID of
// the one after them, 0-0 if there is none.
func lookAhead(g *stream.Group, a *claimArgs) (looked []stream.Pending, next stream.ID) {
	g.EachPending(a.from, func(p stream.Pending) bool {
		if len(looked) == a.count*autoClaimFactor {
			next = p.ID
			return false
		}
		looked = append(looked, p)
		return true
	})
	return looked, next
}

func parseAutoClaim(c *call.Call) (a claimArgs, ok bool) {
	const countMax = math.MaxInt64 / 16
	a.count = 100
	if a.minIdleMs, ok = claimInt(c, 4, "min-idle-time argument for XAUTOCLAIM"); !ok {
		return a, false
	}
	if a.from, ok = streamBound(c, 5, false); !ok {
		return a, false
	}
	for i := 6; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "COUNT") && i+1 < len(c.Args):
			i++
			n, ok := call.ParseInt(c.Args[i])
			if !ok || n < 1 || n > countMax {
				c.Fail("ERR COUNT must be > 0")
				return a, false
			}
			a.count = int(n)
		case c.Is(i, "JUSTID"):
			a.justID = true
		default:
			c.Fail(reply.ErrSyntax)
			return a, false
		}
	}
	return a, true
}
