package main

import (
	"regexp"
	"strings"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/scripts/differential/compare"
)

// known is a difference that is meant to be, or can't be avoided.
type known struct {
	command string // as Args begin, in upper case; "" is any
	args    string // a regular expression for what follows; "" is any
	redis   string // a regular expression for redis-server's reply as redis-cli shows it; "" is any
	ours    string // and for the cluster's
	reason  string
	// diverges says that what both sides hold may differ from then on.
	diverges bool
}

// knowns is the whole list: what is not in it is a fault.
var knowns = []*known{
	{
		command: "EXEC", redis: `^(?s).*\)`, ours: `^\(nil`, diverges: true,
		reason: "WATCH: keys that are absent share versions, over databases too; a transaction may fail without need",
	},
	{
		command: "OBJECT ENCODING", args: `^([^zyg]|$)`, redis: `^"skiplist"`, ours: `^"listpack"`,
		reason: "SORT unpacks a sorted set in redis-server; a read changes nothing here",
	},
	{
		command: "SORT", redis: `^\(error\) ERR One or more scores can't`, diverges: true,
		reason: "SORT: redis-server refuses numbers for an errno that an earlier command left",
	},
}

// explain returns the known difference that the answers show, nil for none.
func explain(a *compare.Answers) *known {
	words := make([]string, len(a.Args))
	for i, arg := range a.Args {
		words[i] = string(arg)
	}
	line := strings.Join(words, " ")
	for _, k := range knowns {
		rest, ok := cutFold(line, k.command)
		if ok && regexp.MustCompile(k.args).MatchString(rest) && matches(k.redis, a.Got.Redis) && matches(k.ours, a.Got.Ours) {
			return k
		}
	}
	return nil
}

// cutFold cuts a beginning off s, whatever its case, and the space behind it.
func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return strings.TrimPrefix(s[len(prefix):], " "), true
}

func matches(pattern string, v reply.Value) bool {
	return pattern == "" || regexp.MustCompile(pattern).MatchString(shown(v))
}
