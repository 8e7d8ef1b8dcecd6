package commands

import (
	"bytes"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
)

const (
	removeKey = command.RM | command.Delete
	updateKey = command.RW | command.Update
	takeKey   = command.RW | command.Access | command.Delete
)

var (
	sumOverShards = []string{"request_policy:multi_shard", "response_policy:agg_sum"}
	wallClockTip  = []string{"nondeterministic_output"}
	everyShard    = []string{"request_policy:all_shards", "response_policy:all_succeeded"}
)

var genericRows = []call.Row{
	{Spec: command.Spec{Name: "del", Group: command.Generic, Arity: -2, Flags: command.Write, Keys: command.All(removeKey), Tips: sumOverShards}, Do: del},
	{Spec: command.Spec{Name: "unlink", Group: command.Generic, Arity: -2, Flags: command.Write | command.Fast, Keys: command.All(removeKey), Tips: sumOverShards}, Do: unlink},
	{Spec: command.Spec{Name: "exists", Group: command.Generic, Arity: -2, Flags: command.ReadOnly | command.Fast, Keys: command.All(command.RO), Tips: sumOverShards}, Quiet: true, Do: countKeys},
	{Spec: command.Spec{Name: "touch", Group: command.Generic, Arity: -2, Flags: command.ReadOnly | command.Fast, Keys: command.All(command.RO), Tips: sumOverShards}, Do: countKeys},
	{Spec: command.Spec{Name: "type", Group: command.Generic, Arity: 2, Flags: command.ReadOnly | command.Fast, Keys: command.One(command.RO)}, Quiet: true, Do: typeOf},
	{Spec: command.Spec{Name: "rename", Group: command.Generic, Arity: 3, Flags: command.Write, Keys: renameKeys(overwriteKey)}, Do: rename},
	{Spec: command.Spec{Name: "renamenx", Group: command.Generic, Arity: 3, Flags: command.Write | command.Fast, Keys: renameKeys(command.OW | command.Insert)}, Do: renamenx},
	{Spec: command.Spec{Name: "copy", Group: command.Generic, Arity: -3, Flags: command.Write | command.DenyOOM, Keys: []command.KeySpec{command.Range(readKey, 1, 0, 1), command.Range(overwriteKey, 2, 0, 1)}}, Do: copyKey},
	{Spec: command.Spec{Name: "move", Group: command.Generic, Arity: 3, Flags: command.Write | command.Fast, Keys: command.One(replaceKey)}, Do: move},

	{Spec: command.Spec{Name: "expire", Group: command.Generic, Arity: -3, Flags: command.Write | command.Fast, Keys: command.One(updateKey)}, Do: expire},
	{Spec: command.Spec{Name: "pexpire", Group: command.Generic, Arity: -3, Flags: command.Write | command.Fast, Keys: command.One(updateKey)}, Do: pexpire},
	{Spec: command.Spec{Name: "expireat", Group: command.Generic, Arity: -3, Flags: command.Write | command.Fast, Keys: command.One(updateKey)}, Do: expireat},
	{Spec: command.Spec{Name: "pexpireat", Group: command.Generic, Arity: -3, Flags: command.Write | command.Fast, Keys: command.One(updateKey)}, Do: pexpireat},
	{Spec: command.Spec{Name: "persist", Group: command.Generic, Arity: 2, Flags: command.Write | command.Fast, Keys: command.One(updateKey)}, Do: persist},
	{Spec: command.Spec{Name: "ttl", Group: command.Generic, Arity: 2, Flags: command.ReadOnly | command.Fast, Keys: command.One(readKey), Tips: wallClockTip}, Quiet: true, Do: ttl},
	{Spec: command.Spec{Name: "pttl", Group: command.Generic, Arity: 2, Flags: command.ReadOnly | command.Fast, Keys: command.One(readKey), Tips: wallClockTip}, Quiet: true, Do: pttl},
	{Spec: command.Spec{Name: "expiretime", Group: command.Generic, Arity: 2, Flags: command.ReadOnly | command.Fast, Keys: command.One(readKey)}, Quiet: true, Do: expiretime},
	{Spec: command.Spec{Name: "pexpiretime", Group: command.Generic, Arity: 2, Flags: command.ReadOnly | command.Fast, Keys: command.One(readKey)}, Quiet: true, Do: pexpiretime},

	{Spec: command.Spec{Name: "keys", Group: command.Generic, Arity: 2, Flags: command.ReadOnly, Categories: command.CatDangerous, Tips: []string{"request_policy:all_shards", "nondeterministic_output_order"}}, Do: keys},
	{Spec: command.Spec{Name: "scan", Group: command.Generic, Arity: -2, Flags: command.ReadOnly, Tips: []string{"nondeterministic_output", "request_policy:special"}}, Do: scan},
	{Spec: command.Spec{Name: "randomkey", Group: command.Generic, Arity: 1, Flags: command.ReadOnly, Tips: []string{"request_policy:all_shards", "nondeterministic_output"}}, Do: randomkey},

	{Spec: command.Spec{Name: "object", Group: command.Generic, Arity: -2, Categories: command.NoGroup}}, // its subcommands do it all
	{Spec: command.Spec{Name: "object|encoding", Group: command.Generic, Arity: 3, Flags: command.ReadOnly, Keys: subcommandKey, Tips: wallClockTip}, Quiet: true, Do: objectEncoding},
	{Spec: command.Spec{Name: "object|refcount", Group: command.Generic, Arity: 3, Flags: command.ReadOnly, Keys: subcommandKey, Tips: wallClockTip}, Quiet: true, Do: objectRefcount},
	{Spec: command.Spec{Name: "object|idletime", Group: command.Generic, Arity: 3, Flags: command.ReadOnly, Keys: subcommandKey, Tips: wallClockTip}, Quiet: true, Do: objectIdletime},
	{Spec: command.Spec{Name: "object|freq", Group: command.Generic, Arity: 3, Flags: command.ReadOnly, Keys: subcommandKey, Tips: wallClockTip}, Quiet: true, Do: objectFreq},
	{Spec: command.Spec{Name: "object|help", Group: command.Generic, Arity: 2, Flags: command.Loading | command.Stale}, Do: objectHelp},

	{Spec: command.Spec{Name: "dbsize", Group: command.Server, Arity: 1, Flags: command.ReadOnly | command.Fast, Categories: command.CatKeyspace, Tips: []string{"request_policy:all_shards", "response_policy:agg_sum"}}, Do: dbsize},
	{Spec: command.Spec{Name: "flushdb", Group: command.Server, Arity: -1, Flags: command.Write, Categories: command.CatKeyspace | command.CatDangerous, Tips: everyShard}, Do: flushdb},
	{Spec: command.Spec{Name: "flushall", Group: command.Server, Arity: -1, Flags: command.Write, Categories: command.CatKeyspace | command.CatDangerous, Tips: everyShard}, Do: flushall},
	{Spec: command.Spec{Name: "swapdb", Group: command.Server, Arity: 3, Flags: command.Write | command.Fast, Categories: command.CatKeyspace | command.CatDangerous}, Do: swapdb},
}

// subcommandKey says that the key follows the subcommand's name.
var subcommandKey = []command.KeySpec{command.Range(command.RO, 2, 0, 1)}

func renameKeys(target command.KeyFlags) []command.KeySpec {
	return []command.KeySpec{command.Range(takeKey, 1, 0, 1), command.Range(target, 2, 0, 1)}
}

// deleteKey deletes a key that is there, and tells.
func deleteKey(c *call.Call, key []byte) {
	c.DB.Delete(key)
	c.Notify(call.EventGeneric, "del", key)
}

// del implements DEL and UNLINK key [key ...]. Both take the value away at once; its memory is freed later.
func del(c *call.Call) {
	n := 0
	for _, key := range c.Args[1:] {
		if _, found := c.Get(key); found {
			deleteKey(c, key)
			n++
		}
	}
	c.Out.Int(int64(n))
}

// lazyBytes is the size from which on a value counts as freed behind the client's back.
const lazyBytes = 4 << 10

// unlink implements UNLINK key [key ...]: DEL, and INFO tells how many large values went that way. The memory of both
// comes back with the next garbage collection.
func unlink(c *call.Call) {
	n := 0
	for _, key := range c.Args[1:] {
		e, found := c.Get(key)
		if !found {
			continue
		}
		if e.Object != nil && e.Object.MemBytes() > lazyBytes {
			c.Keyspace.FreedLazily(1)
		}
		deleteKey(c, key)
		n++
	}
	c.Out.Int(int64(n))
}

// countKeys implements EXISTS and TOUCH key [key ...].
func countKeys(c *call.Call) {
	n := 0
	for _, key := range c.Args[1:] {
		if _, found := c.Get(key); found {
			n++
		}
	}
	c.Out.Int(int64(n))
}

// typeOf implements TYPE key.
func typeOf(c *call.Call) {
	e, found := c.Get(c.Args[1])
	if !found {
		c.Out.Status("none")
		return
	}
	c.Out.Status(e.Type.String())
}

// rename implements RENAME key newkey.
func rename(c *call.Call) {
	if renameKey(c, true) {
		c.Out.OK()
	}
}

// renamenx implements RENAMENX key newkey.
func renamenx(c *call.Call) {
	if renameKey(c, false) {
		c.Out.Int(1)
	}
}

// renameKey renames the first argument to the second. It returns false if that was not to be done, and has then
// replied.
func renameKey(c *call.Call, overwrite bool) bool {
	from, to := c.Args[1], c.Args[2]
	if _, found := c.Get(from); !found {
		c.Fail(reply.ErrNoSuchKey)
		return false
	}
	same := bytes.Equal(from, to)
	if _, found := c.Get(to); found && !overwrite {
		c.Out.Int(0)
		return false
	}
	if same {
		return true
	}
	c.DB.Move(from, c.DB, to)
	c.Notify(call.EventNew, "new", to)
	c.Notify(call.EventGeneric, "rename_from", from)
	c.Notify(call.EventGeneric, "rename_to", to)
	return true
}

// database returns the database that argument i names. It replies with an error itself.
func database(c *call.Call, i int) (*keyspace.DB, bool) {
	n, err := call.ParseDB(c.Args[i], c.Keyspace.Databases())
	if err != "" {
		c.Fail(err)
		return nil, false
	}
	return c.Keyspace.DB(n), true
}

// selecting returns c with another database selected.
func selecting(c *call.Call, db *keyspace.DB) *call.Call {
	there := *c
	there.DB = db
	return &there
}

// copyKey implements COPY source destination [DB index] [REPLACE].
func copyKey(c *call.Call) {
	target, replace := c.DB, false
	for i := 3; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "REPLACE"):
			replace = true
		case c.Is(i, "DB") && i+1 < len(c.Args):
			i++
			db, ok := database(c, i)
			if !ok {
				return
			}
			target = db
		default:
			c.Fail(reply.ErrSyntax)
			return
		}
	}
	from, to := c.Args[1], c.Args[2]
	if target == c.DB && bytes.Equal(from, to) {
		c.Fail(reply.ErrSameObject)
		return
	}
	there := selecting(c, target)
	_, taken := there.Get(to)
	_, found := c.Get(from)
	c.LookedUp(from, found)
	if !found || taken && !replace {
		c.Out.Int(0)
		return
	}
	c.DB.Copy(from, target, to)
	there.Notify(call.EventNew, "new", to)
	there.Notify(call.EventGeneric, "copy_to", to)
	c.Out.Int(1)
}

// move implements MOVE key db.
func move(c *call.Call) {
	target, ok := database(c, 2)
	if !ok {
		return
	}
	if target == c.DB {
		c.Fail(reply.ErrSameObject)
		return
	}
	key, there := c.Args[1], selecting(c, target)
	if _, found := c.Get(key); !found {
		c.Out.Int(0)
		return
	}
	if _, taken := there.Get(key); taken {
		c.Out.Int(0)
		return
	}
	c.DB.Move(key, target, key)
	there.Notify(call.EventNew, "new", key)
	c.Notify(call.EventGeneric, "move_from", key)
	there.Notify(call.EventGeneric, "move_to", key)
	c.Out.Int(1)
}

// dbsize implements DBSIZE.
func dbsize(c *call.Call) { c.Out.Int(int64(c.DB.Len())) }

// flushdb implements FLUSHDB [ASYNC|SYNC].
func flushdb(c *call.Call) {
	if async, ok := flushArgs(c); ok {
		flushed(c, async, c.DB.Flush())
	}
}

// flushall implements FLUSHALL [ASYNC|SYNC].
func flushall(c *call.Call) {
	if async, ok := flushArgs(c); ok {
		flushed(c, async, c.Keyspace.FlushAll())
	}
}

// flushArgs checks that nothing but ASYNC or SYNC was given. They differ in what INFO counts.
func flushArgs(c *call.Call) (async, ok bool) {
	async = len(c.Args) == 2 && c.Is(1, "ASYNC")
	if async || len(c.Args) == 1 || len(c.Args) == 2 && c.Is(1, "SYNC") {
		return async, true
	}
	c.Fail(reply.ErrSyntax)
	return false, false
}

func flushed(c *call.Call, async bool, keys int) {
	if async {
		c.Keyspace.FreedLazily(keys)
	}
	c.Out.OK()
}

// swapdb implements SWAPDB index1 index2.
func swapdb(c *call.Call) {
	first, ok := call.ParseInt(c.Args[1])
	if !ok || first != int64(int32(first)) {
		c.Fail("ERR invalid first DB index")
		return
	}
	second, ok := call.ParseInt(c.Args[2])
	if !ok || second != int64(int32(second)) {
		c.Fail("ERR invalid second DB index")
		return
	}
	n := int64(c.Keyspace.Databases())
	if first < 0 || first >= n || second < 0 || second >= n {
		c.Fail(reply.ErrDBIndex)
		return
	}
	c.Keyspace.Swap(int(first), int(second), c.Now)
	c.Out.OK()
}
