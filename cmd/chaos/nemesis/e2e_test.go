//go:build e2e

package nemesis

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	firstPort = flag.Int("first-port", 24000, "the first of a hundred ports")
	families  = flag.String("families", "", "faults or their groups, separated by commas; those that a test names if empty")
	rounds    = flag.Int("rounds", 1, "how often each fault comes")
	seed      = flag.Int64("seed", 0, "of the schedule; 0 takes the time")
	lasts     = flag.Duration("lasts", 3*time.Second, "how long a fault lasts")
	nodes     = flag.Int("nodes", 3, "nodes of the cluster")
	keep      = flag.String("keep", "", "a directory for data and logs that stay")
)

// testBinary finds or builds the quorate that is tested. It is one with the tag
// chaos: its clock can be set.
func testBinary(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("QUORATE_CHAOS_BIN"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "quorate")
	build := exec.Command("go", "build", "-tags", "chaos,invariants", "-o", path, "../../quorate")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// writer hands lines to the test's log.
type writer struct{ t *testing.T }

func (w writer) Write(p []byte) (int, error) {
	fmt.Print(string(p)) // as it happens: t.Log tells at the end
	return len(p), nil
}

// begun starts a cluster that is stopped when the test ends; the logs of one that
// failed are kept.
func begun(t *testing.T, o Options) *Cluster {
	t.Helper()
	o.Binary, o.FirstPort, o.Log = testBinary(t), *firstPort, writer{t}
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			keepLogs(t, o.Dir)
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// chosenSeed returns the seed that is asked for, or the time, and tells it.
func chosenSeed(t *testing.T) int64 {
	s := *seed
	if s == 0 {
		s = time.Now().UnixNano()
	}
	t.Logf("seed %d", s)
	return s
}

// suffer runs a cluster under load while each of the faults comes, and checks
// that nothing that was acknowledged is lost or done twice.
func suffer(t *testing.T, o Options, faults ...string) {
	t.Helper()
	o.Nodes, o.OtherBinary = *nodes, os.Getenv("QUORATE_OTHER_BIN")
	if o.Dir = *keep; o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Network == Namespaces {
		if err := needs("namespaces", "ip", "nft"); err != nil {
			t.Skip(err)
		}
	}
	if o.Disk != PlainDir {
		if d, err := newDisk(&o); err != nil {
			t.Skip(err)
		} else {
			_ = d.close()
		}
	}
	c := begun(t, o)
	s := Schedule{Families: faults, Every: time.Second, Lasts: *lasts, Seed: chosenSeed(t), Rounds: *rounds}
	if *families != "" {
		s.Families = strings.Split(*families, ",")
	}
	l := startLoad(c.Endpoints(), 3)
	if err := Run(context.Background(), c, s, nil); err != nil {
		t.Error(err)
	}
	l.end(t, c.Endpoints())
}

// keepLogs puts the nodes' logs where CI and people find them.
func keepLogs(t *testing.T, dir string) {
	to := filepath.Join("..", "..", "..", "bin", "e2e-logs")
	if os.MkdirAll(to, 0o755) != nil {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	for _, path := range logs {
		if text, err := os.ReadFile(path); err == nil {
			_ = os.WriteFile(filepath.Join(to, t.Name()+"-"+filepath.Base(path)), text, 0o644)
		}
	}
}

func TestProcesses(t *testing.T) { suffer(t, Options{}, "process") }
func TestMembers(t *testing.T)   { suffer(t, Options{}, "member") }
func TestNetwork(t *testing.T)   { suffer(t, Options{Network: Namespaces}, "network") }
func TestLinks(t *testing.T)     { suffer(t, Options{Network: Proxy}, "link") }
func TestDisks(t *testing.T)     { suffer(t, Options{Disk: Ext4}, "disk") }
func TestTmpfs(t *testing.T)     { suffer(t, Options{Disk: Tmpfs}, "disk/full") }
func TestClocks(t *testing.T)    { suffer(t, Options{}, "clock") }
