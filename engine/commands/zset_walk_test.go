package commands_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestZsetWalkBesideOracle(t *testing.T) {
	walkBesideOracle(t, map[string]string{"zset-max-listpack-entries": "8"}, func(d *dice) string { return zsetWalk{d}.command() })
}

// zsetWalk makes up commands.
type zsetWalk struct{ *dice }

func (w zsetWalk) key() string { return w.of("a", "b", "c", "d", "nokey") }

func (w zsetWalk) member() string { return fmt.Sprint("m", w.IntN(24)) }

func (w zsetWalk) score() string {
	return w.of("0", "1", "1.5", "2", "-3", "0.1", "-0", "inf", "-inf", "7", "1e10")
}

func (w zsetWalk) index() string { return fmt.Sprint(w.IntN(40) - 20) }

func (w zsetWalk) scoreEnd() string { return w.of("", "", "(") + w.score() }

func (w zsetWalk) lexEnd() string {
	return w.of("-", "+", "["+w.member(), "("+w.member(), "[m1", "(m2")
}

func (w zsetWalk) limit() string {
	if w.IntN(2) == 0 {
		return ""
	}
	return fmt.Sprintf("LIMIT %d %d", w.IntN(6)-1, w.IntN(6)-1)
}

func (w zsetWalk) pairs() string {
	var s []string
	for range 1 + w.IntN(3) {
		s = append(s, w.score(), w.member())
	}
	return strings.Join(s, " ")
}

// sources returns a number of keys, the keys, and weights.
func (w zsetWalk) sources(weights bool) string {
	n := 1 + w.IntN(3)
	s, heavy := fmt.Sprint(n), " WEIGHTS"
	for range n {
		s += " " + w.key()
		heavy += " " + w.of("1", "2", "-1", "0")
	}
	if weights && w.IntN(2) == 0 {
		s += heavy
	}
	if weights {
		s += w.of("", " AGGREGATE SUM", " AGGREGATE MIN", " AGGREGATE MAX")
	}
	return s
}

func (w zsetWalk) command() string {
	k, scores := w.key(), w.of("", "WITHSCORES")
	switch w.IntN(26) {
	case 0, 1, 2, 3, 4:
		return fmt.Sprintf("ZADD %s %s", k, w.pairs())
	case 5:
		return fmt.Sprintf("ZADD %s %s %s %s", k, w.of("NX", "XX", "GT", "LT", "XX GT", "XX LT"), w.of("", "CH"), w.pairs())
	case 6:
		return fmt.Sprintf("ZADD %s %s INCR %s %s", k, w.of("", "NX", "XX", "GT", "LT"), w.score(), w.member())
	case 7:
		return fmt.Sprintf("ZINCRBY %s %s %s", k, w.score(), w.member())
	case 8:
		return fmt.Sprintf("ZREM %s %s %s", k, w.member(), w.member())
	case 9:
		return fmt.Sprintf("%s %s %s", w.of("ZRANK", "ZREVRANK", "ZSCORE", "ZMSCORE"), k, w.member())
	case 10:
		return fmt.Sprintf("%s %s %s %s %s", w.of("ZRANGE", "ZREVRANGE"), k, w.index(), w.index(), scores)
	case 11:
		return fmt.Sprintf("%s %s %s %s %s %s", w.of("ZRANGEBYSCORE", "ZREVRANGEBYSCORE"), k, w.scoreEnd(), w.scoreEnd(), scores, w.limit())
	case 12:
		return fmt.Sprintf("ZRANGE %s %s %s BYSCORE %s %s %s", k, w.scoreEnd(), w.scoreEnd(), w.of("", "REV"), scores, w.limit())
	case 13:
		return fmt.Sprintf("ZCOUNT %s %s %s", k, w.scoreEnd(), w.scoreEnd())
	case 14:
		return fmt.Sprintf("ZREMRANGEBYRANK %s %s %s", k, w.index(), w.of("0", "1", "-15"))
	case 15:
		return fmt.Sprintf("ZREMRANGEBYSCORE %s %s %s", k, w.scoreEnd(), w.of("0", "(1", "(-3"))
	case 16:
		return fmt.Sprintf("%s %s %s", w.of("ZPOPMIN", "ZPOPMAX"), k, w.of("", "0", "1", "3"))
	case 17:
		return fmt.Sprintf("ZMPOP %s %s %s", w.sources(false), w.of("MIN", "MAX"), w.of("", "COUNT 2"))
	case 18, 19:
		return fmt.Sprintf("%s %s %s", w.of("ZUNION", "ZINTER"), w.sources(true), scores)
	case 20:
		return fmt.Sprintf("ZDIFF %s %s", w.sources(false), scores)
	case 21:
		return fmt.Sprintf("%s %s %s", w.of("ZUNIONSTORE", "ZINTERSTORE"), k, w.sources(true))
	case 22:
		return fmt.Sprintf("ZDIFFSTORE %s %s", k, w.sources(false))
	case 23:
		return fmt.Sprintf("ZRANGESTORE %s %s %s %s", k, w.key(), w.index(), w.index())
	case 24:
		return fmt.Sprintf("ZINTERCARD %s LIMIT %d", w.sources(false), w.IntN(4))
	default:
		return w.lex()
	}
}

// lex works on a key whose members all have one score, as ranges of members
// demand.
func (w zsetWalk) lex() string {
	switch w.IntN(5) {
	case 0, 1:
		return fmt.Sprintf("ZADD lex 0 %s 0 %s", w.member(), w.member())
	case 2:
		return fmt.Sprintf("ZLEXCOUNT lex %s %s", w.lexEnd(), w.lexEnd())
	case 3:
		return fmt.Sprintf("%s lex %s %s %s", w.of("ZRANGEBYLEX", "ZREVRANGEBYLEX"), w.lexEnd(), w.lexEnd(), w.limit())
	default:
		return fmt.Sprintf("ZREMRANGEBYLEX lex %s %s", w.lexEnd(), w.lexEnd())
	}
}
