package fsm

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine/rdb/redistest"
	"github.com/quorate/quorate/fsm/entry"
)

// sink is a raft.SnapshotSink in memory, which fails after failAt bytes if that
// is not 0.
type sink struct {
	bytes.Buffer
	failAt            int
	closed, cancelled bool
}

var errSink = errors.New("disk full")

func (s *sink) Write(p []byte) (int, error) {
	if s.failAt > 0 && s.Len()+len(p) > s.failAt {
		return 0, errSink
	}
	return s.Buffer.Write(p)
}

func (s *sink) ID() string    { return "sink" }
func (s *sink) Close() error  { s.closed = true; return nil }
func (s *sink) Cancel() error { s.cancelled = true; return nil }

func (m *machine) snapshot() []byte {
	m.t.Helper()
	taken, err := m.fsm.Snapshot()
	if err != nil {
		m.t.Fatal(err)
	}
	defer taken.Release()
	var s sink
	if err := taken.Persist(&s); err != nil {
		m.t.Fatal(err)
	}
	if !s.closed || s.cancelled {
		m.t.Fatalf("the sink is closed: %v, cancelled: %v", s.closed, s.cancelled)
	}
	return s.Bytes()
}

func (m *machine) restore(file []byte) error {
	return m.fsm.Restore(io.NopCloser(bytes.NewReader(file)))
}

// begun is a machine whose cluster has its identity and some history.
func begun(t *testing.T) *machine {
	m := newMachine(t)
	var b entry.Builder
	b.Add(entry.PartGenesis, entry.AppendGenesis(nil, entry.Genesis{Seed: [2]uint64{1, 2}}))
	m.index++
	m.fsm.Apply(&raft.Log{Index: m.index, Type: raft.LogCommand, Data: b.Seal(1, 1)})
	m.batch(head(2, 1, 1), command(nil, "SET a 1"))
	m.batch(head(2, 1, 2), entry.AppendSettings(nil, words("set-max-intset-entries 3")))
	m.batch(head(1, 4, 1), command(nil, "SADD s 1 2 3 4"))
	return m
}

// TestSnapshotTakesTheWholeState goes on, on a machine that came by way of a
// snapshot, where the first one stands: origins, settings and data.
func TestSnapshotTakesTheWholeState(t *testing.T) {
	lived, came := begun(t), newMachine(t)
	if err := came.restore(lived.snapshot()); err != nil {
		t.Fatal(err)
	}
	came.index = lived.index
	if got, want := came.fsm.state.append(nil), lived.fsm.state.append(nil); !bytes.Equal(got, want) {
		t.Fatalf("state\ngot  %x\nwant %x", got, want)
	}
	for i := range 300 {
		for _, m := range []*machine{lived, came} {
			m.batch(head(2, 1, 2), command(nil, "SET a twice"))
			m.batch(head(2, 1, uint64(i+3)), command(nil, "SADD s"+strconv.Itoa(i%7)+" 1 2 3"))
			m.batch(head(1, 4, uint64(i+2)), command(nil, "SPOP s"+strconv.Itoa(i%5)))
		}
	}
	for _, question := range []string{"GET a", "OBJECT ENCODING s", "SMEMBERS s", "DBSIZE", "SMEMBERS s3"} {
		if got, want := came.read(question), lived.read(question); got != want {
			t.Errorf("%s: %q, where the other says %q", question, got, want)
		}
	}
	if !bytes.Equal(came.snapshot(), lived.snapshot()) {
		t.Error("the snapshots of both differ")
	}
}

func TestRedisToolsAcceptSnapshot(t *testing.T) {
	m := begun(t)
	file := m.snapshot()
	redistest.Check(t, file)
	srv := redistest.Start(t, file)
	if got := srv.Do("SMEMBERS", "s"); len(got.Elems) != 4 {
		t.Errorf("redis-server has %d members of 4", len(got.Elems))
	}
}

// TestRefusedSnapshotChangesNothing restores what is none of ours, or damaged.
func TestRefusedSnapshotChangesNothing(t *testing.T) {
	m := begun(t)
	file := m.snapshot()
	foreign := append([]byte("REDIS0010\x00\x01k\x01v\xFF"), make([]byte, 8)...)
	damaged := bytes.Clone(file)
	damaged[len(damaged)-1] ^= 1
	for name, bad := range map[string][]byte{
		"empty": nil, "of a redis-server": foreign, "damaged": damaged, "cut off": file[:len(file)-20],
	} {
		if err := m.restore(bad); err == nil {
			t.Errorf("a file that is %s was taken", name)
		}
		if !bytes.Equal(m.snapshot(), file) {
			t.Fatalf("a file that is %s changed the state", name)
		}
	}
	err := m.restore(foreign)
	if err == nil || !strings.Contains(err.Error(), auxState) {
		t.Errorf("the error does not say that the file is no snapshot of a cluster: %v", err)
	}
}

func TestPersistCancelsTheSinkOnError(t *testing.T) {
	m := begun(t)
	taken, err := m.fsm.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	s := sink{failAt: 10}
	if err := taken.Persist(&s); !errors.Is(err, errSink) || !s.cancelled || s.closed {
		t.Errorf("error %v, cancelled %v, closed %v", err, s.cancelled, s.closed)
	}
	if _, err := m.fsm.Snapshot(); err == nil {
		t.Error("a second snapshot began before the first was released")
	}
	taken.Release()
	m.snapshot()
}
