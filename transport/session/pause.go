package session

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/engine/command"
)

// pause is what CLIENT PAUSE asked for on this node.
type pause struct {
	mu    sync.Mutex
	until time.Time     // guarded by mu
	all   bool          // guarded by mu; reads too
	over  chan struct{} // guarded by mu; closed when a pause is ended or changed
	on    bool          // guarded by mu
}

func (p *pause) begin(until time.Time, all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on {
		// The stricter of both: a pause is never shortened by another.
		all = all || p.all
		if p.until.After(until) {
			until = p.until
		}
		close(p.over)
	}
	p.until, p.all, p.on, p.over = until, all, true, make(chan struct{})
}

func (p *pause) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on {
		p.on = false
		close(p.over)
	}
}

// wait blocks while commands of e's kind are paused.
func (p *pause) wait(ctx context.Context, e *entry) {
	for {
		p.mu.Lock()
		left := time.Until(p.until)
		if p.on && left <= 0 {
			p.on = false
			close(p.over)
		}
		concerned := p.on && e.row == nil && (p.all || !e.Flags.Has(command.ReadOnly))
		over := p.over
		p.mu.Unlock()
		if !concerned {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-over:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
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
	ms, err := strconv.ParseInt(string(r.args[2]), 10, 64)
	switch {
	case err != nil || ms > int64(365*24*time.Hour/time.Millisecond):
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
