// Package engine holds the state of a node and is the one place where it
// changes: Apply. Reads go through View.
//
// # The map
//
//	engine            the lock, the table of commands, snapshots
//	engine/commands   what each command does; engine/script: Lua
//	engine/call       all that a command may see
//	engine/keyspace   databases, keys, expiry, versions
//	engine/types      the values: listpack, tree, list, hash, set, zset, stream
//	engine/rdb        snapshots as Redis' RDB files
//
// # The lock
//
// There is one read-write lock, here, and none below. The FSM holds it for
// writing while it applies what raft hands over at once; the reads of a
// pipeline share one hold for reading.
//
// # Determinism
//
// The state is a function of the log. Nothing here or below reads a clock, a
// random source, the order of a map, the network, or a configuration value
// that may differ between nodes.
package engine

import (
	"bytes"
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/commands"
	"github.com/quorate/quorate/engine/heat"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/script"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/types/seed"
	"github.com/quorate/quorate/engine/waiting"
)

// Databases is the number of databases of every cluster.
const Databases = 16

// Options say how an engine is tied to its node.
type Options struct {
	// Receivers returns how many subscribers of the cluster would get a
	// message, as far as this node knows. It is called with the lock held and
	// must not block.
	Receivers func(channel []byte, sharded bool) int
	// Publish delivers to the subscribers of this node what commands have
	// published. It is called after Apply, in the log's order, without the
	// lock, and must not block.
	Publish func(Message)
	// Missed delivers to the subscribers of all nodes which keys reads of this node
	// have missed. It is called after View or Apply, without the lock; whoever reads may
	// hold the output of a client, so it must leave the delivery to somebody else.
	Missed func([]Message)
	// Settings is told of the cluster-wide settings when they change. It is
	// called after Apply or Restore, without the lock.
	Settings func(map[string]string)
	// Stream takes what changes the data from Attach to Detach, as commands. It is
	// called in the log's order, with the lock held, and must not block.
	Stream func(commands []byte)
	// StreamBroken is told that the state has become another one, which no commands
	// lead to. It is called like Stream.
	StreamBroken func()
	// Log takes what an operator should know: a command that panicked.
	Log *slog.Logger
}

// Message is what a command published from within a transaction or a script,
// or an event of a key.
type Message struct {
	Channel, Text []byte
	Sharded       bool
}

// Engine is the state of one node.
type Engine struct {
	table   *command.Table[*call.Row]
	opts    Options
	panics  atomic.Uint64
	lookups lookups
	saving  saving
	loaded  atomic.Int64              // keys of the last state that was read
	users   atomic.Pointer[acl.Users] // those of settings, for whoever does not want to wait
	onUsers atomic.Pointer[func()]    // see OnUsers
	catalog *acl.Catalog              // of the commands that scripts may call
	// compiled holds what users may do in scripts, *acl.Access by name. At most one for
	// each user, and none when users change.
	compiled sync.Map

	mu        sync.RWMutex
	env       call.Env       // guarded by mu, with all that it points to
	settings  call.Settings  // guarded by mu
	scripts   *script.Engine // guarded by mu
	seed      seed.Seed      // guarded by mu
	clock     int64          // guarded by mu; the log clock, Unix milliseconds
	outbox    []Message      // guarded by mu; published by the Apply under way
	by        any            // guarded by mu; on whose behalf the Apply under way does what it does
	resettled bool           // guarded by mu; settings were changed by the Apply under way
	usersSet  bool           // guarded by mu; users were changed by the Apply under way
	waiting   *waiting.Table // guarded by mu; commands that wait; never nil

	watcher Watcher // guarded by mu; nil: nobody
	watch   keyspace.Watch

	stream call.Stream // guarded by mu; env has it while somebody follows

	tight   atomic.Bool  // see Tight
	limit   atomic.Int64 // maxmemory
	startup int64        // Used by nothing
	pressed int64        // guarded by mu; Used when the entry under way was found under pressure

	warmer  keyspace.Warmer // guarded by mu, held for writing; of Apply
	warmers sync.Pool       // of *keyspace.Warmer; of views
}

// New returns an empty engine. Its order of keys and members is not the
// cluster's until Step.Reset has given it the cluster's seed. It follows the newest
// rules until Step.Follow says which are in force.
func New(opts Options) *Engine {
	e := &Engine{opts: opts, settings: call.DefaultSettings(), waiting: new(waiting.Table)}
	if e.opts.Receivers == nil {
		e.opts.Receivers = func([]byte, bool) int { return 0 }
	}
	if e.opts.Publish == nil {
		e.opts.Publish = func(Message) {}
	}
	if e.opts.Settings == nil {
		e.opts.Settings = func(map[string]string) {}
	}
	if e.opts.Missed == nil {
		e.opts.Missed = func([]Message) {}
	}
	if e.opts.Stream == nil {
		e.opts.Stream = func([]byte) {}
	}
	if e.opts.StreamBroken == nil {
		e.opts.StreamBroken = func() {}
	}
	e.stream.Out = e.opts.Stream
	if e.opts.Log == nil {
		e.opts.Log = slog.New(slog.DiscardHandler)
	}
	e.users.Store(e.settings.Users)
	e.scripts = script.New(script.Options{Log: e.logScript, Permit: e.permit, PermitNamed: e.permitNamed})
	e.warmers.New = func() any { return new(keyspace.Warmer) }
	e.watch.Changed = func(key string) { e.watcher.Changed(e.by, key) }
	e.watch.Flushed = func() { e.watcher.Flushed(e.by) }
	e.table = command.NewTable(slices.Concat(pointers(commands.All()), pointers(e.scripts.Rows())), func(r *call.Row) *command.Spec { return &r.Spec })
	e.catalog = acl.NewCatalog(e.callable())
	e.env = call.Env{Settings: &e.settings, Semantic: semantic.Max, Effects: effects{e}, Lookup: e.find, Heat: heat.New(0)}
	e.reset(seed.Seed{})
	e.startup = e.usedLocked()
	return e
}

func pointers(rows []call.Row) []*call.Row {
	all := make([]*call.Row, len(rows))
	for i := range rows {
		all[i] = &rows[i]
	}
	return all
}

// logScript takes what scripts write with redis.log.
func (e *Engine) logScript(level int, message string) {
	levels := []slog.Level{slog.LevelDebug, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn}
	e.opts.Log.Log(context.Background(), levels[min(max(level, 0), len(levels)-1)], message, "from", "script")
}

// reset empties the databases and orders what comes by s. It needs the lock,
// or an engine that nobody else knows yet.
func (e *Engine) reset(s seed.Seed) {
	e.seed = s
	e.hold(keyspace.New(keyspace.Options{Seed: s, Databases: Databases}), new(waiting.Table))
}

// hold makes k the data, under the rules in force, and w what waits. It needs the lock,
// or an engine that nobody else knows yet.
func (e *Engine) hold(k *keyspace.Keyspace, w *waiting.Table) {
	if k != e.env.Keyspace && e.watcher != nil {
		e.watcher.Flushed(e.by)
	}
	was := e.env.Keyspace
	e.env.Keyspace, e.waiting = k, w
	e.listen()
	k.SetWatch(&e.watch)
	if k != was {
		e.env.Heat.Clear()
	}
	k.SetHeat(e.env.Heat)
	k.MarkAbsent(e.env.Semantic >= semantic.Conversation)
	e.tellFieldsLocked()
}

// expect notes a key that is soon looked up. It needs the lock.
func (e *Engine) expect(w *keyspace.Warmer, db int, key []byte) (more bool) {
	if db < 0 || db >= Databases {
		return true
	}
	return w.Add(e.env.Keyspace.DB(db), key)
}

// CountWith makes c the one that is told what scripts of this node's clients do.
func (e *Engine) CountWith(c call.Counter) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.env.Counter = c
}

// ShowRuns makes o the one that is told which scripts and functions this node carries out.
func (e *Engine) ShowRuns(o call.Observer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.env.Observer = o
}

// FunctionStats writes the reply to FUNCTION STATS while something runs, which running
// writes. It takes no lock.
func (e *Engine) FunctionStats(out *reply.Writer, running func(*reply.Writer)) {
	e.scripts.Stats(out, running)
}

// Table returns the data commands.
func (e *Engine) Table() *command.Table[*call.Row] { return e.table }

// AnyNoWrites reports whether there are scripts or functions that say of themselves that
// they do not write. It takes no lock.
func (e *Engine) AnyNoWrites() bool { return e.scripts.AnyNoWrites() }

// Panics returns how many commands have panicked since the start.
func (e *Engine) Panics() uint64 { return e.panics.Load() }

// effects is the engine as commands see it.
type effects struct{ e *Engine }

func (f effects) Publish(channel, message []byte, sharded bool) int {
	f.e.outbox = append(f.e.outbox, Message{Channel: bytes.Clone(channel), Text: bytes.Clone(message), Sharded: sharded})
	return f.e.opts.Receivers(channel, sharded)
}

// find is command.Table.Find of the table's rows that the semantic version in
// force knows: of the others it tells what releases before them would.
func (e *Engine) find(args [][]byte) (row *call.Row, container string, ok bool) {
	row, container, ok = e.table.Find(args)
	if !ok || row.Semantic <= e.env.Semantic {
		return row, container, ok
	}
	container = row.Container()
	if c, isRow := e.table.Lookup(container); isRow && c.Semantic > e.env.Semantic {
		container = ""
	}
	return nil, container, false
}

// execute finds the row that c.Args call and carries it out.
func (e *Engine) execute(c *call.Call) {
	row, container, ok := e.find(c.Args)
	switch {
	case container != "":
		c.Fail(reply.UnknownSubcommand(container, c.Args[1]))
	case !ok:
		c.Fail(reply.UnknownCommand(c.Args))
	case !row.TakesArgs(len(c.Args)):
		c.Fail(reply.WrongArgs(row.Name))
	case !c.MayWrite && !row.Spec.Reads() && !e.scripts.DeclaresNoWrites(c.Args) && (c.Refused == "" || !e.scripts.SaysNothing(c.Args)):
		c.Fail(refusedRead(row))
	case e.env.Pressed && c.MayWrite && !c.InTx && e.bringsData(row, c.Args):
		c.Fail(reply.ErrOOM)
	default:
		e.run(row, c)
	}
}

// refusedRead tells why a command is not executed where only reads are. One that runs
// a script has come there because of what that said of itself before.
func refusedRead(row *call.Row) reply.Error {
	if row.Group == command.Scripting {
		return reply.ErrScriptChanged
	}
	return reply.ErrReadOnlyContext
}

// run carries out one command. A panic ends the command, not the node: it has
// been executed in the same way by all nodes, or their digests tell.
func (e *Engine) run(row *call.Row, c *call.Call) { e.guard(row, c, func() { row.Do(c) }) }

// guard has f carry out c, which is a call of row.
func (e *Engine) guard(row *call.Row, c *call.Call, f func()) {
	c.Begins(row)
	mark := c.Out.Mark()
	defer func() {
		if reason := recover(); reason != nil {
			e.panics.Add(1)
			e.opts.Log.Error("command panicked", "command", row.Name, "args", clipArgs(c.Args), "reason", reason, "stack", string(debug.Stack()))
			c.Out.Truncate(mark)
			c.Waiting = nil
			c.Fail(reply.ErrInternal)
		}
	}()
	c.CarryOut(f)
}

// clipArgs keeps what a log line can bear of a command's arguments.
func clipArgs(args [][]byte) []string {
	const argsMax, bytesMax = 8, 64
	var out []string
	for _, arg := range args[:min(len(args), argsMax)] {
		out = append(out, string(arg[:min(len(arg), bytesMax)]))
	}
	return out
}
