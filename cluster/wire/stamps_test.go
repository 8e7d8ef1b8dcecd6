package wire

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func at(ms int) time.Time { return time.Unix(1000, int64(ms)*1e6) }

func TestQuorum(t *testing.T) {
	acks := func(ms ...int) map[raft.ServerID]stamp { // of b, c, d ...
		m := make(map[raft.ServerID]stamp)
		for i, v := range ms {
			if v > 0 {
				m[raft.ServerID(rune('b'+i))] = stamp{Mark(v), at(v)}
			}
		}
		return m
	}
	now := 1000
	tests := []struct {
		name   string
		voters string
		self   raft.ServerID
		acked  map[raft.ServerID]stamp
		want   int // ms, 0 = none, now = forever
	}{
		{"alone", "a", "a", nil, now},
		{"no voters", "", "a", acks(5), 0},
		{"three, one answered", "abc", "a", acks(5), 5},
		{"three, both answered: the newer counts", "abc", "a", acks(5, 9), 9},
		{"three, none answered", "abc", "a", nil, 0},
		{"two need both", "ab", "a", acks(5), 5},
		{"two, none answered", "ab", "a", nil, 0},
		{"four need three", "abcd", "a", acks(5, 9, 7), 7},
		{"five need three", "abcde", "a", acks(5, 9, 7, 3), 7},
		{"five, one answered", "abcde", "a", acks(5), 0},
		{"the leader is no voter: two of the others", "bcd", "a", acks(5, 9, 7), 7},
		{"the leader is no voter: one is too few", "bc", "a", acks(5), 0},
		{"an answer of one who does not vote", "ac", "a", acks(5), 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var voters []raft.ServerID
			for _, r := range tc.voters {
				voters = append(voters, raft.ServerID(r))
			}
			got := quorum(voters, tc.self, at(now), tc.acked)
			want := stamp{Mark(tc.want), at(tc.want)}
			switch tc.want {
			case 0:
				want = stamp{}
			case now:
				want.mark = forever
			}
			if got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

// Against the definition: the newest time at or after which a majority answered.
func TestQuorumByDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		n := 1 + rng.IntN(7)
		acked := make(map[raft.ServerID]stamp)
		var voters []raft.ServerID
		for i := range n {
			id := raft.ServerID(fmt.Sprint(i))
			voters = append(voters, id)
			if rng.IntN(3) > 0 {
				v := 1 + rng.IntN(5)
				acked[id] = stamp{Mark(v), at(v)}
			}
		}
		var want stamp
		for m := Mark(1); m < 10; m++ {
			have := 0
			for _, id := range voters {
				if id == "0" || acked[id].mark >= m {
					have++
				}
			}
			if have > n/2 {
				want = stamp{m, at(int(m))}
			}
		}
		if n == 1 {
			want = stamp{forever, at(9)}
		}
		if got := quorum(voters, "0", at(9), acked); got != want {
			t.Fatalf("%v of %v: %v, want %v", voters, acked, got, want)
		}
	}
}

func TestLeaseRule(t *testing.T) {
	const timeout = 300 * time.Millisecond
	tests := []struct {
		name string
		q    stamp
		now  time.Time
		want bool
	}{
		{"just answered", stamp{1, at(0)}, at(0), true},
		{"within half a timeout", stamp{1, at(0)}, at(149), true},
		{"at half a timeout", stamp{1, at(0)}, at(150), false},
		{"long ago", stamp{1, at(0)}, at(5000), false},
		{"never", stamp{}, at(0), false},
		{"never, by a clock near its zero", stamp{}, time.Time{}, false},
	}
	for _, tc := range tests {
		if got := leaseHolds(tc.now, tc.q, timeout); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestLedger(t *testing.T) {
	b := newLedger("a")
	voters := []raft.ServerID{"a", "b", "c"}
	ask := func() []raft.ServerID { return voters }
	isDone := func(c chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}

	first, stale := b.wait(5, 10, voters)
	if first == nil || stale {
		t.Fatal("confirmed by nobody")
	}
	later, _ := b.wait(5, 20, voters)
	if term, m, ok := b.wanted(); term != 5 || m != 20 || !ok {
		t.Errorf("wanted %d %d %v", term, m, ok)
	}
	b.record(5, "b", stamp{10, at(1)}, ask)
	if isDone(first) {
		t.Error("confirmed by an answer to a message as old as the read")
	}
	b.record(5, "x", stamp{99, at(1)}, ask)
	if isDone(first) {
		t.Error("confirmed by a node without a vote")
	}
	b.record(4, "c", stamp{99, at(1)}, ask)
	if isDone(first) {
		t.Error("confirmed by an answer of an older term")
	}
	b.record(5, "c", stamp{11, at(2)}, ask)
	if !isDone(first) || isDone(later) {
		t.Errorf("woken %v, %v", isDone(first), isDone(later))
	}
	b.record(5, "c", stamp{9, at(1)}, ask) // overtaken on the way
	if q, lease := b.quorumOf(5, voters, at(9)); q != (stamp{11, at(2)}) || !lease {
		t.Errorf("quorum %v, lease %v", q, lease)
	}
	if done, _ := b.wait(5, 10, voters); done != nil {
		t.Error("has to wait for what is there")
	}
	b.record(6, "b", stamp{30, at(3)}, ask)
	if !isDone(later) {
		t.Error("waits for a term that has passed")
	}
	if _, _, ok := b.wanted(); ok {
		t.Error("somebody still waits")
	}
	if _, stale := b.wait(5, 1, voters); !stale {
		t.Error("an older term can be waited for")
	}
	if q, lease := b.quorumOf(5, voters, at(9)); !q.at.IsZero() || lease {
		t.Errorf("the older term has %v, lease %v", q, lease)
	}

	abandoned, _ := b.wait(6, 100, voters)
	b.abandon(abandoned)
	if _, _, ok := b.wanted(); ok {
		t.Error("the waiter that gave up is wanted")
	}
	b.endLeases(6)
	if _, lease := b.quorumOf(6, voters, at(9)); lease {
		t.Error("lease after its end")
	}
	if _, lease := b.quorumOf(7, voters, at(9)); !lease {
		t.Error("no leases in the next term")
	}
	b.endAllLeases()
	if _, lease := b.quorumOf(8, voters, at(9)); lease {
		t.Error("lease after the end of all")
	}
}

func TestStampsKeepTheirOrder(t *testing.T) {
	tr := &Transport{opts: Options{Now: time.Now}}
	var marks []Mark
	for range 100 {
		marks = append(marks, tr.Mark(), tr.stamp().mark)
	}
	if !slices.IsSorted(marks) || len(slices.Compact(slices.Clone(marks))) != len(marks) {
		t.Error("marks repeat or go back")
	}
}
