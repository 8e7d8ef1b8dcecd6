package stream

import "github.com/quorate/quorate/engine/types/chain"

// Join makes the stream part of a state: changes are mixed into c from now on,
// those of its groups too.
func (s *Stream) Join(c *chain.Chain) { s.joined = c }

// Mix mixes all that the stream holds into c: entries, what it knows beside them,
// groups, consumers, and what is pending.
func (s *Stream) Mix(c *chain.Chain) {
	c.Words('x', uint64(s.length))
	for id, lp := range s.Nodes {
		mixID(c, id)
		c.Bytes(lp)
	}
	for _, id := range []ID{s.LastID, s.MaxDeletedID, s.FirstID} {
		mixID(c, id)
	}
	c.Words(s.EntriesAdded, uint64(len(s.groups)))
	for _, g := range s.groups {
		g.mix(c)
	}
}

func (g *Group) mix(c *chain.Chain) {
	c.String(g.name)
	mixID(c, g.LastID)
	c.Words(uint64(g.EntriesRead), uint64(len(g.consumers)))
	for _, consumer := range g.consumers {
		c.String(consumer.name)
		c.Words(uint64(consumer.SeenMs), uint64(consumer.PendingLen()))
	}
	c.Words('p', uint64(g.PendingLen()))
	g.EachPending(ID{}, func(p Pending) bool {
		mixID(c, p.ID)
		c.Words(uint64(p.DeliveredMs), p.Deliveries)
		c.String(p.Consumer)
		return true
	})
}

func mixID(c *chain.Chain, id ID) { c.Words(id.Ms, id.Seq) }

// noteID mixes a change that concerns an ID.
func (s *Stream) noteID(done byte, id ID, now []byte) {
	if s.joined == nil {
		return
	}
	key := id.Key()
	s.joined.Note(done, 0, key[:], now)
}

// SetMeta sets what the stream knows beside its entries.
func (s *Stream) SetMeta(m Meta) {
	s.Meta = m
	if s.joined == nil {
		return
	}
	s.joined.Words('m', m.EntriesAdded)
	for _, id := range []ID{m.LastID, m.MaxDeletedID, m.FirstID} {
		mixID(s.joined, id)
	}
}

// SetPosition says how far the group has read.
func (g *Group) SetPosition(last ID, entriesRead int64) {
	g.LastID, g.EntriesRead = last, entriesRead
	if g.joined == nil {
		return
	}
	key := last.Key()
	g.joined.Note('r', uint64(entriesRead), []byte(g.name), key[:])
}

// note mixes a change of the group that concerns an ID.
func (g *Group) noteID(done byte, id ID, now []byte) {
	if g.joined == nil {
		return
	}
	key := id.Key()
	g.joined.Note(done, 0, key[:], now)
}
