package rdb

import (
	"sort"

	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/stream"
)

const idBytes = 16

// stream reads a stream. Its first ID is not taken from the data but from the
// entries.
func (d *decoder) stream(valueType byte) keyspace.Value {
	s := stream.New()
	for n := d.length(); n > 0 && d.err == nil; n-- {
		d.streamNode(s)
	}
	lastOfNodes := s.LastID
	if length := d.length(); d.err == nil && length != uint64(s.Len()) {
		d.fail("stream of %d entries claims to have %d", s.Len(), length)
	}
	last := d.id()
	if d.err == nil && last.Less(lastOfNodes) {
		d.fail("stream's last ID %v is before its entry %v", last, lastOfNodes)
	}
	s.LastID, s.EntriesAdded = last, uint64(s.Len())
	if valueType != typeStream {
		d.id() // the first one
		s.MaxDeletedID = d.id()
		s.EntriesAdded = d.length()
	}
	for n := d.length(); n > 0 && d.err == nil; n-- {
		d.group(s, valueType)
	}
	return keyspace.Value{Type: keyspace.Stream, Enc: keyspace.StreamEncoding, Object: keyspace.Box(s)}
}

func (d *decoder) streamNode(s *stream.Stream) {
	d.text = d.string(d.text[:0])
	if d.err == nil && len(d.text) != idBytes {
		d.fail("stream node under a key of %d bytes", len(d.text))
	}
	lp := d.string(nil)
	if d.err != nil {
		return
	}
	if err := s.AppendNode(stream.IDFromKey(d.text), lp); err != nil {
		d.fail("%v", err)
	}
}

func (d *decoder) id() stream.ID { return stream.ID{Ms: d.length(), Seq: d.length()} }

// rawID reads an ID of a list of pending entries.
func (d *decoder) rawID() stream.ID {
	var b [idBytes]byte
	return stream.IDFromKey(d.append(b[:0], idBytes)[:idBytes])
}

func (d *decoder) group(s *stream.Stream, valueType byte) {
	d.text = d.string(d.text[:0])
	last := d.id()
	entriesRead := s.EntriesReadAt(last)
	if valueType != typeStream {
		entriesRead = int64(d.length()) // less than nothing once it has passed the largest number
	}
	if d.err != nil {
		return
	}
	g := s.CreateGroup(d.text, last, entriesRead)
	if g == nil {
		d.fail("group %.64q twice", d.text)
		return
	}
	pending := d.pending()
	assigned := 0
	for n := d.length(); n > 0 && d.err == nil; n-- {
		assigned += d.consumer(g, pending, valueType)
	}
	if d.err == nil && assigned != len(pending) {
		d.fail("group %.64q: %d pending entries, consumers have %d", g.Name(), len(pending), assigned)
	}
}

// pending reads the entries pending in a group, in ascending order; whose they are
// is not known yet.
func (d *decoder) pending() []stream.Pending {
	var all []stream.Pending
	for n := d.length(); n > 0 && d.err == nil; n-- {
		p := stream.Pending{ID: d.rawID(), DeliveredMs: int64(d.uint64()), Deliveries: d.length()}
		if len(all) > 0 && !all[len(all)-1].ID.Less(p.ID) {
			d.fail("pending entry %v is out of order", p.ID)
		}
		all = append(all, p)
	}
	return all
}

// consumer reads a consumer and returns how many entries are pending for it.
func (d *decoder) consumer(g *stream.Group, pending []stream.Pending, valueType byte) int {
	d.text = d.string(d.text[:0])
	seen := int64(d.uint64())
	if valueType == typeStream3 {
		d.uint64() // when it was active
	}
	if d.err != nil {
		return 0
	}
	if !g.CreateConsumer(d.text, seen) {
		d.fail("consumer %.64q twice", d.text)
		return 0
	}
	name, assigned := string(d.text), 0
	for n := d.length(); n > 0 && d.err == nil; n-- {
		id := d.rawID()
		i := sort.Search(len(pending), func(i int) bool { return !pending[i].ID.Less(id) })
		if i == len(pending) || pending[i].ID != id || pending[i].Consumer != "" {
			d.fail("entry %v is pending for consumer %.64q alone", id, name)
			break
		}
		pending[i].Consumer = name
		g.Assign(pending[i])
		assigned++
	}
	return assigned
}
