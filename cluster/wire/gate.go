package wire

import "sync"

// gate is passed by messages that may move raft's term, any number at a time,
// and by a look at the term that must not change under it, alone. Who wants to be
// alone goes before newcomers. (It is a sync.RWMutex whose waiting a synctest
// bubble understands: virtual time goes on.)
type gate struct {
	mu      sync.Mutex
	change  *sync.Cond
	movers  int  // guarded by mu; passing
	waiting int  // guarded by mu; want to be alone
	alone   bool // guarded by mu
}

func newGate() *gate {
	g := new(gate)
	g.change = sync.NewCond(&g.mu)
	return g
}

// enter passes as one of many; the caller calls leave.
func (g *gate) enter() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.alone || g.waiting > 0 {
		g.change.Wait()
	}
	g.movers++
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.movers--
	if g.movers == 0 {
		g.change.Broadcast()
	}
}

// enterAlone waits until nobody else is passing; the caller calls leaveAlone.
func (g *gate) enterAlone() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting++
	for g.alone || g.movers > 0 {
		g.change.Wait()
	}
	g.waiting--
	g.alone = true
}

func (g *gate) leaveAlone() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alone = false
	g.change.Broadcast()
}
