package side

import (
	"context"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func sent(values string) []Sent {
	var all []Sent
	for _, v := range strings.Fields(values) {
		s := Sent{Value: strings.TrimRight(v, "?!")}
		switch v[len(v)-1] {
		case '?':
			s.Outcome = Doubted
		case '!':
			s.Outcome = Refused
		}
		all = append(all, s)
	}
	return all
}

// In what was sent, ? marks what was in doubt and ! what was refused.
func TestCheckSequence(t *testing.T) {
	for _, c := range []struct{ name, sent, found, wrong string }{
		{"all there", "1 2 3", "1 2 3", ""},
		{"doubt may be there", "1 2? 3", "1 2 3", ""},
		{"or not", "1 2? 3", "1 3", ""},
		{"or later", "1 2? 3", "1 3 2", ""},
		{"a refusal is not there", "1 2! 3", "1 3", ""},
		{"lost", "1 2 3", "1 3", "lost"},
		{"the last is lost", "1 2 3", "1 2", "lost"},
		{"doubled", "1 2 3", "1 2 2 3", "twice"},
		{"doubt doubled", "1 2? 3", "1 2 3 2", "twice"},
		{"out of order", "1 2 3", "1 3 2", "behind"},
		{"a definite error was applied", "1 2! 3", "1 2 3", "definite"},
		{"from nowhere", "1 2 3", "1 2 9 3", "never sent"},
		{"back from another list", "1", "", "lost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(CheckSequence(sent(c.sent), strings.Fields(c.found)), "; ")
			if c.wrong == "" && got != "" || !strings.Contains(got, c.wrong) {
				t.Errorf("got %q, want %q", got, c.wrong)
			}
		})
	}
}

func TestCounter(t *testing.T) {
	for _, c := range []struct {
		name  string
		acked []int64 // replies; 0 stands for one in doubt
		read  int64
		wrong bool
	}{
		{"one by one", []int64{1, 2, 3}, 3, false},
		{"doubt counted", []int64{1, 0, 3}, 3, false},
		{"doubt not counted", []int64{1, 0, 2}, 2, false},
		{"doubt counted later", []int64{1, 0, 2}, 3, false},
		{"doubled", []int64{1, 3}, 3, true},
		{"lost", []int64{1, 2, 2}, 2, true},
		{"doubt counted twice", []int64{1, 0, 3, 5}, 5, true},
		{"lost in the end", []int64{1, 2, 3}, 2, true},
		{"doubled in the end", []int64{1, 2, 3}, 4, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var counter Counter
			wrong := false
			for _, n := range c.acked {
				if n == 0 {
					counter.Doubted()
				} else {
					wrong = counter.Acked(n) != nil || wrong
				}
			}
			if wrong = counter.Read(c.read) != nil || wrong; wrong != c.wrong {
				t.Errorf("wrong: %v", wrong)
			}
		})
	}
}

func TestReceived(t *testing.T) {
	for _, c := range []struct {
		name    string
		numbers []int64 // in hundreds the life
		missing int64
		wrong   bool
	}{
		{"in order", []int64{105, 106, 107}, 0, false},
		{"from the middle of a life", []int64{103, 104, 105}, 0, false},
		{"another life", []int64{107, 201, 202}, 0, false},
		{"another life without its beginning", []int64{107, 204, 205}, 3, false},
		{"the old life's end is lost", []int64{105, 201, 202}, 2, false},
		{"a doubtful last message came", []int64{107, 108, 201}, 0, false},
		{"a life is lost", []int64{107, 301}, 7, false},
		{"a gap", []int64{105, 108}, 2, false},
		{"twice", []int64{105, 106, 106}, 0, true},
		{"turned round", []int64{105, 107, 106}, 1, true},
		{"from an old life", []int64{107, 201, 106}, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r Received
			published := func(int64) int64 { return 7 } // of each life
			var missing int64
			wrong := false
			for _, n := range c.numbers {
				m, err := r.Take(Message{Life: n / 100, Number: n % 100}, published)
				missing += m
				wrong = wrong || err != nil
			}
			if missing != c.missing || wrong != c.wrong {
				t.Errorf("%d missing, wrong %v", missing, wrong)
			}
		})
	}
}

func TestCheckCausal(t *testing.T) {
	if CheckCausal(Message{Saw: 7}, 7) != nil || CheckCausal(Message{Saw: 7}, 9) != nil {
		t.Error("a read that is as new as the message is refused")
	}
	if CheckCausal(Message{Saw: 7}, 6) == nil {
		t.Error("a read older than the message passes")
	}
}

// A ledger that waits for another node, to read there, was not kept waiting.
func TestTurnIsNoGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Ledger{
			Env:  &Env{Endpoints: []string{unreachable(t)}, Began: time.Now().Add(-time.Hour)},
			Rand: rand.New(rand.NewPCG(1, 1)),
		}
		l.last = l.Env.now()
		before := l.Env.now()
		l.turn(context.Background())
		if waited := l.Env.now() - before; waited < GapMin {
			t.Fatalf("waited for the node %v: not long enough for this test", waited)
		}
		l.gap(l.Env.now())
		if gaps := l.Env.Notes().Gaps; len(gaps) > 0 {
			t.Errorf("noted gaps %v", gaps)
		}
	})
}

// unreachable returns an address that refuses connections.
func unreachable(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
