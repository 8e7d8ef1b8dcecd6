package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
)

// Known faults of hashicorp/raft, met by a whole node of ours. What they do in
// plain raft, and those that the transport alone mends, are in package wire,
// raftbugs_test.go.

// dying returns a trio whose node i, when it wants to end its process, is told
// apart from the others: its ways to them are closed, as the system does, and
// the reason is sent.
func dying(t *testing.T, with func(*Options)) (*trio, func(i int) chan error) {
	t.Helper()
	var mu sync.Mutex
	watched := make(map[string]chan error) // by directory
	c := newTrioWith(t, func(o *Options) {
		// The faults take their course under one leader: on a busy machine the
		// tests' usual time-out changes it too often.
		o.HeartbeatTimeout, o.NoLeaderWait = 600*time.Millisecond, 10*time.Second
		with(o)
		dir, usual := o.Dir, o.Exit
		o.Exit = func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if ch := watched[dir]; ch == nil {
				usual(err)
			} else {
				select {
				case ch <- err:
				default: // the first counts
				}
			}
		}
	})
	return c, func(i int) chan error {
		mu.Lock()
		defer mu.Unlock()
		ch := make(chan error, 1)
		watched[c.options[i].Dir] = ch
		return ch
	}
}

// mustDie waits until the node wants to end, and cuts it off.
func mustDie(t *testing.T, n *Node, died chan error) error {
	t.Helper()
	select {
	case err := <-died:
		go n.transport.Close()
		go n.port.Close()
		return err
	case <-time.After(40 * time.Second):
		t.Fatal("the node goes on")
		return nil
	}
}

// Issue #697: a follower whose log contradicts the snapshot that the leader sends
// would be sent it again for ever (wire.TestRaft697PlainRaftInstallsForEver shows
// that). It ends, and the next start leaves the log out.
func TestRaft697ConflictEndsTheNode(t *testing.T) {
	c, watch := dying(t, func(o *Options) { o.LogKeepBytes = 1 })
	old := c.leader()
	cl := newClient()
	cl.do(t, c.nodes[old], "SET k 0")
	behind := old // it led, and is cut off with much that is never committed
	term := c.nodes[old].raft.CurrentTerm()
	c.stop(behind)
	log, err := raftlog.Open(filepath.Join(c.options[behind].Dir, dirLog), raftlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	last, _ := log.LastIndex()
	for k := range uint64(500) {
		if err := log.StoreLog(&raft.Log{Index: last + 1 + k, Term: term, Type: raft.LogCommand, Data: []byte("never committed")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}

	lead := c.leader()
	for k := range 100 {
		if got := cl.do(t, c.nodes[lead], fmt.Sprintf("SET k %d", k)); got != "+OK" {
			t.Fatal(got)
		}
	}
	for _, n := range c.nodes {
		if n == nil {
			continue
		}
		if err := n.Snapshot(); err != nil {
			t.Fatal(err)
		}
	}
	// The new leader begins with the end of its own log. The present one may have
	// a message with the first of the entries in its hand.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.nodes[lead].Transfer(ctx, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another one leads", func() bool { return c.leader() != lead })
	died := watch(behind)
	c.start(behind)
	if err := mustDie(t, c.nodes[behind], died); !errors.Is(err, errLogConflict) {
		t.Fatalf("it ends with %v", err)
	}
	c.stop(behind)
	c.start(behind)
	eventually(t, "it follows", func() bool { return read(t, c.nodes[behind], "GET k") == "$2\r\n99\r\n" })
	if got := newClient().do(t, c.nodes[behind], "INCR k"); got != ":100" {
		t.Errorf("write through it: %s", got)
	}
}

// hungDisk is a disk whose fsyncs of the log hang while it is held.
type hungDisk struct {
	raftlog.Disk
	held atomic.Pointer[chan struct{}]
}

type hungFile struct {
	raftlog.File
	disk *hungDisk
}

func (d *hungDisk) OpenFile(name string, flag int, perm fs.FileMode) (raftlog.File, error) {
	f, err := d.Disk.OpenFile(name, flag, perm)
	if err != nil || filepath.Base(filepath.Dir(name)) != dirLog {
		return f, err
	}
	return hungFile{f, d}, nil
}

func (f hungFile) Sync() error {
	if held := f.disk.held.Load(); held != nil {
		<-*held
	}
	return f.File.Sync()
}

// Issue #503: a leader whose disk hangs neither commits nor steps down: raft's
// heartbeats go on beside it. So the process ends, and another one leads.
func TestRaft503HungDiskEndsTheLeader(t *testing.T) {
	disks := make(map[string]*hungDisk)
	const patience = 2 * time.Second
	c, watch := dying(t, func(o *Options) {
		disks[o.Dir] = new(hungDisk)
		o.Host.FS, o.Sync, o.storeHang = disks[o.Dir], raftlog.Always, patience
	})
	lead := c.leader()
	n, other := c.nodes[lead], c.nodes[(lead+1)%3]
	cl := newClient()
	if got := cl.do(t, other, "INCR a"); got != ":1" {
		t.Fatal(got)
	}
	elections := other.counters.elections.Load() + c.nodes[(lead+2)%3].counters.elections.Load()
	died := watch(lead)
	release := make(chan struct{})
	t.Cleanup(func() { c.stop(lead) })
	t.Cleanup(func() { close(release) }) // before the stop
	disks[c.options[lead].Dir].held.Store(&release)
	began := time.Now()
	answer := make(chan string, 1)
	go func() { answer <- cl.do(t, other, "INCR a") }()
	err := mustDie(t, n, died)
	if took := time.Since(began); !strings.Contains(err.Error(), "has not answered") || took < patience {
		t.Errorf("after %v it ends with %v", took, err)
	}
	// A dozen heartbeat timeouts have passed: by itself raft had not moved.
	if now := other.counters.elections.Load() + c.nodes[(lead+2)%3].counters.elections.Load(); now != elections {
		t.Log("another node led before the process ended: raft has mended it")
	}
	if got := <-answer; got != ":2" {
		t.Errorf("the write that met the hung disk: %s", got)
	}
	if got := newClient().do(t, other, "INCR a"); got != ":3" {
		t.Errorf("the next: %s", got)
	}
}

// Issue #522: a leader that can't read its own snapshot never steps down, and a
// follower that needs it waits for ever. The process ends.
func TestRaft522UnreadableSnapshotEndsTheLeader(t *testing.T) {
	c, watch := dying(t, func(o *Options) { o.LogKeepBytes = 1 })
	lead := c.leader()
	cl := newClient()
	cl.do(t, c.nodes[lead], "SET k 0")
	behind := (lead + 1) % 3
	c.stop(behind)
	// More than the leader may have in a message for the one that is away: that
	// one would need no snapshot.
	for k := range 200 {
		if got := cl.do(t, c.nodes[lead], fmt.Sprintf("SET k %d", k)); got != "+OK" {
			t.Fatal(got)
		}
	}
	if err := c.nodes[lead].Snapshot(); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(c.options[lead].Dir, dirSnaps, "*.rdb"))
	if err != nil || len(names) != 1 {
		t.Fatalf("snapshots %q, %v", names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(names[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
	died := watch(lead)
	c.start(behind)
	if err := mustDie(t, c.nodes[lead], died); !strings.Contains(err.Error(), "corrupt snapshot") {
		t.Errorf("it ends with %v", err)
	}
	eventually(t, "the one that was behind follows another", func() bool {
		got, err := tryRead(t, c.nodes[behind], "GET k") // their leader may have gone at this very moment
		return err == nil && got == "$3\r\n199\r\n"
	})
}

// The fsync of an entry fails: the node ends, and the write is confirmed by the
// others or not at all.
func TestFailedFsyncEndsTheLeader(t *testing.T) {
	disks := make(map[string]*brokenDisk)
	c, watch := dying(t, func(o *Options) {
		disks[o.Dir] = new(brokenDisk)
		o.Host.FS, o.Sync = disks[o.Dir], raftlog.Always
	})
	lead := c.leader()
	other := c.nodes[(lead+1)%3]
	cl := newClient()
	if got := cl.do(t, other, "INCR a"); got != ":1" {
		t.Fatal(got)
	}
	died := watch(lead)
	disks[c.options[lead].Dir].broken.Store(true)
	answer := make(chan string, 1)
	go func() { answer <- cl.do(t, other, "INCR a") }()
	if err := mustDie(t, c.nodes[lead], died); !errors.Is(err, syscall.EIO) {
		t.Errorf("it ends with %v", err)
	}
	if got := <-answer; got != ":2" {
		t.Errorf("the write that met the broken disk: %s", got)
	}
}

// brokenDisk is a disk whose fsyncs of the log fail.
type brokenDisk struct {
	raftlog.Disk
	broken atomic.Bool
}

type brokenFile struct {
	raftlog.File
	disk *brokenDisk
}

func (d *brokenDisk) OpenFile(name string, flag int, perm fs.FileMode) (raftlog.File, error) {
	f, err := d.Disk.OpenFile(name, flag, perm)
	if err != nil || filepath.Base(filepath.Dir(name)) != dirLog {
		return f, err
	}
	return brokenFile{f, d}, nil
}

func (f brokenFile) Sync() error {
	if f.disk.broken.Load() {
		return &fs.PathError{Op: "fdatasync", Path: "log", Err: syscall.EIO}
	}
	return f.File.Sync()
}

// countingLog notes the most entries that were stored at once.
type countingLog struct {
	raft.LogStore
	most *atomic.Int64
}

func (l countingLog) StoreLogs(logs []*raft.Log) error {
	for {
		most := l.most.Load()
		if int64(len(logs)) <= most || l.most.CompareAndSwap(most, int64(len(logs))) {
			return l.LogStore.StoreLogs(logs)
		}
	}
}

// Off by one: of MaxAppendEntries+1 entries that come at once raft leaves one
// behind (wire.TestRaftOneEntryTooManyWaits). However many clients write, there are
// never so many: one entry holds all that is pending.
func TestRaftEntriesAreFewAtATime(t *testing.T) {
	var most atomic.Int64
	c := newTrioWith(t, func(o *Options) {
		o.Host.WrapLog = func(log raft.LogStore) raft.LogStore { return countingLog{log, &most} }
	})
	c.leader()
	var wg sync.WaitGroup
	for k := range 150 {
		wg.Go(func() {
			cl := newClient()
			for range 5 {
				if got := cl.do(t, c.nodes[k%3], "INCR a"); !strings.HasPrefix(got, ":") {
					t.Errorf("answer %s", got)
				}
			}
		})
	}
	wg.Wait()
	limit := int64(c.nodes[0].raftConfig().MaxAppendEntries)
	if n := most.Load(); n == 0 || n >= limit/4 {
		t.Errorf("%d entries were stored at once, raft sends %d", n, limit)
	}
}

// A node that starts with state gives no vote for a HeartbeatTimeout: it may have
// promised its leader otherwise (wire.TestRaftPlainVotesRightAfterAStart).
func TestRaftNoVoteRightAfterAStart(t *testing.T) {
	c := newTrioWith(t, func(o *Options) { o.HeartbeatTimeout = time.Second })
	lead := c.leader()
	newClient().do(t, c.nodes[lead], "SET a 1")
	asked, asker := (lead+1)%3, c.nodes[(lead+2)%3]
	c.stop(asked)
	c.start(asked)
	began := time.Now()
	n := c.nodes[asked]
	var resp raft.RequestVoteResponse
	err := asker.transport.RequestVote(n.id(), raft.ServerAddress(c.options[asked].Bind), &raft.RequestVoteRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte(asker.ID()), Addr: asker.transport.EncodePeer(asker.id(), asker.transport.LocalAddr())},
		Term:      asker.raft.CurrentTerm() + 5, LastLogIndex: 1 << 40, LastLogTerm: 1 << 40,
	}, &resp)
	if time.Since(began) > 900*time.Millisecond {
		t.Skip("this machine is too slow to ask in time")
	}
	if err == nil || resp.Granted {
		t.Errorf("it voted %v after its start: %+v", time.Since(began), resp)
	}
	if n.transport.Stats().VotesDelayed == 0 {
		t.Errorf("the request was refused for another reason: %v", err)
	}
}
