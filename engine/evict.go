package engine

import (
	"encoding/binary"
	"slices"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/heat"
	"github.com/quorate/quorate/engine/keyspace"
)

// maxmemory. Which keys go is a matter of measure and of chance, and of who used what
// when: nodes would differ. So the leader alone decides, before each entry of the log,
// by Relieve, and logs what it has decided as facts: the keys that go, and whether
// memory is short all the same. Step.Evict and Step.Press carry that out on all nodes.

// Used returns what counts against maxmemory: what keys, scripts and libraries of
// functions occupy. Nodes measure nearly the same.
func (e *Engine) Used() int64 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.usedLocked()
}

func (e *Engine) usedLocked() int64 {
	_, scripts := e.scripts.Count()
	_, _, functions := e.scripts.CountFunctions()
	return e.env.Keyspace.Stats().Used() + int64(scripts) + int64(functions)
}

// StartupBytes returns what Used is of an engine that holds nothing.
func (e *Engine) StartupBytes() int64 { return e.startup }

// MaxMemory returns the limit in force, 0 if there is none. It takes no lock.
func (e *Engine) MaxMemory() int64 { return e.limit.Load() }

// followLimit does what the settings say about memory. It needs the lock.
func (e *Engine) followLimit() {
	e.limit.Store(int64(e.settings.MaxMemory))
	e.env.Heat.Follow(e.settings.HeatRules())
	e.env.Heat.Fit(e.env.Keyspace.Keys())
}

// HeatBytes returns what this node spends on remembering when keys were used. It does not
// count against maxmemory.
func (e *Engine) HeatBytes() int64 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.env.Heat.Bytes()
}

// tellPieces is how many pieces are told of at once: 64 KiB at most.
const tellPieces = 16

// TellReads appends to dst which keys this node alone has read lately, for HearReads of
// the engine that leads; nothing, unless a limit and a policy are in force for which that
// matters. What does not fit comes with the next calls. It is called by one goroutine.
func (e *Engine) TellReads(dst []byte) []byte {
	if e.MaxMemory() == 0 {
		return dst
	}
	for range tellPieces {
		dst = e.tellPiece(dst)
	}
	return dst
}

// tellPiece appends a piece, behind its length, or nothing. Each takes the lock for itself:
// who changes the state is not to wait for all.
func (e *Engine) tellPiece(dst []byte) []byte {
	e.mu.RLock()
	defer e.mu.RUnlock()
	const size = 2
	start := len(dst)
	dst = e.env.Heat.Tell(append(dst, make([]byte, size)...))
	n := len(dst) - start - size
	if n == 0 {
		return dst[:start]
	}
	binary.BigEndian.PutUint16(dst[start:], uint16(n))
	return dst
}

// HearReads has this engine know what TellReads of another one has told.
func (e *Engine) HearReads(told []byte) error {
	for len(told) > 0 {
		if len(told) < 2 || len(told) < 2+int(binary.BigEndian.Uint16(told)) {
			return heat.ErrMalformed
		}
		n := 2 + int(binary.BigEndian.Uint16(told))
		if err := e.hearPiece(told[2:n]); err != nil {
			return err
		}
		told = told[n:]
	}
	return nil
}

func (e *Engine) hearPiece(piece []byte) error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.env.Heat.Hear(piece)
}

// Evict deletes keys of a database to make room: those of them that are there.
func (s *Step) Evict(db int, keys [][]byte) {
	e := s.engine
	if db < 0 || db >= Databases {
		return
	}
	c := call.Call{Env: &e.env, DB: e.env.Keyspace.DB(db), MayWrite: true, Now: e.clock}
	for _, key := range keys {
		if e.spares(c.DB, key) || !c.DB.EvictKey(key) {
			continue
		}
		if c.Followed() {
			c.Stream.Add(db, "DEL", key)
			c.Stream.End(true)
		}
		c.Notify(call.EventEvicted, "evicted", key)
	}
}

// Press tells that for the rest of the entry memory is short and can't be freed:
// commands that bring data are refused.
func (s *Step) Press() {
	s.engine.env.Pressed = true
	s.engine.pressed = s.engine.usedLocked()
}

// Refuses reports whether a command of a transaction is refused because memory is
// short, and so the whole transaction.
func (s *Step) Refuses(args [][]byte) bool {
	e := s.engine
	if !e.env.Pressed {
		return false
	}
	row, _, ok := e.find(args)
	return ok && e.bringsData(row, args)
}

// bringsData reports whether a command is one that is refused when memory is short. What
// a script declares of itself stands for it.
func (e *Engine) bringsData(row *call.Row, args [][]byte) bool {
	if row.Group == command.Scripting && !row.Spec.Reads() {
		return e.scripts.DeniesOOM(args) || row.Flags.Has(command.DenyOOM)
	}
	return row.Flags.Has(command.DenyOOM)
}

// endPressure notes whether memory is still as short as the leader found it. It needs
// the lock.
func (e *Engine) endPressure() {
	tight := e.env.Pressed && !e.resettled && e.usedLocked() >= e.pressed
	if e.tight.Load() != tight {
		e.tight.Store(tight)
	}
}

// Tight reports whether commands that bring data would be refused: memory was short for
// the newest entry of the log, and nothing has been freed since. It takes no lock.
func (e *Engine) Tight() bool { return e.tight.Load() }

// BringsData reports whether a command of a script or a function is refused when memory
// is short.
func (v *View) BringsData(args [][]byte) bool {
	row, _, ok := v.engine.find(args)
	return ok && v.engine.bringsData(row, args)
}

// Victims are keys of one database.
type Victims struct {
	DB   int
	Keys [][]byte
}

// Relief is what a leader decides about memory before an entry.
type Relief struct {
	// Victims are the keys that go.
	Victims []Victims
	// Pressed: more is used than maxmemory, and nothing can be done about it.
	Pressed bool
	// More: what goes is not enough, and there is more that can go.
	More bool
}

// Chooser chooses victims for one leader. It is used by one goroutine.
type Chooser struct {
	// Chance returns random bits.
	Chance func() uint64

	chosen map[victimKey]bool
	pool   []candidate
	all    []candidate
}

type victimKey struct {
	db  int
	key string
}

// candidate is a key that may become a victim: the sooner the higher its score.
type candidate struct {
	victimKey
	bytes int64
	score uint64
}

const (
	// victimBytesMax bounds the names of the keys that one entry takes, beside as many as
	// its commands have.
	victimBytesMax = 512 << 10
	// poolLen is how many of the best candidates seen are remembered.
	poolLen = 16
)

// keysMax returns how many keys go at most with one entry that brings so many bytes of
// commands: more than it can bring, and as many more as the tenacity says.
func keysMax(tenacity, bytes int) int {
	const commandBytes = 8 // of the shortest that brings a key: a pair of MSET
	return 128*(tenacity+1) + bytes/commandBytes
}

// Relieve decides what an entry of the log with that many bytes of commands must bring
// beside them so that no more memory is used than maxmemory.
func (e *Engine) Relieve(c *Chooser, bytes int) (r Relief) {
	if e.MaxMemory() == 0 {
		return r
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	excess := e.usedLocked() - int64(e.settings.MaxMemory)
	if e.settings.MaxMemory == 0 || excess <= 0 {
		return r
	}
	if e.settings.MaxMemoryPolicy == call.NoEviction {
		r.Pressed = true
		return r
	}
	p := pass{engine: e, chooser: c, policy: e.settings.MaxMemoryPolicy, excess: excess, room: victimBytesMax + bytes, keysMax: keysMax(e.settings.EvictionTenacity, bytes)}
	p.run()
	r.Victims = p.victims
	r.Pressed = p.excess > 0 && p.taken == p.population
	r.More = p.excess > 0 && !r.Pressed
	return r
}

// Over reports whether more memory is used than maxmemory.
func (e *Engine) Over() bool {
	limit := e.MaxMemory()
	return limit > 0 && e.Used() > limit
}

// Evictable reports whether there is a key that the policy lets go.
func (e *Engine) Evictable() bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	p := pass{engine: e, policy: e.settings.MaxMemoryPolicy}
	if p.policy == call.NoEviction {
		return false
	}
	for db := range Databases {
		if p.of(p.keyspace().DB(db)) > 0 {
			return true
		}
	}
	return false
}

// pass is one choice of victims. The engine's lock is held for reading.
type pass struct {
	engine  *Engine
	chooser *Chooser
	policy  call.Policy
	excess  int64 // bytes that are still to be freed
	room    int   // bytes of names that are still to be had
	keysMax int

	population int // keys that the policy lets go
	taken      int
	victims    []Victims
}

func (p *pass) keyspace() *keyspace.Keyspace { return p.engine.env.Keyspace }

// of returns how many keys of a database the policy lets go.
func (p *pass) of(d *keyspace.DB) int {
	if p.policy.Volatile() {
		return d.Expires()
	}
	return d.Len()
}

func (p *pass) run() {
	c := p.chooser
	if c.chosen == nil {
		c.chosen = make(map[victimKey]bool)
	}
	clear(c.chosen)
	for db := range Databases {
		p.population += p.of(p.keyspace().DB(db))
	}
	switch {
	case p.policy == call.VolatileTTL:
		p.soonest()
	case p.population <= min(p.keysMax, 512):
		p.best()
	default:
		p.sampled()
	}
	if len(c.chosen) > poolLen*1024 {
		c.chosen = nil
	}
}

// wanted reports whether more victims are wanted.
func (p *pass) wanted() bool { return p.excess > 0 && p.taken < p.keysMax && p.room > 0 }

// take makes a candidate a victim, unless it is one.
func (p *pass) take(k victimKey, bytes int64) bool {
	if p.chooser.chosen[k] {
		return false
	}
	p.chooser.chosen[k] = true
	p.taken++
	p.excess -= bytes
	p.room -= len(k.key)
	i := slices.IndexFunc(p.victims, func(v Victims) bool { return v.DB == k.db })
	if i < 0 {
		i = len(p.victims)
		p.victims = append(p.victims, Victims{DB: k.db})
	}
	p.victims[i].Keys = append(p.victims[i].Keys, []byte(k.key))
	return true
}

// soonest takes the keys that expire first.
func (p *pass) soonest() {
	var heads [Databases][]candidate // the first of each database, in order
	for db := range Databases {
		freed := int64(0)
		p.keyspace().DB(db).Victims(true, func(v keyspace.Victim) bool {
			heads[db] = append(heads[db], p.candidate(v))
			freed += v.Bytes
			return freed < p.excess && len(heads[db]) < p.keysMax
		})
	}
	for p.wanted() {
		first := -1
		for db := range heads {
			if len(heads[db]) > 0 && (first < 0 || heads[db][0].score > heads[first][0].score) {
				first = db
			}
		}
		if first < 0 {
			return
		}
		p.take(heads[first][0].victimKey, heads[first][0].bytes)
		heads[first] = heads[first][1:]
	}
}

// best takes the best of all keys: where there are few.
func (p *pass) best() {
	all := p.chooser.all[:0]
	for db := range Databases {
		p.keyspace().DB(db).Victims(p.policy.Volatile(), func(v keyspace.Victim) bool {
			all = append(all, p.candidate(v))
			return true
		})
	}
	slices.SortFunc(all, func(a, b candidate) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	for i := 0; i < len(all) && p.wanted(); i++ {
		p.take(all[i].victimKey, all[i].bytes)
	}
	clear(all)
	p.chooser.all = all
}

// sampled takes the best of some keys chosen by chance, and of what earlier choices have
// left in the pool.
func (p *pass) sampled() {
	misses := 0
	for p.wanted() && misses < poolLen*64 {
		for range p.samples() {
			if v, ok := p.any(); ok {
				p.offer(v)
			}
		}
		if !p.takeFromPool() {
			misses++
		}
	}
}

// samples returns how many keys a victim is chosen among.
func (p *pass) samples() int {
	if !p.policy.LRU() && !p.policy.LFU() {
		return 1
	}
	return min(p.engine.settings.MaxMemorySamples, 64)
}

// any returns a key of those that the policy lets go.
func (p *pass) any() (keyspace.Victim, bool) {
	at := int(p.chooser.Chance() % uint64(p.population))
	for db := range Databases {
		d := p.keyspace().DB(db)
		if n := p.of(d); at >= n {
			at -= n
			continue
		}
		if p.policy.Volatile() {
			return d.AnyExpiring(p.chooser.Chance)
		}
		return d.AnyKey(p.chooser.Chance)
	}
	return keyspace.Victim{}, false
}

// offer puts a key into the pool if it is among the best.
func (p *pass) offer(v keyspace.Victim) {
	c := p.chooser
	next := p.candidate(v)
	if c.chosen[next.victimKey] {
		return
	}
	for i := range c.pool {
		if c.pool[i].victimKey == next.victimKey {
			c.pool[i] = next
			return
		}
	}
	if len(c.pool) < poolLen {
		c.pool = append(c.pool, next)
		return
	}
	worst := 0
	for i := range c.pool {
		if c.pool[i].score < c.pool[worst].score {
			worst = i
		}
	}
	if c.pool[worst].score < next.score {
		c.pool[worst] = next
	}
}

// takeFromPool takes the best of the pool that is still there.
func (p *pass) takeFromPool() bool {
	c := p.chooser
	for len(c.pool) > 0 {
		best := 0
		for i := range c.pool {
			if c.pool[i].score > c.pool[best].score {
				best = i
			}
		}
		k := c.pool[best].victimKey
		score := c.pool[best].score
		c.pool[best] = c.pool[len(c.pool)-1]
		c.pool = c.pool[:len(c.pool)-1]
		v, ok := p.keyspace().DB(k.db).Lookup([]byte(k.key))
		if !ok || p.policy.Volatile() && v.ExpireAt == keyspace.NoExpiry {
			continue
		}
		if now := p.candidate(v); p.ranked() && now.score < score { // it was used since
			continue
		}
		if p.take(k, v.Bytes) {
			return true
		}
	}
	return false
}

// ranked reports whether scores say something of keys.
func (p *pass) ranked() bool { return p.policy.LRU() || p.policy.LFU() }

// candidate returns a key with its score.
func (p *pass) candidate(v keyspace.Victim) candidate {
	next := candidate{victimKey: victimKey{v.DB, string(v.Key)}, bytes: v.Bytes}
	switch {
	case p.policy == call.VolatileTTL:
		next.score = -uint64(v.ExpireAt)
	case p.ranked():
		next.score = p.engine.env.Heat.Score(v.Hash)
	default:
		next.score = p.chooser.Chance()
	}
	return next
}
