package session

import (
	"slices"
	"time"

	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/transport/observe"
)

// row is a command of the session: what describes it, and what carries it out.
type row struct {
	command.Spec
	do func(*Session, *request)
	// rides: the answer depends on the arguments and the clock alone, so it
	// may be given at its place behind writes in flight.
	rides bool
	// prompt: executed at once inside MULTI too, not queued.
	prompt bool
	// waits: waits for the cluster, which a transaction must not.
	waits bool
	// sees: shows data or has an effect outside the connection, and so waits
	// until no write of the connection is in doubt.
	sees bool
	// looks: takes the engine's lock to look at the data as a whole, or takes its
	// time. Inside a transaction, which holds that lock, what it saw before is the
	// reply.
	looks bool
	// redact, if set, returns arguments as SLOWLOG and MONITOR may show them.
	redact func(args [][]byte) [][]byte
	// data: the engine has the command too; inside MULTI it is the engine's.
	data bool
}

// containerRow is a command that is nothing without a subcommand: its arity
// refuses calls without one, and Find those of unknown ones.
func containerRow(name string, group command.Group) row {
	return row{Spec: command.NewContainer(name, group), do: func(_ *Session, r *request) { r.fail(reply.ErrSyntax) }}
}

// request is one execution of a session command.
type request struct {
	args [][]byte
	out  *reply.Writer
	// inTx: the output is locked and the caller is not the connection's
	// goroutine, which waits meanwhile.
	inTx bool
	db   int // the selected database
}

func (r *request) fail(e reply.Error) { r.out.Error(e) }

// entry is a command as sessions see it.
type entry struct {
	*command.Spec
	row   *row                     // nil: the engine's alone
	waits func(args [][]byte) bool // whether a call may wait; nil: none may
	stats observe.Command
	id    acl.ID // in the catalog of the table
	// seal, of a command that changes users, checks it and returns it as it may be logged.
	seal func(s *Session, args [][]byte, inTx bool) ([][]byte, reply.Error)
	// whileRunning: see there; nil for all others.
	whileRunning func(*Server) func(*reply.Writer)
	// took is told how long the engine took for it, of fsm.Op; tookInTx the same
	// inside a transaction.
	took, tookInTx func(conn fsm.Conn, args [][]byte, answer []byte, d time.Duration)
}

// answered counts an execution that nobody timed.
func (e *entry) answered(answer []byte) {
	e.stats.Called(0, false)
	if failed(answer) {
		e.stats.Failed()
	}
}

// visible returns arguments as others may see them.
func (e *entry) visible(args [][]byte) [][]byte {
	if e.seal != nil {
		return redacted(args, 2, len(args))
	}
	if e.row == nil || e.row.redact == nil {
		return args
	}
	return e.row.redact(args)
}

// redacted returns a copy of args in which what stands from first on, before limit, is hidden.
func redacted(args [][]byte, first, limit int) [][]byte {
	shown := slices.Clone(args)
	for i := first; i < min(limit, len(args)); i++ {
		shown[i] = []byte("(redacted)")
	}
	return shown
}

// engines reports whether the engine carries the command out.
func (e *entry) engines() bool { return e.row == nil }

// touchesData reports whether it reads or changes data, or has an effect that Redis
// replicates: the engine's commands do, and the session's that write or publish.
func (e *entry) touchesData() bool {
	return e.row == nil || e.Flags.Any(command.Write|command.MayReplicate)
}

// reads reports whether it is carried out by the engine and changes nothing.
func (e *entry) reads() bool { return e.row == nil && e.Spec.Reads() }

type table struct {
	*command.Table[*entry]
	all     []*entry // by name
	catalog *acl.Catalog
}

var seals = map[string]func(s *Session, args [][]byte, inTx bool) ([][]byte, reply.Error){
	"acl|setuser": sealSetUser, "acl|deluser": sealDelUser,
}

// newTable joins the session's commands and the engine's. Where both have
// one, the session's row stands, and knows of the engine's. Those that no client may
// call are left out.
func newTable(data *command.Table[*call.Row], renames *Renames) *table {
	var entries []*entry
	own := make(map[string]bool)
	rows := rows()
	for i := range rows {
		r := &rows[i]
		_, r.data = data.Lookup(r.Name)
		own[r.Name] = true
		entries = append(entries, &entry{Spec: &r.Spec, row: r})
	}
	for _, name := range data.Names() {
		if !own[name] {
			r, _ := data.Lookup(name)
			entries = append(entries, &entry{Spec: &r.Spec, waits: r.Waits})
		}
	}
	catalog := catalogOf(entries) // rules call commands by the names that they always have
	entries = slices.DeleteFunc(entries, func(e *entry) bool { return renames.disabled(e.Spec) })
	t := &table{Table: command.NewTable(entries, func(e *entry) *command.Spec { return e.Spec }), catalog: catalog}
	for _, name := range t.Names() {
		e, _ := t.Lookup(name)
		e.id, _ = t.catalog.ID(name)
		e.seal, e.whileRunning = seals[name], whileRunning[name]
		e.took = func(conn fsm.Conn, args [][]byte, answer []byte, d time.Duration) {
			if s, ok := conn.(*Session); ok {
				s.srv.took(s, e, args, answer, d)
			}
		}
		e.tookInTx = func(conn fsm.Conn, args [][]byte, answer []byte, d time.Duration) {
			if s, ok := conn.(*Session); ok {
				s.srv.took(s, e, args, answer, d)
				s.srv.countErrors(answer, 1)
			}
		}
		t.all = append(t.all, e)
	}
	return t
}

func catalogOf(entries []*entry) *acl.Catalog {
	specs := make([]*command.Spec, len(entries))
	for i, e := range entries {
		specs[i] = e.Spec
	}
	return acl.NewCatalog(specs)
}

// Catalog returns all that a client may call, for rules of users.
func Catalog(data *command.Table[*call.Row]) *acl.Catalog { return newTable(data, nil).catalog }

// Commands returns the descriptions of all that a client may call: the engine's
// commands and the session's joined.
func Commands(data *command.Table[*call.Row]) []*command.Spec {
	var specs []*command.Spec
	for _, e := range newTable(data, nil).all {
		specs = append(specs, e.Spec)
	}
	return specs
}

// rows returns the session's commands. Each group's file opens with its rows.
func rows() []row {
	return slices.Concat(
		connectionRows, clientRows, trackingRows, transactionRows, pubsubRows, serverRows, configRows, commandRows,
		clusterRows, sentinelRows, quorateRows, latencyRows, memoryRows, psyncRows, migrateRows, aclRows,
	)
}
