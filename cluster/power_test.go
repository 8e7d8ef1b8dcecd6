package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/cluster/raftlog/faultfs"
	"github.com/quorate/quorate/fsm/entry"
)

// fileStore is a stable store in one file of the fault file system, written anew
// at each change: bbolt, which wants a real file, has a test of its own.
type fileStore struct {
	host   *Host
	path   string
	values map[string][]byte
}

func openFileStore(h *Host, path string) (StableStore, error) {
	s := &fileStore{h, path, make(map[string][]byte)}
	switch there, err := h.exists(path); {
	case err != nil:
		return nil, err
	case !there:
		return s, s.save()
	}
	text, err := h.readFile(path)
	if err != nil {
		return nil, err
	}
	return s, json.Unmarshal(text, &s.values)
}

func (s *fileStore) save() error {
	text, err := json.Marshal(s.values)
	if err != nil {
		return err
	}
	return s.host.writeDurably(s.path, text)
}

func (s *fileStore) Set(k, v []byte) error {
	s.values[string(k)] = slices.Clone(v)
	return s.save()
}
func (s *fileStore) Get(k []byte) ([]byte, error)       { return plainStable(s.values).Get(k) }
func (s *fileStore) SetUint64(k []byte, n uint64) error { return plainStable(s.values).SetUint64(k, n) }

func (s *fileStore) GetUint64(k []byte) (n uint64, e error) {
	return plainStable(s.values).GetUint64(k)
}
func (s *fileStore) Close() error { return nil }

// promise is what a node has promised by the returns of its stores, and what it
// was about to promise when its life ended.
type promise struct {
	id          entry.NodeID // zero: none yet
	incarnation uint64       // the largest under which something may have been sent
	term        uint64
	voted       string // in term, "" for none
	nextTerm    uint64 // about to be stored; term if none
	nextVoted   string // about to be stored, in nextTerm
	saved       uint64 // index of the newest snapshot; a newer one may be there
	taking      uint64 // index of one about to be completed
	log         []*raft.Log
	logs        [][]*raft.Log // what it may be instead, the newest last
}

// diskNode is a node as its disk sees it: storage, and what raft and Node do to it.
type diskNode struct {
	opts  Options
	store *storage
	promise
}

func quietOptions(fsys *faultfs.FS, policy raftlog.Policy) Options {
	o := Options{
		Dir: "srv/data", LogStore: "own", Sync: policy, SnapshotName: "dump.rdb", Log: slog.New(slog.DiscardHandler),
		Host: Host{FS: fsys, SegmentBytes: 4 << 10, InlineLog: true},
	}
	o.Host.complete()
	o.Host.OpenStable = func(path string) (StableStore, error) { return openFileStore(&o.Host, path) }
	return o
}

// open starts the node as Open does.
func (n *diskNode) open() (err error) {
	if n.store != nil {
		n.store.close()
	}
	if n.store, err = openStorage(&n.opts, func(error) {}); err != nil {
		return err
	}
	if err := mendAtStart(n.store.log, n.store.snaps, n.opts.Log); err != nil {
		return err
	}
	n.id = n.store.id
	incarnation, err := n.store.raiseIncarnation()
	if err != nil {
		return err
	}
	if incarnation <= n.incarnation {
		return fmt.Errorf("incarnation %d after %d", incarnation, n.incarnation)
	}
	n.incarnation = incarnation
	return n.store.noteLog()
}

// vote votes as raft does: the term first, then the vote.
func (n *diskNode) vote(term uint64, whom string) error {
	stable := n.store.stable
	n.nextTerm, n.nextVoted = term, ""
	if err := stable.SetUint64([]byte("CurrentTerm"), term); err != nil {
		return err
	}
	n.term, n.voted, n.nextVoted = term, "", whom
	if err := stable.SetUint64([]byte("LastVoteTerm"), term); err != nil {
		return err
	}
	if err := stable.Set([]byte("LastVoteCand"), []byte(whom)); err != nil {
		return err
	}
	n.voted = whom
	return nil
}

// may notes what the log is about to be.
func (n *diskNode) may(log []*raft.Log) { n.logs = append(n.logs, log) }

// settle notes that the log is the newest that it could be, and on the disk if
// synced.
func (n *diskNode) settle(synced bool) {
	n.log = n.logs[len(n.logs)-1]
	if synced {
		n.logs = [][]*raft.Log{n.log}
	}
}

// append stores count entries behind from, cutting what conflicts as raft does.
func (n *diskNode) append(from uint64, count, size int) error {
	log := slices.DeleteFunc(slices.Clone(n.log), func(l *raft.Log) bool { return l.Index >= from })
	if len(log) < len(n.log) {
		n.may(log)
		if err := n.store.log.DeleteRange(from, n.log[len(n.log)-1].Index); err != nil {
			return err
		}
		n.settle(true)
	}
	var logs []*raft.Log
	for k := range count {
		index := from + uint64(k)
		data := fmt.Appendf(nil, "%d-%d-%s", n.term, index, bytes.Repeat([]byte{'x'}, size))
		logs = append(logs, &raft.Log{Index: index, Term: n.term, Type: raft.LogCommand, Data: data})
		n.may(append(slices.Clone(log), logs...))
	}
	if err := n.store.log.StoreLogs(logs); err != nil {
		return err
	}
	n.settle(n.opts.Sync == raftlog.Always)
	return n.store.noteLog()
}

// snapshot takes a snapshot up to index, or takes in the leader's, and frees the
// log as raft does.
func (n *diskNode) snapshot(index, trailing uint64, installed bool) error {
	n.taking = max(index, n.saved)
	sink, err := n.store.snaps.Create(raft.SnapshotVersionMax, index, n.term, raft.Configuration{}, 1, nil)
	if err != nil {
		return err
	}
	if _, err := sink.Write(image(index, n.term)); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	if err := sink.Close(); err != nil {
		return err
	}
	n.saved = n.taking
	if installed { // see Node.restored
		if _, err := mendLog(n.store.log, n.store.snaps, n.opts.Log); err != nil {
			return err
		}
		n.may(slices.DeleteFunc(slices.Clone(n.log), func(l *raft.Log) bool { return l.Index <= index }))
		n.settle(false)
	}
	first, err := n.store.log.FirstIndex()
	if err != nil {
		return err
	}
	last, err := n.store.log.LastIndex()
	if err != nil || last <= trailing || min(index, last-trailing) < first {
		return err
	}
	if err := n.store.log.DeleteRange(first, min(index, last-trailing)); err != nil {
		return err
	}
	n.settle(true)
	return nil
}

func image(index, term uint64) []byte {
	return fmt.Appendf(nil, "REDIS0010 %d of term %d", index, term)
}

// diskWork is a life of a node, through all that changes its disk.
var diskWork = []func(*diskNode) error{
	(*diskNode).open,
	func(n *diskNode) error { return n.vote(1, "a") },
	func(n *diskNode) error { return n.append(1, 3, 10) },
	func(n *diskNode) error { return n.store.stable.Set(keyClusterID, []byte("cluster")) },
	func(n *diskNode) error { return n.append(4, 10, 300) },
	func(n *diskNode) error { return n.vote(2, "b") },
	func(n *diskNode) error { return n.append(10, 8, 300) }, // another leader's in the place of some
	func(n *diskNode) error { return n.snapshot(12, 3, false) },
	func(n *diskNode) error { return n.append(18, 10, 200) },
	(*diskNode).open,
	func(n *diskNode) error { return n.vote(4, "a") },
	func(n *diskNode) error { return n.append(28, 2, 5000) },
	func(n *diskNode) error { return n.snapshot(29, 2, false) },
	func(n *diskNode) error { return n.snapshot(29, 2, false) }, // the first to go is pruned
	func(n *diskNode) error { return n.vote(5, "c") },
	func(n *diskNode) error { return n.snapshot(60, 5, true) }, // it was far behind
	func(n *diskNode) error { return n.append(61, 6, 400) },
	(*diskNode).open,
	func(n *diskNode) error { return n.append(65, 9, 400) },
	func(n *diskNode) error { return n.snapshot(70, 1, false) },
	func(n *diskNode) error { return n.append(74, 1, 1) },
}

// TestPowerLossOfTheWholeNode takes the power away before each operation of a
// node's life on its disk, its first start included. What it finds then fits
// together and is nothing less than it had promised: id, incarnation, term and
// vote, a snapshot, and a log that reaches back to it.
func TestPowerLossOfTheWholeNode(t *testing.T) {
	rounds := faultfs.Rounds(t, 3)
	for _, policy := range []raftlog.Policy{raftlog.Always, raftlog.No} {
		t.Run(policy.String(), func(t *testing.T) {
			for at := 1; ; at++ {
				fsys := faultfs.New()
				fsys.StopAt(at)
				n := &diskNode{opts: quietOptions(fsys, policy)}
				n.logs = [][]*raft.Log{nil}
				var err error
				for _, step := range diskWork {
					if err = step(n); err != nil {
						break
					}
				}
				if err != nil && !crashed(fsys) {
					t.Fatalf("operation %d: %v", at, err)
				}
				if n.store != nil {
					n.store.close() // writes nothing where the power is gone
				}
				for seed := range rounds {
					r := rand.New(rand.NewPCG(seed, uint64(at)))
					if seed == 0 {
						r = nil
					}
					if err := n.promise.kept(fsys, policy, r); err != nil {
						t.Fatalf("power lost before operation %d, loss %d: %v", at, seed, err)
					}
				}
				if err == nil {
					t.Logf("%d operations", at-1)
					return
				}
			}
		})
	}
}

// crashed reports whether the power of fsys is gone. Errors do not always tell: a
// node that can't look at a file takes it for there.
func crashed(fsys *faultfs.FS) bool { return errors.Is(fsys.SyncDir("."), faultfs.ErrCrashed) }

// kept starts a node on what a loss of power leaves of fsys; before that it is
// started, and the power lost again, at a random place.
func (p promise) kept(fsys *faultfs.FS, policy raftlog.Policy, r *rand.Rand) error {
	fsys = fsys.Crash(r)
	if r != nil && r.IntN(2) == 0 {
		first := &diskNode{opts: quietOptions(fsys, policy), promise: p}
		fsys.StopAt(1 + r.IntN(30))
		err := first.open()
		if err != nil && !crashed(fsys) {
			return fmt.Errorf("first start: %w", err)
		}
		first.store.close()
		p.incarnation = first.incarnation
		fsys = fsys.Crash(r)
	}
	n := &diskNode{opts: quietOptions(fsys, policy), promise: p}
	if err := n.open(); err != nil {
		return err
	}
	defer n.store.close()
	if p.id != (entry.NodeID{}) && n.id != p.id {
		return fmt.Errorf("it is node %s, and was %s", n.id, p.id)
	}
	if err := p.votesKept(n.store); err != nil {
		return err
	}
	return p.logKept(n.store)
}

func (p *promise) votesKept(s *storage) error {
	term, err := s.stable.GetUint64([]byte("CurrentTerm"))
	if err != nil && !isNotFound(err) {
		return err
	}
	if term != p.term && term != p.nextTerm {
		return fmt.Errorf("term %d, it was %d or %d", term, p.term, p.nextTerm)
	}
	voteTerm, err := s.stable.GetUint64([]byte("LastVoteTerm"))
	if err != nil && !isNotFound(err) {
		return err
	}
	vote, err := s.stable.Get([]byte("LastVoteCand"))
	if err != nil && !isNotFound(err) {
		return err
	}
	if p.voted != "" && term == p.term && (voteTerm != term || string(vote) != p.voted) {
		return fmt.Errorf("the vote of term %d is for %q in %d, it was for %q", term, vote, voteTerm, p.voted)
	}
	return nil
}

func (p *promise) logKept(s *storage) error {
	metas, err := s.snaps.List()
	if err != nil {
		return err
	}
	var covered uint64
	if len(metas) > 0 {
		covered = metas[0].Index
		_, r, err := s.snaps.Open(metas[0].ID)
		if err != nil {
			return err
		}
		defer r.Close()
		if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, image(covered, metas[0].Term)) {
			return fmt.Errorf("snapshot %s holds %q, %v", metas[0].ID, b, err)
		}
	}
	if covered != p.saved && covered != p.taking {
		return fmt.Errorf("the newest snapshot is %d, it was %d or %d", covered, p.saved, p.taking)
	}
	problem := ""
	for _, log := range slices.Backward(p.logs) {
		why := differs(s.log, log, covered)
		if why == "" {
			return nil
		}
		if problem == "" {
			problem = why
		}
	}
	return errors.New(problem)
}

// differs says in what the stored log differs from log, of which the entries up
// to covered need not be there.
func differs(stored raft.LogStore, log []*raft.Log, covered uint64) string {
	first, _ := stored.FirstIndex()
	last, _ := stored.LastIndex()
	var want uint64
	if len(log) > 0 {
		want = log[len(log)-1].Index
	}
	switch {
	case last == 0 && want > covered:
		return fmt.Sprintf("the log is empty, the snapshot ends with %d; it went to %d", covered, want)
	case last == 0:
		return ""
	case first > covered+1:
		return fmt.Sprintf("entries %d to %d are missing", covered+1, first-1)
	case last != want:
		return fmt.Sprintf("the log ends with %d, it went to %d", last, want)
	}
	for _, l := range log {
		if l.Index < first {
			continue
		}
		var got raft.Log
		if err := stored.GetLog(l.Index, &got); err != nil || got.Term != l.Term || !bytes.Equal(got.Data, l.Data) {
			return fmt.Sprintf("entry %d is of term %d, %v; it was of term %d", l.Index, got.Term, err, l.Term)
		}
	}
	return ""
}
