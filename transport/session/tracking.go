package session

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/transport/config"
)

// Client-side caching: clients keep copies of what they have read, and are told
// when a key of it changes.
//
// # What is told, and when
//
// A read notes its keys while it holds the engine's lock for reading, so no
// change lies between the value and the note. Every change on this node, whoever
// made it, calls Changed under the lock for writing, which turns notes into
// messages. They are written when the lock is free again (Applied), or, to the
// client whose own command it was, right behind the reply (OpDone).
//
// What must hold: a message that a key has changed never comes before the reply
// of an earlier read of that connection, or a stale copy would stay for ever. A
// reply that is written in place keeps the output locked from before the read
// to its end, and the message waits for that. While a reply is made elsewhere
// first (Session.reply) the messages of the connection are held.
//
// And it never comes behind a reply that shows the state after the change, or the
// client would for a moment have a copy that it knows to be old. Between the change
// and Applied the state can be read: so whoever reads, with the engine locked, writes
// first what waits for the connection (heed); and what waits for one to which messages
// are redirected goes before its next reply (deliver).
//
// # Locks
//
// tracking.mu is a leaf but for a session's mu and the server's. It is taken
// under the engine's lock and under outputs, so nobody takes those with it.
type tracking struct {
	limit    atomic.Int64 // tracking-table-max-keys; 0: none
	roomMade atomic.Bool  // keys were forgotten, and their clients are to be told

	mu       sync.Mutex
	on       bool                // guarded by mu; the engine tells of changes
	clients  map[int64]*Session  // guarded by mu; that track
	keys     map[string]*holders // guarded by mu; who may hold a copy of what
	items    int                 // guarded by mu; holders of all keys
	sweepAt  int                 // guarded by mu; items at which those that are gone are looked for
	prefixes map[string]*prefix  // guarded by mu; of BCAST
	due      map[int64]*Session  // guarded by mu; for whom a message waits
	changed  bool                // guarded by mu; something under a prefix was, since broadcastLocked
}

// tracker is what tracking knows of one session. It is guarded by tracking.mu;
// whoever executes the connection's commands changes the first group, and may
// read it without.
type tracker struct {
	on, bcast, optin, optout, noloop bool
	caching                          bool // CLIENT CACHING was called for the next command
	redirect                         int64
	prefixes                         []string // sorted

	broken bool // the session that redirect names is gone
	held   bool
	told   []invalidation
}

// invalidation is one message.
type invalidation struct {
	keys   []string // nil: all
	broken int64    // not 0: that session can't be told any more
}

// Bounds of what waits for one client, and of what was changed under one prefix
// in one go, in keys: beyond them it is told that everything has changed.
const (
	toldMax    = 4096
	changedMax = 1 << 16
	sweepMin   = 1 << 20 // see tracking.sweepAt
)

// holders are the ids of the sessions that may hold a copy of a key; mostly it
// is one.
type holders struct {
	first int64
	more  map[int64]struct{} // nil: none
}

func (h *holders) add(id int64) bool {
	if h.first == id {
		return false
	}
	if _, is := h.more[id]; is {
		return false
	}
	if h.more == nil {
		h.more = make(map[int64]struct{})
	}
	h.more[id] = struct{}{}
	return true
}

func (h *holders) len() int { return 1 + len(h.more) }

// all returns the ids, sorted: clients are told in the order they came.
func (h *holders) all() []int64 {
	if h.more == nil {
		return []int64{h.first}
	}
	return slices.Sorted(func(yield func(int64) bool) {
		if yield(h.first) {
			maps.Keys(h.more)(yield)
		}
	})
}

// prefix is what clients in BCAST mode listen to.
type prefix struct {
	clients map[int64]*Session
	// changed tells by whom each key was changed since the last message; 0 is
	// more than one, or none of this node. nil: too many.
	changed map[string]int64
	many    bool
}

func (t *tracking) init(srv *Server, c *config.Config) {
	const limit = "tracking-table-max-keys"
	t.limit.Store(c.Int(limit))
	c.OnSet(limit, func(string) error {
		t.limit.Store(c.Int(limit))
		t.mu.Lock()
		defer t.mu.Unlock()
		t.makeRoomLocked(srv)
		return nil
	})
	t.clients = make(map[int64]*Session)
	t.keys = make(map[string]*holders)
	t.prefixes = make(map[string]*prefix)
	t.due = make(map[int64]*Session)
	t.sweepAt = sweepMin
}

// stats returns how many clients track, and the sizes of INFO.
func (t *tracking) stats() (clients, keys, items, prefixes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.clients), len(t.keys), t.items, len(t.prefixes)
}

// watchLocked has the engine tell of changes while somebody wants to know.
func (s *Server) watchLocked() {
	t := &s.tracking
	if on := len(t.clients) > 0 || len(t.keys) > 0; on != t.on {
		t.on = on
		s.opts.Engine.Watch(on)
	}
}

// notes reports whether the keys of the command under way are noted.
func (s *Session) notes() bool {
	k := &s.tracker
	return k.on && !k.bcast && (!k.optin || k.caching) && (!k.optout || !k.caching)
}

// note notes the keys that a command has read. The engine is locked.
func (s *Session) note(e *entry, args [][]byte) {
	positions, err := e.AppendKeys(nil, args)
	if err != nil || len(positions) == 0 {
		return
	}
	t := &s.srv.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range positions {
		key := args[p.Index]
		h := t.keys[string(key)]
		switch {
		case h == nil:
			t.keys[string(key)] = &holders{first: s.id}
			t.items++
		case h.add(s.id):
			t.items++
		}
	}
	t.makeRoomLocked(s.srv)
	if t.items > t.sweepAt {
		t.sweepLocked()
	}
}

// makeRoomLocked forgets keys beyond the limit: their clients are told that they have
// changed. That is written by the next one at the end of its pipeline, or with the
// next entry.
func (t *tracking) makeRoomLocked(srv *Server) {
	limit := t.limit.Load()
	if limit == 0 || int64(len(t.keys)) <= limit {
		return
	}
	for key := range t.keys { // in no order: any will do
		if int64(len(t.keys)) <= limit {
			break
		}
		t.invalidateLocked(srv, nil, key)
	}
	t.roomMade.Store(true)
}

// sweepLocked forgets holders that are gone. Until it runs they take room, as a
// key of theirs may never change: looking for them at each end of a connection
// would cost more.
func (t *tracking) sweepLocked() {
	for key, h := range t.keys {
		var live []int64
		for _, id := range h.all() {
			if t.clients[id] != nil {
				live = append(live, id)
			}
		}
		t.items -= h.len() - len(live)
		if len(live) == 0 {
			delete(t.keys, key)
			continue
		}
		*h = holders{first: live[0]}
		for _, id := range live[1:] {
			h.add(id)
		}
	}
	t.sweepAt = max(sweepMin, 2*t.items)
}

// Changed implements engine.Watcher.
func (s *Server) Changed(by any, key string) {
	t := &s.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	who, _ := by.(*Session)
	for name, p := range t.prefixes {
		if strings.HasPrefix(key, name) {
			p.note(key, who)
			t.changed = true
		}
	}
	if _, ok := t.keys[key]; ok {
		t.invalidateLocked(s, who, key)
	}
}

func (p *prefix) note(key string, who *Session) {
	var id int64
	if who != nil {
		id = who.id
	}
	switch old, again := p.changed[key]; {
	case p.many:
	case again && old != id:
		p.changed[key] = 0
	case len(p.changed) == changedMax && !again:
		p.changed, p.many = nil, true
	default:
		if p.changed == nil {
			p.changed = make(map[string]int64)
		}
		p.changed[key] = id
	}
}

// invalidateLocked tells who holds a copy of a key that it changes by who's
// doing. A client that does not want to hear of its own changes keeps its copy,
// which is the new value, and so is told of the next one.
func (t *tracking) invalidateLocked(srv *Server, who *Session, key string) {
	h := t.keys[key]
	delete(t.keys, key)
	t.items -= h.len()
	for _, id := range h.all() {
		c := t.clients[id]
		switch {
		case c == nil || c.tracker.bcast:
		case c.tracker.noloop && c == who:
			t.keys[key] = &holders{first: id}
			t.items++
		default:
			t.tellLocked(srv, c, invalidation{keys: []string{key}})
		}
	}
	srv.watchLocked()
}

// Flushed implements engine.Watcher.
func (s *Server) Flushed(any) {
	t := &s.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.keys)
	t.items = 0
	for _, id := range slices.Sorted(maps.Keys(t.clients)) {
		t.tellLocked(s, t.clients[id], invalidation{})
	}
	s.watchLocked()
}

// tellLocked has a message on its way to a client that tracks, or to the one
// that it names.
func (t *tracking) tellLocked(srv *Server, c *Session, m invalidation) {
	to := c
	if id := c.tracker.redirect; id != 0 {
		if to = srv.open(id); to == nil {
			c.tracker.broken = true
			to, m = c, invalidation{broken: id}
		}
	}
	told := to.tracker.told
	last := len(told) - 1
	if m.broken == 0 && m.keys == nil && last >= 0 && told[last].keys == nil && told[last].broken == 0 {
		return // it has been told already
	}
	if len(told) >= toldMax {
		told, m = told[:0], invalidation{}
	}
	to.tracker.told = append(told, m)
	to.hears.Store(true)
	t.due[to.id] = to
}

// broadcastLocked makes messages of what was changed under prefixes.
func (t *tracking) broadcastLocked(srv *Server) {
	if !t.changed {
		return
	}
	t.changed = false
	for _, name := range slices.Sorted(maps.Keys(t.prefixes)) {
		p := t.prefixes[name]
		if len(p.changed) == 0 && !p.many {
			continue
		}
		keys := slices.Sorted(maps.Keys(p.changed))
		for _, id := range slices.Sorted(maps.Keys(p.clients)) {
			c, told := p.clients[id], keys
			switch {
			case p.many:
				told = nil
			case c.tracker.noloop:
				told = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return p.changed[key] == id })
				if len(told) == 0 {
					continue
				}
			}
			t.tellLocked(srv, c, invalidation{keys: told})
		}
		p.changed, p.many = nil, false
	}
}

// Applied implements engine.Watcher: it writes what waits.
func (s *Server) Applied() {
	t := &s.tracking
	t.mu.Lock()
	t.broadcastLocked(s)
	t.mu.Unlock()
	s.deliverInvalidations()
}

// deliverInvalidations writes what waits for clients that may be told now.
func (s *Server) deliverInvalidations() {
	t := &s.tracking
	var waiting []*Session
	t.mu.Lock()
	for _, c := range t.due {
		if !c.tracker.held {
			waiting = append(waiting, c)
		}
	}
	t.mu.Unlock()
	for _, c := range waiting {
		c.deliver()
	}
}

// deliver writes what waits for the session, if it may be told now. It is taken with
// the output locked: no reply that was made later comes before it.
func (s *Session) deliver() {
	subscribed := s.subscribed()
	w := s.out.Begin()
	told := s.takeTold()
	writeInvalidations(w, told, subscribed)
	s.out.End()
	if len(told) > 0 {
		s.out.SendSoon()
	}
}

// takeTold takes what waits for the session, unless it is held.
func (s *Session) takeTold() []invalidation {
	t := &s.srv.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.tracker.held {
		return nil
	}
	return t.takeLocked(s)
}

func (t *tracking) takeLocked(s *Session) []invalidation {
	told := s.tracker.told
	s.tracker.told = nil
	s.hears.Store(false)
	delete(t.due, s.id)
	return told
}

// heed writes what waits for the session in front of a reply. The engine is locked, and
// out is where the reply goes.
func (s *Session) heed(out *reply.Writer) {
	told := s.heard()
	if len(told) == 0 {
		return
	}
	before := len(out.Bytes())
	writeInvalidations(out, told, s.subs.len() > 0)
	s.heeded = len(out.Bytes()) - before
}

// writeInvalidations writes messages. Who speaks RESP2 can take them as a
// subscriber alone, and then they were redirected: such a client can't read.
func writeInvalidations(w *reply.Writer, told []invalidation, subscribed bool) {
	for _, m := range told {
		switch {
		case m.broken != 0:
			if w.Proto() == reply.RESP3 {
				w.Push(2)
				w.BulkString("tracking-redir-broken")
				w.Int(m.broken)
			}
			continue
		case w.Proto() == reply.RESP3:
			w.Push(2)
			w.BulkString("invalidate")
		case w.Proto() == reply.RESP2 && subscribed:
			w.Array(3)
			w.BulkString("message")
			w.BulkString("__redis__:invalidate")
		default:
			continue
		}
		if m.keys == nil {
			w.Null()
			continue
		}
		w.Array(len(m.keys))
		for _, key := range m.keys {
			w.BulkString(key)
		}
	}
}

// subscribed reports whether the session has subscriptions.
func (s *Session) subscribed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subs.len() > 0
}

// OpDone implements fsm.Follower: behind its reply, a client is told what its own
// command has changed.
func (s *Session) OpDone(out *reply.Writer) {
	if !s.tracker.on || out == &s.quiet {
		return
	}
	t := &s.srv.tracking
	t.mu.Lock()
	told := t.takeLocked(s)
	t.mu.Unlock()
	writeInvalidations(out, told, s.subs.len() > 0)
}

var _ fsm.Follower = (*Session)(nil)

// hold keeps messages back while a reply is made that is not in the output yet.
func (s *Session) hold() {
	t := &s.srv.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	s.tracker.held = true
}

// release lets them go.
func (s *Session) release() {
	t := &s.srv.tracking
	t.mu.Lock()
	s.tracker.held = false
	waits := len(s.tracker.told) > 0
	t.mu.Unlock()
	if waits {
		s.srv.deliverInvalidations()
	}
}

// tracks returns how the session tracks.
func (s *Session) tracks() tracker {
	t := &s.srv.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	k := s.tracker
	k.prefixes, k.told = slices.Clone(k.prefixes), nil
	return k
}

// redirection is the id that clients are shown: 0 is none, -1 no tracking.
func (k *tracker) redirection() int64 {
	if !k.on {
		return -1
	}
	return k.redirect
}

// cached ends what CLIENT CACHING said, behind the command that it was for: while that
// is in flight it must not change.
func (s *Session) cached(args [][]byte) {
	if s.tx != nil || bytes.EqualFold(args[0], []byte("client")) {
		return
	}
	s.settle()
	s.setCaching(false)
}

func (s *Session) setCaching(yes bool) {
	s.srv.tracking.mu.Lock()
	defer s.srv.tracking.mu.Unlock()
	s.tracker.caching = yes
}

// track begins or changes tracking.
func (s *Session) track(o tracker) {
	t := &s.srv.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	k := &s.tracker
	k.on, k.bcast, k.optin, k.optout, k.noloop = true, o.bcast, o.optin, o.optout, o.noloop
	k.redirect, k.broken = o.redirect, false
	t.clients[s.id] = s
	if o.bcast && len(o.prefixes) == 0 {
		o.prefixes = []string{""}
	}
	for _, name := range o.prefixes {
		if t.prefixes[name] == nil {
			t.prefixes[name] = &prefix{clients: make(map[int64]*Session)}
		}
		t.prefixes[name].clients[s.id] = s
		if at, is := slices.BinarySearch(k.prefixes, name); !is {
			k.prefixes = slices.Insert(k.prefixes, at, name)
			s.lists.prefixes.Add(prefixBytes + int64(len(name)))
		}
	}
	s.srv.watchLocked()
}

// untrack ends tracking. What the client has read stays noted, as in Redis: it
// may begin again.
func (s *Session) untrack() {
	t := &s.srv.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	k := &s.tracker
	s.lists.prefixes.Store(0)
	for _, name := range k.prefixes {
		p := t.prefixes[name]
		if delete(p.clients, s.id); len(p.clients) == 0 {
			delete(t.prefixes, name)
		}
	}
	delete(t.clients, s.id)
	*k = tracker{held: k.held, told: k.told}
	s.srv.watchLocked()
}

// closeTracking forgets a session that is closed. With the last client that
// tracks, all notes go.
func (s *Session) closeTracking() {
	if s.trackedBefore {
		s.untrack()
	}
	t := &s.srv.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	t.takeLocked(s)
	if s.trackedBefore && len(t.clients) == 0 {
		clear(t.keys)
		t.items = 0
		s.srv.watchLocked()
	}
}
