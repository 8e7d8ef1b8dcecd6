package models

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/waiting"
)

var waitingKind = kind{new: func() model {
	return &waitingModel{lists: make(map[string][]string), scores: make(map[string]int)}
}}

func TestWaiting(t *testing.T) { testKind(t, waitingKind) }
func FuzzWaiting(f *testing.F) { fuzzKind(f, waitingKind) }

// waitingModel is three lists, one sorted set, and who waits for them.
type waitingModel struct {
	lists  map[string][]string
	scores map[string]int // of the sorted set
	last   uint64         // waiter
	waits  []*patient     // in the order in which they came
	ready  []string       // keys that got something, in the order in which they did

	// Of the entry under way: what waiters were told, by the engine and by the model.
	out       *reply.Writer
	got, want []answer
}

// patient is a command that waits.
type patient struct {
	id       uint64
	owner    byte
	keys     []string
	deadline int64 // 0: none
	// take carries it out for a key that has something, and returns its reply.
	take func(key string) any
}

// answer is what a waiter was told.
type answer struct {
	id   uint64
	text string // as show writes it
}

const waitingSet = "z"

var waitingLists = []string{"a", "b", "c"}

// Begin implements engine.Answerer.
func (m *waitingModel) Begin(*waiting.Waiter) (*reply.Writer, any) {
	m.out = reply.NewWriter(reply.RESP2, nil)
	return m.out, nil
}

// End implements engine.Answerer.
func (m *waitingModel) End(w *waiting.Waiter, served bool) {
	if !served {
		return
	}
	v, _, err := reply.Read(m.out.Bytes())
	if err != nil {
		panic(err)
	}
	m.got = append(m.got, answer{w.ID, shown(v)})
}

func (m *waitingModel) tell(p *patient, want any) {
	m.waits = slices.DeleteFunc(m.waits, func(q *patient) bool { return p == q })
	m.want = append(m.want, answer{p.id, show(want)})
}

// entry is an entry of the log: what is due, then what run does, which is change to the
// model, then what that has made ready.
func (m *waitingModel) entry(w *walk, change func(), run func(*engine.Step)) {
	w.Helper()
	m.got, m.want = nil, nil
	due := slices.Clone(m.waits)
	slices.SortStableFunc(due, func(a, b *patient) int { return cmp.Compare(a.deadline, b.deadline) })
	for _, p := range due {
		if p.deadline != 0 && p.deadline <= w.now {
			m.tell(p, nil)
		}
	}
	change()
	m.serve()
	w.apply(func(s *engine.Step) {
		s.ExpireDue(1 << 30)
		s.Serve(m)
		s.ExpireWaiters(m)
		run(s)
		s.Serve(m)
	})
	if !slices.Equal(m.got, m.want) {
		w.fail("told %v\nwant %v", m.got, m.want)
	}
	if n := w.node.Waiting(); n != len(m.waits) {
		w.fail("%d commands wait, want %d", n, len(m.waits))
	}
}

// serve gives what there is: key after key, as they became ready, first come first
// served at each.
func (m *waitingModel) serve() {
	for len(m.ready) > 0 {
		key := m.ready[0]
		m.ready = m.ready[1:]
		for _, p := range slices.Clone(m.waits) {
			if slices.Contains(p.keys, key) && m.has(key) {
				m.tell(p, p.take(key))
			}
		}
	}
}

func (m *waitingModel) has(key string) bool {
	if key == waitingSet {
		return len(m.scores) > 0
	}
	return len(m.lists[key]) > 0
}

func (m *waitingModel) isReady(key string) {
	if !slices.Contains(m.ready, key) {
		m.ready = append(m.ready, key)
	}
}

// plain carries out a command that does not wait.
func (m *waitingModel) plain(w *walk, change func() any, args ...string) {
	w.Helper()
	w.note("%q", args)
	out := reply.NewWriter(reply.RESP2, nil)
	var want any
	m.entry(w, func() { want = change() }, func(s *engine.Step) { s.Do(0, words(args...), false, out) })
	v, _, err := reply.Read(out.Bytes())
	if err != nil || !meets(v, want) {
		w.fail("got  %s\nwant %s", shown(v), show(want))
	}
}

// wait carries out a command that waits if none of its keys has something.
func (m *waitingModel) wait(w *walk, p *patient, timeout int, args ...string) {
	w.Helper()
	p.owner = byte(w.below(3))
	w.note("%q by %d", args, p.owner)
	out := reply.NewWriter(reply.RESP2, nil)
	var want any
	waits := false
	m.entry(w, func() {
		if i := slices.IndexFunc(p.keys, m.has); i >= 0 {
			want = p.take(p.keys[i])
			return
		}
		m.last++
		p.id, waits = m.last, true
		if timeout > 0 {
			p.deadline = w.now + int64(timeout)
		}
		m.waits = append(m.waits, p)
	}, func(s *engine.Step) {
		if id := s.DoOrWait(waiting.Owner{p.owner}, call.As{}, 0, words(args...), out); id != p.id {
			w.fail("waiter %d, want %d", id, p.id)
		}
	})
	if waits != (out.Len() == 0) {
		w.fail("replied %q, and should wait: %v", out.Bytes(), waits)
	}
	if waits {
		return
	}
	if v, _, err := reply.Read(out.Bytes()); err != nil || !meets(v, want) {
		w.fail("got  %s\nwant %s", shown(v), show(want))
	}
}

func (m *waitingModel) check(w *walk) {
	for _, key := range waitingLists {
		w.want(filled(m.lists[key]), "LRANGE", key, "0", "-1")
	}
	w.want(len(m.scores), "ZCARD", waitingSet)
	var owners []waiting.Owner
	for owner := range byte(3) {
		if slices.ContainsFunc(m.waits, func(p *patient) bool { return p.owner == owner }) {
			owners = append(owners, waiting.Owner{owner})
		}
	}
	if got := w.node.WaitingOwners(); !slices.Equal(got, owners) {
		w.fail("clients of %v wait, want %v", got, owners)
	}
}

func (m *waitingModel) step(w *walk) {
	pick(&w.dice, m.push, m.push, m.add, m.script, m.rename, m.pop, m.blpop, m.blpop, m.blpop, m.blmpop, m.blmove, m.blmove, m.bzpopmin, m.bzpopmin, m.unblock, m.drop, m.retire, m.tick)(w)
}

// put adds values at an end of a list.
func (m *waitingModel) put(key, end string, values ...string) {
	for _, v := range values {
		if end == "LEFT" {
			m.lists[key] = slices.Insert(m.lists[key], 0, v)
		} else {
			m.lists[key] = append(m.lists[key], v)
		}
	}
	m.isReady(key)
}

// get takes an element from an end of a list that has one.
func (m *waitingModel) get(key, end string) (v string) {
	l := m.lists[key]
	if end == "LEFT" {
		v, m.lists[key] = l[0], l[1:]
	} else {
		v, m.lists[key] = l[len(l)-1], l[:len(l)-1]
	}
	m.lists[key] = slices.Clone(m.lists[key])
	return v
}

func (m *waitingModel) push(w *walk) {
	key, end := pick(&w.dice, waitingLists...), pick(&w.dice, "LEFT", "RIGHT")
	values := repeat(&w.dice, 3, w.text)
	m.plain(w, func() any {
		m.put(key, end, values...)
		return len(m.lists[key])
	}, append([]string{end[:1] + "PUSH", key}, values...)...)
}

func (m *waitingModel) add(w *walk) {
	args := []string{"ZADD", waitingSet}
	members := make(map[string]int)
	for range w.between(1, 3) {
		member, score := fmt.Sprint("m", w.below(8)), w.below(5)
		if _, again := members[member]; !again {
			members[member] = score
			args = append(args, strconv.Itoa(score), member)
		}
	}
	m.plain(w, func() any {
		added := 0
		for member, score := range members {
			if _, is := m.scores[member]; !is {
				added++
			}
			m.scores[member] = score
		}
		m.isReady(waitingSet)
		return added
	}, args...)
}

// script fills two lists, and takes from one of them again: who waits is served when
// it has ended.
func (m *waitingModel) script(w *walk) {
	one, two := pick(&w.dice, waitingLists...), pick(&w.dice, waitingLists...)
	x, y := w.text(), w.text()
	m.plain(w, func() any {
		m.put(one, "RIGHT", x)
		m.put(two, "LEFT", y)
		return m.get(one, "LEFT")
	}, "EVAL", "redis.call('RPUSH', KEYS[1], ARGV[1]) redis.call('LPUSH', KEYS[2], ARGV[2]) return redis.call('LPOP', KEYS[1])", "2", one, two, x, y)
}

func (m *waitingModel) rename(w *walk) {
	from, to := pick(&w.dice, waitingLists...), pick(&w.dice, waitingLists...)
	m.plain(w, func() any {
		if !m.has(from) {
			return fail("ERR no such key")
		}
		if from != to {
			m.lists[to] = m.lists[from]
			delete(m.lists, from)
			m.isReady(to)
		}
		return ok
	}, "RENAME", from, to)
}

func (m *waitingModel) pop(w *walk) {
	key := pick(&w.dice, waitingLists...)
	m.plain(w, func() any {
		if !m.has(key) {
			return nil
		}
		return m.get(key, "LEFT")
	}, "LPOP", key)
}

// timeout returns how long a command waits, in milliseconds and as it is written.
func (m *waitingModel) timeout(w *walk) (ms int, text string) {
	ms = pick(&w.dice, 0, 0, 1, 10, 500, 90_000)
	return ms, strconv.FormatFloat(float64(ms)/1000, 'f', -1, 64)
}

func (m *waitingModel) blpop(w *walk) {
	end := pick(&w.dice, "LEFT", "RIGHT")
	keys := repeat(&w.dice, 3, func() string { return pick(&w.dice, waitingLists...) })
	ms, text := m.timeout(w)
	p := &patient{keys: keys, take: func(key string) any { return []string{key, m.get(key, end)} }}
	m.wait(w, p, ms, append(append([]string{"B" + end[:1] + "POP"}, keys...), text)...)
}

func (m *waitingModel) blmpop(w *walk) {
	end, count := pick(&w.dice, "LEFT", "RIGHT"), w.between(1, 3)
	keys := repeat(&w.dice, 3, func() string { return pick(&w.dice, waitingLists...) })
	ms, text := m.timeout(w)
	p := &patient{keys: keys, take: func(key string) any {
		var taken []string
		for m.has(key) && len(taken) < count {
			taken = append(taken, m.get(key, end))
		}
		return []any{key, taken}
	}}
	args := append([]string{"BLMPOP", text, strconv.Itoa(len(keys))}, keys...)
	m.wait(w, p, ms, append(args, end, "COUNT", strconv.Itoa(count))...)
}

func (m *waitingModel) blmove(w *walk) {
	from, to := pick(&w.dice, waitingLists...), pick(&w.dice, waitingLists...)
	out, in := pick(&w.dice, "LEFT", "RIGHT"), pick(&w.dice, "LEFT", "RIGHT")
	ms, text := m.timeout(w)
	p := &patient{keys: []string{from}, take: func(string) any {
		v := m.get(from, out)
		m.put(to, in, v)
		return v
	}}
	m.wait(w, p, ms, "BLMOVE", from, to, out, in, text)
}

func (m *waitingModel) bzpopmin(w *walk) {
	ms, text := m.timeout(w)
	p := &patient{keys: []string{waitingSet}, take: func(key string) any {
		var least string
		for member, score := range m.scores {
			if least == "" || cmp.Or(cmp.Compare(score, m.scores[least]), strings.Compare(member, least)) < 0 {
				least = member
			}
		}
		score := m.scores[least]
		delete(m.scores, least)
		return []string{key, least, strconv.Itoa(score)}
	}}
	m.wait(w, p, ms, "BZPOPMIN", waitingSet, text)
}

// anyWaiter returns one that waits, or perhaps none does.
func (m *waitingModel) anyWaiter(w *walk) uint64 { return uint64(w.below(int(m.last) + 2)) }

// with calls f for the waiter of that ID, if it waits.
func (m *waitingModel) with(id uint64, f func(*patient)) bool {
	for _, p := range m.waits {
		if p.id == id {
			f(p)
			return true
		}
	}
	return false
}

func (m *waitingModel) unblock(w *walk) {
	id, failed := m.anyWaiter(w), w.coin()
	w.note("unblock %d, %v", id, failed)
	was := false
	m.entry(w, func() {
		was = m.with(id, func(p *patient) {
			if failed {
				m.tell(p, fail(reply.ErrUnblocked))
				return
			}
			m.tell(p, nil)
		})
	}, func(s *engine.Step) {
		if got := s.Unblock(id, failed, m); got != was {
			w.fail("Unblock: %v, want %v", got, was)
		}
	})
}

func (m *waitingModel) drop(w *walk) {
	id := m.anyWaiter(w)
	w.note("drop %d", id)
	m.entry(w, func() {
		m.waits = slices.DeleteFunc(m.waits, func(p *patient) bool { return p.id == id })
	}, func(s *engine.Step) { s.Drop(id) })
}

// retire ends the wait of all clients of a node.
func (m *waitingModel) retire(w *walk) {
	if w.below(8) > 0 {
		return
	}
	owner := byte(w.below(3))
	w.note("retire %d", owner)
	m.entry(w, func() {
		for _, p := range slices.Clone(m.waits) {
			if p.owner == owner {
				m.tell(p, fail(reply.ErrRetired))
			}
		}
	}, func(s *engine.Step) { s.DropOwner(waiting.Owner{owner}, reply.ErrRetired, m) })
}

// tick has time pass.
func (m *waitingModel) tick(w *walk) {
	w.now += int64(pick(&w.dice, 1, 9, 500, 60_000))
	w.note("now %d", w.now)
	m.entry(w, func() {}, func(*engine.Step) {})
}
