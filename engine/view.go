package engine

import (
	"bytes"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
)

// View calls f with the lock held for reading: all reads in f see one state.
// wallMs is the time, in Unix milliseconds, that replies such as TTL's count
// with; random seeds what replies take by chance.
func (e *Engine) View(wallMs int64, random uint64, f func(*View)) {
	if missed := e.view(wallMs, random, f); len(missed) > 0 {
		e.opts.Missed(missed)
	}
}

func (e *Engine) view(wallMs int64, random uint64, f func(*View)) (missed []Message) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	e.env.Heat.SetNow(wallMs)
	v := View{engine: e, wall: max(wallMs, e.clock)}
	v.rand.Seed(random, 0)
	f(&v)
	e.lookups.add(&v.lookups)
	if v.warmer != nil {
		e.warmers.Put(v.warmer)
	}
	return e.missedLocked(&v.lookups)
}

// View reads the state.
type View struct {
	engine  *Engine
	wall    int64
	rand    call.Rand
	call    call.Call // reused by one command after the other
	lookups call.Lookups
	before  call.Lookups // without those of the last command
	warmer  *keyspace.Warmer
	by      any
}

// For tells on whose behalf the next commands are, as Step.For does.
func (v *View) For(client any) { v.by = client }

// Expect tells of a key that commands soon to come may look up, and reports
// whether there is room for another one. It is worth while for some commands at
// once; Warm follows.
func (v *View) Expect(db int, key []byte) (more bool) {
	if v.warmer == nil {
		v.warmer = v.engine.warmers.Get().(*keyspace.Warmer)
	}
	return v.engine.expect(v.warmer, db, key)
}

// Warm brings what was expected near the processor.
func (v *View) Warm() {
	if v.warmer != nil {
		v.warmer.Visit()
	}
}

// Do executes a command that changes nothing. A command that might is refused.
func (v *View) Do(db int, args [][]byte, inTx bool, out *reply.Writer) {
	v.DoAs(call.As{}, db, args, inTx, out)
}

// DoAs is Do for a user.
func (v *View) DoAs(as call.As, db int, args [][]byte, inTx bool, out *reply.Writer) {
	v.DoRefusing(as, db, args, inTx, "", out)
}

// SaysNothing reports whether args call a script that does not say whether it writes.
func (v *View) SaysNothing(args [][]byte) bool { return v.engine.scripts.SaysNothing(args) }

// DoRefusing is DoAs also for scripts that do not say whether they write: what they want
// to change is refused, for that reason. They do not become known to EVALSHA.
func (v *View) DoRefusing(as call.As, db int, args [][]byte, inTx bool, why reply.Error, out *reply.Writer) {
	if db < 0 || db >= Databases || len(args) == 0 {
		out.Error(reply.ErrDBIndex)
		return
	}
	e := v.engine
	v.before = v.lookups
	v.lookups.Lagging = false
	v.call = call.Call{
		Env: &e.env, Args: args, DB: e.env.Keyspace.DB(db), Now: e.clock, Wall: v.wall,
		As: as, Rand: &v.rand, Out: out, InTx: inTx, Refused: why,
		Lookups: &v.lookups, By: v.by,
	}
	e.execute(&v.call)
}

// Version returns the version of a key, for WATCH.
func (v *View) Version(db int, key []byte) uint64 {
	return v.engine.env.Keyspace.DB(db).Version(key, v.engine.clock)
}

// Lags reports whether a key is due by the view's time, but not by the log clock yet.
func (v *View) Lags(db int, key []byte) bool {
	d := v.engine.env.Keyspace.DB(db)
	if _, there := d.Get(key, v.engine.clock); !there {
		return false
	}
	_, there := d.Get(key, v.wall)
	return !there
}

// Lagged reports whether the last command met a key that is due by the view's time, but
// not by the log clock yet.
func (v *View) Lagged() bool { return v.lookups.Lagging }

// Retract tells that the last command will be carried out again: it has not counted.
func (v *View) Retract() { v.lookups = v.before }

// KeepsDue reports whether what is due stays until somebody looks at it: DEBUG
// SET-ACTIVE-EXPIRE.
func (v *View) KeepsDue() bool { return v.engine.settings.KeepsDue }

// Due reports whether a key is there and due by the view's time.
func (v *View) Due(db int, key []byte) bool {
	e, there := v.engine.env.Keyspace.DB(db).Stored(key)
	return there && e.Expired(v.wall)
}

// DueAmong returns keys of a database that are due by the view's time: those among its
// first most keys.
func (v *View) DueAmong(db, most int) (keys [][]byte) {
	v.engine.env.Keyspace.DB(db).Scan(0, most, func(e keyspace.Entry) {
		if e.Expired(v.wall) {
			keys = append(keys, bytes.Clone(e.Key))
		}
	})
	return keys
}

// DBStats are the figures of one database in INFO keyspace.
type DBStats struct {
	Keys, Expires           int
	MeanTTLMs               int64 // of those that expire, an estimate
	TableBytes, ExpiryBytes int64
}

// Database returns the figures of database db.
func (v *View) Database(db int) DBStats {
	d := v.engine.env.Keyspace.DB(db)
	stats := DBStats{Keys: d.Len(), Expires: d.Expires(), MeanTTLMs: d.MeanTTL(v.wall)}
	stats.TableBytes, stats.ExpiryBytes = d.Overhead()
	return stats
}

// DeclaresNoWrites reports whether args call a script or a function that says of itself that it does not write.
func (v *View) DeclaresNoWrites(args [][]byte) bool { return v.engine.scripts.DeclaresNoWrites(args) }

// Scripts returns the number of scripts that EVALSHA finds, and the bytes of their text.
func (v *View) Scripts() (n int, bytes int64) {
	n, size := v.engine.scripts.Count()
	return n, int64(size)
}

// Functions returns how many libraries and functions there are, and the bytes of the libraries' code.
func (v *View) Functions() (libraries, functions int, bytes int64) {
	libraries, functions, size := v.engine.scripts.CountFunctions()
	return libraries, functions, int64(size)
}
