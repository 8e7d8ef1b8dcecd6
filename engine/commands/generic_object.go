package commands

import (
	"math"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
)

// objectKey returns what the key of an OBJECT subcommand holds. It replies null itself if there is nothing.
func objectKey(c *call.Call) (keyspace.Entry, bool) {
	e, found := c.GetUntold(c.Args[2])
	if !found {
		c.Out.Null()
	}
	return e, found
}

// objectEncoding implements OBJECT ENCODING key.
func objectEncoding(c *call.Call) {
	if e, ok := objectKey(c); ok {
		c.Out.BulkString(e.Enc.String())
	}
}

// sharedInts is how many small integers redis-server keeps one copy of for all keys.
const sharedInts = 10000

// objectRefcount implements OBJECT REFCOUNT key. Nothing is shared here; the reply is redis-server's.
func objectRefcount(c *call.Call) {
	e, ok := objectKey(c)
	if !ok {
		return
	}
	if e.Enc == keyspace.Int {
		if n, _ := call.ParseInt(e.Packed); 0 <= n && n < sharedInts {
			c.Out.Int(math.MaxInt32)
			return
		}
	}
	c.Out.Int(1)
}

// objectIdletime implements OBJECT IDLETIME key. Reads leave no trace in the state, so no key is ever idle.
func objectIdletime(c *call.Call) {
	if _, ok := objectKey(c); ok {
		c.Out.Int(0)
	}
}

// objectFreq implements OBJECT FREQ key, which there is no eviction policy for.
func objectFreq(c *call.Call) {
	if _, ok := objectKey(c); ok {
		c.Fail("ERR An LFU maxmemory policy is not selected, access frequency not tracked. " +
			"Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")
	}
}

// objectHelp implements OBJECT HELP.
func objectHelp(c *call.Call) {
	lines := []string{
		"OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
		"ENCODING <key>",
		"    Return the kind of internal representation used in order to store the value",
		"    associated with a <key>.",
		"FREQ <key>",
		"    Return the access frequency index of the <key>. The returned integer is",
		"    proportional to the logarithm of the recent access frequency of the key.",
		"IDLETIME <key>",
		"    Return the idle time of the <key>, that is the approximated number of",
		"    seconds elapsed since the last access to the key.",
		"REFCOUNT <key>",
		"    Return the number of references of the value associated with the specified",
		"    <key>.",
		"HELP",
		"    Prints this help.",
	}
	c.Out.Array(len(lines))
	for _, line := range lines {
		c.Out.Status(line)
	}
}
