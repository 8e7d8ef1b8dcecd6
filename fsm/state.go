package fsm

import (
	"slices"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/fsm/entry"
)

// state is what the FSM knows beside the data. All of it follows from the log
// and is part of every snapshot.
type state struct {
	// applied is the index of the newest log entry of which this is the state.
	applied uint64
	genesis entry.Genesis
	// semantic is the semantic version in force, at least 1.
	semantic uint16
	// members are the ids of the latest configuration, sorted; voters or not.
	members []entry.NodeID
	// origins holds every node that was ever heard of: an origin is not
	// forgotten while its id could come back.
	origins map[entry.NodeID]*origin
}

// origin is the sequencer of one node, as far as the log tells.
//
// Invariant: incarnation >= 1, and batches 1 to last of it have been applied,
// each once, in order.
type origin struct {
	incarnation uint64
	last        uint64
	fragments   []byte // of a command that is too large for one entry
}

func newState() state {
	return state{semantic: semantic.First, origins: make(map[entry.NodeID]*origin)}
}

func (s *state) setMembers(conf raft.Configuration) {
	s.members = s.members[:0]
	for _, server := range conf.Servers {
		if id, err := entry.ParseNodeID(string(server.ID)); err == nil {
			s.members = append(s.members, id)
		}
	}
	slices.SortFunc(s.members, func(a, b entry.NodeID) int { return slices.Compare(a[:], b[:]) })
}

func (s *state) isMember(id entry.NodeID) bool {
	_, ok := slices.BinarySearchFunc(s.members, id, func(a, b entry.NodeID) int { return slices.Compare(a[:], b[:]) })
	return ok
}

// verdict is what becomes of a batch.
type verdict uint8

const (
	applies    verdict = iota
	registered         // applies, as the first of its incarnation
	duplicate          // had been applied: skipped
	gap                // an earlier one is missing: skipped
	refused            // of a retired origin, or of no member
)

// admit decides whether a batch is applied, and counts it if so.
//
// The rules: the next number of the incarnation in force applies. A higher
// incarnation takes over with its number 1, and with no other: what it sent
// after a lost number 1 must not register it. A lower one is retired for good.
func (s *state) admit(h entry.BatchHead) (*origin, verdict) {
	if !s.isMember(h.Node) {
		return nil, refused
	}
	o := s.origins[h.Node]
	switch {
	case o == nil || h.Incarnation > o.incarnation:
		if h.Seq != 1 {
			return &origin{}, gap
		}
		o = &origin{incarnation: h.Incarnation, last: 1}
		s.origins[h.Node] = o
		return o, registered
	case h.Incarnation < o.incarnation:
		return o, refused
	case h.Seq <= o.last:
		return o, again
	case h.Seq > o.last+1:
		return o, gap
	}
	o.last++
	return o, applies
}
