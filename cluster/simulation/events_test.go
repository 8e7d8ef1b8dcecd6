package simulation

import (
	"context"
	"time"
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
		w.act(e)
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
	case "transfer":
		for _, m := range w.all() {
			if l := m.alive(); l != nil && l.node.Report().Leader == l.id {
				w.wg.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
					defer cancel()
					_ = l.node.Transfer(ctx, "")
				})
				return
			}
		}
	case "snapshot":
		if l := m.alive(); l != nil {
			w.wg.Go(func() { _ = l.node.Snapshot() })
		}
	case "syncfail":
		if l := m.alive(); l != nil {
			l.syncFail.Store(true)
		}
	}
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
