package commands

import (
	"math"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/types/hash"
)

var hashExpireRows = []call.Row{
	{Spec: command.Spec{Name: "hexpire", Semantic: semantic.Fields, Group: command.Hash, Arity: -6, Flags: command.Write | command.DenyOOM | command.Fast, Keys: updateHash}, Do: hexpire},
	{Spec: command.Spec{Name: "hpexpire", Semantic: semantic.Fields, Group: command.Hash, Arity: -6, Flags: command.Write | command.DenyOOM | command.Fast, Keys: updateHash}, Do: hpexpire},
	{Spec: command.Spec{Name: "hexpireat", Semantic: semantic.Fields, Group: command.Hash, Arity: -6, Flags: command.Write | command.DenyOOM | command.Fast, Keys: updateHash}, Do: hexpireat},
	{Spec: command.Spec{Name: "hpexpireat", Semantic: semantic.Fields, Group: command.Hash, Arity: -6, Flags: command.Write | command.DenyOOM | command.Fast, Keys: updateHash}, Do: hpexpireat},
	{Spec: command.Spec{Name: "hpersist", Semantic: semantic.Fields, Group: command.Hash, Arity: -5, Flags: command.Write | command.Fast, Keys: updateHash}, Do: hpersist},
	{Spec: command.Spec{Name: "httl", Semantic: semantic.Fields, Group: command.Hash, Arity: -5, Flags: command.ReadOnly | command.Fast, Keys: readHash, Tips: wallClockTip}, Do: httl},
	{Spec: command.Spec{Name: "hpttl", Semantic: semantic.Fields, Group: command.Hash, Arity: -5, Flags: command.ReadOnly | command.Fast, Keys: readHash, Tips: wallClockTip}, Do: hpttl},
	{Spec: command.Spec{Name: "hexpiretime", Semantic: semantic.Fields, Group: command.Hash, Arity: -5, Flags: command.ReadOnly | command.Fast, Keys: readHash}, Do: hexpiretime},
	{Spec: command.Spec{Name: "hpexpiretime", Semantic: semantic.Fields, Group: command.Hash, Arity: -5, Flags: command.ReadOnly | command.Fast, Keys: readHash}, Do: hpexpiretime},
}

// What the commands reply of each field.
const (
	fieldMissing    = -2
	fieldNeverEnds  = -1 // it has no expiry time
	fieldUnchanged  = 0  // NX, XX, GT or LT was not met
	fieldChanged    = 1
	fieldDeletedNow = 2 // the time has passed
)

// hexpire implements HEXPIRE key seconds [NX|XX|GT|LT] FIELDS numfields field [field ...].
func hexpire(c *call.Call) { expireFields(c, "hexpire", 1000, c.Now) }

// hpexpire implements HPEXPIRE key milliseconds [NX|XX|GT|LT] FIELDS numfields field [field ...].
func hpexpire(c *call.Call) { expireFields(c, "hpexpire", 1, c.Now) }

// hexpireat implements HEXPIREAT key unix-time-seconds [NX|XX|GT|LT] FIELDS numfields field [field ...].
func hexpireat(c *call.Call) { expireFields(c, "hexpireat", 1000, 0) }

// hpexpireat implements HPEXPIREAT key unix-time-milliseconds [NX|XX|GT|LT] FIELDS numfields field [field ...].
func hpexpireat(c *call.Call) { expireFields(c, "hpexpireat", 1, 0) }

// parseFields reads FIELDS numfields field [field ...], from argument i on.
func parseFields(c *call.Call, i int) (fields [][]byte, ok bool) {
	if !c.Is(i, "FIELDS") {
		c.Fail("ERR Mandatory argument FIELDS is missing or not at the right position")
		return nil, false
	}
	fields = c.Args[min(i+2, len(c.Args)):]
	if i+1 == len(c.Args) {
		c.Fail(errFieldCount)
		return nil, false
	}
	switch n, ok := call.ParseInt(c.Args[i+1]); {
	case !ok || n < 1:
		c.Fail("ERR Parameter `numFields` should be greater than 0")
		return nil, false
	case n != int64(len(fields)):
		c.Fail(errFieldCount)
		return nil, false
	}
	return fields, true
}

const errFieldCount reply.Error = "ERR The `numfields` parameter must match the number of arguments"

// parseFieldTime reads argument 2, a number of units after base, both in
// milliseconds.
func parseFieldTime(c *call.Call, name string, unitMs, base int64) (at int64, ok bool) {
	n, ok := c.IntIn(2, 0, math.MaxInt64, "ERR invalid expire time, must be >= 0")
	if !ok {
		return 0, false
	}
	if n > (hash.ExpiryMax-base)/unitMs {
		c.Fail(errExpireTime(name))
		return 0, false
	}
	return n*unitMs + base, true
}

// replyPerField replies with what do returns of each field that arguments from i on
// name, in their order. It returns the hash, which is not saved yet; ok is false if it
// has replied with an error.
func replyPerField(c *call.Call, i int, do func(h *hashKey, field []byte) int64) (h hashKey, ok bool) {
	fields, ok := parseFields(c, i)
	if !ok {
		return h, false
	}
	if h, ok = openHash(c, c.Args[1]); !ok {
		return h, false
	}
	c.Out.Array(len(fields))
	for _, field := range fields {
		c.Out.Int(do(&h, field))
	}
	return h, true
}

// expireFields sets the expiry time of fields to base plus the second argument in
// units of unitMs, both in ms, and replies of each field what it did.
func expireFields(c *call.Call, name string, unitMs, base int64) {
	at, ok := parseFieldTime(c, name, unitMs, base)
	if !ok {
		return
	}
	var o expireCondition
	from := 3
	if o.parseOne(c, from) { // one is all that may be given
		from++
	}
	gone := []any{"HDEL", c.Args[1]}
	h, ok := replyPerField(c, from, func(h *hashKey, field []byte) int64 {
		did := h.expire(field, at, o)
		if did == fieldDeletedNow && c.Followed() {
			gone = append(gone, field)
		}
		return did
	})
	if !ok {
		return
	}
	c.Become() // redis-server 7.0 knows no such times; it is told when a field goes
	if len(gone) > 2 {
		c.Become(gone...)
	}
	if at <= c.Now {
		h.save("hdel") // as EXPIRE with a time that has passed tells del
		return
	}
	h.save("hexpire")
}

// expire sets the expiry time of one field, or deletes it if that has passed.
func (h *hashKey) expire(field []byte, at int64, o expireCondition) int64 {
	old, ok := h.Expiry(field)
	switch {
	case !ok:
		return fieldMissing
	case !o.allows(orNoExpiry(old), at):
		return fieldUnchanged
	}
	h.write()
	if at <= h.c.Now {
		h.Delete(field)
		return fieldDeletedNow
	}
	h.Expire(field, at)
	return fieldChanged
}

// orNoExpiry returns the expiry time of a field as that of a key.
func orNoExpiry(at int64) int64 {
	if at == hash.Never {
		return keyspace.NoExpiry
	}
	return at
}

// hpersist implements HPERSIST key FIELDS numfields field [field ...].
func hpersist(c *call.Call) {
	c.Become()
	if h, ok := replyPerField(c, 2, (*hashKey).persist); ok {
		h.save("hpersist")
	}
}

// persist takes the expiry time of one field away.
func (h *hashKey) persist(field []byte) int64 {
	old, ok := h.Expiry(field)
	switch {
	case !ok:
		return fieldMissing
	case old == hash.Never:
		return fieldNeverEnds
	}
	h.write()
	h.Expire(field, hash.Never)
	return fieldChanged
}

// httl implements HTTL key FIELDS numfields field [field ...].
func httl(c *call.Call) { replyFieldTimes(c, 1000, c.Wall) }

// hpttl implements HPTTL key FIELDS numfields field [field ...].
func hpttl(c *call.Call) { replyFieldTimes(c, 1, c.Wall) }

// hexpiretime implements HEXPIRETIME key FIELDS numfields field [field ...].
func hexpiretime(c *call.Call) { replyFieldTimes(c, 1000, 0) }

// hpexpiretime implements HPEXPIRETIME key FIELDS numfields field [field ...].
func hpexpiretime(c *call.Call) { replyFieldTimes(c, 1, 0) }

// replyFieldTimes replies with the expiry times of fields less base in units of
// unitMs, rounded up: a field that is there has a second to live, not none.
func replyFieldTimes(c *call.Call, unitMs, base int64) {
	replyPerField(c, 2, func(h *hashKey, field []byte) int64 {
		switch at, ok := h.Expiry(field); {
		case !ok:
			return fieldMissing
		case at == hash.Never:
			return fieldNeverEnds
		default:
			return (max(1, at-base) + unitMs - 1) / unitMs
		}
	})
}
