package simulation

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster"
	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/cluster/raftlog/faultfs"
	"github.com/quorate/quorate/cluster/wire/memnet"
	"github.com/quorate/quorate/engine"
)

// Timing of the simulated nodes. The log is short, so that followers that were
// away need snapshots.
const (
	heartbeat     = 300 * time.Millisecond
	writeTimeout  = 4 * time.Second
	segmentBytes  = 32 << 10
	logKeepBytes  = 32 << 10
	snapshotBytes = 96 << 10
	dataDir       = "/data"
)

// machine is a place for a node: an address, a disk, and one process after the
// other.
type machine struct {
	world *world
	name  string
	addr  string

	mu   sync.Mutex
	disk *faultfs.FS // guarded by mu; of the newest process
	life *life       // guarded by mu; the newest process
	fuse int         // guarded by mu; file operations until the next process dies; 0 for never
	gate gate

	flipped flipped // guarded by mu
}

// flipped is a bit of a file that was flipped on a machine's disk.
type flipped struct {
	name   string
	at     int
	value  byte // of the byte since
	recent bool // the cluster has not been well since
}

// life is one process.
type life struct {
	machine *machine
	number  int
	disk    *faultfs.FS
	net     *memnet.Node
	engine  *engine.Engine
	id      string
	up      chan struct{} // closed when node is set
	log     raft.LogStore
	node    *cluster.Node
	dead    chan struct{}
	ended   chan struct{} // closed when its goroutines have gone

	once     sync.Once
	isDead   atomic.Bool
	byPower  bool         // set before dead is closed
	fuse     atomic.Int64 // file operations until it dies, 0 for no such plan
	fuseType atomic.Bool  // it dies of the power
	syncFail atomic.Bool  // the next fsync fails
	inbox    inbox
}

// start starts the next process on the machine's disk. It reports a node that
// refuses to start.
func (m *machine) start() error {
	w := m.world
	m.mu.Lock()
	if old := m.life; old != nil {
		if !old.isDead.Load() {
			m.mu.Unlock()
			return nil
		}
		old.net.Close() // the others learn by a reset that the old connections are gone
		if old.byPower && m.disk == old.disk {
			m.disk = old.disk.Crash(rand.New(rand.NewPCG(w.plan.seed, uint64(w.lives.Load())<<8)))
		} else if m.disk == old.disk {
			m.disk = old.disk.Kill()
		}
	}
	l := &life{
		machine: m, number: int(w.lives.Add(1)), disk: m.disk, net: w.net.Node(m.name, m.addr),
		up: make(chan struct{}), dead: make(chan struct{}), ended: make(chan struct{}),
	}
	l.disk.Fault = l.fault
	l.fuse.Store(int64(m.fuse))
	l.fuseType.Store(true)
	m.fuse = 0
	l.engine = engine.New(engine.Options{})
	m.life = l
	m.mu.Unlock()
	w.trace.add("start %s life %d", m.name, l.number)
	node, err := cluster.Open(l.options())
	if err != nil {
		l.die(false, "open: "+err.Error())
		close(l.ended)
		if errors.Is(err, faultfs.ErrCrashed) {
			return nil
		}
		return err
	}
	l.id = node.ID()
	l.node = node
	close(l.up)
	w.ends.Go(func() {
		<-l.dead
		node.Halt()
		close(l.ended)
	})
	return nil
}

// kill ends the machine's process.
func (m *machine) kill(why string) {
	m.mu.Lock()
	l := m.life
	m.mu.Unlock()
	if l != nil {
		l.die(false, why)
	}
}

// newDisk puts an empty disk into a machine whose process is dead: its next node
// is another one.
func (m *machine) newDisk() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disk = faultfs.New()
	m.flipped = flipped{}
}

// damaged reports whether a flipped bit may explain that a node refuses its disk,
// or ends itself: it was flipped just now, or stands there still, to be read one day.
func (m *machine) damaged() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.flipped
	if f.recent || f.name == "" {
		return f.recent
	}
	content := m.disk.Content(f.name)
	return f.at < len(content) && content[f.at] == f.value
}

// recovered tells that the cluster was well after the flip.
func (m *machine) recovered() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flipped.recent = false
}

// flip changes one bit on the disk of a machine whose process is dead.
func (m *machine) flip(r *rand.Rand) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disk = m.life.disk.Kill()
	names := m.disk.Names()
	name := names[r.IntN(len(names))]
	content := m.disk.Content(name)
	if len(content) == 0 {
		return name
	}
	at := r.IntN(len(content))
	content[at] ^= 1 << r.IntN(8)
	m.flipped = flipped{name: name, at: at, value: content[at], recent: true}
	m.disk.SetContent(name, content)
	return fmt.Sprintf("%s, byte %d of %d", name, at, len(content))
}

// alive returns the process that runs on the machine, nil if none does.
func (m *machine) alive() *life {
	m.mu.Lock()
	l := m.life
	m.mu.Unlock()
	if l == nil || l.isDead.Load() {
		return nil
	}
	select {
	case <-l.up:
		return l
	default:
		return nil
	}
}

func (l *life) options() cluster.Options {
	w := l.machine.world
	join := w.addrs()
	return cluster.Options{
		Dir: dataDir, LogStore: "own", Sync: raftlog.Always, SnapshotName: "dump.rdb", Name: "simulation",
		Bind: l.machine.addr, Join: join, BootstrapExpect: w.plan.nodes,
		LogKeepBytes: logKeepBytes, LogSnapshotBytes: snapshotBytes,
		HeartbeatTimeout: heartbeat, WriteTimeout: writeTimeout, ReadLease: true,
		Engine: l.engine, Receive: l.receive, Applied: l.applied,
		WatchInterest: func(func(cluster.Interest)) []cluster.Interest {
			return []cluster.Interest{{Name: channelName, Count: 1}}
		},
		Exit: l.exit, Log: slog.New(&logTap{life: l}),
		Host: cluster.Host{
			Network: network{l.net}, FS: l.files(), SegmentBytes: segmentBytes, Sleep: time.Sleep,
			WrapLog: func(log raft.LogStore) raft.LogStore { l.log = log; return mortalLog{log, l} },
			OpenStable: func(path string) (cluster.StableStore, error) {
				s, err := openStable(l.files(), path)
				if err != nil {
					return nil, err
				}
				return mortalStable{s, l}, nil
			},
		},
	}
}

// files is the disk as the process sees it.
func (l *life) files() cluster.FS { return l.machine.world.bug.files(l.disk) }

// fault is asked before each operation of the disk.
func (l *life) fault(o faultfs.Op) error {
	if o.Kind == faultfs.Read || l.isDead.Load() {
		return nil
	}
	if n := l.fuse.Load(); n > 0 && l.fuse.Add(-1) == 0 {
		l.die(l.fuseType.Load(), fmt.Sprintf("at %s of %s", o.Kind, o.Name))
		return faultfs.ErrCrashed
	}
	if o.Kind == faultfs.Sync && l.syncFail.CompareAndSwap(true, false) {
		l.machine.world.trace.add("%s: fsync of %s fails", l.machine.name, o.Name)
		return syscall.EIO
	}
	return nil
}

// exit is what the node calls when it can't be trusted any more: the process
// ends, and is started again soon.
func (l *life) exit(err error) {
	if l.isDead.Load() {
		return
	}
	l.machine.world.exited(l, err)
	l.die(false, "exit: "+err.Error())
}

// die ends the process at once: nothing that it does from now on is seen by
// anybody.
func (l *life) die(byPower bool, why string) {
	l.once.Do(func() {
		w := l.machine.world
		l.byPower = byPower
		l.isDead.Store(true)
		l.disk.StopAt(1)
		if byPower {
			l.net.Silence()
		} else {
			l.net.Close()
		}
		w.trace.add("death of %s life %d, power %v: %s", l.machine.name, l.number, byPower, why)
		close(l.dead)
	})
}

// mortalLog lets raft, which panics over a log that it can't read, go on after
// the process has died: nobody sees what it does.
type mortalLog struct {
	raft.LogStore
	life *life
}

func (s mortalLog) GetLog(index uint64, log *raft.Log) error {
	err := s.LogStore.GetLog(index, log)
	if err != nil && s.life.isDead.Load() {
		*log = raft.Log{Index: index, Type: raft.LogNoop}
		return nil
	}
	return err
}

func (s mortalLog) StoreLogs(logs []*raft.Log) error {
	s.life.machine.world.evictions.stored(logs)
	return s.LogStore.StoreLogs(logs)
}

// mortalStable ends the process where raft would panic.
type mortalStable struct {
	*stableFile
	life *life
}

func (s mortalStable) Set(key, value []byte) error {
	err := s.set(key, value, s.life.machine.world.bug.forgetful && raftsOwn(key))
	if err != nil && !s.life.isDead.Load() {
		s.life.die(false, "stable store: "+err.Error())
		s.life.machine.world.restartSoon(s.life.machine, time.Second)
	}
	return nil
}

func (s mortalStable) SetUint64(key []byte, n uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, n))
}

// raftsOwn reports whether a key is term or vote.
func raftsOwn(key []byte) bool { return !strings.HasPrefix(string(key), "quorate-") }

// gate holds back the clients of a machine that stands still.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // guarded by mu; nil while it is open
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		g.open = make(chan struct{})
	}
}

func (g *gate) lift() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open != nil {
		close(g.open)
		g.open = nil
	}
}

// pass waits until the gate is open.
func (g *gate) pass() {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	if open != nil {
		<-open
	}
}
