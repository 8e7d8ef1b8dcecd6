package commands_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/transcript"
)

// With -oracle a random walk over few hashes and sets is done by redis-server
// too, and each reply and event compared.
func TestHashAndSetWalk(t *testing.T) {
	if !transcript.Oracle() {
		t.Skip("needs redis-server: run with -oracle")
	}
	for _, proto := range []reply.Proto{reply.RESP2, reply.RESP3} {
		ours, theirs := newTarget(proto), transcript.Server(t, proto)
		for _, target := range []transcript.Target{ours, theirs} {
			for name, value := range map[string]string{
				"hash-max-listpack-entries": "5", "hash-max-listpack-value": "8",
				"set-max-intset-entries": "6", "notify-keyspace-events": "EA",
			} {
				if err := target.Config(name, value); err != nil {
					t.Fatal(err)
				}
			}
		}
		walk := setWalk{rand: rand.New(rand.NewPCG(2, uint64(proto)))}
		var history []string
		for range 20_000 {
			line := walk.command()
			history = append(history, line)
			args := bytes.Fields([]byte(line))
			got, gotEvents := ours.Do(args)
			want, wantEvents := theirs.Do(args)
			if !sameInAnyOrder(t, args, got, want) || fmt.Sprint(gotEvents) != fmt.Sprint(wantEvents) {
				t.Fatalf("RESP%d: %s\ngot  %q %v\nwant %q %v\nafter\n%s", proto, line, got, gotEvents, want, wantEvents,
					strings.Join(history[max(0, len(history)-20):], "\n"))
			}
		}
	}
}

// sameInAnyOrder compares two replies, the elements of a list in any order: by
// pairs where the command replies with a flat list of these.
func sameInAnyOrder(t *testing.T, args [][]byte, got, want []byte) bool {
	t.Helper()
	if bytes.Equal(got, want) {
		return true
	}
	group := 1
	if last := args[len(args)-1]; string(args[0]) == "HGETALL" || string(last) == "WITHVALUES" {
		group = 2
	}
	return slices.Equal(elements(t, got, group), elements(t, want, group))
}

func elements(t *testing.T, raw []byte, group int) []string {
	t.Helper()
	v, _, err := reply.Read(raw)
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	if len(v.Elems) == 0 {
		return []string{string(raw)}
	}
	if len(v.Elems) == 2 && v.Elems[1].Kind == reply.KindArray { // a scan's
		v = v.Elems[1]
	}
	if v.Kind == reply.KindArray && len(v.Elems[0].Elems) > 0 { // pairs already
		group = 1
	}
	all := []string{}
	for pair := range slices.Chunk(v.Elems, group) {
		all = append(all, fmt.Sprint(pair))
	}
	slices.Sort(all)
	return append(all, string(v.Kind))
}

// setWalk makes up commands.
type setWalk struct{ rand *rand.Rand }

func (w setWalk) pick(words ...string) string { return words[w.rand.IntN(len(words))] }

func (w setWalk) set() string { return w.pick("sa", "sb", "sc", "sd") }

func (w setWalk) hash() string { return w.pick("ha", "hb") }

func (w setWalk) member() string {
	return w.pick("", "", "", "m") + fmt.Sprint(w.rand.IntN(9))
}

func (w setWalk) members(f func() string) string {
	all := []string{f()}
	for range w.rand.IntN(4) {
		all = append(all, f())
	}
	return strings.Join(all, " ")
}

func (w setWalk) fields() string {
	return w.members(func() string { return w.member() + " " + w.value() })
}

func (w setWalk) value() string {
	return w.pick("1", "-7", "2.5", "word", "012345678", "9223372036854775807")
}

func (w setWalk) command() string {
	switch w.rand.IntN(26) {
	case 0, 1, 2, 3:
		return "SADD " + w.set() + " " + w.members(w.member)
	case 4, 5:
		return "SREM " + w.set() + " " + w.members(w.member)
	case 6:
		return "SMOVE " + w.set() + " " + w.set() + " " + w.member()
	case 7:
		return w.pick("SINTER ", "SUNION ", "SDIFF ") + w.members(w.set)
	case 8, 9:
		return w.pick("SINTERSTORE ", "SUNIONSTORE ", "SDIFFSTORE ") + w.set() + " " + w.members(w.set)
	case 10:
		return "SINTERCARD 2 " + w.set() + " " + w.set() + w.pick("", " LIMIT 2")
	case 11:
		return w.pick("SCARD ", "SMEMBERS ", "SINTER ") + w.set()
	case 12:
		return "SMISMEMBER " + w.set() + " " + w.members(w.member)
	case 13:
		return "SSCAN " + w.set() + " 0 COUNT 100" + w.pick("", " MATCH m*")
	case 14:
		return w.pick("SPOP ", "SRANDMEMBER ") + w.set() + " 100"
	case 15, 16, 17:
		return w.pick("HSET ", "HMSET ") + w.hash() + " " + w.fields()
	case 18, 19:
		return "HDEL " + w.hash() + " " + w.members(w.member)
	case 20:
		return w.pick("HGETALL ", "HLEN ", "HKEYS ", "HVALS ") + w.hash()
	case 21:
		return w.pick("HGET ", "HSTRLEN ", "HEXISTS ") + w.hash() + " " + w.member()
	case 22:
		return w.pick("HINCRBY ", "HINCRBYFLOAT ") + w.hash() + " " + w.member() + " " + w.value()
	case 23:
		return "HSETNX " + w.hash() + " " + w.member() + " " + w.value()
	case 24:
		return "HRANDFIELD " + w.hash() + " 100" + w.pick("", " WITHVALUES")
	}
	return w.pick("SADD h", "HSET s", "SINTER h", "HGET s") + "a " + w.members(w.member)
}
