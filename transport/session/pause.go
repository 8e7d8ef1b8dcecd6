package session

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
)

// pause is what CLIENT PAUSE asked for on this node.
type pause struct {
	on      atomic.Bool  // changed with mu held; looked at for every command
	waiting atomic.Int64 // sessions that the pause holds up

	mu    sync.Mutex
	until time.Time     // guarded by mu
	all   bool          // guarded by mu; reads too
	over  chan struct{} // guarded by mu; closed when a pause is ended or changed
}

func (p *pause) begin(until time.Time, all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on.Load() {
		// The stricter of both: a pause is never shortened by another.
		all = all || p.all
		if p.until.After(until) {
			until = p.until
		}
		close(p.over)
	}
	p.until, p.all, p.over = until, all, make(chan struct{})
	p.on.Store(true)
}

func (p *pause) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endLocked()
}

func (p *pause) endLocked() {
	if p.on.CompareAndSwap(true, false) {
		close(p.over)
	}
}

// awaitPause waits while a command is paused. What the client sent before is answered
// first.
func (s *Session) awaitPause(e *entry, args [][]byte) {
	p := &s.srv.pause
	if !p.on.Load() || !e.touchesData() {
		return
	}
	reads := s.srv.onlyReads(e, args)
	if !p.holds(reads) {
		return
	}
	s.settle()
	s.out.Send()
	p.wait(s.srv.ctx, reads)
}

// onlyReads reports whether a command can change no data: scripts may say so, and
// SCRIPT only makes them known.
func (s *Server) onlyReads(e *entry, args [][]byte) bool {
	reads := e.reads() || e.Container() == "script"
	if !reads && e.Group == command.Scripting {
		s.opts.Engine.View(0, 0, func(v *engine.View) { reads = v.DeclaresNoWrites(args) })
	}
	return reads
}

// holds reports whether commands that touch data, and may only read it, are paused.
func (p *pause) holds(reads bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.holdsLocked(reads)
}

// holdsLocked ends the pause when it is time.
func (p *pause) holdsLocked(reads bool) bool {
	if !time.Now().Before(p.until) {
		p.endLocked()
	}
	return p.on.Load() && (p.all || !reads)
}

// wait blocks while holds.
func (p *pause) wait(ctx context.Context, reads bool) {
	for p.on.Load() {
		p.mu.Lock()
		concerned, left, over := p.holdsLocked(reads), time.Until(p.until), p.over
		p.mu.Unlock()
		if !concerned {
			return
		}
		p.waiting.Add(1)
		timer := time.NewTimer(left)
		select {
		case <-over:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		p.waiting.Add(-1)
		if ctx.Err() != nil {
			return
		}
	}
}

// clientPause: CLIENT PAUSE milliseconds [WRITE|ALL], on this node.
func clientPause(s *Session, r *request) {
	all := true
	if len(r.args) > 3 {
		switch strings.ToLower(string(r.args[3])) {
		case "write":
			all = false
		case "all":
		default:
			r.fail("ERR CLIENT PAUSE mode must be WRITE or ALL")
			return
		}
	}
	ms, ok := call.ParseInt(r.args[2])
	switch {
	case !ok || ms > int64(365*24*time.Hour/time.Millisecond):
		r.fail("ERR timeout is not an integer or out of range")
		return
	case ms < 0:
		r.fail("ERR timeout is negative")
		return
	}
	s.srv.pause.begin(time.Now().Add(time.Duration(ms)*time.Millisecond), all)
	r.out.OK()
}

func clientUnpause(s *Session, r *request) {
	s.srv.pause.end()
	r.out.OK()
}
