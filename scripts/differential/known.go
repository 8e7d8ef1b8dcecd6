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
		reason: "WATCH: a transaction may fail without need, for absent keys share versions; it never goes through against WATCH",
	},
}

// explain returns the known difference that the answers show, nil for none.
func explain(a *compare.Answers) *known {
	words := make([]string, len(a.Args))
	for i, arg := range a.Args {
		words[i] = string(arg)
	}
	line := strings.ToUpper(strings.Join(words, " "))
	for _, k := range knowns {
		if strings.HasPrefix(line, k.command) && matches(k.redis, a.Got.Redis) && matches(k.ours, a.Got.Ours) {
			return k
		}
	}
	return nil
}

func matches(pattern string, v reply.Value) bool {
	return pattern == "" || regexp.MustCompile(pattern).MatchString(shown(v))
}

// leftOut are commands that both sides have and that are not drawn.
var leftOut = map[string]string{}
