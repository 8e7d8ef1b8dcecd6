package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
)

func TestDiskGuardHasTwoMarks(t *testing.T) {
	var free uint64
	d := diskGuard{free: func() (uint64, error) { return free, nil }, low: 800}
	for _, c := range []struct {
		free          uint64
		full, changed bool
	}{{801, false, false}, {800, false, false}, {799, true, true}, {700, true, false}, {899, true, false}, {900, false, true}, {801, false, false}, {0, true, true}} {
		free = c.free
		changed, _, err := d.look()
		if err != nil || changed != c.changed || d.full.Load() != c.full {
			t.Errorf("%d free: full %v, changed %v, %v", c.free, d.full.Load(), changed, err)
		}
	}
	d.free = func() (uint64, error) { return 0, errors.New("gone") }
	if changed, _, err := d.look(); changed || err == nil {
		t.Errorf("unknown: changed %v, %v", changed, err)
	}
}

// A disk is slow after some slow fsyncs in a row, or while one hangs, until there
// is a quick one.
func TestPace(t *testing.T) {
	const slow, quick = slowFsync, slowFsync / 10
	var p pace
	fsyncs := uint64(0)
	look := func(what string, more uint64, last, inProgress time.Duration, want bool) {
		t.Helper()
		fsyncs += more
		if got := p.look(fsyncs, last, inProgress); got != want {
			t.Errorf("%s: slow is %v", what, got)
		}
	}
	for range slowLooks - 1 {
		look("a few slow ones", 1, slow, 0, false)
	}
	look("a quick one between", 1, quick, 0, false)
	for range slowLooks - 1 {
		look("a few slow ones again", 2, slow, 0, false)
	}
	for range 10 {
		look("no news", 0, slow, 0, false)
	}
	look("one more", 1, slow, 0, true)
	look("no news is no better", 0, slow, 0, true)
	look("one hangs", 0, quick, slow, true)
	look("quick again", 1, quick, 0, false)
	for range slowLooks - 1 {
		look("one hangs for a while", 0, quick, slow, false)
	}
	look("and longer", 0, quick, slow, true)
}

// slowDisk is a disk whose fsyncs of the log take their time while it is slow.
type slowDisk struct {
	raftlog.Disk
	slow atomic.Bool
}

type slowLogFile struct {
	raftlog.File
	disk *slowDisk
}

func (d *slowDisk) OpenFile(name string, flag int, perm fs.FileMode) (raftlog.File, error) {
	f, err := d.Disk.OpenFile(name, flag, perm)
	if err != nil || filepath.Base(filepath.Dir(name)) != dirLog {
		return f, err
	}
	return slowLogFile{f, d}, nil
}

func (f slowLogFile) Sync() error {
	if f.disk.slow.Load() {
		time.Sleep(3 * slowFsync) // what the disk does
	}
	return f.File.Sync()
}

// A leader whose disk is slow hands over to one whose disk is not, and does not
// lead as long as it is slow.
func TestLeaderWithASlowDiskHandsOver(t *testing.T) {
	disks := make(map[string]*slowDisk) // by directory
	c := newTrioWith(t, func(o *Options) {
		disks[o.Dir] = new(slowDisk)
		o.Host.FS, o.Sync, o.HeartbeatTimeout = disks[o.Dir], raftlog.Always, 600*time.Millisecond
	})
	lead := c.leader()
	n := c.nodes[lead]
	disk := disks[c.options[lead].Dir]
	disk.slow.Store(true)
	cl := newClient()
	eventually(t, "another one leads", func() bool {
		if got := cl.do(t, n, "INCR a"); !strings.HasPrefix(got, ":") {
			t.Fatal(got)
		}
		return n.readyTerm.Load() == 0 && c.leader() != lead
	})
	if !n.disk.slow.Load() {
		t.Error("it was not for the disk")
	}
	disk.slow.Store(false)
	eventually(t, "the disk is known to be quick", func() bool {
		if got := cl.do(t, n, "INCR a"); !strings.HasPrefix(got, ":") {
			t.Fatal(got)
		}
		return !n.disk.slow.Load()
	})
}

// A leader without room refuses writes, serves reads, and hands over; with room
// it takes writes again.
func TestNodeWithoutRoom(t *testing.T) {
	free := make(map[string]*atomic.Uint64) // by directory
	c := newTrioWith(t, func(o *Options) {
		room := new(atomic.Uint64)
		room.Store(100)
		free[o.Dir] = room
		o.DiskLowWater = 50
		o.freeBytes = func() (uint64, error) { return room.Load(), nil }
	})
	lead := c.leader()
	n := c.nodes[lead]
	cl := newClient()
	if got := cl.do(t, n, "SET a 1"); got != "+OK" {
		t.Fatal(got)
	}
	room := free[c.options[lead].Dir]
	room.Store(49)
	eventually(t, "writes are refused", func() bool {
		return strings.HasPrefix(cl.do(t, n, "SET a 1"), "-MISCONF ")
	})
	eventually(t, "another one leads", func() bool { return n.readyTerm.Load() == 0 && c.leader() != lead })
	// In a mixed pipeline the reads are served, each answer at its place.
	n.Submit(&fsm.Request{Conn: cl, Ops: []fsm.Op{
		{Kind: fsm.OpWrite, Args: words("SET a 3")},
		{Kind: fsm.OpRead, Args: words("GET a")},
		{Kind: fsm.OpLocal, Local: func(out *reply.Writer) { out.Status("HERE") }},
	}})
	var got []string
	for range 3 {
		got = append(got, <-cl.answers)
	}
	if !strings.HasPrefix(got[0], "-MISCONF ") || got[1] != "$1\r\n1" || got[2] != "+HERE" {
		t.Errorf("got %q", got)
	}
	if got := newClient().do(t, c.nodes[c.leader()], "SET a 4"); got != "+OK" {
		t.Errorf("through another node: %s", got)
	}
	if got := read(t, n, "GET a"); got != "$1\r\n4\r\n" {
		t.Errorf("read: %q", got)
	}
	room.Store(100)
	eventually(t, "writes are taken", func() bool { return cl.do(t, n, "SET a 5") == "+OK" })
}

// fullLog is a log without room while full is set.
type fullLog struct {
	raft.LogStore
	full atomic.Bool
}

func (l *fullLog) StoreLogs(logs []*raft.Log) error {
	if l.full.Load() {
		return fmt.Errorf("%w: in a test", raftlog.ErrNoSpace)
	}
	return l.LogStore.StoreLogs(logs)
}

func (l *fullLog) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

// A disk that is full all the same makes the leader step down: nothing is
// acknowledged that is not stored by a majority, and nothing is lost or doubled.
func TestLeaderWithoutSpaceStepsDown(t *testing.T) {
	c := newTrioWith(t, func(o *Options) {
		o.Host.WrapLog = func(inner raft.LogStore) raft.LogStore { return &fullLog{LogStore: inner} }
	})
	lead := c.leader()
	n := c.nodes[lead]
	cl := newClient()
	if got := cl.do(t, n, "INCR a"); got != ":1" {
		t.Fatal(got)
	}
	n.store.log.(*fullLog).full.Store(true)
	if got := cl.do(t, c.nodes[(lead+1)%3], "INCR a"); got != ":2" {
		t.Errorf("write through another node: %s", got)
	}
	if next := c.leader(); next == lead {
		t.Error("it still leads")
	}
	before := n.counters.elections.Load()
	for k := range 20 {
		if got, want := cl.do(t, c.nodes[(lead+1)%3], "INCR a"), fmt.Sprintf(":%d", 3+k); got != want {
			t.Errorf("write %d: %s", k, got)
		}
	}
	if again := n.counters.elections.Load() - before; again > 0 {
		t.Errorf("it was elected %d times again", again)
	}
	n.store.log.(*fullLog).full.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := n.Barrier(ctx); err != nil {
		t.Errorf("with room again it reads: %v", err)
	}
}
