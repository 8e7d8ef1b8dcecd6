package session

import (
	"bytes"
	"strconv"
	"time"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/observe"
)

// elapsed returns the time since the server began: half as dear as the time
// of day, and read once for every command.
func (s *Server) elapsed() time.Duration { return time.Since(s.began) }

// took notes that a command executed here took d and was answered so.
func (s *Server) took(by *Session, e *entry, args [][]byte, answer []byte, d time.Duration) {
	if by.tracker.on && e.row == nil && e.Flags.Has(command.ReadOnly) && e.Group != command.Scripting && by.notes() {
		by.note(e, args)
	}
	e.stats.Called(d, s.settings.trackLatency.Load())
	if failed(answer) {
		e.stats.Failed()
	}
	if slow := s.settings.slowerThan.Load(); slow >= 0 && int64(d) >= slow && !e.Flags.Has(command.SkipSlowlog) {
		s.slowlog.Add(observe.Slow{At: s.now(), Duration: d, Args: e.visible(args), Addr: by.peer.Addr, Client: by.Name()})
	}
	if threshold := s.settings.spikeThreshold.Load(); threshold > 0 && int64(d) >= threshold {
		event := "command"
		if e.Flags.Has(command.Fast) {
			event = "fast-command"
		}
		s.spikes.Add(event, s.now(), d)
	}
}

// Nested implements call.Counter. What a script's commands take is part of the
// script's time.
func (s *Server) Nested(script call.Script, name string, db int, args [][]byte, o call.Outcome) {
	e, ok := s.table.Lookup(name)
	if !ok {
		return
	}
	switch o {
	case call.Rejected:
		e.stats.Rejected()
		return
	case call.Failed:
		e.stats.Failed()
	}
	if c, ok := script.By.(*Session); ok && e.Flags.Has(command.ReadOnly) && c.notes() {
		// What a script has read of its keys can't be told from its reply: all count.
		if outer, _, found := s.table.Find(script.Args); found {
			c.note(outer, script.Args)
		}
	}
	e.stats.Called(0, false)
	s.opts.Counters.Commands.Add(1)
	if s.monitors.watching(e) {
		s.monitors.feedLater(s.now(), db, e.visible(args))
	}
}

// NestedError implements call.Counter.
func (s *Server) NestedError(e reply.Error) { s.opts.Counters.CountError(errorCode([]byte(e))) }

// failed reports whether a command's reply is an error.
func failed(answer []byte) bool { return len(answer) > 0 && answer[0] == '-' }

// countErrors counts the errors among n top-level replies. Most times there
// are none, and one look for a '-' tells.
func (s *Server) countErrors(replies []byte, n int) {
	if bytes.IndexByte(replies, '-') < 0 || n == 1 && replies[0] != '-' {
		return
	}
	for len(replies) > 0 {
		if replies[0] == '-' {
			line, _, _ := bytes.Cut(replies[1:], []byte{'\r'})
			s.opts.Counters.CountError(errorCode(line))
		}
		replies = afterReply(replies)
	}
}

// errorCode returns an error's first word, or ERR where it has but one.
func errorCode(text []byte) string {
	code, _, more := bytes.Cut(text, []byte{' '})
	if !more {
		return "ERR"
	}
	return string(code)
}

// afterReply returns what follows the first reply in b, which is whole.
func afterReply(b []byte) []byte {
	for left := 1; left > 0 && len(b) > 0; left-- {
		kind := b[0]
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return nil
		}
		n, err := strconv.Atoi(string(b[1:max(end-1, 1)]))
		b = b[end+1:]
		if err != nil || n < 0 {
			continue
		}
		switch kind {
		case '$', '=', '!':
			b = b[min(n+2, len(b)):]
		case '*', '~', '>':
			left += n
		case '%':
			left += 2 * n
		}
	}
	return b
}
