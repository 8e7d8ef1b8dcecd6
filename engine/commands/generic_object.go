package commands

import (
	"math"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/heat"
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
	policy := c.Settings.MaxMemoryPolicy
	if e.Enc == keyspace.Int && (c.Settings.MaxMemory == 0 || !policy.LRU() && !policy.LFU()) {
		if n, _ := call.ParseInt(e.Packed); 0 <= n && n < sharedInts {
			c.Out.Int(math.MaxInt32)
			return
		}
	}
	c.Out.Int(1)
}

// What OBJECT IDLETIME and FREQ tell is what this node has seen of the key's uses. A script
// that may write must not see it, or nodes would differ: it finds every key just used, and
// as often as a new one.

// objectIdletime implements OBJECT IDLETIME key.
func objectIdletime(c *call.Call) {
	_, ok := objectKey(c)
	switch {
	case !ok:
	case c.Settings.MaxMemoryPolicy.LFU():
		c.Fail("ERR An LFU maxmemory policy is selected, idle time not tracked. " +
			"Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")
	case c.MayWrite: // in a script
		c.Out.Int(0)
	default:
		c.Out.Int(c.Heat.IdleMs(c.DB.Heat(c.Args[2])) / 1000)
	}
}

// objectFreq implements OBJECT FREQ key.
func objectFreq(c *call.Call) {
	_, ok := objectKey(c)
	switch {
	case !ok:
	case !c.Settings.MaxMemoryPolicy.LFU():
		c.Fail("ERR An LFU maxmemory policy is not selected, access frequency not tracked. " +
			"Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")
	case c.MayWrite: // in a script
		c.Out.Int(heat.FreqInit)
	default:
		c.Out.Int(int64(c.Heat.Freq(c.DB.Heat(c.Args[2]))))
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
