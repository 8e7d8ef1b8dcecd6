package psync

import (
	"context"
	"strings"
	"testing"
	"time"
)

func next(t *testing.T, r *Replica) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	b, ok := r.Next(ctx)
	if !ok {
		t.Fatal("the replica gets no more")
	}
	return string(b)
}

func TestReplicasGetWhatComesAfterThem(t *testing.T) {
	s := NewStream()
	s.SetLimits(Limits{Backlog: 1000})
	first, id, offset := s.Join("a", 1)
	if offset != 0 {
		t.Errorf("the stream begins at %d", offset)
	}
	s.Feed([]byte("one"))
	second, again, offset := s.Join("b", 2)
	if again != id || offset != 3 {
		t.Errorf("stream %s is at %d, want %s at 3", again, offset, id)
	}
	s.Feed([]byte("two"))
	if got := next(t, first); got != "onetwo" {
		t.Errorf("the first gets %q", got)
	}
	if got := next(t, second); got != "two" {
		t.Errorf("the second gets %q", got)
	}
	s.Feed([]byte("three"))
	if got := next(t, first); got != "three" {
		t.Errorf("the first gets %q", got)
	}
}

func TestWhoWasAwayGoesOn(t *testing.T) {
	s := NewStream()
	s.SetLimits(Limits{Backlog: 100})
	r, id, _ := s.Join("a", 1)
	s.Feed([]byte("one"))
	next(t, r)
	r.Leave()
	s.Feed([]byte("two"))
	for _, test := range []struct {
		name string
		id   string
		next int64
		ok   bool
		want string
	}{
		{"where it was", id, 4, true, "two"},
		{"in the middle", id, 2, true, "netwo"},
		{"another stream", strings.Repeat("0", 40), 4, false, ""},
		{"of the future", id, 8, false, ""},
		{"before the beginning", id, 0, false, ""},
	} {
		r, ok := s.Rejoin("a", 1, test.id, test.next)
		if ok != test.ok {
			t.Errorf("%s: goes on: %v", test.name, ok)
		}
		if ok && next(t, r) != test.want {
			t.Errorf("%s: does not get %q", test.name, test.want)
		}
	}
	s.Break()
	if _, ok := s.Rejoin("a", 1, id, 4); ok {
		t.Error("a replica goes on with a stream that is over")
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	s := NewStream()
	s.SetLimits(Limits{Backlog: 10_000, Hard: 1 << 20})
	slow, id, _ := s.Join("a", 1)
	quick, _, _ := s.Join("b", 2)
	chunk := make([]byte, 1000)
	for range 4000 {
		s.Feed(chunk)
		if _, ok := quick.take(); !ok {
			t.Fatal("a replica that takes all is dropped")
		}
		if kept := s.offset - s.start; kept > 1<<20+2*blockBytes {
			t.Fatalf("%d bytes are kept", kept)
		}
	}
	if _, ok := slow.take(); ok {
		t.Error("a replica that takes nothing is not dropped")
	}
	if kept := s.offset - s.start; kept > 10_000+2*blockBytes {
		t.Errorf("%d bytes are kept for nobody", kept)
	}
	if _, ok := s.Rejoin("a", 1, id, 1); ok {
		t.Error("a replica goes on with what is not kept")
	}
}

func TestSoftLimit(t *testing.T) {
	s := NewStream()
	s.SetLimits(Limits{Soft: 10, SoftFor: 0})
	r, _, _ := s.Join("a", 1)
	s.Feed(make([]byte, 20))
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until) && !r.gone; {
		s.Feed([]byte("x")) // some time later
	}
	if _, ok := r.take(); ok {
		t.Error("a replica past the soft limit is not dropped")
	}
}

func TestTend(t *testing.T) {
	s := NewStream()
	s.SetLimits(Limits{Backlog: 1000})
	r, _, _ := s.Join("a", 1)
	if s.Tend(9, 10*time.Second, time.Minute, 0) {
		t.Error("a stream is over that somebody follows")
	}
	if b, _ := r.take(); len(b) != 0 {
		t.Errorf("%q between two pings", b)
	}
	s.Tend(10, 10*time.Second, time.Minute, 0)
	if got := next(t, r); got != string(ping) {
		t.Errorf("got %q, want a ping", got)
	}
	r.Leave()
	if s.Tend(11, 10*time.Second, time.Minute, time.Hour) {
		t.Error("a stream is over at once")
	}
	if !s.Tend(11, 10*time.Second, time.Minute, -time.Second) || !s.End() {
		t.Error("a stream that nobody follows is not over")
	}
}

func TestBrokenStreamDropsAll(t *testing.T) {
	s := NewStream()
	r, id, _ := s.Join("a", 1)
	s.Feed([]byte("x"))
	s.Break()
	if _, ok := r.Next(t.Context()); ok {
		t.Error("a replica gets more of a stream that is over")
	}
	if now, offset, replicas := s.Position(); now == id || offset != 0 || len(replicas) != 0 {
		t.Errorf("another stream is %s at %d with %d replicas", now, offset, len(replicas))
	}
}

func TestMessages(t *testing.T) {
	s := NewStream()
	s.SetLimits(Limits{Backlog: 1000})
	s.Message([]byte("c"), []byte("nobody"), false)
	if s.Open() {
		t.Error("it is open, and nobody follows")
	}
	r, _, offset := s.Join("a", 1)
	if offset != 0 || !s.Open() {
		t.Errorf("it is at %d when the first comes, open: %v", offset, s.Open())
	}
	s.Message([]byte("c"), []byte("text"), false)
	s.Message([]byte("c"), nil, true)
	s.Message([]byte("__keyevent@0__:keymiss"), []byte("k"), false)
	if got, want := next(t, r), "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$4\r\ntext\r\n*3\r\n$8\r\nSPUBLISH\r\n$1\r\nc\r\n$0\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.Leave()
	if !s.Open() {
		t.Error("who left can't come back")
	}
	if !s.End() || s.Open() {
		t.Error("it does not end")
	}
}

func TestFigures(t *testing.T) {
	s := NewStream()
	s.SetLimits(Limits{Backlog: 1000})
	if counts, backlog := s.Figures(); counts != (Counts{}) || backlog != (Backlog{First: 1}) {
		t.Errorf("at first: %+v %+v", counts, backlog)
	}
	r, id, _ := s.Join("a", 1)
	s.Feed([]byte("12345"))
	next(t, r)
	r.Leave()
	if _, ok := s.Rejoin("a", 1, id, 6); !ok {
		t.Error("it can't go on")
	}
	for _, other := range []string{"?", "other"} { // ? is of one that has nothing to go on from
		if _, ok := s.Rejoin("a", 1, other, 0); ok {
			t.Error("it goes on with a stream that is not this one")
		}
	}
	counts, backlog := s.Figures()
	if want := (Counts{Full: 1, Partial: 1, Refused: 1, Sent: 5}); counts != want {
		t.Errorf("%+v, want %+v", counts, want)
	}
	if want := (Backlog{Open: true, First: 1, Kept: 5}); backlog != want {
		t.Errorf("%+v, want %+v", backlog, want)
	}
}
