package simulation

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
)

// BeginWait implements fsm.Waiter.
func (c *conn) BeginWait(waiter uint64) (there bool) {
	c.waits.Lock()
	defer c.waits.Unlock()
	c.waiter = waiter
	return !c.left
}

// EndWait implements fsm.Waiter.
func (c *conn) EndWait() {
	c.waits.Lock()
	defer c.waits.Unlock()
	c.waiter = 0
}

// leave ends the connection, and with it what waits.
func (c *conn) leave() {
	c.waits.Lock()
	waiter := c.waiter
	c.left, c.waiter = true, 0
	c.waits.Unlock()
	if waiter != 0 {
		c.life.node.Drop(waiter)
	}
}

// waitingPlans adds a client to each node that feeds queues and waits for what is in
// them. They draw from a stream of their own, so that older seeds keep their faults.
func (s *schedule) waitingPlans() {
	r := rand.New(rand.NewPCG(s.seed, 3))
	think := time.Duration(2+r.IntN(40)) * time.Millisecond
	for i := range 2 * s.nodes {
		c := clientPlan{id: len(s.clients), node: i % s.nodes}
		for t := time.Duration(0); t < s.length; {
			o := op{gap: time.Duration(r.Int64N(int64(2 * think))), kind: "wait", key: r.IntN(2), wait: 20*time.Millisecond + time.Duration(r.Int64N(int64(3*time.Second)))}
			switch n := r.IntN(8); {
			case i < s.nodes: // more is fed than is waited for, while others wait long
				o.kind = "feed"
			case n == 0:
				o.kind = "leave"
				o.wait = time.Duration(r.Int64N(int64(300 * time.Millisecond)))
			case n == 1:
				o.kind = "unblock"
			}
			t += o.gap + time.Millisecond
			c.ops = append(c.ops, o)
		}
		s.clients = append(s.clients, c)
	}
}

func feedOp(key, token string) command {
	return writeOp(func(reply.Value, []*record) {}, []*record{{kind: "feed", key: key, token: token}}, "RPUSH", key, token)
}

// wait waits for an element for up to a time. After `then` it hangs up, or, if that is
// negative, has its wait ended by another connection; if it is 0 it does neither.
func (c *client) wait(l *life, key string, timeout, then time.Duration) {
	h := &c.world.history
	seconds := strconv.FormatFloat(timeout.Seconds(), 'f', 3, 64)
	cmd := command{
		records: []*record{{kind: "wait", key: key, number: timeout.Milliseconds()}},
		take: func(v reply.Value, rs []*record) {
			if len(v.Elems) == 2 {
				rs[0].token = string(v.Elems[1].Text)
			}
		},
	}
	h.invoke(c, l, cmd.records...)
	l.node.Submit(&fsm.Request{Conn: c.conn, Ops: []fsm.Op{{Kind: fsm.OpWrite, Args: words("BLPOP", key, seconds), Waits: true}}})
	if then != 0 {
		timer := time.NewTimer(max(then, -then))
		defer timer.Stop()
		select {
		case v := <-c.conn.answers:
			c.waited(v, cmd)
			return
		case <-l.dead:
			h.lost(cmd.records...)
			return
		case <-timer.C:
		}
		if then > 0 || !c.unblock(l) {
			c.conn.leave()
			c.conn = nil
			h.lost(cmd.records...)
			c.world.note("waits given up")
			return
		}
	}
	patience := time.NewTimer(timeout + 2*answerWait) // without a majority no time is up
	defer patience.Stop()
	select {
	case v := <-c.conn.answers:
		c.waited(v, cmd)
	case <-l.dead:
		h.lost(cmd.records...)
	case <-patience.C:
		c.world.fail("client %d of %s: no reply to %s within %v", c.plan.id, l.machine.name, cmd.records[0], timeout+2*answerWait)
		<-l.dead
	}
}

// waited takes the answer to a command that waited.
func (c *client) waited(v reply.Value, cmd command) {
	if v.Kind == reply.KindError && reply.Error(v.Text) == reply.ErrUnblocked {
		c.world.note("waits ended from elsewhere")
	}
	c.world.history.answer(v, cmd)
	switch r := cmd.records[0]; {
	case r.outcome == done && r.token != "":
		c.world.note("elements waited for")
	case r.outcome == done:
		c.world.note("waits whose time was up")
	}
}

// unblock has another connection end the wait of this client with an error. It reports
// whether it has asked.
func (c *client) unblock(l *life) bool {
	c.conn.waits.Lock()
	waiter := c.conn.waiter
	c.conn.waits.Unlock()
	if waiter == 0 {
		return false
	}
	l.node.Submit(&fsm.Request{Conn: newConn(l), Ops: []fsm.Op{{Kind: fsm.OpUnblock, Waiter: waiter, Failed: true}}})
	return true
}

// checkQueue checks a list that some feed and others wait for: each element goes to one
// of them, once, in the order in which they came. What a client may have got that was
// told nothing may be gone.
func (h *history) checkQueue(key string, rs []*record, final string) {
	fail := h.world.fail
	fed, got := make(map[string]*record), make(map[string]*record)
	left := make(map[string]bool)
	for i := 0; i+tokenLen <= len(final); i += tokenLen {
		token := final[i : i+tokenLen]
		if left[token] {
			fail("%s holds %q twice", key, token)
		}
		left[token] = true
	}
	for _, r := range rs {
		if r.kind == "feed" {
			fed[r.token] = r
		}
	}
	doubts, missing := 0, 0
	for _, r := range rs {
		switch {
		case r.kind != "wait" || r.outcome == refused:
			continue
		case r.outcome == doubt || r.outcome == open:
			doubts++
			continue
		case r.token == "":
			if waited := r.until.Milliseconds() - r.from.Milliseconds(); waited < r.number-1 {
				fail("the time of %s was up after %d ms", r, waited)
			}
			continue
		}
		switch f := fed[r.token]; {
		case got[r.token] != nil:
			fail("given twice: %s, %s", got[r.token], r)
		case f == nil || f.outcome == refused || f.invoked > r.returned:
			fail("given, and nobody had fed it: %s", r)
		case left[r.token]:
			fail("given and still there: %s", r)
		}
		got[r.token] = r
	}
	var completed []*record // fed, in the order of their replies
	for token := range left {
		if fed[token] == nil || fed[token].outcome == refused {
			fail("%s holds %q, which nobody fed", key, token)
		}
	}
	for _, r := range rs {
		if r.kind != "feed" || r.outcome != done {
			continue
		}
		completed = append(completed, r)
		if got[r.token] == nil && !left[r.token] {
			missing++
		}
	}
	if missing > doubts {
		fail("%s: %d elements are gone, and only %d waits are in doubt", key, missing, doubts)
	}
	h.checkTurns(completed, got, left)
}

// checkTurns checks that nobody was given what came later before somebody asked for
// what came before.
func (h *history) checkTurns(completed []*record, got map[string]*record, left map[string]bool) {
	byCall := slices.Clone(completed)
	slices.SortFunc(byCall, func(a, b *record) int { return cmp.Compare(a.invoked, b.invoked) })
	slices.SortFunc(completed, func(a, b *record) int { return cmp.Compare(a.returned, b.returned) })
	next, latest := 0, int64(-1) // the latest moment at which one that came before was asked for
	var who *record
	for _, b := range byCall {
		for ; next < len(completed) && completed[next].returned < b.invoked; next++ {
			a := completed[next]
			asked := int64(-1)
			if g := got[a.token]; g != nil {
				asked = g.invoked
			} else if left[a.token] {
				asked = never
			}
			if asked > latest {
				latest, who = asked, a
			}
		}
		if g := got[b.token]; g != nil && g.returned < latest {
			h.world.fail("%s was given by %s before %s", b, g, who)
			return
		}
	}
}

// What no queue could have told is found.
func TestCheckQueue(t *testing.T) {
	rec := func(kind, token string, invoked, returned int64, o outcome) *record {
		return &record{kind: kind, key: "q:0:0", token: token, invoked: invoked, returned: returned, outcome: o, until: time.Hour}
	}
	const a, b = "0000001,", "0000002,"
	early := rec("wait", "", 1, 2, done)
	early.number, early.until = 100, 50*time.Millisecond
	for _, c := range []struct {
		name, final string
		rs          []*record
		wrong       string
	}{
		{"well", b, []*record{rec("feed", a, 1, 2, done), rec("feed", b, 3, 4, done), rec("wait", a, 0, 3, done)}, ""},
		{"given to who is in doubt", "", []*record{rec("feed", a, 1, 2, done), rec("wait", "", 0, never, doubt)}, ""},
		{"gone", "", []*record{rec("feed", a, 1, 2, done)}, "are gone"},
		{"twice", "", []*record{rec("feed", a, 1, 2, done), rec("wait", a, 0, 3, done), rec("wait", a, 0, 3, done)}, "given twice"},
		{"given and there", a, []*record{rec("feed", a, 1, 2, done), rec("wait", a, 0, 3, done)}, "still there"},
		{"from nowhere", "", []*record{rec("wait", a, 0, 3, done)}, "nobody had fed"},
		{"out of turn", "", []*record{
			rec("feed", a, 1, 2, done), rec("feed", b, 3, 4, done), rec("wait", b, 5, 6, done), rec("wait", a, 7, 8, done),
		}, "was given by"},
		{"passed over", a, []*record{rec("feed", a, 1, 2, done), rec("feed", b, 3, 4, done), rec("wait", b, 5, 6, done)}, "was given by"},
		{"early", "", []*record{early}, "was up after"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{failed: make(chan struct{}), began: time.Now()}
			w.trace.world, w.history.world = w, w
			w.history.checkQueue("q:0:0", c.rs, c.final)
			got := strings.Join(w.problems, "; ")
			if c.wrong == "" && got != "" || !strings.Contains(got, c.wrong) {
				t.Errorf("got %q, want %q", got, c.wrong)
			}
		})
	}
}
