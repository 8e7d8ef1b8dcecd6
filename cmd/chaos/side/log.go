package side

import (
	"fmt"
	"time"
)

// Entry is one of a stream.
type Entry struct{ ID, Element string }

// Read is an XREAD of a stream by a client that follows it: it asks for what is behind
// the last entry that it has.
type Read struct {
	Reader       int
	Timeout      time.Duration
	Call, Return time.Duration
	Fate         Fate
	Entries      []Entry
}

// LogRound is a round of one stream: its consumers are of one group and acknowledge
// nothing. Order is not looked at: a stream gives its entries in their order.
type LogRound struct {
	Round
	// Entries are what the stream held in the end, and Pending tells, by ID, who of
	// the group had been given an entry by then.
	Entries []Entry
	Pending map[string]int
	// Reads are those of readers, each one's in order.
	Reads []Read
}

// Check judges a round as Round.Check does, and that
//
//   - an entry is where its XADD said, behind those that had been acknowledged before;
//   - the group gave the entries in their order, none left out, and knows who got each;
//   - a reader has seen every entry, once and in order, up to its last.
func (r *LogRound) Check() Tally {
	place := make(map[string]int, len(r.Entries)) // of elements, from 1
	at := make(map[string]int, len(r.Entries))    // of IDs
	for i, e := range r.Entries {
		place[e.Element], at[e.ID] = i+1, i+1
	}
	r.Order, r.Queues, r.Left = inLog, 1, [][]string{nil}
	last := 0 // given to the group
	for id := range r.Pending {
		last = max(last, at[id])
	}
	for _, e := range r.Entries {
		if _, given := r.Pending[e.ID]; !given {
			r.Left[0] = append(r.Left[0], e.Element)
		}
	}
	t := r.Round.Check()
	complain := func(format string, args ...any) { t.Wrong = append(t.Wrong, fmt.Sprintf(format, args...)) }

	for i := range r.Pushes {
		p := &r.Pushes[i]
		switch n := place[p.Element]; {
		case p.Outcome == Acked && n == 0:
			complain("%q was acknowledged and is not in the stream", p.Element)
		case p.Outcome == Acked && r.Entries[n-1].ID != p.ID:
			complain("%q was acknowledged as %s and is %s", p.Element, p.ID, r.Entries[n-1].ID)
		}
	}
	r.checkPlaces(place, complain)
	received := make(map[string]int) // by ID: the consumer
	lost := make(map[int]int)        // by consumer: elements given that did not come
	for i := range r.Pops {
		p := &r.Pops[i]
		if p.Fate == Unknown {
			lost[p.Consumer] -= p.Count
		}
		for _, name := range p.Elements {
			n := place[name]
			if n == 0 {
				complain("consumer %d got %q, which is not in the stream", p.Consumer, name)
				continue
			}
			id := r.Entries[n-1].ID
			received[id] = p.Consumer
			if who, given := r.Pending[id]; !given || who != p.Consumer {
				complain("consumer %d got %q, and the group does not know", p.Consumer, name)
			}
		}
	}
	for i, e := range r.Entries {
		who, given := r.Pending[e.ID]
		switch _, came := received[e.ID]; {
		case !given && i < last:
			complain("%q was given to nobody, and %q, which is behind it, was", e.Element, r.Entries[last-1].Element)
		case given && !came:
			lost[who]++
		}
	}
	for who, n := range lost {
		if n > 0 {
			complain("consumer %d was given %d elements more than it got or may have got", who, n)
		}
	}
	r.checkReaders(place, complain)
	return t
}

// checkPlaces checks that what had been acknowledged before an XADD is in front of it.
func (r *LogRound) checkPlaces(place map[string]int, complain func(string, ...any)) {
	pushes := make(map[string]*Push, len(r.Pushes))
	for i := range r.Pushes {
		pushes[r.Pushes[i].Element] = &r.Pushes[i]
	}
	latest := time.Duration(-1) // call of those before
	var who *Push
	for _, e := range r.Entries {
		p := pushes[e.Element]
		if p == nil {
			continue // Round.Check complains
		}
		if p.Outcome == Acked && p.Return < latest {
			complain("%q was acknowledged before %q was pushed, and stands behind it", p.Element, who.Element)
		}
		if p.Call > latest {
			latest, who = p.Call, p
		}
	}
}

// checkReaders checks what those that follow the stream have seen.
func (r *LogRound) checkReaders(place map[string]int, complain func(string, ...any)) {
	in := make(map[string]time.Duration, len(r.Pushes)) // by element, that it was there for certain
	for i := range r.Pushes {
		if p := &r.Pushes[i]; p.Outcome == Acked {
			in[p.Element] = p.Return
		}
	}
	seen := make(map[int]int) // by reader
	for _, read := range r.Reads {
		n := seen[read.Reader]
		for _, e := range read.Entries {
			switch {
			case place[e.Element] == 0:
				complain("reader %d saw %q, which is not in the stream", read.Reader, e.Element)
				continue
			case place[e.Element] != n+1:
				complain("reader %d saw %q at place %d after that at place %d", read.Reader, e.Element, place[e.Element], n)
			}
			n = place[e.Element]
		}
		seen[read.Reader] = n
		if read.Fate != Empty || n >= len(r.Entries) {
			continue
		}
		next := r.Entries[n].Element
		if there, ok := in[next]; ok && there <= read.Call+read.Timeout {
			complain("reader %d was told at %v that there is nothing new, after %v; %q was there since %v", read.Reader, read.Return, read.Timeout, next, there)
		}
	}
}
