package cluster

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/cluster/raftlog/faultfs"
	"github.com/quorate/quorate/fsm"
)

// Only a leader's commands go ahead of their fsync: raft acts on configurations
// by itself, and a follower's word counts for its leader.
func TestOnlyALeadersCommandsGoAhead(t *testing.T) {
	leads := false
	next := uint64(1)
	f := func(name string, leading, ahead bool, types ...raft.LogType) {
		t.Helper()
		own, err := raftlog.Open("log", raftlog.Options{FS: faultfs.New(), SegmentBytes: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		defer own.Close()
		leads = leading
		log := aheadLog{Store: own, leads: func() bool { return leads }}
		var logs []*raft.Log
		for _, typ := range types {
			logs = append(logs, &raft.Log{Index: next, Term: 1, Type: typ})
			next++
		}
		before := own.Stats().Fsyncs
		if err := log.StoreLogs(logs); err != nil {
			t.Fatal(err)
		}
		// StoreLogs has fsynced when it returns. AppendLogs leaves that to others,
		// who may be quick: only the one direction can be told from outside.
		if synced := own.Stats().Fsyncs > before && own.DurableIndex() == next-1; !ahead && !synced {
			t.Errorf("%s: not durable when StoreLogs returned", name)
		}
		if err := own.WaitDurable(next - 1); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 20 {
		f("a follower's commands", false, false, raft.LogCommand, raft.LogCommand)
		f("a leader's first entry", true, false, raft.LogNoop)
		f("a configuration among commands", true, false, raft.LogCommand, raft.LogConfiguration)
		f("a leader's commands", true, true, raft.LogCommand)
	}
}

// An entry that is committed and can't be made durable here is not applied, nor
// is any after it: its client would be told OK.
func TestNothingIsAppliedBeforeItIsDurable(t *testing.T) {
	failed := errors.New("EIO")
	var asked []uint64
	var fatal []error
	var answer error
	applied := uint64(0)
	machine := &durableFSM{
		FSM:   fsm.New(fsm.Options{Engine: newEngine(), Applied: func(index uint64) { applied = index }}),
		wait:  func(index uint64) error { asked = append(asked, index); return answer },
		fatal: func(err error) { fatal = append(fatal, err) },
	}
	noops := func(indexes ...uint64) (logs []*raft.Log) {
		for _, i := range indexes {
			logs = append(logs, &raft.Log{Index: i, Type: raft.LogNoop})
		}
		return logs
	}
	if n := len(machine.ApplyBatch(noops(1, 2))); n != 2 || applied != 2 || asked[0] != 2 {
		t.Fatalf("%d answers, applied %d after asking for %d", n, applied, asked)
	}
	if snapshot, err := machine.Snapshot(); err != nil {
		t.Error(err)
	} else {
		snapshot.Release()
	}
	answer = failed
	if n := len(machine.ApplyBatch(noops(3, 4, 5))); n != 3 || applied != 2 {
		t.Errorf("%d answers, applied %d although not durable", n, applied)
	}
	answer = nil
	machine.Apply(noops(6)[0])
	if applied != 2 {
		t.Errorf("applied %d over a gap", applied)
	}
	if _, err := machine.Snapshot(); err == nil {
		t.Error("a snapshot of a state that lacks an entry")
	}
	if len(fatal) != 1 || !errors.Is(fatal[0], failed) {
		t.Errorf("fatal: %v", fatal)
	}
}

// While a leader's disk takes its time over a write, its reads and those of the
// others go on: what is not durable has been acknowledged to nobody.
func TestReadsDoNotWaitForTheLeadersDisk(t *testing.T) {
	disks := make(map[string]*hungDisk)
	c := newTrioWith(t, func(o *Options) {
		disks[o.Dir] = new(hungDisk)
		o.Host.FS, o.Sync = disks[o.Dir], raftlog.Always
	})
	lead := c.leader()
	n, other := c.nodes[lead], c.nodes[(lead+1)%3]
	cl := newClient()
	if got := cl.do(t, other, "INCR a"); got != ":1" {
		t.Fatal(got)
	}
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	disks[c.options[lead].Dir].held.Store(&release)
	answer := make(chan string, 1)
	go func() { answer <- cl.do(t, other, "INCR a") }()
	eventually(t, "the followers have the write", func() bool { return n.raft.CommitIndex() > n.store.own.DurableIndex() })
	began := time.Now()
	for _, node := range []*Node{n, other} {
		if got := read(t, node, "GET a"); !strings.HasSuffix(got, "1\r\n") {
			t.Errorf("a read while the disk hangs: %q", got)
		}
	}
	if took := time.Since(began); took >= readWait {
		t.Errorf("the reads took %v", took)
	}
	if len(answer) > 0 {
		t.Errorf("answered %s before it is durable", <-answer)
	}
	disks[c.options[lead].Dir].held.Store(nil)
	free()
	if got := <-answer; got != ":2" {
		t.Errorf("the write: %s", got)
	}
}
