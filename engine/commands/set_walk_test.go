package commands_test

import (
	"fmt"
	"testing"
)

func TestHashAndSetWalkBesideOracle(t *testing.T) {
	config := map[string]string{"hash-max-listpack-entries": "5", "hash-max-listpack-value": "8", "set-max-intset-entries": "6"}
	walkBesideOracle(t, config, func(d *dice) string { return setWalk{d}.command() })
}

// setWalk makes up commands.
type setWalk struct{ *dice }

func (w setWalk) set() string { return w.of("sa", "sb", "sc", "sd") }

func (w setWalk) hash() string { return w.of("ha", "hb") }

func (w setWalk) member() string {
	return w.of("", "", "", "m") + fmt.Sprint(w.IntN(9))
}

func (w setWalk) members(f func() string) string { return w.words(5, f) }

func (w setWalk) fields() string {
	return w.members(func() string { return w.member() + " " + w.value() })
}

func (w setWalk) value() string {
	return w.of("1", "-7", "2.5", "word", "012345678", "9223372036854775807")
}

func (w setWalk) command() string {
	switch w.IntN(26) {
	case 0, 1, 2, 3:
		return "SADD " + w.set() + " " + w.members(w.member)
	case 4, 5:
		return "SREM " + w.set() + " " + w.members(w.member)
	case 6:
		return "SMOVE " + w.set() + " " + w.set() + " " + w.member()
	case 7:
		return w.of("SINTER ", "SUNION ", "SDIFF ") + w.members(w.set)
	case 8, 9:
		return w.of("SINTERSTORE ", "SUNIONSTORE ", "SDIFFSTORE ") + w.set() + " " + w.members(w.set)
	case 10:
		return "SINTERCARD 2 " + w.set() + " " + w.set() + w.of("", " LIMIT 2")
	case 11:
		return w.of("SCARD ", "SMEMBERS ", "SINTER ") + w.set()
	case 12:
		return "SMISMEMBER " + w.set() + " " + w.members(w.member)
	case 13:
		return "SSCAN " + w.set() + " 0 COUNT 100" + w.of("", " MATCH m*")
	case 14:
		return w.of("SPOP ", "SRANDMEMBER ") + w.set() + " 100"
	case 15, 16, 17:
		return w.of("HSET ", "HMSET ") + w.hash() + " " + w.fields()
	case 18, 19:
		return "HDEL " + w.hash() + " " + w.members(w.member)
	case 20:
		return w.of("HGETALL ", "HLEN ", "HKEYS ", "HVALS ") + w.hash()
	case 21:
		return w.of("HGET ", "HSTRLEN ", "HEXISTS ") + w.hash() + " " + w.member()
	case 22:
		return w.of("HINCRBY ", "HINCRBYFLOAT ") + w.hash() + " " + w.member() + " " + w.value()
	case 23:
		return "HSETNX " + w.hash() + " " + w.member() + " " + w.value()
	case 24:
		return "HRANDFIELD " + w.hash() + " 100" + w.of("", " WITHVALUES")
	}
	return w.of("SADD h", "HSET s", "SINTER h", "HGET s") + "a " + w.members(w.member)
}
