package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
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

type press struct {
	*packer
	proposals []*proposal
	kicks     []string
	failures  int
}

func newPress(t *testing.T) *press {
	p := &press{packer: newPacker()}
	p.apply = func(data []byte) raft.ApplyFuture {
		next := &proposal{data: data, index: uint64(len(p.proposals) + 1), done: make(chan error)}
		p.proposals = append(p.proposals, next)
		return next
	}
	p.applied = func() int64 { return 0 }
	p.kick = func(id raft.ServerID, index uint64) { p.kicks = append(p.kicks, fmt.Sprint(id, index)) }
	p.failed = func(error) { p.failures++ }
	p.now, p.log = time.Now, slog.New(slog.DiscardHandler)
	go p.run()
	t.Cleanup(p.close)
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
	if i >= len(p.proposals) {
		t.Fatalf("%d entries were made", len(p.proposals))
	}
	p.proposals[i].done <- err
	synctest.Wait()
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
		if got := p.proposals[1].parts(t); !reflect.DeepEqual(got, []string{"2", "3", "4", "5"}) {
			t.Errorf("second entry %q", got)
		}
		// Each node once an entry, this one never.
		if want := []string{"a1", "b2", "a2"}; !reflect.DeepEqual(p.kicks, want) {
			t.Errorf("kicks %q, want %q", p.kicks, want)
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
			if n := len(p.proposals[i].data); n > entryBytesMax+100 {
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
		if p.failures != 1 || len(p.proposals) != 1 || len(p.kicks) != 0 {
			t.Fatalf("%d failures told, %d entries, kicks %q", p.failures, len(p.proposals), p.kicks)
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
		if got := p.proposals[1].parts(t); !reflect.DeepEqual(got, []string{"3"}) {
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
		var err error
		returned := false
		go func() {
			err = p.add(entry.PartBatch, "b", []byte("x"))
			returned = true
		}()
		synctest.Wait()
		if returned {
			t.Fatal("it did not wait")
		}
		p.lead(false)
		synctest.Wait()
		if !returned || !errors.Is(err, errNotLeading) {
			t.Errorf("returned %v, %v", returned, err)
		}
		p.answer(t, 0, nil)
	})
}
