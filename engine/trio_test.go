package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/transcript"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/seed"
	"github.com/quorate/quorate/engine/waiting"
)

// trio is three nodes that execute the same log: two that lived through all of it,
// and one that is restored from a snapshot of the first at any time and goes on.
// Whatever differs between them is an error of the test.
type trio struct {
	t     testing.TB
	nodes [3]*member
	rand  *rand.Rand
	renew int // one command in so many finds the third node just restored
}

// member is a node of a trio.
type member struct {
	*node
	events []transcript.Message
}

// outcome is what a command has done, as far as anybody can tell.
type outcome struct {
	reply  string
	events []transcript.Message
	chain  chain.Value
}

func newTrio(t testing.TB, proto reply.Proto, renew int) *trio {
	tr := &trio{t: t, rand: rand.New(rand.NewPCG(7, uint64(proto))), renew: renew}
	now := time.Now().UnixMilli() // transcripts hold times to come
	for i := range tr.nodes {
		n := newNode()
		n.proto, n.now = proto, now
		n.Apply(func(s *Step) {
			s.Reset(seed.Seed{K0: 1, K1: 2}) // what the transcripts were written with
			s.Entry(1, n.now)
		})
		tr.nodes[i] = listening(n)
	}
	return tr
}

func listening(n *node) *member {
	m := &member{node: n}
	n.listen(&m.events)
	return m
}

// listen collects what the node's own subscribers are told.
func (n *node) listen(events *[]transcript.Message) {
	n.opts.Publish = func(msg Message) {
		*events = append(*events, transcript.Message{Channel: string(msg.Channel), Payload: string(msg.Text)})
	}
	n.opts.Missed = func(all []Message) {
		for _, msg := range all {
			n.opts.Publish(msg)
		}
	}
}

// restore puts a node restored from a snapshot of the first in the third's place.
func (tr *trio) restore() {
	tr.t.Helper()
	first := tr.nodes[0]
	tr.nodes[2] = listening(first.restored(tr.t, first.snapshot(tr.t)))
}

// do executes a command on all three and returns what it did on the first.
func (tr *trio) do(db int, args [][]byte) outcome {
	tr.t.Helper()
	if tr.rand.IntN(tr.renew) == 0 {
		tr.sameDigest()
		tr.restore()
	}
	var first outcome
	for i, m := range tr.nodes {
		m.events = nil
		m.index++
		o := outcome{reply: m.route(db, args), events: m.events, chain: m.Chain()}
		if i == 0 {
			first = o
			continue
		}
		if tellsOfItself(args) {
			o.reply = first.reply
		}
		if fmt.Sprint(o) != fmt.Sprint(first) {
			tr.t.Fatalf("%.300q\nnode %d  %.1000q %v %x\nnode 0  %.1000q %v %x", args, i, o.reply, o.events, o.chain, first.reply, first.events, first.chain)
		}
	}
	return first
}

// tellsOfItself reports whether a command asks for what a node has seen itself. A script
// is not told.
func tellsOfItself(args [][]byte) bool {
	return call.EqualFold(args[0], "OBJECT") && len(args) > 1 && call.EqualFold(args[1], "IDLETIME")
}

// sameDigest compares the content of all three.
func (tr *trio) sameDigest() {
	tr.t.Helper()
	digest := tr.nodes[0].Digest()
	for i, m := range tr.nodes[1:] {
		if got := m.Digest(); got != digest {
			tr.t.Fatalf("the digest of node %d is %s, of node 0 %s", i+1, got, digest)
		}
	}
}

// later lets time pass, and so many keys that are due be deleted.
func (tr *trio) later(d time.Duration, due int) {
	for _, m := range tr.nodes {
		m.now += d.Milliseconds()
		m.index++
		m.Apply(func(s *Step) {
			s.Entry(m.index, m.now)
			s.ExpireDue(due)
		})
	}
}

// route executes a command as the node does that answers it: what changes nothing is
// read, the rest is applied.
func (n *node) route(db int, args [][]byte) string {
	out := reply.NewWriter(n.proto, nil)
	if row, _, ok := n.table.Find(args); ok && row.Spec.Reads() {
		n.View(n.now, n.index, func(v *View) { v.Do(db, args, false, out) })
		return string(out.Bytes())
	}
	n.Apply(func(s *Step) {
		s.Entry(n.index, n.now)
		if !waits(n.Engine, args) {
			s.Do(db, args, false, out)
			return
		}
		if id := s.DoOrWait(waiting.Owner{}, call.As{}, db, args, out); id != 0 {
			out.NullArray() // as if its time were up: there is nobody else
			s.Drop(id)
		}
	})
	return string(out.Bytes())
}
