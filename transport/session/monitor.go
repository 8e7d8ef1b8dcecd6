package session

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/engine/command"
)

// monitors are the sessions that called MONITOR.
type monitors struct {
	count atomic.Int32 // == len(list): looked at for every command

	mu   sync.Mutex
	list []*Session // guarded by mu

	// What scripts call is told while the data is locked, and perhaps the output
	// of a monitor: it waits here for the next line, or for deliver.
	lateMu sync.Mutex
	late   []byte        // guarded by lateMu; at most lateMax
	wake   chan struct{} // one token while late may hold something
}

// lateMax bounds what scripts have called and the monitors were not shown yet, to
// about four times as much where it can't be printed: of a script that calls more in
// one go, they see the first of it.
const lateMax = 4 << 20

// monitor: MONITOR. In a transaction it is refused, as by redis-server: the output is
// locked there, and monitors.mu comes before an output's lock.
func monitor(s *Session, r *request) {
	if r.inTx {
		r.fail("ERR MONITOR isn't allowed for DENY BLOCKING client")
		return
	}
	r.out.OK()
	s.show(func(v *shown) { v.monitor = true })
	s.out.SetClass(ClassReplica)
	s.srv.monitors.add(s)
}

func (m *monitors) add(s *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.list, s) {
		m.list = append(m.list, s)
		m.count.Store(int32(len(m.list)))
	}
}

func (m *monitors) remove(s *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = slices.DeleteFunc(m.list, func(o *Session) bool { return o == s })
	m.count.Store(int32(len(m.list)))
}

// secret commands are not shown to monitors. What is marked SkipMonitor (EVAL and its kind) redis-server
// shows from within the command: here as any other.
const secret = command.Admin

// watching reports whether a command is shown to anybody.
func (m *monitors) watching(e *entry) bool { return m.count.Load() > 0 && !e.Flags.Any(secret) }

// feed shows a command to the monitors.
func (m *monitors) feed(by *Session, e *entry, args [][]byte) {
	if e.Name == "reset" {
		m.remove(by) // first: it makes an end of what the client sees
	}
	if m.watching(e) {
		m.show(monitorLine(by.srv.now(), by.db, by.peer.Addr, e.visible(args)))
	}
}

// feedLater shows what a script has called to the monitors, as soon as may be.
// The data is locked meanwhile: a line that has no room is not even made.
func (m *monitors) feedLater(now time.Time, db int, args [][]byte) {
	least := 0
	for _, arg := range args {
		least += len(arg)
	}
	m.lateMu.Lock()
	if len(m.late)+least <= lateMax {
		m.late = append(m.late, monitorLine(now, db, "lua", args)...)
	}
	m.lateMu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default: // a token is there
	}
}

// deliver shows what waits until the node stops.
func (m *monitors) deliver(ctx context.Context) {
	for {
		select {
		case <-m.wake:
			m.show(nil)
		case <-ctx.Done():
			return
		}
	}
}

// show writes what scripts have called before, and then line.
func (m *monitors) show(line []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lateMu.Lock()
	late := m.late
	m.late = nil
	m.lateMu.Unlock()
	for _, s := range m.list {
		out := s.out.Begin()
		out.Raw(late)
		out.Raw(line)
		s.out.End()
		s.out.SendSoon()
	}
}

// monitorLine is what monitors see of a command.
func monitorLine(now time.Time, db int, addr string, args [][]byte) []byte {
	line := fmt.Appendf(nil, "+%d.%06d [%d %s]", now.Unix(), now.Nanosecond()/1000, db, addr)
	for _, arg := range args {
		line = append(line, ' ')
		line = appendRepr(line, arg)
	}
	return append(line, '\r', '\n')
}

// appendRepr appends b in quotes, with what can't be printed escaped.
func appendRepr(dst, b []byte) []byte {
	dst = append(dst, '"')
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c == '\a':
			dst = append(dst, `\a`...)
		case c == '\b':
			dst = append(dst, `\b`...)
		case c < ' ' || c > '~':
			dst = append(dst, `\x`...)
			if c < 16 {
				dst = append(dst, '0')
			}
			dst = strconv.AppendUint(dst, uint64(c), 16)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
