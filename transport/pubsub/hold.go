package pubsub

// The causal rule: whoever gets a message and then reads sees at least what
// the message's publisher saw. The sender stamps each message with the index
// of the log up to which it had applied; the receiver holds it until its own
// apply has reached that index.
//
// The order rule: messages of one sender arrive in the order sent, none twice.
// So a sender's messages wait for each other, first in, first out, and carry
// numbers 1, 2, 3 ... for each pair of sender's life and receiver. A stream of
// an older life, or of an older connection of the same life, is refused: what
// it still carries may have been overtaken. A number that was seen is refused.
// A number that was jumped over was lost on the way; it is counted, and what
// comes after it is delivered.

// heldMax and heldBytesMax bound what waits of one sender; what comes on top
// is dropped and counted.
const (
	heldMax      = 64 << 10
	heldBytesMax = 64 << 20
)

// Stream says where a message of another node comes from.
type Stream struct {
	Node        string // the sender's node id
	Incarnation uint64 // its life
	Connection  uint64 // rises with each new connection within a life
}

func (s Stream) older(than Stream) bool {
	if s.Incarnation != than.Incarnation {
		return s.Incarnation < than.Incarnation
	}
	return s.Connection < than.Connection
}

// Remote is a message of another node.
type Remote struct {
	Number        uint64 // counts the messages of this sender's life for this receiver, from 1
	After         uint64 // the log index up to which the sender had applied
	Channel, Text []byte
	Sharded       bool
}

func (m *Remote) size() int { return len(m.Channel) + len(m.Text) + 64 }

// Hold keeps the messages of other nodes until their time has come. It is a
// plain value: the caller guards it.
type Hold struct {
	applied uint64
	senders map[string]*sender
	stats   HoldStats
}

// HoldStats count what happened to messages of other nodes.
type HoldStats struct {
	Received  uint64 // taken
	Refused   uint64 // seen before, or of an older stream
	Missed    uint64 // lost on the way, as the numbers tell
	Overflown uint64 // dropped because too many waited
	Held      int    // wait now
}

type sender struct {
	stream Stream
	last   uint64   // the number of the newest message taken or known to be lost
	queue  []Remote // first in, first out
	bytes  int      // sum of size over queue
}

// NewHold returns a Hold of a node that has applied the log up to index.
func NewHold(index uint64) *Hold {
	return &Hold{applied: index, senders: make(map[string]*sender)}
}

// Take takes a message that came on a stream, and calls deliver, in order,
// with what may go out now. It keeps m's slices while the message waits.
func (h *Hold) Take(from Stream, m Remote, deliver func(Remote)) {
	s := h.senders[from.Node]
	switch {
	case m.Number == 0:
		h.stats.Refused++
		return
	case s == nil:
		// The first message of a sender that this life of ours has met: what
		// came before went to nobody here.
		s = &sender{stream: from, last: m.Number - 1}
		h.senders[from.Node] = s
	case from.older(s.stream):
		h.stats.Refused++
		return
	case from.Incarnation > s.stream.Incarnation:
		s.stream, s.last = from, 0
	default:
		s.stream = from
	}
	if m.Number <= s.last {
		h.stats.Refused++
		return
	}
	h.stats.Missed += m.Number - s.last - 1
	s.last = m.Number
	h.stats.Received++
	if len(s.queue) == 0 && m.After <= h.applied {
		deliver(m)
		return
	}
	if len(s.queue) >= heldMax || s.bytes+m.size() > heldBytesMax {
		h.stats.Overflown++
		return
	}
	s.queue = append(s.queue, m)
	s.bytes += m.size()
	h.stats.Held++
}

// Applied tells that the node has applied the log up to index, and calls
// deliver with what waited for that, in order for each sender.
func (h *Hold) Applied(index uint64, deliver func(Remote)) {
	h.applied = max(h.applied, index)
	if h.stats.Held == 0 {
		return
	}
	for _, s := range h.senders {
		h.release(s, deliver)
	}
}

func (h *Hold) release(s *sender, deliver func(Remote)) {
	n := 0
	for n < len(s.queue) && s.queue[n].After <= h.applied {
		s.bytes -= s.queue[n].size()
		deliver(s.queue[n])
		s.queue[n] = Remote{}
		n++
	}
	h.stats.Held -= n
	if s.queue = s.queue[n:]; len(s.queue) == 0 {
		s.queue = nil
	}
}

// Forget drops what is known of a node that left the cluster for good.
func (h *Hold) Forget(node string) {
	if s := h.senders[node]; s != nil {
		h.stats.Held -= len(s.queue)
		delete(h.senders, node)
	}
}

// Waiting returns the number of messages that wait: while it is 0, Applied
// does nothing.
func (h *Hold) Waiting() int { return h.stats.Held }

// Stats returns the counters.
func (h *Hold) Stats() HoldStats { return h.stats }
