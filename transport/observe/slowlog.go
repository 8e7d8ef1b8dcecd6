package observe

import (
	"bytes"
	"fmt"
	"sync"
	"time"
)

// What SLOWLOG keeps of a command, as redis-server.
const (
	slowArgsMax  = 32
	slowBytesMax = 128
)

// Slow is an entry of SLOWLOG.
type Slow struct {
	ID       int64
	At       time.Time
	Duration time.Duration
	Args     [][]byte
	Addr     string
	Client   string // the client's name
}

// Slowlog keeps the slowest commands' latest.
type Slowlog struct {
	mu      sync.Mutex
	next    int64  // guarded by mu
	entries []Slow // guarded by mu; newest last
	limit   int    // guarded by mu
}

// NewSlowlog returns a Slowlog of at most limit entries.
func NewSlowlog(limit int) *Slowlog { return &Slowlog{limit: limit} }

// SetLimit changes how many entries are kept.
func (l *Slowlog) SetLimit(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = n
	l.trimLocked()
}

// Add takes a command down; args are copied, long ones in part.
func (l *Slowlog) Add(s Slow) {
	s.Args = clip(s.Args)
	l.mu.Lock()
	defer l.mu.Unlock()
	s.ID = l.next
	l.next++
	l.entries = append(l.entries, s)
	l.trimLocked()
}

func (l *Slowlog) trimLocked() {
	if extra := len(l.entries) - l.limit; extra > 0 {
		l.entries = append(l.entries[:0:0], l.entries[extra:]...)
	}
}

func clip(args [][]byte) [][]byte {
	kept := args
	if len(args) > slowArgsMax {
		kept = args[:slowArgsMax-1]
	}
	out := make([][]byte, 0, slowArgsMax)
	for _, arg := range kept {
		if extra := len(arg) - slowBytesMax; extra > 0 {
			arg = fmt.Appendf(bytes.Clone(arg[:slowBytesMax]), "... (%d more bytes)", extra)
		} else {
			arg = bytes.Clone(arg)
		}
		out = append(out, arg)
	}
	if extra := len(args) - len(kept); extra > 0 {
		out = append(out, fmt.Appendf(nil, "... (%d more arguments)", extra))
	}
	return out
}

// Newest returns at most n entries, newest first; all if n is negative.
func (l *Slowlog) Newest(n int) []Slow {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 0 || n > len(l.entries) {
		n = len(l.entries)
	}
	out := make([]Slow, n)
	for i := range out {
		out[i] = l.entries[len(l.entries)-1-i]
	}
	return out
}

// Len returns the number of entries.
func (l *Slowlog) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// Reset drops all entries.
func (l *Slowlog) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = nil
}
