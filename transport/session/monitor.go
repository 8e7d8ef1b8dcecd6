package session

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/quorate/quorate/engine/command"
)

// monitors are the sessions that called MONITOR.
type monitors struct {
	count atomic.Int32 // == len(list): looked at for every command

	mu   sync.Mutex
	list []*Session // guarded by mu
}

func monitor(s *Session, r *request) {
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

// secret commands are not shown to monitors.
const secret = command.SkipMonitor | command.Admin | command.NoAuth

// feed shows a command to the monitors.
func (m *monitors) feed(by *Session, e *entry, args [][]byte) {
	if m.count.Load() == 0 || e.Flags.Any(secret) {
		return
	}
	now := by.srv.now()
	line := fmt.Appendf(nil, "+%d.%06d [%d %s]", now.Unix(), now.Nanosecond()/1000, by.db, by.peer.Addr)
	for _, arg := range e.visible(args) {
		line = append(line, ' ')
		line = appendRepr(line, arg)
	}
	line = append(line, '\r', '\n')
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.list {
		s.out.Begin().Raw(line)
		s.out.End()
		s.out.SendSoon()
	}
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
