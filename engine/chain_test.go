package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/commands"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/transcript"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/seed"
)

// stateBytes returns all of the state but the chain: what a snapshot holds.
func (n *node) stateBytes(t testing.TB) []byte {
	t.Helper()
	s, err := n.Freeze(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.state.versions.Chain = chain.Chain{}
	var file bytes.Buffer
	if err := s.WriteRDB(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// chained is the target of transcripts: it watches that the chain changes with
// the state and with it alone.
type chained struct {
	*node
	t       testing.TB
	db      int
	events  []transcript.Message
	changed map[string]bool // commands that have changed something
	state   []byte          // as of now; nil if not known
}

func (c *chained) Do(args [][]byte) ([]byte, []transcript.Message) {
	if len(args) == 2 && call.EqualFold(args[0], "SELECT") {
		c.db, _ = strconv.Atoi(string(args[1]))
		return []byte("+OK\r\n"), nil
	}
	watched := c.proto == reply.RESP3 // once is enough
	if c.state == nil && watched {
		c.state = c.stateBytes(c.t)
	}
	value := c.Chain()
	c.index++
	c.events = nil
	raw := []byte(c.route(c.db, args))
	if !watched {
		return raw, c.events
	}
	state := c.stateBytes(c.t)
	changed := !bytes.Equal(c.state, state)
	c.state = state
	if changed != (value != c.Chain()) {
		c.t.Errorf("%.200q: state changed: %v, chain changed: %v", args, changed, !changed)
	}
	// Looking for a key may let one go that is due.
	if changed && bytes.HasPrefix(raw, []byte("-")) && !bytes.HasPrefix(raw, []byte("-"+reply.ErrNoSuchKey)) {
		c.t.Errorf("%.200q failed and changed the state, if only for WATCH: %s", args, raw)
	}
	if row, _, ok := c.table.Find(args); changed && ok {
		c.changed[row.Name] = true
	}
	return raw, c.events
}

func (c *chained) Advance(d time.Duration) {
	c.state = nil
	value := c.Chain()
	c.now += d.Milliseconds()
	c.index++
	c.Apply(func(s *Step) { s.Entry(c.index, c.now) })
	if value == c.Chain() && d >= time.Millisecond {
		c.t.Error("the clock went on, the chain did not")
	}
}

func (c *chained) Config(name, value string) error {
	var err error
	c.state = nil
	c.Apply(func(s *Step) { err = s.Set([][]byte{[]byte(name), []byte(value)}) })
	return err
}

// TestChainChangesExactlyWithTheState runs the transcripts of all commands: after
// each command the chain has changed if, and only if, what a snapshot would hold
// has; and there is no command that writes without a transcript in which it does.
func TestChainChangesExactlyWithTheState(t *testing.T) {
	changed := make(map[string]bool)
	open := func(t *testing.T, proto reply.Proto) transcript.Target {
		n := newNode()
		n.proto, n.now = proto, time.Now().UnixMilli()
		n.Apply(func(s *Step) {
			s.Reset(seed.Seed{K0: 1, K1: 2}) // what the transcripts were written with
			s.Entry(1, n.now)
		})
		c := &chained{node: n, t: t, changed: changed}
		n.listen(&c.events)
		return c
	}
	transcript.Test(t, open, "commands/testdata/*/*.txt")
	if t.Failed() {
		return
	}
	scripts := &chained{node: newNode(), t: t, changed: changed}
	for _, line := range []string{"EVAL return_1 0", "SCRIPT LOAD return_2", "EVALSHA $sha 1 k", "SCRIPT FLUSH", "SCRIPT FLUSH"} {
		line = strings.ReplaceAll(line, "$sha", "9ee6e44fcff4fd8c9c5d6a6bbce7ee4cfb1c4bd8")
		words := strings.Fields(strings.ReplaceAll(line, "return_1", "return(1)"))
		var args [][]byte
		for _, word := range words {
			args = append(args, []byte(strings.ReplaceAll(word, "return_2", "return(redis.call('INCR',KEYS[1]))")))
		}
		scripts.Do(args)
	}
	for _, row := range commands.All() {
		if row.Flags.Has(command.Write) && !changed[row.Name] {
			t.Errorf("no transcript shows that %s changes the chain", row.Name)
		}
	}
}

// TestRestoredChainGoesOn: a node that came by way of a snapshot, whatever its
// memory looks like, has the chain of one that lived through it all, and keeps it.
func TestRestoredChainGoesOn(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := &walker{Rand: rand.New(rand.NewPCG(seed, 31)), keys: 4, fields: true}
			lived := newNode()
			lived.set(t, "hash-max-listpack-entries", "8", "zset-max-listpack-entries", "8", "set-max-intset-entries", "8", "list-max-listpack-size", "8")
			came := lived
			for step := range 4000 {
				if step%500 == 0 {
					came = lived.restored(t, lived.snapshot(t))
				}
				db, args := w.command()
				lived.do(db, args...)
				came.do(db, args...)
				if lived.Chain() != came.Chain() {
					t.Fatalf("step %d: %q parts the restored from the one that lived", step, args)
				}
			}
		})
	}
}

// TestChainTellsNodesApart: two nodes of which one has executed one command
// otherwise have different chains ever after.
func TestChainTellsNodesApart(t *testing.T) {
	long := func(command ...string) []string {
		for i := range 200 {
			switch command[0] {
			case "HSET":
				command = append(command, fmt.Sprint("f", i), "v")
			case "ZADD":
				command = append(command, fmt.Sprint(i), fmt.Sprint("m", i))
			default:
				command = append(command, fmt.Sprint("some longer member ", i))
			}
		}
		return command
	}
	build := [][]string{
		long("HSET", "h"), long("ZADD", "z"), long("SADD", "t"), long("RPUSH", "l"),
		{"XADD", "x", "1-1", "f", "v"},
		{"XGROUP", "CREATE", "x", "g", "0"},
		{"SET", "s", "v"},
	}
	pairs := [][2]string{
		{"SET s w", "SET s v"},
		{"SET s v", "SET s v EX 10"},
		{"APPEND s a", "APPEND s b"},
		{"SETRANGE s 1 a", "SETRANGE s 2 a"},
		{"HSET h f1 a", "HSET h f1 b"},
		{"HSET h f1 v", "HSET h f2 v"},
		{"HDEL h f1", "HDEL h f2"},
		{"HEXPIRE h 10 FIELDS 1 f1", "HEXPIRE h 11 FIELDS 1 f1"},
		{"HEXPIRE h 10 FIELDS 1 f1", "HEXPIRE h 10 FIELDS 1 f2"},
		{"HEXPIRE h 10 FIELDS 1 f1", "HPERSIST h FIELDS 1 f1"},
		{"ZADD z 5 m1", "ZADD z 6 m1"},
		{"ZREM z m1", "ZREM z m2"},
		{"ZREMRANGEBYRANK z 0 1", "ZREMRANGEBYRANK z 0 2"},
		{"ZREMRANGEBYRANK z 0 0", "ZREMRANGEBYRANK z 1 1"},
		{"SADD t a", "SADD t b"},
		{"SREM t a", "SADD t a"},
		{"LPUSH l a", "RPUSH l a"},
		{"LPUSH l a", "LPUSH l b"},
		{"LSET l 1 a", "LSET l 2 a"},
		{"LSET l 1 a", "LSET l 1 b"},
		{"LPOP l", "RPOP l"},
		{"LPOP l 1", "LPOP l 2"},
		{"XADD x 2-1 f v", "XADD x 2-2 f v"},
		{"XADD x 2-1 f v", "XADD x 2-1 f w"},
		{"XDEL x 1-1", "XDEL x 1-2"},
		{"XGROUP CREATECONSUMER x g a", "XGROUP CREATECONSUMER x g b"},
		{"XGROUP SETID x g 1", "XGROUP SETID x g 2"},
		{"XSETID x 5-1", "XSETID x 5-2"},
		{"XREADGROUP GROUP g a STREAMS x >", "XREADGROUP GROUP g b STREAMS x >"},
		{"DEL s", "DEL l"},
		{"RENAME s a", "RENAME s b"},
		{"RENAME h a", "RENAME z a"},
		{"COPY h a", "COPY z a"},
		{"EXPIRE h 10", "EXPIRE h 11"},
		{"FLUSHDB", "FLUSHALL"},
		{"PERSIST s", "EXPIRE s 10"},
		{"SUNIONSTORE t2 t", "SDIFFSTORE t2 t none t"},
		{"LINSERT l BEFORE a b", "LSET l 0 b"},
		{"LREM l 1 a", "LPUSH l a"},
	}
	for _, pair := range pairs {
		t.Run(pair[0]+" or "+pair[1], func(t *testing.T) {
			a, b := newNode(), newNode()
			for _, n := range []*node{a, b} { // all of them large
				n.set(t, "hash-max-listpack-entries", "16", "zset-max-listpack-entries", "16", "list-max-listpack-size", "16")
			}
			for _, args := range build {
				a.do(0, args...)
				b.do(0, args...)
			}
			if a.Chain() != b.Chain() {
				t.Fatal("the same history, different chains")
			}
			first, second := a.do(0, strings.Fields(pair[0])...), b.do(0, strings.Fields(pair[1])...)
			for range 3 {
				if a.Chain() == b.Chain() {
					t.Fatalf("the chain is the same after %q and %q", first, second)
				}
				a.do(0, "SET", "after", "v")
				b.do(0, "SET", "after", "v")
			}
		})
	}
}

// TestSnapshotWithoutChain: a snapshot of before there was a chain is loaded.
func TestSnapshotWithoutChain(t *testing.T) {
	n := newNode()
	n.do(0, "SET", "k", "v")
	file := n.snapshot(t)
	at := bytes.Index(file, []byte(auxChain))
	if at < 0 {
		t.Fatal("no field of the chain")
	}
	// The file as an older release would have written it: the field, with the
	// opcode and length before it, and the checksum at the end, taken out.
	old := slices.Concat(file[:at-2], file[at+len(auxChain)+1+chain.Size:])
	copy(old[len(old)-8:], make([]byte, 8)) // no checksum
	r := n.restored(t, old)
	if r.Chain() != (chain.Value{}) {
		t.Errorf("the chain begins with %v", r.Chain())
	}
	if got := r.do(0, "GET", "k"); got != "$1\r\nv\r\n" {
		t.Errorf("GET k: %q", got)
	}
}
