package commands

import (
	"math"
	"strconv"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
)

var (
	readHash   = command.One(command.RO | command.Access)
	updateHash = command.One(command.RW | command.Update)
	addToHash  = command.One(command.RW | command.Access | command.Update)

	anyOrder  = []string{"nondeterministic_output_order"}
	anyOutput = []string{"nondeterministic_output"}
)

var hashRows = []call.Row{
	{Spec: command.Spec{Name: "hset", Group: command.Hash, Arity: -4, Flags: command.Write | command.DenyOOM | command.Fast, Keys: updateHash}, Do: hset},
	{Spec: command.Spec{Name: "hmset", Group: command.Hash, Arity: -4, Flags: command.Write | command.DenyOOM | command.Fast, Keys: updateHash}, Do: hmset},
	{Spec: command.Spec{Name: "hsetnx", Group: command.Hash, Arity: 4, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(command.RW | command.Insert)}, Do: hsetnx},
	{Spec: command.Spec{Name: "hget", Group: command.Hash, Arity: 3, Flags: command.ReadOnly | command.Fast, Keys: readHash}, Do: hget},
	{Spec: command.Spec{Name: "hmget", Group: command.Hash, Arity: -3, Flags: command.ReadOnly | command.Fast, Keys: readHash}, Do: hmget},
	{Spec: command.Spec{Name: "hdel", Group: command.Hash, Arity: -3, Flags: command.Write | command.Fast, Keys: command.One(command.RW | command.Delete)}, Do: hdel},
	{Spec: command.Spec{Name: "hlen", Group: command.Hash, Arity: 2, Flags: command.ReadOnly | command.Fast, Keys: command.One(command.RO)}, Do: hlen},
	{Spec: command.Spec{Name: "hstrlen", Group: command.Hash, Arity: 3, Flags: command.ReadOnly | command.Fast, Keys: command.One(command.RO)}, Do: hstrlen},
	{Spec: command.Spec{Name: "hexists", Group: command.Hash, Arity: 3, Flags: command.ReadOnly | command.Fast, Keys: command.One(command.RO)}, Do: hexists},
	{Spec: command.Spec{Name: "hincrby", Group: command.Hash, Arity: 4, Flags: command.Write | command.DenyOOM | command.Fast, Keys: addToHash}, Do: hincrby},
	{Spec: command.Spec{Name: "hincrbyfloat", Group: command.Hash, Arity: 4, Flags: command.Write | command.DenyOOM | command.Fast, Keys: addToHash}, Do: hincrbyfloat},
	{Spec: command.Spec{Name: "hgetall", Group: command.Hash, Arity: 2, Flags: command.ReadOnly, Keys: readHash, Tips: anyOrder}, Do: hgetall},
	{Spec: command.Spec{Name: "hkeys", Group: command.Hash, Arity: 2, Flags: command.ReadOnly, Keys: readHash, Tips: anyOrder}, Do: hkeys},
	{Spec: command.Spec{Name: "hvals", Group: command.Hash, Arity: 2, Flags: command.ReadOnly, Keys: readHash, Tips: anyOrder}, Do: hvals},
	{Spec: command.Spec{Name: "hscan", Group: command.Hash, Arity: -3, Flags: command.ReadOnly, Keys: readHash, Tips: anyOutput}, Do: hscan},
	{Spec: command.Spec{Name: "hrandfield", Group: command.Hash, Arity: -2, Flags: command.ReadOnly, Keys: readHash, Tips: anyOutput}, Do: hrandfield},
}

// hset sets fields and replies with the number of new ones.
func hset(c *call.Call) {
	if added, ok := setFields(c, "hset"); ok {
		c.Out.Int(added)
	}
}

// hmset sets fields and replies OK.
func hmset(c *call.Call) {
	if _, ok := setFields(c, "hmset"); ok {
		c.Out.OK()
	}
}

func setFields(c *call.Call, name string) (added int64, ok bool) {
	if len(c.Args)%2 != 0 {
		c.Fail(reply.WrongArgs(name))
		return 0, false
	}
	h, ok := openHash(c, c.Args[1])
	if !ok {
		return 0, false
	}
	for i := 2; i < len(c.Args); i += 2 {
		if h.set(c.Args[i], c.Args[i+1]) {
			added++
		}
	}
	h.save("hset")
	return added, true
}

// hsetnx sets a field that is not there yet, and replies whether it did.
func hsetnx(c *call.Call) {
	h, ok := openHash(c, c.Args[1])
	if !ok {
		return
	}
	if h.Has(c.Args[2]) {
		c.Out.Int(0)
		return
	}
	h.set(c.Args[2], c.Args[3])
	h.save("hset")
	c.Out.Int(1)
}

// hget replies with the value of a field, or null.
func hget(c *call.Call) {
	if h, ok := openHash(c, c.Args[1]); ok {
		h.replyValue(c.Args[2])
	}
}

// hmget replies with the values of fields, null where there is none.
func hmget(c *call.Call) {
	h, ok := openHash(c, c.Args[1])
	if !ok {
		return
	}
	mark := c.Out.Mark()
	c.Out.Array(len(c.Args) - 2)
	for _, field := range c.Args[2:] {
		if h.replyValue(field); tooLong(c, mark) {
			return
		}
	}
}

func (h *hashKey) replyValue(field []byte) {
	var digits [20]byte
	value, ok := h.Get(field, digits[:])
	if !ok {
		h.c.Out.Null()
		return
	}
	h.c.Out.Bulk(value)
}

// hdel deletes fields and replies how many were there.
func hdel(c *call.Call) {
	h, ok := openHash(c, c.Args[1])
	if !ok {
		return
	}
	deleted := int64(0)
	for _, field := range c.Args[2:] {
		if h.Has(field) {
			h.write()
			h.Delete(field)
			deleted++
		}
	}
	h.save("hdel")
	c.Out.Int(deleted)
}

// hlen replies with the number of fields.
func hlen(c *call.Call) {
	if h, ok := openHash(c, c.Args[1]); ok {
		c.Out.Int(int64(h.Len()))
	}
}

// hstrlen replies with the length of a field's value, 0 if there is none.
func hstrlen(c *call.Call) {
	if h, ok := openHash(c, c.Args[1]); ok {
		var digits [20]byte
		value, _ := h.Get(c.Args[2], digits[:])
		c.Out.Int(int64(len(value)))
	}
}

// hexists replies whether there is a field.
func hexists(c *call.Call) {
	if h, ok := openHash(c, c.Args[1]); ok {
		c.Out.Flag(h.Has(c.Args[2]))
	}
}

// hincrby adds to an integer, 0 if the field is not there, and replies with the
// sum.
func hincrby(c *call.Call) {
	by, ok := c.Int(3)
	if !ok {
		return
	}
	h, ok := openHash(c, c.Args[1])
	if !ok {
		return
	}
	var digits [20]byte
	n := int64(0)
	if value, found := h.Get(c.Args[2], digits[:]); found {
		if n, ok = call.ParseInt(value); !ok {
			c.Fail("ERR hash value is not an integer")
			return
		}
	}
	if by > 0 && n > math.MaxInt64-by || by < 0 && n < math.MinInt64-by {
		c.Fail(reply.ErrOverflow)
		return
	}
	h.change(c.Args[2], strconv.AppendInt(digits[:0], n+by, 10))
	h.save("hincrby")
	c.Out.Int(n + by)
}

// hincrbyfloat adds to a floating point number, 0 if the field is not there, and
// replies with the sum.
func hincrbyfloat(c *call.Call) {
	by, ok := parseLongDouble(c.Args[3])
	if !ok {
		c.Fail(reply.ErrNotFloat)
		return
	}
	if by.IsInf() {
		c.Fail("ERR value is NaN or Infinity")
		return
	}
	h, ok := openHash(c, c.Args[1])
	if !ok {
		return
	}
	var digits [20]byte
	if value, found := h.Get(c.Args[2], digits[:]); found {
		old, ok := parseLongDouble(value)
		if !ok {
			c.Fail("ERR hash value is not a float")
			return
		}
		if by, ok = addLongDouble(old, by); !ok {
			c.Fail(reply.ErrNaN)
			return
		}
	}
	sum := appendLongDouble(nil, by)
	h.change(c.Args[2], sum)
	h.save("hincrbyfloat")
	if c.Followed() {
		c.Become("HSET", c.Args[1], c.Args[2], sum)
	}
	c.Out.Bulk(sum)
}

// hgetall replies with all fields and their values.
func hgetall(c *call.Call) {
	h, ok := openHash(c, c.Args[1])
	if !ok {
		return
	}
	c.Out.Map(h.Len())
	for field, value := range h.All() {
		c.Out.Bulk(field)
		c.Out.Bulk(value)
	}
}

// hkeys replies with all fields.
func hkeys(c *call.Call) {
	h, ok := openHash(c, c.Args[1])
	if !ok {
		return
	}
	c.Out.Array(h.Len())
	for field := range h.All() {
		c.Out.Bulk(field)
	}
}

// hvals replies with all values.
func hvals(c *call.Call) {
	h, ok := openHash(c, c.Args[1])
	if !ok {
		return
	}
	c.Out.Array(h.Len())
	for _, value := range h.All() {
		c.Out.Bulk(value)
	}
}

// hscan replies with some fields, their values unless NOVALUES asks for none, and
// the cursor to go on with.
func hscan(c *call.Call) {
	cursor, ok := parseCursor(c, 2)
	if !ok {
		return
	}
	h, ok := openHash(c, c.Args[1])
	if !ok {
		return
	}
	var o scanOptions
	if h.exists && !o.parse(c, 3, noValuesOnly) { // redis-server looks at no option without a key
		return
	}
	replyScan(c.Out, func() (next uint64, n int) {
		next = h.Scan(cursor, o.count, func(field, value []byte) {
			if !o.matches(field) {
				return
			}
			c.Out.Bulk(field)
			n++
			if !o.noValues {
				c.Out.Bulk(value)
				n++
			}
		})
		return next, n
	})
}
