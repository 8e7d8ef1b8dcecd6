package commands_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/transcript"
)

// With -oracle a random walk over few keys and members is done by redis-server
// too, and each reply compared.
func TestZsetWalkBesideOracle(t *testing.T) {
	if !transcript.Oracle() {
		t.Skip("needs redis-server: run with -oracle")
	}
	for _, proto := range []reply.Proto{reply.RESP2, reply.RESP3} {
		ours, theirs := newTarget(proto), transcript.Server(t, proto)
		for _, target := range []transcript.Target{ours, theirs} {
			for name, value := range map[string]string{"zset-max-listpack-entries": "8", "notify-keyspace-events": "EA"} {
				if err := target.Config(name, value); err != nil {
					t.Fatal(err)
				}
			}
		}
		walk := zsetWalk{rand: rand.New(rand.NewPCG(1, uint64(proto)))}
		var history []string
		for range 10_000 {
			line := walk.command()
			history = append(history, line)
			args := bytes.Fields([]byte(line))
			got, gotEvents := ours.Do(args)
			want, wantEvents := theirs.Do(args)
			if !bytes.Equal(got, want) || fmt.Sprint(gotEvents) != fmt.Sprint(wantEvents) {
				t.Fatalf("RESP%d: %s\ngot  %q %v\nwant %q %v\nafter\n%s", proto, line, got, gotEvents, want, wantEvents,
					strings.Join(history[max(0, len(history)-20):], "\n"))
			}
		}
	}
}

// zsetWalk makes up commands.
type zsetWalk struct{ rand *rand.Rand }

func (w zsetWalk) pick(words ...string) string { return words[w.rand.IntN(len(words))] }

func (w zsetWalk) key() string { return w.pick("a", "b", "c", "d", "nokey") }

func (w zsetWalk) member() string { return fmt.Sprint("m", w.rand.IntN(24)) }

func (w zsetWalk) score() string {
	return w.pick("0", "1", "1.5", "2", "-3", "0.1", "-0", "inf", "-inf", "7", "1e10")
}

func (w zsetWalk) index() string { return fmt.Sprint(w.rand.IntN(40) - 20) }

func (w zsetWalk) scoreEnd() string { return w.pick("", "", "(") + w.score() }

func (w zsetWalk) lexEnd() string {
	return w.pick("-", "+", "["+w.member(), "("+w.member(), "[m1", "(m2")
}

func (w zsetWalk) limit() string {
	if w.rand.IntN(2) == 0 {
		return ""
	}
	return fmt.Sprintf("LIMIT %d %d", w.rand.IntN(6)-1, w.rand.IntN(6)-1)
}

func (w zsetWalk) pairs() string {
	var s []string
	for range 1 + w.rand.IntN(3) {
		s = append(s, w.score(), w.member())
	}
	return strings.Join(s, " ")
}

// sources returns a number of keys, the keys, and weights.
func (w zsetWalk) sources(weights bool) string {
	n := 1 + w.rand.IntN(3)
	s, heavy := fmt.Sprint(n), " WEIGHTS"
	for range n {
		s += " " + w.key()
		heavy += " " + w.pick("1", "2", "-1", "0")
	}
	if weights && w.rand.IntN(2) == 0 {
		s += heavy
	}
	if weights {
		s += w.pick("", " AGGREGATE SUM", " AGGREGATE MIN", " AGGREGATE MAX")
	}
	return s
}

func (w zsetWalk) command() string {
	k, scores := w.key(), w.pick("", "WITHSCORES")
	switch w.rand.IntN(26) {
	case 0, 1, 2, 3, 4:
		return fmt.Sprintf("ZADD %s %s", k, w.pairs())
	case 5:
		return fmt.Sprintf("ZADD %s %s %s %s", k, w.pick("NX", "XX", "GT", "LT", "XX GT", "XX LT"), w.pick("", "CH"), w.pairs())
	case 6:
		return fmt.Sprintf("ZADD %s %s INCR %s %s", k, w.pick("", "NX", "XX", "GT", "LT"), w.score(), w.member())
	case 7:
		return fmt.Sprintf("ZINCRBY %s %s %s", k, w.score(), w.member())
	case 8:
		return fmt.Sprintf("ZREM %s %s %s", k, w.member(), w.member())
	case 9:
		return fmt.Sprintf("%s %s %s", w.pick("ZRANK", "ZREVRANK", "ZSCORE", "ZMSCORE"), k, w.member())
	case 10:
		return fmt.Sprintf("%s %s %s %s %s", w.pick("ZRANGE", "ZREVRANGE"), k, w.index(), w.index(), scores)
	case 11:
		return fmt.Sprintf("%s %s %s %s %s %s", w.pick("ZRANGEBYSCORE", "ZREVRANGEBYSCORE"), k, w.scoreEnd(), w.scoreEnd(), scores, w.limit())
	case 12:
		return fmt.Sprintf("ZRANGE %s %s %s BYSCORE %s %s %s", k, w.scoreEnd(), w.scoreEnd(), w.pick("", "REV"), scores, w.limit())
	case 13:
		return fmt.Sprintf("ZCOUNT %s %s %s", k, w.scoreEnd(), w.scoreEnd())
	case 14:
		return fmt.Sprintf("ZREMRANGEBYRANK %s %s %s", k, w.index(), w.pick("0", "1", "-15"))
	case 15:
		return fmt.Sprintf("ZREMRANGEBYSCORE %s %s %s", k, w.scoreEnd(), w.pick("0", "(1", "(-3"))
	case 16:
		return fmt.Sprintf("%s %s %s", w.pick("ZPOPMIN", "ZPOPMAX"), k, w.pick("", "0", "1", "3"))
	case 17:
		return fmt.Sprintf("ZMPOP %s %s %s", w.sources(false), w.pick("MIN", "MAX"), w.pick("", "COUNT 2"))
	case 18, 19:
		return fmt.Sprintf("%s %s %s", w.pick("ZUNION", "ZINTER"), w.sources(true), scores)
	case 20:
		return fmt.Sprintf("ZDIFF %s %s", w.sources(false), scores)
	case 21:
		return fmt.Sprintf("%s %s %s", w.pick("ZUNIONSTORE", "ZINTERSTORE"), k, w.sources(true))
	case 22:
		return fmt.Sprintf("ZDIFFSTORE %s %s", k, w.sources(false))
	case 23:
		return fmt.Sprintf("ZRANGESTORE %s %s %s %s", k, w.key(), w.index(), w.index())
	case 24:
		return fmt.Sprintf("ZINTERCARD %s LIMIT %d", w.sources(false), w.rand.IntN(4))
	default:
		return w.lex()
	}
}

// lex works on a key whose members all have one score, as ranges of members
// demand.
func (w zsetWalk) lex() string {
	switch w.rand.IntN(5) {
	case 0, 1:
		return fmt.Sprintf("ZADD lex 0 %s 0 %s", w.member(), w.member())
	case 2:
		return fmt.Sprintf("ZLEXCOUNT lex %s %s", w.lexEnd(), w.lexEnd())
	case 3:
		return fmt.Sprintf("%s lex %s %s %s", w.pick("ZRANGEBYLEX", "ZREVRANGEBYLEX"), w.lexEnd(), w.lexEnd(), w.limit())
	default:
		return fmt.Sprintf("ZREMRANGEBYLEX lex %s %s", w.lexEnd(), w.lexEnd())
	}
}
