package models

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
)

// Which keys go for want of memory: those of the engine's choice, which must be what the
// policy says, and enough.
var evictionKind = kind{
	new: func() model {
		m := &evictions{}
		for i := range m.dbs {
			m.dbs[i] = make(map[string]held)
		}
		return m
	},
	forms: []string{"int", "embstr", "raw"},
}

func TestEvictions(t *testing.T) { testKind(t, evictionKind) }
func FuzzEvictions(f *testing.F) { fuzzKind(f, evictionKind) }

var policies = []call.Policy{
	call.NoEviction, call.AllKeysLRU, call.AllKeysLFU, call.AllKeysRandom, call.VolatileLRU, call.VolatileLFU, call.VolatileRandom, call.VolatileTTL,
}

// evictions is a model of strings that are told apart by their first bytes.
type evictions struct {
	keyModel
	chooser engine.Chooser
	keys    int // made so far
}

func (m *evictions) check(w *walk) {
	db := w.db
	for w.db = range databases {
		live := m.live(w, w.db)
		w.wantSorted(live, "KEYS", "*")
		for _, key := range live {
			w.want(fmt.Sprint(m.dbs[w.db][key].number), "GETRANGE", key, "0", fmt.Sprint(len(strconv.Itoa(m.dbs[w.db][key].number))-1))
			w.meet(key)
		}
	}
	w.db = db
}

func (m *evictions) step(w *walk) {
	w.db = w.below(databases)
	switch w.below(16) {
	case 0, 1:
		m.relieve(w)
	case 2:
		if w.below(16) > 0 {
			return
		}
		for db := range databases {
			clear(m.dbs[db])
		}
		w.want(ok, "FLUSHALL")
	case 6:
		for range 60 {
			m.put(w)
		}
	case 3, 4:
		if live := m.live(w, w.db); len(live) > 0 {
			w.do("GET", pick(&w.dice, live...))
		}
	case 5:
		if live := m.live(w, w.db); len(live) > 0 {
			key := pick(&w.dice, live...)
			delete(m.dbs[w.db], key)
			w.want(1, "DEL", key)
		}
	default:
		m.put(w)
	}
}

// put makes a key or gives one another value. Every second has a time to live.
func (m *evictions) put(w *walk) {
	m.keys++
	m.values++
	key := fmt.Sprint("k", w.below(m.keys))
	h := held{number: m.values}
	value := strconv.Itoa(m.values) + strings.Repeat("x", pick(&w.dice, 0, 0, 0, 20, 20, 50, 50, 5000))
	if w.below(2) == 0 {
		w.want(ok, "SET", key, value)
	} else {
		h.at = w.now + int64(1000+w.below(100_000))
		w.want(ok, "SET", key, value, "PXAT", fmt.Sprint(h.at))
	}
	m.dbs[w.db][key] = h
}

// may returns the keys that a policy lets go, by database.
func (m *evictions) may(policy call.Policy) (all [databases]map[string]held, count int) {
	for db := range databases {
		all[db] = maps.Clone(m.dbs[db])
		maps.DeleteFunc(all[db], func(_ string, h held) bool { return policy.Volatile() && h.at == 0 })
		count += len(all[db])
	}
	return all, count
}

// relieve sets a limit and a policy for a while, has the engine choose, and carries that
// out in one entry with a command that brings data.
func (m *evictions) relieve(w *walk) {
	w.sweep()
	for db := range databases {
		m.live(w, db) // forgets what is due
	}
	policy := pick(&w.dice, policies...)
	excess := int64(pick(&w.dice, -1000, 0, 1, 1000, 1000, 5000, 20_000, 20_000))
	if w.below(20) == 0 {
		excess = w.node.Used() - 1
	}
	limit := max(1, w.node.Used()-excess)
	// With a low tenacity there are more keys than go at once: then they are drawn.
	m.set(w, "maxmemory-policy", policy.String(), "maxmemory", fmt.Sprint(limit), "maxmemory-eviction-tenacity", pick(&w.dice, "0", "10"))
	defer m.set(w, "maxmemory", "0", "maxmemory-policy", "noeviction")
	may, count := m.may(policy)
	m.chooser.Chance = rand.New(rand.NewPCG(w.index, 1)).Uint64
	excess = w.node.Used() - limit
	r := w.node.Relieve(&m.chooser, 0)
	w.note("%v, %d too much: %d", policy, excess, r.Victims)
	taken := 0
	last := int64(0) // of those that go, the latest time
	for _, v := range r.Victims {
		for _, key := range v.Keys {
			h, found := may[v.DB][string(key)]
			if !found {
				w.fail("%q of database %d may not go, or twice", key, v.DB)
			}
			delete(may[v.DB], string(key))
			delete(m.dbs[v.DB], string(key))
			taken++
			last = max(last, h.at)
		}
	}
	for db := range databases {
		for key, h := range may[db] {
			if policy == call.VolatileTTL && h.at < last {
				w.fail("%q goes at %d, and what goes at %d was taken", key, h.at, last)
			}
		}
	}
	all := policy == call.NoEviction || taken == count
	switch {
	case excess <= 0 && (taken > 0 || r.Pressed || r.More):
		w.fail("there was no need: %+v", r)
	case policy == call.NoEviction && (taken > 0 || r.Pressed != (excess > 0)):
		w.fail("under noeviction, with %d too much: %+v", excess, r)
	case r.Pressed && !all:
		w.fail("%d of %d keys go, and memory is said to be short", taken, count)
	}
	m.carryOut(w, r, limit)
}

func (m *evictions) carryOut(w *walk, r engine.Relief, limit int64) {
	out := reply.NewWriter(reply.RESP2, nil)
	var used int64
	w.apply(func(s *engine.Step) {
		for _, v := range r.Victims {
			s.Evict(v.DB, v.Keys)
		}
	})
	if used = w.node.Used(); !r.More && !r.Pressed && used > limit {
		w.fail("%d are used of %d, and no more is to come", used, limit)
	}
	w.apply(func(s *engine.Step) {
		if r.Pressed {
			s.Press()
		}
		s.Do(0, words("SET", "k0", "0"), false, out)
	})
	if refused := strings.HasPrefix(string(out.Bytes()), "-OOM"); refused != r.Pressed {
		w.fail("SET: %q", out.Bytes())
	} else if !refused {
		m.dbs[0]["k0"] = held{number: 0}
	}
	m.check(w)
}

func (m *evictions) set(w *walk, pairs ...string) {
	w.apply(func(s *engine.Step) {
		if err := s.Set(words(pairs...)); err != nil {
			w.fail("%v", err)
		}
	})
}
