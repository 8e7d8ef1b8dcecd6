package rdbsnap

import (
	"encoding/binary"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
)

// sum is a state machine that adds up what is applied.
type sum struct {
	total    atomic.Uint64
	restores atomic.Int64
}

func (m *sum) Apply(l *raft.Log) any {
	return m.total.Add(binary.LittleEndian.Uint64(l.Data))
}

func (m *sum) Snapshot() (raft.FSMSnapshot, error) { return image(m.total.Load()), nil }

func (m *sum) Restore(r io.ReadCloser) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m.total.Store(binary.LittleEndian.Uint64(b[len(rdbMagic):]))
	m.restores.Add(1)
	return nil
}

type image uint64

func (i image) Persist(sink raft.SnapshotSink) error {
	_, err := sink.Write(binary.LittleEndian.AppendUint64([]byte("REDIS"), uint64(i)))
	return err
}

func (image) Release() {}

// node is a raft node on real files.
type node struct {
	raft  *raft.Raft
	fsm   *sum
	log   *raftlog.Store
	trans *raft.InmemTransport
	close func()
}

func startNode(t *testing.T, name, dir string) *node {
	t.Helper()
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(name)
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = 100*time.Millisecond, 100*time.Millisecond, 50*time.Millisecond
	conf.CommitTimeout = 2 * time.Millisecond
	conf.SnapshotInterval = time.Hour // only when the test says so
	conf.TrailingLogs = 2
	conf.Logger = hclog.NewNullLogger()
	log, err := raftlog.Open(filepath.Join(dir, "log"), raftlog.Options{SegmentBytes: 64 << 10})
	must(t, err)
	stable, err := raftlog.OpenBolt(filepath.Join(dir, "stable.db"))
	must(t, err)
	n := &node{fsm: new(sum), log: log}
	_, n.trans = raft.NewInmemTransport(raft.ServerAddress(name))
	n.raft, err = raft.NewRaft(conf, n.fsm, log, stable, mustNew(t, Options{FS: raftlog.Disk{}, Dir: dir}), n.trans)
	must(t, err)
	n.close = func() {
		must(t, n.raft.Shutdown().Error())
		must(t, n.trans.Close())
		must(t, log.Close())
		must(t, stable.Close())
	}
	return n
}

func (n *node) add(t *testing.T, v uint64) {
	t.Helper()
	must(t, n.raft.Apply(binary.LittleEndian.AppendUint64(nil, v), time.Minute).Error())
}

// wait polls until the total is want: raft tells nobody when a follower has applied.
func (n *node) wait(t *testing.T, want uint64) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for n.fsm.total.Load() != want {
		select {
		case <-deadline:
			t.Fatalf("total %d, want %d", n.fsm.total.Load(), want)
		case <-time.After(time.Millisecond):
		}
	}
}

// TestRaft lets raft use both stores: take a snapshot, compact, install it on a
// second node over a log gap, restart both.
func TestRaft(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	a := startNode(t, "a", dirs[0])
	must(t, a.raft.BootstrapCluster(raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "a"}}}).Error())
	<-a.raft.LeaderCh()
	for v := uint64(1); v <= 100; v++ {
		a.add(t, v)
	}
	must(t, a.raft.Snapshot().Error())
	if first, _ := a.log.FirstIndex(); first < 90 {
		t.Fatalf("the log begins at %d after the snapshot", first)
	}
	b := startNode(t, "b", dirs[1])
	connect := func() {
		a.trans.Connect("b", b.trans)
		b.trans.Connect("a", a.trans)
	}
	connect()
	must(t, a.raft.AddNonvoter("b", "b", 0, 0).Error())
	a.add(t, 1000)
	b.wait(t, 6050)
	if n := b.fsm.restores.Load(); n != 1 {
		t.Fatalf("%d restores, want 1", n)
	}
	a.close()
	b.close()

	a, b = startNode(t, "a", dirs[0]), startNode(t, "b", dirs[1])
	if n := b.fsm.restores.Load(); n != 1 {
		t.Errorf("%d restores at start, want 1", n)
	}
	connect()
	<-a.raft.LeaderCh()
	a.add(t, 10000)
	a.wait(t, 16050)
	b.wait(t, 16050)
	a.close()
	b.close()
}

// TestRedisReadsDump shows dump.rdb to Redis' own checker.
func TestRedisReadsDump(t *testing.T) {
	checker, err := exec.LookPath("redis-check-rdb")
	if err != nil {
		t.Skip("redis-check-rdb is not installed; CI has it")
	}
	dir := t.TempDir()
	s := mustNew(t, Options{FS: raftlog.Disk{}, Dir: dir})
	for _, value := range []string{"old", "new"} {
		mustSave(t, s, 1, fmt.Appendf(nil, "REDIS0010\xfe\x00\x00\x03key\x03%s\xff\x00\x00\x00\x00\x00\x00\x00\x00", value))
	}
	out, err := exec.Command(checker, filepath.Join(dir, "dump.rdb")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
