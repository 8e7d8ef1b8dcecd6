package stream

import (
	"encoding/binary"
	"slices"
	"sort"
	"unsafe"

	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/tree"
)

// EntriesReadUnknown says that a group's count of entries read is not known: its
// position was set by hand.
const EntriesReadUnknown = -1

// Group is a consumer group: how far a stream has been read on behalf of a set
// of consumers, and what each was given and has not acknowledged.
//
// To change a group get it from [Stream.EditGroup]; one from [Stream.Group] is
// for reading.
//
// Invariant: an ID is in the group's pending tree exactly when it is in one
// consumer's, the one that its record there names.
type Group struct {
	name        string
	LastID      ID    // the last entry delivered to anyone
	EntriesRead int64 // entries read in the group's logic, or EntriesReadUnknown

	pending      *tree.Tree  // by ID.Key: see Pending.record
	consumers    []*Consumer // by name
	gen          uint64      // generation of what may be changed in place
	consumersGen uint64      // generation of the slice consumers

	joined *chain.Chain // of the state that its stream belongs to, if any
}

// Consumer is one reader of a group. Its fields are for reading.
type Consumer struct {
	name    string
	SeenMs  int64 // last attempt to read or claim, Unix milliseconds
	pending *tree.Tree
	gen     uint64
}

// Pending is an entry that was delivered and not acknowledged.
type Pending struct {
	ID          ID
	Consumer    string
	DeliveredMs int64  // last delivery, Unix milliseconds
	Deliveries  uint64 // how often it was delivered
}

// Name returns the group's name.
func (g *Group) Name() string { return g.name }

// Name returns the consumer's name.
func (c *Consumer) Name() string { return c.name }

// Groups returns all groups in the order of their names. The slice must not be
// changed, and is valid until the stream changes.
func (s *Stream) Groups() []*Group { return s.groups }

// Group returns the group with the given name for reading, or nil.
func (s *Stream) Group(name []byte) *Group {
	if i, ok := s.findGroup(name); ok {
		return s.groups[i]
	}
	return nil
}

// EditGroup returns the group with the given name for changes that follow before
// the next Freeze, or nil.
func (s *Stream) EditGroup(name []byte) *Group {
	i, ok := s.findGroup(name)
	if !ok {
		return nil
	}
	g := s.groups[i]
	if g.gen != s.gen {
		s.ownGroups()
		c := *g
		c.gen, c.pending = s.gen, g.pending.Freeze()
		g = &c
		s.groups[i] = g
	}
	g.joined = s.joined
	return g
}

// CreateGroup adds a group, and returns it for changes; nil if the name is taken.
func (s *Stream) CreateGroup(name []byte, last ID, entriesRead int64) *Group {
	i, ok := s.findGroup(name)
	if ok {
		return nil
	}
	s.ownGroups()
	g := &Group{
		name: string(name), LastID: last, EntriesRead: entriesRead,
		pending: tree.New(), gen: s.gen, consumersGen: s.gen,
	}
	s.groups = slices.Insert(s.groups, i, g)
	g.joined = s.joined
	key := last.Key()
	g.joined.Note('g', uint64(entriesRead), name, key[:])
	return g
}

// DeleteGroup removes a group and reports whether it was there.
func (s *Stream) DeleteGroup(name []byte) bool {
	i, ok := s.findGroup(name)
	if ok {
		s.ownGroups()
		s.groups = slices.Delete(s.groups, i, i+1)
		s.joined.Note('k', 0, name, nil)
	}
	return ok
}

func (s *Stream) findGroup(name []byte) (i int, ok bool) {
	i = sort.Search(len(s.groups), func(i int) bool { return s.groups[i].name >= string(name) })
	return i, i < len(s.groups) && s.groups[i].name == string(name)
}

func (s *Stream) ownGroups() {
	if s.groupsGen != s.gen {
		s.groups = slices.Clone(s.groups)
		s.groupsGen = s.gen
	}
}

// Consumers returns all consumers in the order of their names. The slice must not
// be changed, and is valid until the group changes.
func (g *Group) Consumers() []*Consumer { return g.consumers }

// Consumer returns the consumer with the given name for reading, or nil.
func (g *Group) Consumer(name []byte) *Consumer {
	if i, ok := g.findConsumer(name); ok {
		return g.consumers[i]
	}
	return nil
}

// CreateConsumer adds a consumer, seen at seenMs, and reports whether it is new.
func (g *Group) CreateConsumer(name []byte, seenMs int64) bool {
	i, ok := g.findConsumer(name)
	if ok {
		return false
	}
	g.ownConsumers()
	g.joined.Note('c', uint64(seenMs), name, nil)
	g.consumers = slices.Insert(g.consumers, i, &Consumer{name: string(name), SeenMs: seenMs, pending: tree.New(), gen: g.gen})
	return true
}

// Touch notes that an existing consumer was seen at seenMs.
func (g *Group) Touch(name []byte, seenMs int64) {
	if i, ok := g.findConsumer(name); ok {
		g.ownConsumer(i).SeenMs = seenMs
		g.joined.Note('v', uint64(seenMs), name, nil)
	}
}

// DeleteConsumer removes a consumer with all that is pending for it, and returns
// how many entries that were; false if there is no such consumer.
func (g *Group) DeleteConsumer(name []byte) (pending int, ok bool) {
	i, ok := g.findConsumer(name)
	if !ok {
		return 0, false
	}
	c := g.consumers[i]
	for it := c.pending.Seek(nil); it.Valid(); it.Next() {
		g.pending.Delete(it.Key())
	}
	g.ownConsumers()
	g.consumers = slices.Delete(g.consumers, i, i+1)
	g.joined.Note('w', uint64(c.pending.Len()), name, nil)
	return c.pending.Len(), true
}

func (g *Group) findConsumer(name []byte) (i int, ok bool) {
	i = sort.Search(len(g.consumers), func(i int) bool { return g.consumers[i].name >= string(name) })
	return i, i < len(g.consumers) && g.consumers[i].name == string(name)
}

func (g *Group) ownConsumers() {
	if g.consumersGen != g.gen {
		g.consumers = slices.Clone(g.consumers)
		g.consumersGen = g.gen
	}
}

func (g *Group) ownConsumer(i int) *Consumer {
	c := g.consumers[i]
	if c.gen != g.gen {
		g.ownConsumers()
		c = &Consumer{name: c.name, SeenMs: c.SeenMs, pending: c.pending.Freeze(), gen: g.gen}
		g.consumers[i] = c
	}
	return c
}

// PendingLen returns the number of entries pending in the group.
func (g *Group) PendingLen() int { return g.pending.Len() }

// PendingLen returns the number of entries pending for the consumer.
func (c *Consumer) PendingLen() int { return c.pending.Len() }

// Pending returns the record of a pending entry.
func (g *Group) Pending(id ID) (Pending, bool) {
	key := id.Key()
	record, ok := g.pending.Get(key[:])
	if !ok {
		return Pending{}, false
	}
	return decodePending(key[:], record), true
}

// PendingEdges returns the first and the last pending ID; there must be one.
func (g *Group) PendingEdges() (first, last ID) {
	k, _ := g.pending.At(0)
	first = IDFromKey(k)
	k, _ = g.pending.At(g.pending.Len() - 1)
	return first, IDFromKey(k)
}

// EachPending calls yield for each pending entry from an ID on, in order, until
// it returns false. The group must not be changed meanwhile.
func (g *Group) EachPending(from ID, yield func(Pending) bool) {
	key := from.Key()
	for it := g.pending.Seek(key[:]); it.Valid(); it.Next() {
		if !yield(decodePending(it.Key(), it.Value())) {
			return
		}
	}
}

// EachPendingID calls yield for each ID pending for the consumer from one on, in
// order, until it returns false. The group must not be changed meanwhile.
func (c *Consumer) EachPendingID(from ID, yield func(ID) bool) {
	key := from.Key()
	for it := c.pending.Seek(key[:]); it.Valid(); it.Next() {
		if !yield(IDFromKey(it.Key())) {
			return
		}
	}
}

// Assign makes p the record of its entry: it is pending for p.Consumer, which
// must exist, and no longer for another.
func (g *Group) Assign(p Pending) {
	key := p.ID.Key()
	if old, ok := g.Pending(p.ID); ok && old.Consumer != p.Consumer {
		g.forget(key[:], old.Consumer)
	}
	record := p.record()
	g.pending.Put(key[:], record)
	g.noteID('p', p.ID, record)
	if i, ok := g.findConsumer([]byte(p.Consumer)); ok && !g.consumers[i].pending.Has(key[:]) {
		g.ownConsumer(i).pending.Put(key[:], nil)
	}
}

// Acknowledge removes a pending entry and reports whether it was there.
func (g *Group) Acknowledge(id ID) bool {
	p, ok := g.Pending(id)
	if !ok {
		return false
	}
	key := id.Key()
	g.forget(key[:], p.Consumer)
	g.pending.Delete(key[:])
	g.noteID('q', id, nil)
	return true
}

func (g *Group) forget(key []byte, consumer string) {
	if i, ok := g.findConsumer([]byte(consumer)); ok {
		g.ownConsumer(i).pending.Delete(key)
	}
}

// record returns the value kept for p: delivery time, deliveries, consumer's
// name.
func (p *Pending) record() []byte {
	b := make([]byte, 0, 8+binary.MaxVarintLen64+len(p.Consumer))
	b = binary.LittleEndian.AppendUint64(b, uint64(p.DeliveredMs))
	b = binary.AppendUvarint(b, p.Deliveries)
	return append(b, p.Consumer...)
}

func decodePending(key, record []byte) Pending {
	deliveries, n := binary.Uvarint(record[8:])
	return Pending{
		ID:          IDFromKey(key),
		DeliveredMs: int64(binary.LittleEndian.Uint64(record)),
		Deliveries:  deliveries,
		Consumer:    string(record[8+n:]),
	}
}

// memBytes estimates the consumers' share by the group's, to take constant time.
func (g *Group) memBytes() int {
	const consumerBytes = int(unsafe.Sizeof(Consumer{})) + 256 // its name and an empty tree
	return int(unsafe.Sizeof(*g)) + len(g.name) + 2*g.pending.MemBytes() + len(g.consumers)*consumerBytes
}
