package wire_test

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/wire"
	"github.com/quorate/quorate/cluster/wire/memnet"
)

// Known faults of hashicorp/raft, what they do in plain raft, and that they do not
// here. Those that need a whole node are in package cluster, raftbugs_test.go.
// Elsewhere in this package:
//
//   - VerifyLeader counts answers to what was sent before it was called:
//     TestStaleVerifyLeaderIsRefusedByStamps, which shows both.
//   - A TimeoutNow that comes late: TestDelayedTimeoutNowIsDropped,
//     TestTimeoutNowWaitsForTheTermToSettle; one of a stranger: TestImpostors.
//   - A commit index beyond what a message verifies: TestCommitIndexIsClampedOnArrival.

// plain is a cluster of raft as it comes, on its own transport in memory.
type plain struct {
	rafts  []*raft.Raft
	trans  []*raft.InmemTransport
	stores []*raft.InmemStore
	snaps  []raft.SnapshotStore
	fsms   []*plainFSM
}

// plainFSM counts what raft does to it.
type plainFSM struct {
	restores atomic.Int64
	often    chan struct{} // closed at the restoresMax-th restore
}

const restoresMax = 50

func (f *plainFSM) Apply(*raft.Log) any                 { return nil }
func (f *plainFSM) Snapshot() (raft.FSMSnapshot, error) { return image("x"), nil }
func (f *plainFSM) Restore(r io.ReadCloser) error {
	if f.restores.Add(1) == restoresMax {
		close(f.often)
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

// servers are those of plain clusters of three.
func servers() raft.Configuration {
	var c raft.Configuration
	for i := range 3 {
		c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(fmt.Sprint("n", i)), Address: raft.ServerAddress(fmt.Sprint("a", i))})
	}
	return c
}

// newPlain makes three nodes, with logs and snapshots as prepare leaves them, which
// start is to start.
func newPlain(prepare func(i int, s *raft.InmemStore, snaps raft.SnapshotStore, trans raft.Transport)) *plain {
	p := new(plain)
	for i, s := range servers().Servers {
		_, trans := raft.NewInmemTransportWithTimeout(s.Address, 500*time.Millisecond)
		p.trans = append(p.trans, trans)
		p.stores = append(p.stores, raft.NewInmemStore())
		p.snaps = append(p.snaps, raft.NewInmemSnapshotStore())
		p.fsms = append(p.fsms, &plainFSM{often: make(chan struct{})})
		prepare(i, p.stores[i], p.snaps[i], trans)
	}
	for _, a := range p.trans {
		for _, b := range p.trans {
			if a != b {
				a.Connect(b.LocalAddr(), b)
			}
		}
	}
	return p
}

func (p *plain) start(t *testing.T) {
	t.Helper()
	for i, s := range servers().Servers {
		c := raft.DefaultConfig()
		c.LocalID = s.ID
		c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = heartbeat, heartbeat, heartbeat
		c.CommitTimeout = 5 * time.Millisecond
		c.TrailingLogs = 0
		c.BatchApplyCh = true
		c.Logger = hclog.NewNullLogger()
		r, err := raft.NewRaft(c, p.fsms[i], p.stores[i], p.stores[i], p.snaps[i], p.trans[i])
		if err != nil {
			t.Fatal(err)
		}
		p.rafts = append(p.rafts, r)
	}
}

func (p *plain) stop() {
	for i, r := range p.rafts {
		r.Shutdown().Error()
		p.trans[i].Close()
	}
}

// leader polls for the leader: raft tells only the leader itself.
func (p *plain) leader(t *testing.T) int {
	t.Helper()
	for range 2000 {
		for i, r := range p.rafts {
			if r.State() == raft.Leader {
				return i
			}
		}
		time.Sleep(10 * time.Millisecond) // a poll, bounded; virtual time
	}
	t.Fatal("no leader")
	return -1
}

// fresh prepares the nodes of a new cluster.
func fresh(_ int, s *raft.InmemStore, _ raft.SnapshotStore, _ raft.Transport) {
	s.SetUint64([]byte("CurrentTerm"), 1)
	s.StoreLog(&raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(servers())})
}

// Issue #697: a follower whose log goes on behind an installed snapshot, with
// other entries than the leader's, keeps the end of its log in mind, refuses the
// leader's next entry and is sent the snapshot again, for ever. A node of ours ends
// and starts anew without that log: cluster.TestRaft697ConflictEndsTheNode.
func TestRaft697PlainRaftInstallsForEver(t *testing.T) {
	p := newPlain(func(i int, s *raft.InmemStore, snaps raft.SnapshotStore, trans raft.Transport) {
		fresh(i, s, snaps, trans)
		if i == 0 { // it led term 1, and was cut off with much that was never committed
			for k := uint64(2); k <= 80; k++ {
				s.StoreLog(&raft.Log{Index: k, Term: 1, Type: raft.LogCommand})
			}
			return
		}
		s.SetUint64([]byte("CurrentTerm"), 2)
		s.DeleteRange(1, 1)
		sink, err := snaps.Create(raft.SnapshotVersionMax, 50, 2, servers(), 1, trans)
		if err == nil {
			_, err = sink.Write([]byte("x"))
		}
		if err := errors.Join(err, sink.Close()); err != nil {
			t.Fatal(err)
		}
	})
	p.start(t)
	defer p.stop()
	select {
	case <-p.fsms[0].often:
	case <-time.After(20 * time.Second):
		t.Errorf("%d restores: raft has mended it, and cluster/install.go may be simpler", p.fsms[0].restores.Load())
	}
}

// idle is a node that has nothing to say.
type idle struct{ raft.ConfigurationFuture }

func (idle) State() raft.RaftState                        { return raft.Follower }
func (idle) CurrentTerm() uint64                          { return 1 }
func (idle) CommitIndex() uint64                          { return 0 }
func (n idle) GetConfiguration() raft.ConfigurationFuture { return n }
func (idle) Error() error                                 { return nil }
func (idle) Configuration() raft.Configuration            { return servers() }

// Issue #695: raft's own network transport hands heartbeats to a function that
// runs beside the main goroutine, without a lock: a deposed leader's heartbeat can
// set the leader and the last contact of the term that deposed it. Ours hands them
// to the main goroutine as it does everything.
func TestRaft695HeartbeatsGoTheWayOfAllMessages(t *testing.T) {
	beat := func(trans raft.Transport, to raft.ServerAddress) error {
		var resp raft.AppendEntriesResponse
		addr := trans.EncodePeer("n0", trans.LocalAddr())
		return trans.AppendEntries("n1", to, &raft.AppendEntriesRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("n0"), Addr: addr}, Term: 1,
		}, &resp)
	}
	// where sends one heartbeat and tells which way it goes at the receiver.
	where := func(from, to raft.Transport) string {
		way := make(chan string, 2)
		to.SetHeartbeatHandler(func(rpc raft.RPC) {
			way <- "beside"
			rpc.Respond(&raft.AppendEntriesResponse{Term: 1, Success: true}, nil)
		})
		ended := make(chan struct{})
		go func() {
			select {
			case rpc := <-to.Consumer():
				way <- "through"
				rpc.Respond(&raft.AppendEntriesResponse{Term: 1, Success: true}, nil)
			case <-ended:
			}
		}()
		defer close(ended)
		if err := beat(from, to.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		return <-way
	}

	var tcp []*raft.NetworkTransport
	for range 2 {
		trans, err := raft.NewTCPTransportWithLogger("127.0.0.1:0", nil, 1, time.Second, hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		defer trans.Close()
		tcp = append(tcp, trans)
	}
	if got := where(tcp[0], tcp[1]); got != "beside" {
		t.Errorf("raft's own transport sends it %s: the scenario shows nothing", got)
	}

	net := memnet.New()
	var ours []*wire.Transport
	for i := range 2 {
		id := fmt.Sprint("n", i)
		w, err := wire.New(wire.Options{Streams: net.Node(id, id+":1"), LocalID: raft.ServerID(id), HeartbeatTimeout: heartbeat, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		w.Attach(idle{})
		ours = append(ours, w)
	}
	if got := where(ours[0], ours[1]); got != "through" {
		t.Errorf("ours sends it %s", got)
	}
}

// Off by one: a leader takes up to MaxAppendEntries+1 commands into its log at
// once, and sends MaxAppendEntries of them: the last one waits for the next
// command or for CommitTimeout. Here one entry holds all that is pending, and the
// next is made when it is committed: cluster.TestRaftEntriesAreFewAtATime.
func TestRaftOneEntryTooManyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlain(fresh)
		p.start(t)
		defer p.stop()
		l := p.rafts[p.leader(t)]
		time.Sleep(time.Second)
		worst := time.Duration(0)
		for range 20 {
			var took sync.Map
			var wg sync.WaitGroup
			began := time.Now()
			for k := range raft.DefaultConfig().MaxAppendEntries + 1 {
				f := l.Apply([]byte("x"), 0)
				wg.Go(func() {
					if err := f.Error(); err != nil {
						t.Error(err)
					}
					took.Store(k, time.Since(began))
				})
			}
			wg.Wait()
			took.Range(func(_, v any) bool {
				worst = max(worst, v.(time.Duration))
				return true
			})
			time.Sleep(100 * time.Millisecond)
		}
		// The network takes no time at all.
		if worst < 5*time.Millisecond {
			t.Errorf("the last of %d entries took %v: raft has mended it", raft.DefaultConfig().MaxAppendEntries+1, worst)
		}
	})
}

// A TimeoutNow of anybody, of any term, makes a plain raft start an election at
// once. Here the sender must be whom its connection proved, and the term the
// receiver's: TestImpostors, TestDelayedTimeoutNowIsDropped.
func TestRaftPlainTimeoutNowOfAStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlain(fresh)
		p.start(t)
		defer p.stop()
		lead := p.leader(t)
		time.Sleep(time.Second)
		term := p.rafts[lead].CurrentTerm()
		follower := (lead + 1) % 3
		_, stranger := raft.NewInmemTransport("stranger")
		stranger.Connect(p.trans[follower].LocalAddr(), p.trans[follower])
		var resp raft.TimeoutNowResponse
		err := stranger.TimeoutNow("", p.trans[follower].LocalAddr(), &raft.TimeoutNowRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("stranger"), Addr: []byte("stranger")},
		}, &resp)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if now := p.rafts[follower].CurrentTerm(); now == term {
			t.Error("raft did not listen to a stranger: it has mended it")
		}
		stranger.Close()
	})
}

// A plain raft that restarts gives its vote at once, though it may have promised
// its leader otherwise by an answer that it no longer remembers: with leases that
// would be a stale read. A node of ours waits a HeartbeatTimeout:
// TestVoteDelayAfterRestart, cluster.TestRaftNoVoteRightAfterAStart.
func TestRaftPlainVotesRightAfterAStart(t *testing.T) {
	p := newPlain(fresh)
	p.start(t)
	defer p.stop()
	_, asker := raft.NewInmemTransport("a9")
	defer asker.Close()
	asker.Connect(p.trans[0].LocalAddr(), p.trans[0])
	var resp raft.RequestVoteResponse
	err := asker.RequestVote("n0", p.trans[0].LocalAddr(), &raft.RequestVoteRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("n2"), Addr: []byte("a2")},
		Term:      100, LastLogIndex: 100, LastLogTerm: 99,
	}, &resp)
	if err != nil || !resp.Granted {
		t.Errorf("vote %+v, %v: raft has mended it", resp, err)
	}
}
