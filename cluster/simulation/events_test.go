package simulation

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/quorate/quorate/fsm"
)

// play carries out the events of the schedule.
func (w *world) play() {
	start := w.now()
	for _, e := range w.plan.events {
		if wait := start + e.at - w.now(); wait > 0 {
			select {
			case <-time.After(wait):
			case <-w.failed:
				return
			}
		}
		if w.hasFailed() {
			return
		}
		w.trace.add("event %d: %s %d %d for %v, %d", e.id, e.kind, e.node, e.other, e.last, e.n)
		w.note("event " + e.kind)
		began := w.now()
		w.act(e)
		start += w.now() - began // the others keep their distance
	}
	if wait := start + w.plan.length - w.now(); wait > 0 {
		select {
		case <-time.After(wait):
		case <-w.failed:
		}
	}
}

// later does f after d, in the run's time.
func (w *world) later(d time.Duration, f func()) {
	w.wg.Go(func() {
		time.Sleep(d)
		f()
	})
}

func (w *world) act(e event) {
	m, other := w.machine(e.node), w.machine(e.other)
	switch e.kind {
	case "power", "kill":
		w.crash(m, e.kind == "power", e.n, e.last)
	case "behead":
		if l := w.leader(); l != nil {
			w.crash(l.machine, e.n%2 == 0, 1+e.n, e.last)
		}
	case "blackout":
		for i, m := range w.all() {
			w.crash(m, true, e.n+i, e.last)
		}
	case "stop":
		if l := m.alive(); l != nil {
			w.wg.Go(func() {
				_ = l.node.Close()
				l.die(false, "planned stop")
				w.restart(m)
			})
		}
	case "pause":
		w.hold(m, true)
		m.gate.shut()
		w.later(e.last, func() {
			m.gate.lift()
			w.hold(m, false)
		})
	case "isolate":
		w.cutOff(m, true)
		w.later(e.last, func() { w.cutOff(m, false) })
	case "oneway":
		w.net.Hold(m.name, other.name)
		w.later(e.last, func() { w.net.Release(m.name, other.name) })
	case "cut":
		w.net.Cut(m.name, other.name)
		w.later(e.last, func() { w.net.Heal(m.name, other.name) })
	case "split":
		w.split(e.n, true)
		w.later(e.last, func() { w.split(e.n, false) })
	case "reset":
		w.net.Reset(m.name, other.name)
	case "slow":
		w.slow(m, time.Duration(1+e.n*3)*time.Millisecond)
		w.later(e.last, func() { w.slow(m, 0) })
	case "crawl":
		w.crawl(e.last)
	case "drip":
		w.drip(e.last)
	case "transfer":
		if l := w.leader(); l != nil {
			w.wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				_ = l.node.Transfer(ctx, "")
			})
		}
	case "snapshot":
		if l := m.alive(); l != nil {
			w.wg.Go(func() { _ = l.node.Snapshot() })
		}
	case "replace", "flip", "grow", "shrink":
		w.alone(e, m)
	case "limit":
		if l := m.alive(); l != nil {
			w.wg.Go(func() { w.limit(l, e.n) })
		}
	case "syncfail":
		if l := m.alive(); l != nil {
			l.syncFail.Store(true)
		}
	}
}

// alone carries out an event that takes a node's data, or changes the
// membership: only while everything else is well, and until it is well again.
// More than that no cluster promises to survive.
func (w *world) alone(e event, m *machine) {
	w.wg.Wait()
	if w.hasFailed() || !w.awaitHealth(20*time.Second) {
		return // another event has left the cluster so, and healing says whether it may
	}
	switch e.kind {
	case "replace":
		m.kill("its disk is gone")
		m.newDisk()
		w.restart(m)
	case "flip":
		m.kill("to flip a bit")
		w.trace.add("flipped: %s", m.flip(rand.New(rand.NewPCG(w.plan.seed, uint64(e.id)))))
		w.restart(m)
	case "grow":
		if len(w.all()) >= 7 {
			return
		}
		fresh := w.addMachine()
		fresh.fuse = e.n / 2
		w.restart(fresh)
		time.Sleep(time.Second)
		w.restart(fresh)
	case "shrink":
		if len(w.all()) <= 3 || !w.dismiss(m) {
			return
		}
	}
	if !w.awaitHealth(2 * time.Minute) {
		w.fail("two minutes after %s of %s the cluster is not whole", e.kind, m.name)
		return
	}
	m.recovered()
}

// dismiss has a node removed by an operator, if it does not lead, and takes its
// machine away.
func (w *world) dismiss(m *machine) bool {
	gone, leader := m.alive(), w.leader()
	if gone == nil || leader == nil || leader == gone {
		return false
	}
	if err := leader.node.Forget(gone.id); err != nil {
		w.trace.add("%s is not forgotten: %v", m.name, err)
		return false
	}
	w.mu.Lock()
	w.machines = slices.DeleteFunc(w.machines, func(other *machine) bool { return other == m })
	w.mu.Unlock()
	w.later(time.Second, func() { m.kill("forgotten") })
	return true
}

// leader returns the process that leads, if it says so itself.
func (w *world) leader() *life {
	for _, m := range w.all() {
		if l := m.alive(); l != nil && l.node.Report().Leader == l.id {
			return l
		}
	}
	return nil
}

// awaitHealth waits until all machines' nodes are voters that are in touch, and
// nobody else is.
func (w *world) awaitHealth(patience time.Duration) bool {
	for deadline := w.now() + patience; w.now() < deadline && !w.hasFailed(); time.Sleep(100 * time.Millisecond) {
		if w.healthy() {
			return true
		}
	}
	return w.hasFailed()
}

func (w *world) healthy() bool {
	ids := make(map[string]bool)
	for _, m := range w.all() {
		l := m.alive()
		if l == nil {
			return false
		}
		ids[l.id] = true
	}
	leader := w.leader()
	if leader == nil {
		return false
	}
	members := leader.node.Report().Members
	for _, member := range members {
		if !ids[member.ID] || !member.Voter || !member.Online || member.Lag > 1000 {
			return false
		}
	}
	return len(members) == len(ids)
}

// crash ends the process of a machine before its n-th file operation from now,
// or soon if it does none, and starts it again after a while.
func (w *world) crash(m *machine, byPower bool, n int, down time.Duration) {
	l := m.alive()
	if l == nil {
		return
	}
	l.fuseType.Store(byPower)
	l.fuse.Store(int64(n))
	w.wg.Go(func() {
		select {
		case <-l.dead:
		case <-time.After(500 * time.Millisecond):
			l.die(byPower, "idle")
		}
		time.Sleep(down)
		w.restart(m)
	})
}

// hold keeps all that a machine sends and is sent.
func (w *world) hold(m *machine, held bool) {
	for _, other := range w.all() {
		if other == m {
			continue
		}
		for _, link := range [][2]string{{m.name, other.name}, {other.name, m.name}} {
			if held {
				w.net.Hold(link[0], link[1])
			} else {
				w.net.Release(link[0], link[1])
			}
		}
	}
}

func (w *world) cutOff(m *machine, cut bool) {
	for _, other := range w.all() {
		if other != m {
			w.cutLink(m, other, cut)
		}
	}
}

func (w *world) cutLink(a, b *machine, cut bool) {
	if cut {
		w.net.Cut(a.name, b.name)
	} else {
		w.net.Heal(a.name, b.name)
	}
}

// split parts the machines by the bits of mask.
func (w *world) split(mask int, cut bool) {
	all := w.all()
	for i, a := range all {
		for k, b := range all[:i] {
			if mask>>i&1 != mask>>k&1 {
				w.cutLink(a, b, cut)
			}
		}
	}
}

func (w *world) slow(m *machine, d time.Duration) {
	for _, other := range w.all() {
		if other != m {
			w.net.Delay(m.name, other.name, d)
			w.net.Delay(other.name, m.name, d)
		}
	}
}

// dripRate is how many bytes a second a link carries that lets heartbeats pass,
// but no entries worth the name.
const dripRate = 2000

// drip makes the leader's links slow for a while, with an entry on its way that
// would take half a minute there. Long before, the others must be served.
func (w *world) drip(last time.Duration) {
	l := w.leader()
	if l == nil {
		w.fail("nobody leads")
		return
	}
	w.rate(l.machine, dripRate)
	large := [][]byte{[]byte("SET"), []byte("large"), bytes.Repeat([]byte{'x'}, 64<<10)}
	l.node.Submit(&fsm.Request{Conn: newConn(l), Ops: []fsm.Op{{Kind: fsm.OpWrite, Args: large}}})
	w.later(4*time.Second, func() {
		for _, m := range w.all() {
			began := w.now()
			if m != l.machine && (!w.serves(m) || w.now()-began > 2*time.Second) {
				w.fail("%s serves no writes 4s after the links of the leader, %s, became slow", m.name, l.machine.name)
			}
		}
	})
	w.later(last, func() { w.rate(l.machine, 0) })
}

// crawlRate is how many bytes a second a link carries that lets heartbeats pass,
// but so late that raft's leader lease runs out.
const crawlRate = 1000

// crawl makes the leader's links slow for a while, so that it loses its office.
// Having the longest log, it must not win it back again and again.
func (w *world) crawl(last time.Duration) {
	l := w.leader()
	if l == nil {
		w.fail("nobody leads")
		return
	}
	before := l.node.Status().Term
	w.rate(l.machine, crawlRate)
	w.later(last, func() {
		w.rate(l.machine, 0)
		if rose := l.node.Status().Term - before; rose > 2 {
			w.fail("%d terms passed while the links of the first one's leader, %s, were slow", rose, l.machine.name)
		}
	})
}

func (w *world) rate(m *machine, bytesPerSecond int) {
	for _, other := range w.all() {
		if other != m {
			w.net.Rate(m.name, other.name, bytesPerSecond)
			w.net.Rate(other.name, m.name, bytesPerSecond)
		}
	}
}

// heal ends all faults.
func (w *world) heal() {
	w.wg.Wait()
	w.trace.add("all faults end")
	for _, m := range w.all() {
		w.hold(m, false)
		w.cutOff(m, false)
		w.slow(m, 0)
		m.gate.lift()
		if l := m.alive(); l != nil {
			l.fuse.Store(0)
			l.syncFail.Store(false)
		} else {
			w.restart(m)
		}
	}
}
