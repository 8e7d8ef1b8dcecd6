// Package psync feeds plain redis-servers that follow this node as replicas.
//
// The commands that they get are one stream of bytes, whose length so far is its offset,
// under an id that no other stream has. The newest part of it is kept, so that a replica
// that was away for a moment goes on where it was. The stream is of this node and of this
// life: a node that was given another state by a snapshot begins another one.
//
// # Bounds
//
// Kept is the backlog and, beyond, what the slowest replica has not taken; one that is
// further behind than it may be is dropped.
package psync

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Limits say what a replica may leave behind, and how much of the stream is kept for
// those that come back.
type Limits struct {
	Backlog int64         // bytes; repl-backlog-size
	Hard    int64         // bytes a replica may be behind; 0: no bound
	Soft    int64         // bytes a replica may be behind for SoftFor; 0: no bound
	SoftFor time.Duration // as client-output-buffer-limit has them
}

// Stream is the commands of one node.
type Stream struct {
	mu       sync.Mutex
	limits   Limits     // guarded by mu
	id       string     // guarded by mu
	blocks   [][]byte   // guarded by mu; what is kept
	start    int64      // guarded by mu; offset of the first byte kept
	offset   int64      // guarded by mu; bytes so far
	replicas []*Replica // guarded by mu
	lastLeft time.Time  // guarded by mu; when the last replica went
	counts   Counts     // guarded by mu
}

// Counts are what replicas asked for since the start, and what they were sent.
type Counts struct {
	Full, Partial uint64 // given all the data, or what they had missed
	Refused       uint64 // of Full: those that wanted to go on where they were
	Sent          int64  // bytes of the stream
}

// Backlog is the newest part of the stream, which is kept.
type Backlog struct {
	Open        bool  // somebody follows, or may come back
	First, Kept int64 // offset of the first byte, counted from 1, and how many there are
}

// Figures returns what there is to tell of the stream beside its position.
func (s *Stream) Figures() (Counts, Backlog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts, Backlog{Open: s.openLocked(), First: s.start + 1, Kept: s.offset - s.start}
}

// blockBytes is about how much of the stream is in one piece.
const blockBytes = 64 << 10

// NewStream returns an empty stream that keeps nothing beyond what replicas need.
func NewStream() *Stream { return &Stream{id: newID()} }

// SetLimits sets the limits.
func (s *Stream) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l
}

func newID() string {
	var id [20]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// Replica is one that follows.
type Replica struct {
	stream *Stream
	addr   string
	port   int

	// Guarded by stream.mu.
	pos       int64 // offset up to which it was taken out
	acked     int64
	ackedAt   time.Time
	online    bool      // it has the data, and gets commands
	gone      bool      // dropped, or left
	softSince time.Time // since when it is further behind than Soft

	wake chan struct{} // one token when there is more, or it is gone
}

// Feed adds commands to the stream. It does not block.
func (s *Stream) Feed(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.feedLocked(b)
}

func (s *Stream) feedLocked(b []byte) {
	if n := len(s.blocks); n > 0 && len(s.blocks[n-1])+len(b) <= cap(s.blocks[n-1]) {
		s.blocks[n-1] = append(s.blocks[n-1], b...)
	} else {
		s.blocks = append(s.blocks, append(make([]byte, 0, max(blockBytes, len(b))), b...))
	}
	s.offset += int64(len(b))
	s.trimLocked()
	for _, r := range s.replicas {
		r.tell()
	}
}

// trimLocked drops what neither the backlog nor a replica needs, and replicas that need
// too much.
func (s *Stream) trimLocked() {
	limits := s.limits
	need := s.offset - limits.Backlog
	now := time.Now()
	for _, r := range s.replicas {
		behind := s.offset - r.pos
		if limits.Soft <= 0 || behind < limits.Soft {
			r.softSince = time.Time{}
		} else if r.softSince.IsZero() {
			r.softSince = now
		}
		if limits.Hard > 0 && behind > limits.Hard || !r.softSince.IsZero() && now.Sub(r.softSince) > limits.SoftFor {
			r.goneLocked()
			continue
		}
		need = min(need, r.pos)
	}
	s.replicas = slices.DeleteFunc(s.replicas, func(r *Replica) bool { return r.gone })
	for len(s.blocks) > 0 && s.start+int64(len(s.blocks[0])) <= need {
		s.start += int64(len(s.blocks[0]))
		s.blocks[0] = nil
		s.blocks = s.blocks[1:]
	}
}

// Message adds a message that a client published by itself, if somebody follows or may
// come back. Those in the name of events of keys it leaves out: who follows has its own.
// It does not block.
func (s *Stream) Message(channel, text []byte, sharded bool) {
	if bytes.HasPrefix(channel, []byte("__keyspace@")) || bytes.HasPrefix(channel, []byte("__keyevent@")) {
		return
	}
	name := "PUBLISH"
	if sharded {
		name = "SPUBLISH"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.openLocked() {
		return
	}
	b := fmt.Appendf(nil, "*3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(name), name, len(channel), channel, len(text), text)
	s.feedLocked(b)
}

// Open reports whether somebody follows, or may come back and go on.
func (s *Stream) Open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.openLocked()
}

func (s *Stream) openLocked() bool { return len(s.replicas) > 0 || s.offset > 0 }

// Break begins another stream: nobody who follows has the data any more.
func (s *Stream) Break() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.breakLocked()
}

func (s *Stream) breakLocked() {
	for _, r := range s.replicas {
		r.goneLocked()
	}
	s.replicas, s.blocks, s.start, s.offset, s.id = nil, nil, 0, 0, newID()
}

// Join adds a replica that is sent the data as of now and goes on with what comes then.
func (s *Stream) Join(addr string, port int) (r *Replica, id string, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Full++
	return s.joinLocked(addr, port, s.offset), s.id, s.offset
}

// Rejoin adds a replica that has a stream up to the offset before next, as PSYNC counts,
// if that is this one and what follows is still there.
func (s *Stream) Rejoin(addr string, port int, id string, next int64) (r *Replica, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := next - 1
	if id != s.id || from < s.start || from > s.offset || s.offset == 0 {
		if id != "?" {
			s.counts.Refused++
		}
		return nil, false
	}
	s.counts.Partial++
	r = s.joinLocked(addr, port, from)
	r.online = true
	return r, true
}

func (s *Stream) joinLocked(addr string, port int, from int64) *Replica {
	r := &Replica{stream: s, addr: addr, port: port, pos: from, ackedAt: time.Now(), wake: make(chan struct{}, 1)}
	s.replicas = append(s.replicas, r)
	r.tell()
	return r
}

// Leave takes the replica off the stream.
func (r *Replica) Leave() {
	s := r.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	r.goneLocked()
	s.replicas = slices.DeleteFunc(s.replicas, func(o *Replica) bool { return o == r })
	s.lastLeft = time.Now()
}

func (r *Replica) goneLocked() {
	r.gone = true
	r.tell()
}

func (r *Replica) tell() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Online notes that the replica has the data.
func (r *Replica) Online() {
	r.stream.mu.Lock()
	defer r.stream.mu.Unlock()
	r.online = true
}

// Acknowledge notes how far the replica says it is.
func (r *Replica) Acknowledge(offset int64) {
	r.stream.mu.Lock()
	defer r.stream.mu.Unlock()
	r.acked, r.ackedAt = offset, time.Now()
}

// Next returns what comes next in the stream, once there is something, and false when
// the replica is not to get any more. The bytes are not to be changed.
func (r *Replica) Next(ctx context.Context) ([]byte, bool) {
	for {
		if b, ok := r.take(); len(b) > 0 || !ok {
			return b, ok
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return nil, false
		}
	}
}

func (r *Replica) take() (b []byte, ok bool) {
	s := r.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.gone {
		return nil, false
	}
	at := s.start
	for _, block := range s.blocks {
		if end := at + int64(len(block)); r.pos < end {
			b = block[r.pos-at:]
			r.pos = end
			s.counts.Sent += int64(len(b))
			return b, true
		}
		at += int64(len(block))
	}
	return nil, true
}

// ping is what replicas get while nothing else comes.
var ping = []byte("*1\r\n$4\r\nPING\r\n")

// Tend is to be called every second: after each period it sends a ping, and it drops
// replicas that have not been heard of for timeout. It reports whether nobody has
// followed for idle, so that the stream may end.
func (s *Stream) Tend(second int64, period, timeout, idle time.Duration) (over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.replicas) == 0 {
		return s.offset > 0 && time.Since(s.lastLeft) > idle
	}
	for _, r := range s.replicas {
		if r.online && r.acked > 0 && time.Since(r.ackedAt) > timeout {
			r.goneLocked()
		}
	}
	if second%max(int64(period/time.Second), 1) == 0 {
		s.feedLocked(ping)
	}
	s.trimLocked()
	return false
}

// End begins another stream if no replica follows this one, and reports whether it did.
func (s *Stream) End() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.replicas) > 0 {
		return false
	}
	s.breakLocked()
	return true
}

// State is what there is to tell of a replica.
type State struct {
	Addr   string
	Port   int
	Online bool
	Offset int64 // acknowledged
	Lag    int64 // seconds since then
}

// Position returns the stream's id and offset, and its replicas.
func (s *Stream) Position() (id string, offset int64, replicas []State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.replicas {
		replicas = append(replicas, State{r.addr, r.port, r.online, r.acked, int64(time.Since(r.ackedAt) / time.Second)})
	}
	return s.id, s.offset, replicas
}
