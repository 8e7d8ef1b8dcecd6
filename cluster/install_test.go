package cluster

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/hashicorp/raft"
)

// memoryLog returns a log of entries first to last, of that term.
func memoryLog(t *testing.T, first, last, term uint64) *raft.InmemStore {
	t.Helper()
	log := raft.NewInmemStore()
	for i := first; i <= last; i++ {
		if err := log.StoreLog(&raft.Log{Index: i, Term: term}); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

func snapshotAt(t *testing.T, index, term uint64) raft.SnapshotStore {
	t.Helper()
	snaps := raft.NewInmemSnapshotStore()
	sink, err := snaps.Create(raft.SnapshotVersionMax, index, term, raft.Configuration{}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	return snaps
}

func TestLogIsMendedAgainstTheNewestSnapshot(t *testing.T) {
	cases := []struct {
		name        string
		first, last uint64 // of the log, in term 2; last 0 for an empty one
		index, term uint64 // of the snapshot
		fit         logFit
	}{
		{"empty log", 1, 0, 10, 3, logAgrees},
		{"taken from this log", 5, 20, 10, 2, logAgrees},
		{"at the log's end", 5, 10, 10, 2, logAgrees},
		{"before the log's beginning", 11, 20, 10, 1, logAgrees},
		{"beyond the log's end", 1, 9, 10, 3, logEnds},
		{"another entry at its index", 1, 20, 10, 3, logConflicts},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			log, snaps := memoryLog(t, c.first, c.last, 2), snapshotAt(t, c.index, c.term)
			if fit, err := fitLog(log, c.index, c.term); err != nil || fit != c.fit {
				t.Fatalf("fit %d, %v; want %d", fit, err, c.fit)
			}
			conflicts, err := mendLog(log, snaps, slog.New(slog.DiscardHandler))
			if err != nil || conflicts != (c.fit == logConflicts) {
				t.Errorf("while running: conflicts %v, %v", conflicts, err)
			}
			want := c.last
			if c.fit == logEnds {
				want = 0
			}
			if last, _ := log.LastIndex(); last != want {
				t.Errorf("while running: the log ends at %d, want %d", last, want)
			}
			if err := mendAtStart(log, snaps, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
			if c.fit != logAgrees {
				want = 0
			}
			if last, _ := log.LastIndex(); last != want {
				t.Errorf("after a start: the log ends at %d, want %d", last, want)
			}
		})
	}
}

// A node that was restored from a snapshot serves reads at once, also when
// nothing was written since.
func TestIdleFollowerServesReadsAfterARestartFromASnapshot(t *testing.T) {
	c := newTrio(t)
	lead := c.leader()
	if got := newClient().do(t, c.nodes[lead], "SET a 1"); got != "+OK" {
		t.Fatal(got)
	}
	follower := (lead + 1) % 3
	if got := read(t, c.nodes[follower], "GET a"); got != "$1\r\n1\r\n" {
		t.Fatal(got)
	}
	if err := c.nodes[follower].Snapshot(); err != nil {
		t.Fatal(err)
	}
	c.stop(follower)
	c.start(follower)
	// Its origin registers, with an entry of its own. What it reads before is
	// what the snapshot holds.
	n := c.nodes[follower]
	if got := n.AppliedIndex(); got == 0 {
		t.Error("the snapshot's index is not known to be applied")
	}
	if got := read(t, n, "GET a"); got != "$1\r\n1\r\n" {
		t.Error(got)
	}
}

func TestFollowerFarBehindCatchesUpBySnapshot(t *testing.T) {
	c := newTrioWith(t, func(o *Options) { o.LogKeepBytes = 1 })
	lead := c.leader()
	cl := newClient()
	cl.do(t, c.nodes[lead], "SET k0 0")
	behind := (lead + 1) % 3
	c.stop(behind)
	for k := range 200 {
		if got := cl.do(t, c.nodes[lead], fmt.Sprintf("SET k%d %d", k, k)); got != "+OK" {
			t.Fatal(got)
		}
	}
	for _, up := range []int{lead, (lead + 2) % 3} { // whoever leads by then
		if got := read(t, c.nodes[up], "GET k199"); got != "$3\r\n199\r\n" {
			t.Fatalf("got %q", got)
		}
		if err := c.nodes[up].Snapshot(); err != nil {
			t.Fatal(err)
		}
		if first, _ := c.nodes[up].store.log.FirstIndex(); first < 100 {
			t.Fatalf("the log of node %d still begins at %d", up, first)
		}
	}
	c.start(behind)
	n := c.nodes[behind]
	if got := read(t, n, "GET k199"); got != "$3\r\n199\r\n" {
		t.Errorf("got %q", got)
	}
	if got := newClient().do(t, n, "INCR k199"); got != ":200" {
		t.Errorf("write through it: %s", got)
	}
	// It has a log that begins behind the snapshot, and survives a restart.
	if first, _ := n.store.log.FirstIndex(); first < 100 {
		t.Errorf("its log begins at %d: entries that the snapshot overtook are left", first)
	}
	c.stop(behind)
	c.start(behind)
	eventually(t, "read after the restart", func() bool {
		return read(t, c.nodes[behind], "GET k199") == "$3\r\n200\r\n"
	})
}
