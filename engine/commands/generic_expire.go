package commands

import (
	"math"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
)

// expire implements EXPIRE key seconds [NX|XX|GT|LT].
func expire(c *call.Call) { setExpiry(c, "expire", 1000, c.Now) }

// pexpire implements PEXPIRE key milliseconds [NX|XX|GT|LT].
func pexpire(c *call.Call) { setExpiry(c, "pexpire", 1, c.Now) }

// expireat implements EXPIREAT key unix-time-seconds [NX|XX|GT|LT].
func expireat(c *call.Call) { setExpiry(c, "expireat", 1000, 0) }

// pexpireat implements PEXPIREAT key unix-time-milliseconds [NX|XX|GT|LT].
func pexpireat(c *call.Call) { setExpiry(c, "pexpireat", 1, 0) }

// expireCondition says under which circumstances an expiry time is set.
type expireCondition struct{ nx, xx, gt, lt bool }

func (o *expireCondition) parse(c *call.Call) bool {
	for i := 3; i < len(c.Args); i++ {
		if !o.parseOne(c, i) {
			c.Fail(reply.UnsupportedOption(c.Args[i]))
			return false
		}
	}
	if o.nx && (o.xx || o.gt || o.lt) {
		c.Fail("ERR NX and XX, GT or LT options at the same time are not compatible")
		return false
	}
	if o.gt && o.lt {
		c.Fail("ERR GT and LT options at the same time are not compatible")
		return false
	}
	return true
}

// parseOne reads argument i, and reports whether it is a condition.
func (o *expireCondition) parseOne(c *call.Call, i int) bool {
	switch {
	case c.Is(i, "NX"):
		o.nx = true
	case c.Is(i, "XX"):
		o.xx = true
	case c.Is(i, "GT"):
		o.gt = true
	case c.Is(i, "LT"):
		o.lt = true
	default:
		return false
	}
	return true
}

// allows reports whether at may follow old; a key without an expiry time lives forever.
func (o *expireCondition) allows(old, at int64) bool {
	has := old != keyspace.NoExpiry
	switch {
	case o.nx && has, o.xx && !has:
		return false
	case o.gt && (!has || at <= old), o.lt && has && at >= old:
		return false
	}
	return true
}

// setExpiry sets the expiry time of the first argument to base plus the second in units of unitMs, both in ms.
func setExpiry(c *call.Call, name string, unitMs, base int64) {
	var o expireCondition
	if !o.parse(c) {
		return
	}
	n, ok := c.Int(2)
	if !ok {
		return
	}
	if n > math.MaxInt64/unitMs || n < math.MinInt64/unitMs || n*unitMs > math.MaxInt64-base {
		c.Fail(errExpireTime(name))
		return
	}
	at := n*unitMs + base
	key := c.Args[1]
	e, found := c.Get(key)
	if !found || !o.allows(e.ExpireAt, at) {
		c.Out.Int(0)
		return
	}
	if at <= c.Now {
		deleteKey(c, key)
		becomeDel(c, key)
	} else {
		c.DB.SetExpire(key, at)
		becomeExpiry(c, key, at)
		c.Notify(call.EventGeneric, "expire", key)
	}
	c.Out.Int(1)
}

// persist implements PERSIST key.
func persist(c *call.Call) {
	key := c.Args[1]
	if e, found := c.Get(key); !found || e.ExpireAt == keyspace.NoExpiry {
		c.Out.Int(0)
		return
	}
	c.DB.SetExpire(key, keyspace.NoExpiry)
	c.Notify(call.EventGeneric, "persist", key)
	c.Out.Int(1)
}

// ttl implements TTL key.
func ttl(c *call.Call) { replyExpiry(c, 1000, c.Wall) }

// pttl implements PTTL key.
func pttl(c *call.Call) { replyExpiry(c, 1, c.Wall) }

// expiretime implements EXPIRETIME key.
func expiretime(c *call.Call) { replyExpiry(c, 1000, 0) }

// pexpiretime implements PEXPIRETIME key.
func pexpiretime(c *call.Call) { replyExpiry(c, 1, 0) }

// replyExpiry replies with the key's expiry time less base in units of unitMs, rounded; -1 if it has none, -2 if
// there is no key.
func replyExpiry(c *call.Call, unitMs, base int64) {
	e, found := c.Get(c.Args[1])
	switch {
	case !found:
		c.Out.Int(-2)
	case e.ExpireAt == keyspace.NoExpiry:
		c.Out.Int(-1)
	default:
		rounded := uint64(max(0, e.ExpireAt-base)) + uint64(unitMs/2) // no overflow: half an int64 is free
		c.Out.Int(int64(rounded / uint64(unitMs)))
	}
}
