package cluster

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/cluster/raftlog"
)

// A node of a lost cluster becomes a cluster of one that has all it had, with
// the same id; and again, from the snapshot that the first recovery made.
func TestRecover(t *testing.T) {
	for _, log := range []string{"own", "boltdb"} {
		t.Run(log, func(t *testing.T) {
			o := testNode(t, filepath.Join(t.TempDir(), "n"), freeAddr(t), nil, 0)
			o.LogStore = log
			id, clusterID := "", ""
			for round := range 3 {
				o.Engine = newEngine()
				n, err := Open(o)
				if err != nil {
					t.Fatal(err)
				}
				eventually(t, "the cluster is ready", func() bool { return n.readyTerm.Load() != 0 })
				if round == 0 {
					id, clusterID = n.ID(), n.ClusterID()
				} else if n.ID() != id || n.ClusterID() != clusterID {
					t.Errorf("recovered as node %s of %s, want %s of %s", n.ID(), n.ClusterID(), id, clusterID)
				}
				if got, want := newClient().do(t, n, "INCR n"), fmt.Sprintf(":%d", 2*round+1); got != want {
					t.Fatalf("INCR in round %d: %s, want %s", round, got, want)
				}
				if round == 1 {
					if err := n.Snapshot(); err != nil {
						t.Fatal(err)
					}
				}
				if got, want := newClient().do(t, n, "INCR n"), fmt.Sprintf(":%d", 2*round+2); got != want {
					t.Fatalf("INCR in round %d: %s, want %s", round, got, want)
				}
				if _, err := Inspect(o); !errors.Is(err, raftlog.ErrLocked) {
					t.Errorf("a node that runs is inspected: %v", err)
				}
				if err := n.halt(); err != nil {
					t.Fatal(err)
				}
				before, err := Inspect(o)
				if err != nil {
					t.Fatal(err)
				}
				if before.ID != id || before.ClusterID != clusterID || before.LastIndex == 0 || before.Term < before.LastTerm || len(before.Members) != 1 {
					t.Errorf("inspected: %+v", before)
				}
				o.Engine = newEngine()
				if _, err := Recover(o, strings.Repeat("0", 40)); err == nil {
					t.Error("recovered under another node's id")
				}
				o.Engine = newEngine()
				if _, err := Recover(o, id); err != nil {
					t.Fatal(err)
				}
				after, err := Inspect(o)
				if err != nil {
					t.Fatal(err)
				}
				if after.LastIndex != before.LastIndex || after.Snapshot != before.LastIndex || after.Term < before.Term+recoveryTerms {
					t.Errorf("before %+v, after %+v", before, after)
				}
			}
		})
	}
}

func TestRecoverRefuses(t *testing.T) {
	dir := t.TempDir()
	o := testNode(t, dir, freeAddr(t), nil, 0)
	if _, err := Inspect(o); err == nil || !strings.Contains(err.Error(), "no node's data directory") {
		t.Errorf("an empty directory: %v", err)
	}
	o.Memory = true
	if _, err := Inspect(o); err == nil || !strings.Contains(err.Error(), "appendonly no") {
		t.Errorf("a node without a disk: %v", err)
	}
}
