// Package waiting holds the commands that wait for a key: BLPOP and its kin.
//
// A waiter is a command that found nothing to give and stays in the state until a
// key of it gets something, its time is up, or its client goes. Waiters of a key
// are served first come, first served; a waiter of several keys waits at each.
//
// The table is part of the state: all nodes have the same waiters in the same
// order, and every change of it is mixed into the chain of changes.
package waiting

import (
	"bytes"
	"container/heap"
	"container/list"
	"errors"
	"iter"
	"slices"

	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/chain"
)

// Bounds of a table. They are the same on all nodes, and must not change without
// a new semantic version.
const (
	// CountMax is how many commands may wait at once.
	CountMax = 1 << 17
	// BytesMax bounds the arguments of all that wait, with what holds them.
	BytesMax = 256 << 20
)

// ErrFull means that no further command may wait.
var ErrFull = errors.New("waiting: too many commands wait")

// Owner is the node whose client waits.
type Owner [20]byte

// Forever is the deadline of a waiter without one.
const Forever = 0

// Waiter is a command that waits.
type Waiter struct {
	// ID numbers waiters in the order in which they came.
	ID    uint64
	Owner Owner
	DB    int
	// Type is what a key must hold to be of use.
	Type keyspace.Type
	// Deadline is by the log clock, in Unix milliseconds, or Forever.
	Deadline int64
	// Args are the command's, as it is to be carried out later.
	Args [][]byte
	// Keys are those that it waits for, each once.
	Keys [][]byte
	// User is whose command it is, "" if that does not matter, and Born the number of
	// his birth: the wait ends when he is deleted.
	User string
	Born uint64

	places []place
	due    int // index in the table's deadlines; -1: none
}

// place is where a waiter stands among those of a key.
type place struct {
	key *keyspace.AwaitedKey
	at  *list.Element
}

// Table holds what waits. The zero Table is empty and ready for use.
//
// Invariants: every waiter of byID is in the queue of each of its keys, and in
// deadlines if it has one; no queue is empty; queues are in the order of IDs; awaited
// has the keys of the queues.
type Table struct {
	last      uint64 // ID
	byID      map[uint64]*Waiter
	awaited   keyspace.Awaited
	queues    map[*keyspace.AwaitedKey]*list.List // of *Waiter; first come first
	deadlines deadlines
	bytes     int
}

// Len returns how many commands wait.
func (t *Table) Len() int { return len(t.byID) }

// Used reports whether a command has ever waited.
func (t *Table) Used() bool { return t.last > 0 }

// Get returns the waiter of that ID, or nil.
func (t *Table) Get(id uint64) *Waiter { return t.byID[id] }

// What the chain of changes is told. The numbers never change.
const (
	noteAdd    = 'W'
	noteRemove = 'w'
	noteUser   = 'U'
)

// Add gives w the next ID and has it wait. Its arguments are copied; Keys are
// clipped to each once.
func (t *Table) Add(w Waiter, c *chain.Chain) (*Waiter, error) {
	w.Args, w.Keys = copyOf(w.Args), distinct(w.Keys)
	if t.Len() >= CountMax || t.bytes+w.size() > BytesMax {
		return nil, ErrFull
	}
	t.last++
	w.ID = t.last
	c.Words(noteAdd|uint64(w.DB)<<8|uint64(w.Type)<<16, uint64(w.Deadline))
	c.Bytes(w.Owner[:])
	for _, arg := range w.Args {
		c.Bytes(arg)
	}
	if w.User != "" {
		c.Words(noteUser, w.Born)
		c.Bytes([]byte(w.User))
	}
	added := &w
	t.insert(added)
	return added, nil
}

func (t *Table) insert(w *Waiter) {
	if t.byID == nil {
		t.byID = make(map[uint64]*Waiter)
		t.queues = make(map[*keyspace.AwaitedKey]*list.List)
	}
	t.byID[w.ID] = w
	t.bytes += w.size()
	for _, name := range w.Keys {
		key := t.awaited.Add(w.DB, name, w.Type)
		if t.queues[key] == nil {
			t.queues[key] = new(list.List)
		}
		w.places = append(w.places, place{key, t.queues[key].PushBack(w)})
	}
	w.due = -1
	if w.Deadline != Forever {
		heap.Push(&t.deadlines, w)
	}
}

// Remove ends the wait of w, which is in the table.
func (t *Table) Remove(w *Waiter, c *chain.Chain) {
	c.Words(noteRemove, w.ID)
	delete(t.byID, w.ID)
	t.bytes -= w.size()
	for _, p := range w.places {
		t.awaited.Remove(p.key, w.Type)
		q := t.queues[p.key]
		if q.Remove(p.at); q.Len() == 0 {
			delete(t.queues, p.key)
		}
	}
	w.places = nil
	if w.due >= 0 {
		heap.Remove(&t.deadlines, w.due)
	}
}

// size is about how many bytes a waiter takes.
func (w *Waiter) size() int {
	const fixed, perKey, perArg = 256, 160, 24
	n := fixed + perKey*len(w.Keys) + perArg*len(w.Args) + len(w.User)
	for _, key := range w.Keys {
		n += 2 * len(key)
	}
	for _, arg := range w.Args {
		n += len(arg)
	}
	return n
}

// All returns the waiters in the order of their IDs.
func (t *Table) All() []*Waiter {
	all := make([]*Waiter, 0, len(t.byID))
	for _, w := range t.byID {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b *Waiter) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return all
}

// Owners returns whose clients wait, in order.
func (t *Table) Owners() []Owner {
	set := make(map[Owner]bool)
	for _, w := range t.byID {
		set[w.Owner] = true
	}
	owners := make([]Owner, 0, len(set))
	for o := range set {
		owners = append(owners, o)
	}
	slices.SortFunc(owners, func(a, b Owner) int { return bytes.Compare(a[:], b[:]) })
	return owners
}

// Due returns the waiter whose deadline is first reached by now, or nil.
func (t *Table) Due(now int64) *Waiter {
	if len(t.deadlines) == 0 || t.deadlines[0].Deadline > now {
		return nil
	}
	return t.deadlines[0]
}

// NextDeadline returns the earliest deadline; false if there is none.
func (t *Table) NextDeadline() (int64, bool) {
	if len(t.deadlines) == 0 {
		return 0, false
	}
	return t.deadlines[0].Deadline, true
}

// Awaited returns the keys that something waits for.
func (t *Table) Awaited() *keyspace.Awaited { return &t.awaited }

// Ready reports whether NextReady has a key.
func (t *Table) Ready() bool { return t.awaited.Ready() }

// NextReady takes the key that has been ready for longest, with what waits for it,
// first come first. Serving it may make it ready once more. Meanwhile no waiter may
// be removed but the one that is being looked at.
func (t *Table) NextReady() (key *keyspace.AwaitedKey, waiters iter.Seq[*Waiter]) {
	key = t.awaited.NextReady()
	q := t.queues[key]
	return key, func(yield func(*Waiter) bool) {
		if q == nil {
			return // who waited has gone
		}
		var next *list.Element
		for at := q.Front(); at != nil; at = next {
			next = at.Next()
			if !yield(at.Value.(*Waiter)) {
				return
			}
		}
	}
}

// deadlines is a heap of waiters by (deadline, ID).
type deadlines []*Waiter

func (d deadlines) Len() int { return len(d) }

func (d deadlines) Less(i, j int) bool {
	if d[i].Deadline != d[j].Deadline {
		return d[i].Deadline < d[j].Deadline
	}
	return d[i].ID < d[j].ID
}

func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].due, d[j].due = i, j
}

func (d *deadlines) Push(x any) {
	w := x.(*Waiter)
	w.due = len(*d)
	*d = append(*d, w)
}

func (d *deadlines) Pop() any {
	last := len(*d) - 1
	w := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	w.due = -1
	return w
}

// copyOf copies arguments into memory of their own.
func copyOf(args [][]byte) [][]byte {
	size := 0
	for _, arg := range args {
		size += len(arg)
	}
	flat := make([]byte, 0, size)
	kept := make([][]byte, len(args))
	for i, arg := range args {
		flat = append(flat, arg...)
		kept[i] = flat[len(flat)-len(arg) : len(flat) : len(flat)]
	}
	return kept
}

// distinct returns copies of keys, each once.
func distinct(keys [][]byte) [][]byte {
	seen := make(map[string]bool, len(keys))
	var once [][]byte
	for _, key := range keys {
		if !seen[string(key)] {
			seen[string(key)] = true
			once = append(once, bytes.Clone(key))
		}
	}
	return once
}
