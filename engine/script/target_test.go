package script_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/heat"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/script"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/transcript"
	"github.com/quorate/quorate/engine/types/seed"
)

// TestTranscripts runs the scripts of testdata.
func TestTranscripts(t *testing.T) {
	open := func(_ *testing.T, proto reply.Proto) transcript.Target { return newTarget(proto) }
	transcript.Test(t, open, "testdata/*.txt")
}

// target runs scripts over a few commands whose values are kept in maps: what is tested is what scripts see of a
// reply, not the commands.
type target struct {
	env      call.Env
	settings call.Settings
	table    *command.Table[*call.Row]
	scripts  *script.Engine
	proto    reply.Proto
	now      int64
	calls    uint64
	broken   bool // GET panics

	strings map[string]string
	lists   map[string][]string
	maps    map[string][][2]string // hashes, and sorted sets with their scores
	sets    map[string][]string
}

func newTarget(proto reply.Proto) *target {
	t := &target{
		settings: call.DefaultSettings(), proto: proto, now: 1_700_000_000_000, scripts: script.New(script.Options{}),
		strings: map[string]string{}, lists: map[string][]string{}, maps: map[string][][2]string{}, sets: map[string][]string{},
	}
	var rows []*call.Row
	for _, list := range [][]call.Row{t.rows(), t.scripts.Rows()} {
		for i := range list {
			rows = append(rows, &list[i])
		}
	}
	t.table = command.NewTable(rows, func(row *call.Row) *command.Spec { return &row.Spec })
	t.env = call.Env{
		Heat:     heat.New(0),
		Semantic: semantic.Max,
		Keyspace: keyspace.New(keyspace.Options{Seed: seed.Seed{K0: 1}, Databases: 16}),
		Settings: &t.settings, Effects: t, Lookup: t.table.Find,
	}
	return t
}

func (t *target) rows() []call.Row {
	row := func(name string, arity int, flags command.Flags, do func(*call.Call)) call.Row {
		return call.Row{Spec: command.Spec{Name: name, Arity: arity, Flags: flags}, Do: do}
	}
	arg := func(c *call.Call, i int) string { return string(c.Args[i]) }
	return []call.Row{
		row("set", -3, command.Write, func(c *call.Call) {
			t.strings[arg(c, 1)] = arg(c, 2)
			c.Out.OK()
		}),
		row("get", 2, command.ReadOnly, func(c *call.Call) {
			if t.broken {
				panic("broken")
			}
			if s, ok := t.strings[arg(c, 1)]; ok {
				c.Out.BulkString(s)
				return
			}
			c.Out.Null()
		}),
		row("del", -2, command.Write, func(c *call.Call) {
			_, had := t.strings[arg(c, 1)]
			delete(t.strings, arg(c, 1))
			c.Out.Flag(had)
		}),
		row("incr", 2, command.Write, func(c *call.Call) {
			n, err := strconv.Atoi(t.strings[arg(c, 1)])
			if err != nil && t.strings[arg(c, 1)] != "" {
				c.Fail(reply.ErrNotInteger)
				return
			}
			t.strings[arg(c, 1)] = strconv.Itoa(n + 1)
			c.Out.Int(int64(n + 1))
		}),
		row("expire", -3, command.Write, func(c *call.Call) { c.Out.Int(1) }),
		row("rpush", -3, command.Write, func(c *call.Call) {
			for i := 2; i < len(c.Args); i++ {
				t.lists[arg(c, 1)] = append(t.lists[arg(c, 1)], arg(c, i))
			}
			c.Out.Int(int64(len(t.lists[arg(c, 1)])))
		}),
		row("lrange", 4, command.ReadOnly, func(c *call.Call) {
			c.Out.Array(len(t.lists[arg(c, 1)]))
			for _, s := range t.lists[arg(c, 1)] {
				c.Out.BulkString(s)
			}
		}),
		row("hset", -4, command.Write, func(c *call.Call) {
			t.maps[arg(c, 1)] = append(t.maps[arg(c, 1)], [2]string{arg(c, 2), arg(c, 3)})
			c.Out.Int(1)
		}),
		row("hgetall", 2, command.ReadOnly, func(c *call.Call) {
			c.Out.Map(len(t.maps[arg(c, 1)]))
			for _, pair := range t.maps[arg(c, 1)] {
				c.Out.BulkString(pair[0])
				c.Out.BulkString(pair[1])
			}
		}),
		row("sadd", -3, command.Write, func(c *call.Call) {
			for i := 2; i < len(c.Args); i++ {
				t.sets[arg(c, 1)] = append(t.sets[arg(c, 1)], arg(c, i))
			}
			c.Out.Int(int64(len(c.Args) - 2))
		}),
		row("smembers", 2, command.ReadOnly, func(c *call.Call) {
			c.Out.Set(len(t.sets[arg(c, 1)]))
			for _, s := range t.sets[arg(c, 1)] {
				c.Out.BulkString(s)
			}
		}),
		row("zadd", -4, command.Write, func(c *call.Call) {
			t.maps[arg(c, 1)] = append(t.maps[arg(c, 1)], [2]string{arg(c, 3), arg(c, 2)})
			c.Out.Int(1)
		}),
		row("zscore", 3, command.ReadOnly, func(c *call.Call) {
			i := slices.IndexFunc(t.maps[arg(c, 1)], func(p [2]string) bool { return p[0] == arg(c, 2) })
			if i < 0 {
				c.Out.Null()
				return
			}
			f, _ := strconv.ParseFloat(t.maps[arg(c, 1)][i][1], 64)
			c.Out.Double(f)
		}),
		row("publish", 3, command.MayReplicate, func(c *call.Call) { c.Out.Int(int64(c.Effects.Publish(c.Args[1], c.Args[2], false))) }),
		{Spec: command.NewContainer("object", command.Generic)},
		row("object|encoding", 3, command.ReadOnly, func(c *call.Call) { c.Out.Null() }),
	}
}

// Do carries out one command.
func (t *target) Do(args [][]byte) ([]byte, []transcript.Message) {
	t.calls++
	out := reply.NewWriter(t.proto, nil)
	c := &call.Call{
		Env: &t.env, Args: args, DB: t.env.Keyspace.DB(0), Now: t.now, Wall: t.now,
		Rand: call.NewRand(t.calls, 0), Out: out, MayWrite: true,
	}
	row, container, ok := t.table.Find(args)
	switch {
	case !ok && container != "":
		c.Fail(reply.UnknownSubcommand(strings.ToUpper(container), args[1]))
	case !ok:
		c.Fail(reply.UnknownCommand(args))
	case !row.TakesArgs(len(args)):
		c.Fail(reply.WrongArgs(row.Name))
	default:
		row.Do(c)
	}
	return out.Bytes(), nil
}

// Publish has no subscribers.
func (*target) Publish(_, _ []byte, _ bool) int { return 0 }

// Advance moves the clock.
func (t *target) Advance(d time.Duration) { t.now += d.Milliseconds() }

// Config sets one of the parameters of scripts.
func (t *target) Config(name, value string) error {
	n, err := strconv.Atoi(value)
	if err != nil {
		return err
	}
	switch name {
	case "lua-instructions-max":
		t.settings.LuaInstructionsMax = n
	case "lua-bytes-max":
		t.settings.LuaBytesMax = n
	}
	return nil
}

// SetUsers changes who may do what.
func (t *target) SetUsers(us *acl.Users) { t.settings.Users = us }
