package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/fsm/entry"
)

// proposal is an entry that a packer gave to raft, answered by the test.
type proposal struct {
	data  []byte
	index uint64
	done  chan error
}

func (p *proposal) Error() error  { return <-p.done }
func (p *proposal) Index() uint64 { return p.index }
func (p *proposal) Response() any { return nil }

// parts returns the payloads of an entry.
func (p *proposal) parts(t *testing.T) (all []string) {
	t.Helper()
	e, err := entry.Decode(p.data)
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, payload, ok, err := e.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return all
		}
		all = append(all, string(payload[:min(len(payload), 4)]))
	}
}

// press is a packer with what it gave away.
type press struct {
	*packer
	shut func() // close, once

	watching  sync.Mutex
	proposals []*proposal // guarded by watching, as are the others
	kicks     []string
	failures  int
}

func newPress(t *testing.T) *press {
	p := &press{packer: newPacker(time.Now)}
	p.apply = func(data []byte) raft.ApplyFuture {
		p.watching.Lock()
		defer p.watching.Unlock()
		next := &proposal{data: data, index: uint64(len(p.proposals) + 1), done: make(chan error)}
		p.proposals = append(p.proposals, next)
		return next
	}
	p.applied = func() int64 { return 0 }
	p.kick = func(id raft.ServerID, index uint64) {
		p.watching.Lock()
		defer p.watching.Unlock()
		p.kicks = append(p.kicks, fmt.Sprint(id, index))
	}
	p.failed = func(error) {
		p.watching.Lock()
		defer p.watching.Unlock()
		p.failures++
	}
	p.log = slog.New(slog.DiscardHandler)
	p.semantic = func() uint16 { return 1 }
	go p.run()
	p.shut = sync.OnceFunc(p.close)
	t.Cleanup(p.shut)
	return p
}

func (p *press) give(t *testing.T, from raft.ServerID, payload string) {
	t.Helper()
	if err := p.add(entry.PartBatch, from, []byte(payload)); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func (p *press) answer(t *testing.T, i int, err error) {
	t.Helper()
	if made := p.made(); i < len(made) {
		made[i].done <- err
		synctest.Wait()
		return
	}
	t.Fatalf("entry %d was not made", i)
}

func (p *press) made() []*proposal {
	p.watching.Lock()
	defer p.watching.Unlock()
	return slices.Clone(p.proposals)
}

// told returns the kicks and the failures.
func (p *press) told() ([]string, int) {
	p.watching.Lock()
	defer p.watching.Unlock()
	return slices.Clone(p.kicks), p.failures
}

func TestPacker(t *testing.T) {
	bubble(t, "what comes while an entry is on its way shares the next", func(t *testing.T) {
		p := newPress(t)
		if err := p.add(entry.PartBatch, "a", nil); !errors.Is(err, errNotLeading) {
			t.Errorf("before it leads: %v", err)
		}
		p.lead(true)
		p.give(t, "a", "1")
		p.give(t, "", "2")
		p.give(t, "b", "3")
		p.give(t, "a", "4")
		p.give(t, "b", "5")
		p.answer(t, 0, nil)
		p.answer(t, 1, nil)
		if got := p.made()[1].parts(t); !reflect.DeepEqual(got, []string{"2", "3", "4", "5"}) {
			t.Errorf("second entry %q", got)
		}
		// Each node once an entry, this one never.
		if kicks, _ := p.told(); !reflect.DeepEqual(kicks, []string{"a1", "b2", "a2"}) {
			t.Errorf("kicks %q", kicks)
		}
	})
	bubble(t, "an entry is bounded", func(t *testing.T) {
		p := newPress(t)
		p.lead(true)
		large := string(make([]byte, entryBytesMax*2/3))
		p.give(t, "a", "first")
		for range 3 {
			p.give(t, "a", large)
		}
		for i := range 4 {
			p.answer(t, i, nil)
			if n := len(p.made()[i].data); n > entryBytesMax+100 {
				t.Errorf("entry %d has %d bytes", i, n)
			}
		}
	})
	bubble(t, "a failure is told, and the next entry waits a little", func(t *testing.T) {
		p := newPress(t)
		p.lead(true)
		p.give(t, "a", "1")
		p.give(t, "a", "2")
		p.answer(t, 0, raft.ErrLeadershipTransferInProgress)
		if kicks, failures := p.told(); failures != 1 || len(p.made()) != 1 || len(kicks) != 0 {
			t.Fatalf("%d failures told, %d entries, kicks %q", failures, len(p.made()), kicks)
		}
		time.Sleep(failurePause)
		synctest.Wait()
		p.answer(t, 1, nil)
	})
	bubble(t, "a loss of leadership drops what is queued", func(t *testing.T) {
		p := newPress(t)
		p.lead(true)
		p.give(t, "a", "1")
		p.give(t, "a", "2")
		p.lead(false)
		if err := p.add(entry.PartBatch, "", nil); !errors.Is(err, errNotLeading) {
			t.Errorf("afterwards: %v", err)
		}
		p.lead(true)
		p.give(t, "a", "3")
		p.answer(t, 0, nil)
		p.answer(t, 1, nil)
		if got := p.made()[1].parts(t); !reflect.DeepEqual(got, []string{"3"}) {
			t.Errorf("second entry %q", got)
		}
	})
	bubble(t, "a full queue holds other nodes back, and lets go when leadership ends", func(t *testing.T) {
		p := newPress(t)
		p.lead(true)
		large := string(make([]byte, packerBytesMax/4))
		for range 6 {
			p.give(t, "", large) // its own sequencer has few
		}
		returned := make(chan error, 1)
		go func() { returned <- p.add(entry.PartBatch, "b", []byte("x")) }()
		synctest.Wait()
		if len(returned) != 0 {
			t.Fatal("it did not wait")
		}
		p.lead(false)
		if err := <-returned; !errors.Is(err, errNotLeading) {
			t.Error(err)
		}
		p.answer(t, 0, nil)
	})
	bubble(t, "close waits for no answer that raft never gives", func(t *testing.T) {
		p := newPress(t)
		p.lead(true)
		p.give(t, "a", "1")
		closed := make(chan struct{})
		go func() { p.shut(); close(closed) }()
		synctest.Wait()
		select {
		case <-closed:
		default:
			t.Error("it waits for raft, which has shut down")
		}
		p.answer(t, 0, nil)
		<-closed
	})
}

// A node that follows goes by the stamps that it applies: its wall clock may have been
// wrong for a while and be right again long before it leads.
func TestFollowersClockComesBack(t *testing.T) {
	began := time.Now()
	now, off := began, time.Duration(0)
	p := newPacker(func() time.Time { return now.Add(off) })
	p.now = func() time.Time { return now }
	p.stamper = newStamper(now, now.UnixMilli())
	p.applied = func() int64 { return now.UnixMilli() } // the leader stamps what it stamps
	look := func(d time.Duration) (stamp int64) {
		for end := now.Add(d); now.Before(end); now = now.Add(10 * time.Millisecond) {
			stamp = p.look()
		}
		return stamp
	}
	look(time.Second)
	off = -time.Hour
	look(time.Second)
	off = 0
	look(2 * time.Second)
	// The leader dies, and after a pause this node leads.
	died := now.UnixMilli()
	p.applied = func() int64 { return died }
	stamp := look(time.Second)
	if lag := now.UnixMilli() - stamp; lag < -20 || lag > 20 {
		t.Errorf("as a new leader it stamps with the time of %d ms ago", lag)
	}
}
