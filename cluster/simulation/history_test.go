package simulation

import (
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

type outcome uint8

const (
	open    outcome = iota // no reply yet
	done                   // it took effect, and this is what it gave
	doubt                  // nobody knows whether it took effect
	refused                // it did not take effect, and never will
)

// record is one operation on one key, as its client saw it.
type record struct {
	client, life int
	node         string // id of the node that was asked
	kind         string // add, incr, read, sadd, spop, put, peek, feed, wait, fill, drop, look, limit
	key          string
	rides        bool // a read in the batch of a write

	token  string
	number int64  // the position, the count, or the length in tokens that the reply tells
	sum    uint64 // of the text that a read saw

	invoked, returned int64         // moments in the order of all of them; returned is never for what is in doubt for ever
	from, until       time.Duration // the same in virtual time
	outcome           outcome
}

const never = math.MaxInt64

func (r *record) String() string {
	return fmt.Sprintf("%s %s %q=%d by client %d life %d, %v to %v, outcome %d", r.kind, r.key, r.token, r.number, r.client, r.life, r.from, r.until, r.outcome)
}

// text notes what a read saw.
func (r *record) text(s string) { r.number, r.sum = int64(len(s)/tokenLen), checksum(s) }

func checksum(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

// history is what all clients saw.
type history struct {
	world *world

	mu       sync.Mutex
	moment   int64             // guarded by mu
	records  []*record         // guarded by mu
	doubtful map[int][]*record // guarded by mu; by client: not settled yet
	counts   [4]int            // guarded by mu; by outcome
}

// invoke notes that a client is about to ask.
func (h *history) invoke(c *client, l *life, rs ...*record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moment++
	for _, r := range rs {
		r.client, r.life, r.node = c.plan.id, l.number, l.id
		r.invoked, r.returned, r.from = h.moment, never, h.world.now()
		h.records = append(h.records, r)
	}
}

// tick returns a new moment.
func (h *history) tick() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moment++
	return h.moment
}

// answer notes the reply to a command.
func (h *history) answer(v reply.Value, cmd command) {
	if v.Kind != reply.KindError {
		cmd.take(v, cmd.records)
		h.returned(cmd.records...)
		return
	}
	text := string(v.Text)
	switch code, _, _ := strings.Cut(text, " "); code {
	case "INDOUBT":
		h.end(doubt, cmd.records...)
	case "CLUSTERDOWN", "TRYAGAIN", "MISCONF", "UNBLOCKED":
		h.end(refused, cmd.records...)
	case "OOM", "EXECABORT":
		h.end(refused, cmd.records...)
		h.world.note("commands refused for want of memory")
		if !h.world.family().refuses {
			h.world.fail("%s was refused: %s", cmd.records[0], text)
		}
	default:
		h.world.fail("unexpected reply to %s: %s", cmd.records[0], text)
	}
}

// lost notes that the connection is gone: nobody will tell.
func (h *history) lost(rs ...*record) { h.end(doubt, rs...) }

// forget notes that a read was not executed.
func (h *history) forget(rs ...*record) { h.end(refused, rs...) }

func (h *history) end(o outcome, rs ...*record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moment++
	for _, r := range rs {
		r.outcome, r.until = o, h.world.now()
		h.counts[o]++
		if o == doubt {
			h.doubtful[r.client] = append(h.doubtful[r.client], r)
		} else {
			r.returned = h.moment
		}
		h.world.trace.add("%s", r)
	}
}

// returned notes that operations took effect. What was in doubt before on this
// connection has taken effect before, or never will.
func (h *history) returned(rs ...*record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moment++
	for _, r := range rs {
		if r.outcome == open {
			r.outcome = done
		}
		r.returned, r.until = h.moment, h.world.now()
		h.counts[r.outcome]++
		h.settleLocked(r)
		h.world.trace.add("%s", r)
	}
}

// settleLocked bounds what is in doubt. After INDOUBT the connection's next
// command of any kind does; after the death of the process the next write of the
// next process, which retires the origin of the former. A peek waits for neither.
func (h *history) settleLocked(by *record) {
	if by.kind == "peek" {
		return
	}
	var kept []*record
	for _, r := range h.doubtful[by.client] {
		writes := by.kind != "read"
		switch {
		case r.life == by.life, r.node == by.node && writes:
			r.returned = by.returned
		default:
			kept = append(kept, r)
		}
	}
	h.doubtful[by.client] = kept
}
