package cluster

import (
	"path/filepath"
	"testing"
	"time"
)

// single is a cluster of one node, in memory.
func single(t *testing.T) *Node {
	t.Helper()
	o := testNode(t, filepath.Join(t.TempDir(), "n"), freeAddr(t), nil, 0)
	o.Memory = true
	n, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Halt() })
	return n
}

// eventually polls until what holds, or fails.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("%s: not within 30 s", what)
}

// The genesis empties the databases: nothing that a client was told is done may
// come before it.
func TestWritesBeforeTheGenesisAreKept(t *testing.T) {
	for range 5 {
		n := single(t)
		if got := newClient().do(t, n, "SET a 1"); got != "+OK" {
			t.Fatal(got)
		}
		eventually(t, "cluster id", func() bool { return n.ClusterID() != "" && n.readyTerm.Load() != 0 })
		if got := read(t, n, "GET a"); got != "$1\r\n1\r\n" {
			t.Fatalf("acknowledged write: %q", got)
		}
	}
}

// A new cluster has its founder's settings as soon as it has its identity: they
// are in the same entry. Those that are not valid found no cluster without
// words, and keep none from being founded.
func TestSettingsOfTheFounder(t *testing.T) {
	for given, want := range map[string]string{"7": "7", "seven": "512"} {
		o := testNode(t, filepath.Join(t.TempDir(), "n"), freeAddr(t), nil, 0)
		o.Memory, o.Settings = true, words("set-max-intset-entries "+given)
		n, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.halt() })
		eventually(t, "cluster id", func() bool { return n.ClusterID() != "" && n.AppliedIndex() > 0 })
		if got, _ := o.Engine.Setting("set-max-intset-entries"); got != want {
			t.Errorf("given %s, the cluster begins with %s, want %s", given, got, want)
		}
	}
}
