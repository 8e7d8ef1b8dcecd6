package commands_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/commands"
	"github.com/quorate/quorate/engine/heat"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/transcript"
	"github.com/quorate/quorate/engine/types/seed"
)

// databases is redis-server's default.
const databases = 16

var table = newTable(commands.All())

func newTable(rows []call.Row) *command.Table[*call.Row] {
	pointers := make([]*call.Row, len(rows))
	for i := range rows {
		pointers[i] = &rows[i]
	}
	return command.NewTable(pointers, func(row *call.Row) *command.Spec { return &row.Spec })
}

func TestTranscripts(t *testing.T) {
	open := func(_ *testing.T, proto reply.Proto) transcript.Target { return newTarget(proto) }
	// What policies.txt is about each node knows for itself: three nodes need not agree on it.
	transcript.Test(t, open, "testdata/*/*.txt", "testdata/policies.txt")
}

// target carries out commands on a keyspace of its own, without an engine.
type target struct {
	env      call.Env
	settings call.Settings
	db       int
	now      int64
	calls    uint64
	proto    reply.Proto
	events   []transcript.Message
}

func newTarget(proto reply.Proto) *target {
	t := &target{settings: call.DefaultSettings(), proto: proto, now: time.Now().UnixMilli()}
	t.env = call.Env{
		Heat:     heat.New(0),
		Semantic: semantic.Max,
		Keyspace: keyspace.New(keyspace.Options{Seed: seed.Seed{K0: 1, K1: 2}, Databases: databases}),
		Settings: &t.settings,
		Effects:  t,
		Lookup:   table.Find,
	}
	t.env.Heat.SetNow(t.now)
	t.env.Keyspace.SetHeat(t.env.Heat)
	return t
}

// Do carries out one command as the engine would, and SELECT as the session
// would.
func (t *target) Do(args [][]byte) ([]byte, []transcript.Message) {
	t.events = nil
	t.calls++
	t.env.Heat.SetNow(t.now)
	out := reply.NewWriter(t.proto, nil)
	if len(args) == 2 && call.EqualFold(args[0], "SELECT") {
		t.db, _ = strconv.Atoi(string(args[1]))
		out.OK()
		return out.Bytes(), nil
	}
	c := &call.Call{
		Env: &t.env, Args: args, DB: t.env.Keyspace.DB(t.db), Now: t.now, Wall: t.now,
		Rand: call.NewRand(t.calls, 0), Out: out, MayWrite: true, MayWait: true, Lookups: new(call.Lookups),
	}
	run(c)
	for _, missed := range c.Lookups.Missed {
		t.settings.NotifyKeyspaceEvents.MissedMessages(missed, func(channel, text []byte) { t.Publish(channel, text, false) })
	}
	if c.Waiting != nil { // nobody else is there to end it
		out.NullArray()
	}
	return out.Bytes(), t.events
}

// run finds the command that c names and carries it out.
func run(c *call.Call) {
	row, container, ok := table.Find(c.Args)
	switch {
	case !ok && container != "":
		c.Fail(reply.UnknownSubcommand(container, c.Args[1]))
	case !ok:
		c.Fail(reply.UnknownCommand(c.Args))
	case !row.TakesArgs(len(c.Args)):
		c.Fail(reply.WrongArgs(row.Name))
	default:
		c.Begins(row)
		c.MayWrite = !row.Spec.Reads() // as on the read path
		row.Do(c)
	}
}

// Publish notes a keyspace event.
func (t *target) Publish(channel, message []byte, _ bool) int {
	t.events = append(t.events, transcript.Message{Channel: string(channel), Payload: string(message)})
	return 0
}

// Advance moves the clock.
func (t *target) Advance(d time.Duration) { t.now += d.Milliseconds() }

// Config sets one of the parameters that change results.
func (t *target) Config(name, value string) error {
	if name == "notify-keyspace-events" {
		events, ok := call.ParseEvents(value)
		if !ok {
			return fmt.Errorf("%s: no such events: %q", name, value)
		}
		t.settings.NotifyKeyspaceEvents = events
		return nil
	}
	if name == "maxmemory-policy" {
		policy, ok := call.ParsePolicy(value)
		if !ok {
			return fmt.Errorf("%s: no such policy: %q", name, value)
		}
		t.settings.MaxMemoryPolicy = policy
		t.followPolicy()
		return nil
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	number := numbers(&t.settings)[name]
	if number == nil {
		return fmt.Errorf("%s: not a setting that changes results", name)
	}
	*number = n
	return nil
}

// followPolicy has clocks of use kept as the policy asks.
func (t *target) followPolicy() {
	t.env.Heat.Follow(t.settings.HeatRules())
	t.env.Heat.Fit(0)
}

// numbers returns where the settings that are numbers stand in s.
func numbers(s *call.Settings) map[string]*int {
	return map[string]*int{
		"hash-max-listpack-entries": &s.HashMaxListpackEntries,
		"hash-max-listpack-value":   &s.HashMaxListpackValue,
		"list-max-listpack-size":    &s.ListMaxListpackSize,
		"set-max-intset-entries":    &s.SetMaxIntsetEntries,
		"zset-max-listpack-entries": &s.ZsetMaxListpackEntries,
		"zset-max-listpack-value":   &s.ZsetMaxListpackValue,
		"stream-node-max-bytes":     &s.StreamNodeMaxBytes,
		"stream-node-max-entries":   &s.StreamNodeMaxEntries,
		"hll-sparse-max-bytes":      &s.HLLSparseMaxBytes,
		"proto-max-bulk-len":        &s.ProtoMaxBulkLen,
	}
}

// SetUsers changes who may do what.
func (t *target) SetUsers(us *acl.Users) { t.settings.Users = us }
