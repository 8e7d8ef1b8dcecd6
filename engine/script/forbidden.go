package script

import (
	"strconv"
	"strings"
)

// forbidden are the commands of the session, and those that wait, that Redis knows and keeps from scripts, with their
// arities: what a script hears of them is not that they are unknown.
var forbidden = parseForbidden(`
	acl|cat -2, acl|deluser -3, acl|dryrun -4, acl|genpass -2, acl|getuser 3, acl|list 2, acl|load 2,
	acl|log -2, acl|save 2, acl|setuser -3, acl|users 2, acl|whoami 2, auth -2, bgrewriteaof 1,
	bgsave -1, blmove 6, blpop -3, brpop -3, brpoplpush 4, bzpopmax -3, bzpopmin -3, client|caching 3, client|getname 2, client|getredir 2, client|id 2, client|info 2,
	client|kill -3, client|list -2, client|no-evict 3, client|pause -3, client|reply 3,
	client|setname 3, client|tracking -3, client|trackinginfo 2, client|unblock -3, client|unpause 2,
	cluster|reset -2, config|get -3, config|resetstat 2, config|rewrite 2, config|set -4,
	discard 1, exec 1, failover -1, hello -1, latency|doctor 2, latency|graph 3, latency|histogram -2,
	latency|history 3, latency|latest 2, latency|reset -2, module|list 2, module|load -3,
	module|loadex -3, module|unload 3, monitor 1, multi 1, psubscribe -2, psync -3, punsubscribe -1,
	quit -1, replconf -1, replicaof 3, reset 1, role 1, save 1, shutdown -1, slaveof 3, ssubscribe -2,
	subscribe -2, sunsubscribe -1, sync 1, unsubscribe -1, unwatch 1, watch -2,
`)

func parseForbidden(list string) map[string]int {
	arities := make(map[string]int)
	for entry := range strings.SplitSeq(list, ",") {
		name, arity, ok := strings.Cut(strings.TrimSpace(entry), " ")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(arity)
		if err != nil {
			panic("script: arity of " + name)
		}
		arities[name] = n
		if container, _, ok := strings.Cut(name, "|"); ok {
			arities[container] = -2
		}
	}
	return arities
}

// forbids finds args among the forbidden commands.
func forbids(args [][]byte) (arity int, ok bool) {
	name := strings.ToLower(string(args[0]))
	arity, ok = forbidden[name]
	if !ok || len(args) == 1 || !containers[name] {
		return arity, ok
	}
	arity, ok = forbidden[name+"|"+strings.ToLower(string(args[1]))]
	return arity, ok
}

// containers are the forbidden commands that are nothing without a subcommand.
var containers = func() map[string]bool {
	set := make(map[string]bool)
	for name := range forbidden {
		if container, _, ok := strings.Cut(name, "|"); ok {
			set[container] = true
		}
	}
	return set
}()
