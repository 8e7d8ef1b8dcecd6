package simulation

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/fsm/entry"
)

// Runs in which memory is short. maxmemory and its policy change under faults; each
// client fills keys of its own, which no one else writes. What it was told and does not
// find must have been evicted: the log says which keys were, and the run which might be.

// tightSeeds begin here: generate makes of them runs in which memory is short.
const tightSeeds = 1 << 32

// family says which policies a run has: which keys may go, and whether commands may be
// refused, is the same all the time then, however late a decision comes.
type family struct {
	name     string
	policies []call.Policy
	refuses  bool   // commands that bring data may be refused
	goes     string // the first letters of the keys that may go
}

var families = []family{
	{"none", nil, false, ""},
	{"noeviction", []call.Policy{call.NoEviction}, true, ""},
	{"volatile", []call.Policy{call.VolatileTTL, call.VolatileLRU, call.NoEviction, call.VolatileLFU, call.VolatileRandom}, true, "v"},
	{"allkeys", []call.Policy{call.AllKeysLRU, call.AllKeysRandom, call.AllKeysLFU}, false, "ev"},
	{"any", []call.Policy{call.AllKeysLRU, call.VolatileTTL, call.NoEviction, call.AllKeysLFU, call.VolatileRandom, call.AllKeysRandom, call.VolatileLRU}, true, "ev"},
}

// A key with e holds until somebody deletes it, one with v for an hour.
var tightKinds = []weighted{
	{"fill", 8},
	{"fill volatile", 8},
	{"flood", 2},
	{"look", 6},
	{"drop", 2},
}

// tightKeys is how many keys of a sort a client has.
const tightKeys = 12

// tighten makes of a schedule one in which memory is short.
func (s *schedule) tighten() {
	r := rand.New(rand.NewPCG(s.seed, 5))
	s.family = 1 + r.IntN(len(families)-1)
	for i := range s.clients {
		ops := s.clients[i].ops
		for k := range ops {
			ops[k].kind, ops[k].key, ops[k].wait = pick(r, tightKinds), r.IntN(tightKeys), 0
			ops[k].gap += 30 * time.Millisecond // what is refused takes no time, and each op is compared with all before
		}
	}
	events := s.events
	s.events = nil
	for at := time.Duration(0); at < s.length; at += time.Second + time.Duration(r.Int64N(int64(8*time.Second))) {
		for len(events) > 0 && events[0].at < at {
			s.events, events = append(s.events, events[0]), events[1:]
		}
		s.events = append(s.events, event{at: at, kind: "limit", node: r.IntN(s.nodes), n: r.IntN(1 << 16)})
	}
	s.events = append(s.events, events...)
	for i := range s.events {
		s.events[i].id = i
	}
}

func (w *world) tight() bool       { return w.plan.family > 0 }
func (w *world) family() family    { return families[w.plan.family] }
func isTight(key string) bool      { return key[0] == 'e' || key[0] == 'v' }
func (w *world) mayGo(k byte) bool { return strings.IndexByte(w.family().goes, k) >= 0 }

// limit sets maxmemory and a policy through a node.
func (w *world) limit(l *life, n int) {
	policies := w.family().policies
	policy := policies[n/8%len(policies)]
	limit := l.engine.StartupBytes() + int64(8+n%8*8)<<10
	if n>>12 == 0 {
		limit = 0
	}
	c := &client{world: w, plan: clientPlan{id: 91}, conn: newConn(l)}
	c.write(l, command{
		op: fsm.Op{Kind: fsm.OpSettings, Args: words("maxmemory", strconv.FormatInt(limit, 10), "maxmemory-policy", policy.String())},
		// It is nobody's key: nothing is to be found in it.
		records: []*record{{kind: "limit", key: "m", token: policy.String(), number: limit}}, take: func(reply.Value, []*record) {},
	})
}

// filler is how often a token is repeated: values are to be large.
const filler = 32

func fillOp(key, token string) command {
	args := []string{"APPEND", key, strings.Repeat(token, filler)}
	rs := []*record{{kind: "fill", key: key, token: token}}
	if key[0] == 'e' {
		return writeOp(func(v reply.Value, rs []*record) { rs[0].number = v.Int / filler / tokenLen }, rs, args...)
	}
	return command{
		op: fsm.Op{Kind: fsm.OpTx, Tx: &fsm.Tx{Ops: []fsm.Op{
			{Kind: fsm.OpWrite, Args: words(args...)},
			{Kind: fsm.OpWrite, Args: words("EXPIRE", key, "3600")},
		}}},
		records: rs, take: func(v reply.Value, rs []*record) { rs[0].number = v.Elems[0].Int / filler / tokenLen },
	}
}

func dropOp(key string) command {
	return writeOp(func(reply.Value, []*record) {}, []*record{{kind: "drop", key: key}}, "DEL", key)
}

// doTight does what a run is about in which memory is short.
func (c *client) doTight(o op, l *life) {
	key := func(sort string, n int) string { return fmt.Sprintf("%s:%d:%d", sort, c.plan.id, n) }
	sort := "e"
	if o.gap%2 == 0 {
		sort = "v"
	}
	switch o.kind {
	case "fill":
		c.write(l, fillOp(key("e", o.key), c.token()))
	case "fill volatile":
		c.write(l, fillOp(key("v", o.key), c.token()))
	case "flood":
		var all []command
		for i := range 16 {
			all = append(all, fillOp(key("ev"[i%2:][:1], (o.key+i)%tightKeys), c.token()))
		}
		c.write(l, all...)
	case "look":
		c.look(l, key(sort, o.key))
	case "drop":
		c.write(l, dropOp(key(sort, o.key)))
	}
}

// look reads what one of the client's keys holds.
func (c *client) look(l *life, key string) {
	r := &record{kind: "look", key: key}
	h := &c.world.history
	h.invoke(c, l, r)
	if !c.barrier(l) {
		h.forget(r)
		return
	}
	text := l.read("GET", key)[0]
	if l.isDead.Load() {
		h.forget(r)
		return
	}
	r.token = c.world.tokens(key, text)
	h.returned(r)
}

// tokens returns the tokens of a value, each once.
func (w *world) tokens(key, text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i += filler * tokenLen {
		token := text[i:min(i+tokenLen, len(text))]
		if !strings.HasPrefix(text[i:], strings.Repeat(token, filler)) {
			w.fail("%s holds what nobody wrote whole: %q", key, token)
			return ""
		}
		b.WriteString(token)
	}
	return b.String()
}

// evictions is which keys went, by the log.
type evictions struct {
	world *world

	mu      sync.Mutex
	moments map[[2]uint64]int64   // guarded by mu; at which an entry was first seen by any node, by index and term
	applied uint64                // guarded by mu; the last entry that any node has applied
	gone    map[string][]eviction // guarded by mu
}

// eviction took effect between two moments.
type eviction struct{ from, until int64 }

// stored notes that a node has an entry.
func (v *evictions) stored(logs []*raft.Log) {
	if v == nil {
		return
	}
	now := v.world.history.tick()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, log := range logs {
		if at := [2]uint64{log.Index, log.Term}; v.moments[at] == 0 {
			v.moments[at] = now
		}
	}
}

// note notes which keys the entries up to index took, which a node has applied.
func (v *evictions) note(l *life, index uint64) {
	if v == nil {
		return
	}
	now := v.world.history.tick()
	v.mu.Lock()
	defer v.mu.Unlock()
	for ; v.applied < index; v.applied++ {
		var log raft.Log
		if err := l.log.GetLog(v.applied+1, &log); err != nil || log.Type != raft.LogCommand {
			continue
		}
		e, err := entry.Decode(log.Data)
		if err != nil {
			panic(err)
		}
		for {
			kind, payload, ok, err := e.Next()
			if err != nil {
				panic(err)
			}
			if !ok {
				break
			}
			if kind == entry.PartPressure {
				v.world.note("entries under pressure")
			}
			if kind != entry.PartEvict {
				continue
			}
			_ = entry.DecodeEvict(payload, func(_ int, keys [][]byte) {
				for _, key := range keys {
					v.world.note("keys evicted")
					v.gone[string(key)] = append(v.gone[string(key)], eviction{v.moments[[2]uint64{log.Index, log.Term}], now})
					if !v.world.mayGo(key[0]) {
						v.world.fail("%s was evicted in a run of policies %v", key, v.world.family().policies)
					}
				}
			})
		}
	}
}

// withinLimit checks, when all is well, that use comes back within the limit, or that all
// has gone which may go; and that commands are taken again when there is no limit.
func (w *world) withinLimit() {
	deadline := w.now() + 5*time.Second
	for _, m := range w.all() {
		for l := m.alive(); l != nil && !w.hasFailed() && l.engine.Over() && l.engine.Evictable(); time.Sleep(50 * time.Millisecond) {
			if w.now() > deadline {
				w.fail("%s uses %d of %d bytes, and there are keys that may go", m.name, l.engine.Used(), l.engine.MaxMemory())
			}
		}
	}
	l := w.machine(0).alive()
	if l == nil || w.hasFailed() {
		return
	}
	w.limit(l, 0)
	c := &client{world: w, plan: clientPlan{id: 92}, conn: newConn(l)}
	last := fillOp("e:92:0", c.token())
	for range 2 { // an entry that was on its way may hold the first
		c.write(l, last)
		if last.records[0].outcome == done {
			return
		}
		last = fillOp("e:92:0", c.token())
	}
	w.fail("without a limit: %s", last.records[0])
}

// checkTight checks a key that one client fills.
func (h *history) checkTight(key string, rs []*record, final string) {
	fills := make(map[string]int) // places in rs
	for i, r := range rs {
		if r.kind == "fill" {
			fills[r.token] = i
		}
	}
	end := &record{kind: "look", key: key, token: final, invoked: h.moment + 1, returned: h.moment + 2, outcome: done}
	for i, r := range append(rs[:len(rs):len(rs)], end) {
		switch {
		case r.outcome != done:
		case r.kind == "look":
			h.checkLook(r, rs[:min(i, len(rs))], fills)
		case r.kind == "fill":
			h.checkFill(r, rs[:i])
		}
	}
}

// maySee reports whether what a fill brought may be gone when a reader looks, taken by an
// eviction or by the client itself, and whether it may be there.
func (h *history) maySee(fill, reader *record, before []*record) (mayBeGone, mayBeThere bool) {
	mayBeThere = true
	for _, v := range h.world.evictions.gone[fill.key] {
		if v.until > fill.invoked && v.from < reader.returned {
			mayBeGone = true
		}
	}
	for _, r := range before {
		if r.kind != "drop" || r.outcome == refused || r.returned < fill.invoked {
			continue
		}
		mayBeGone = true
		if r.outcome == done && fill.returned < r.invoked && r.returned < reader.invoked {
			mayBeThere = false
		}
	}
	return mayBeGone, mayBeThere
}

func (h *history) checkLook(look *record, before []*record, fills map[string]int) {
	there := make(map[string]bool)
	last := -1
	for i := 0; i < len(look.token); i += tokenLen {
		token := look.token[i : i+tokenLen]
		at, known := fills[token]
		if !known || at >= len(before) {
			h.world.fail("%s holds %q, which nobody had written", look, token)
			return
		}
		fill := before[at]
		_, mayBeThere := h.maySee(fill, look, before)
		switch {
		case there[token]:
			h.world.fail("%s holds %q twice", look, token)
		case fill.outcome == refused:
			h.world.fail("%s shows what its client was told was refused: %s", look, fill)
		case !mayBeThere:
			h.world.fail("%s shows what had been deleted: %s", look, fill)
		case fill.outcome == done && at < last:
			h.world.fail("%s shows %s in the wrong place", look, fill)
		}
		there[token] = true
		if fill.outcome == done {
			last = at
		}
	}
	for _, fill := range before {
		if fill.kind != "fill" || fill.outcome != done || there[fill.token] || fill.returned > look.invoked {
			continue
		}
		if mayBeGone, _ := h.maySee(fill, look, before); !mayBeGone {
			h.world.fail("%s does not show what nobody has taken: %s", look, fill)
			return
		}
	}
}

// checkFill checks the length that a fill told.
func (h *history) checkFill(fill *record, before []*record) {
	least, most := int64(1), int64(1)
	for _, r := range before {
		if r.kind != "fill" || r.outcome == refused {
			continue
		}
		mayBeGone, mayBeThere := h.maySee(r, fill, before)
		if mayBeThere {
			most++
		}
		if r.outcome == done && r.returned < fill.invoked && !mayBeGone {
			least++
		}
	}
	if fill.number < least || fill.number > most {
		h.world.fail("%s: between %d and %d were expected", fill, least, most)
	}
}

// Clusters whose memory is short keep their promises: a seed of each family.
func TestShortMemory(t *testing.T) {
	length := 10 * time.Second
	if slowly {
		length = 3 * time.Second
	}
	seen := make(map[int]bool)
	for seed := uint64(tightSeeds); len(seen) < len(families)-1; seed++ {
		plan := generate(seed, length)
		if seen[plan.family] {
			continue
		}
		seen[plan.family] = true
		t.Run(families[plan.family].name, func(t *testing.T) {
			began := time.Now()
			report(t, seed, simulate(t, plan, bug{}), time.Since(began))
		})
	}
}

// What no memory that is short could have told is found.
func TestCheckTight(t *testing.T) {
	rec := func(kind, token string, invoked, returned int64, o outcome) *record {
		return &record{kind: kind, key: "e:0:0", token: token, invoked: invoked, returned: returned, outcome: o}
	}
	fill := func(token string, number, invoked, returned int64) *record {
		r := rec("fill", token, invoked, returned, done)
		r.number = number
		return r
	}
	const a, b = "0000001,", "0000002,"
	for _, c := range []struct {
		name, final string
		rs          []*record
		gone        []eviction
		wrong       string
	}{
		{"well", a + b, []*record{fill(a, 1, 1, 2), fill(b, 2, 3, 4), rec("look", a+b, 5, 6, done)}, nil, ""},
		{"evicted between", b, []*record{fill(a, 1, 1, 2), fill(b, 1, 5, 6)}, []eviction{{3, 4}}, ""},
		{"dropped", "", []*record{fill(a, 1, 1, 2), rec("drop", "", 3, 4, done)}, nil, ""},
		{"in doubt", "", []*record{rec("fill", a, 1, never, doubt), rec("look", a, 3, 4, done), rec("drop", "", 5, never, doubt)}, nil, ""},
		{"lost", "", []*record{fill(a, 1, 1, 2)}, nil, "nobody has taken"},
		{"lost before it was evicted", "", []*record{fill(a, 1, 1, 2), rec("look", "", 3, 4, done)}, []eviction{{5, 6}}, "nobody has taken"},
		{"evicted before", "", []*record{fill(a, 1, 3, 4)}, []eviction{{1, 2}}, "nobody has taken"},
		{"refused and there", a, []*record{rec("fill", a, 1, 2, refused)}, nil, "was refused"},
		{"dropped and there", a, []*record{fill(a, 1, 1, 2), rec("drop", "", 3, 4, done)}, nil, "had been deleted"},
		{"too short", b, []*record{fill(a, 1, 1, 2), fill(b, 1, 3, 4)}, []eviction{{5, 6}}, "between 2 and 2"},
		{"too long", a + b, []*record{fill(a, 1, 1, 2), fill(b, 3, 3, 4)}, nil, "between 2 and 2"},
		{"from nowhere", a, nil, nil, "nobody had written"},
		{"turned", b + a, []*record{fill(a, 1, 1, 2), fill(b, 2, 3, 4)}, nil, "wrong place"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{failed: make(chan struct{}), began: time.Now()}
			w.trace.world, w.history.world, w.history.moment = w, w, 100
			w.evictions = &evictions{world: w, gone: map[string][]eviction{"e:0:0": c.gone}}
			w.history.checkTight("e:0:0", c.rs, c.final)
			got := strings.Join(w.problems, "; ")
			if c.wrong == "" && got != "" || !strings.Contains(got, c.wrong) {
				t.Errorf("got %q, want %q", got, c.wrong)
			}
		})
	}
}
