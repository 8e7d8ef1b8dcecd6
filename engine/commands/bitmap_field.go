package commands

import (
	"math"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
)

// bitfieldKeys says that BITFIELD only reads if all its operations do.
var bitfieldKeys = []command.KeySpec{{
	Flags: replaceKey | command.VariableFlags, Index: 1, Step: 1,
	Narrow: func(args [][]byte) command.KeyFlags {
		for _, arg := range args[min(2, len(args)):] {
			if call.EqualFold(arg, "SET") || call.EqualFold(arg, "INCRBY") {
				return replaceKey
			}
		}
		return readKey
	},
}}

// overflow is what BITFIELD does with a number that does not fit.
type overflow uint8

const (
	wrap overflow = iota
	saturate
	refuse
)

// fieldOp is one operation of BITFIELD.
type fieldOp struct {
	op       byte // 'g'et, 's'et, 'i'ncrby
	field    field
	at       int64 // first bit
	n        int64 // value or increment
	overflow overflow
}

// field is a type of number.
type field struct {
	signed bool
	width  uint8 // bits: 1 to 64, unsigned 1 to 63
}

// parseField reads a type such as i16 or u8.
func parseField(b []byte) (field, bool) {
	if len(b) == 0 || b[0] != 'i' && b[0] != 'u' {
		return field{}, false
	}
	f := field{signed: b[0] == 'i'}
	n, ok := call.ParseInt(b[1:])
	if !ok || n < 1 || n > 64 || n == 64 && !f.signed {
		return field{}, false
	}
	f.width = uint8(n)
	return f, true
}

// get returns the number that stands in b from bit at on.
func (f field) get(b []byte, at int64) int64 {
	var n uint64
	for i := range int64(f.width) {
		n = n<<1 | uint64(bitAt(b, at+i))
	}
	return f.truncate(n)
}

// put writes n, cut to the field's width, into b from bit at on.
func (f field) put(b []byte, at, n int64) {
	for i := range int64(f.width) {
		bit := byte(n>>(int64(f.width)-1-i)) & 1
		shift := 7 - (at+i)&7
		b[(at+i)>>3] = b[(at+i)>>3]&^(1<<shift) | bit<<shift
	}
}

// truncate returns the low bits of n as a number of the field.
func (f field) truncate(n uint64) int64 {
	spare := 64 - f.width
	if f.signed {
		return int64(n<<spare) >> spare
	}
	return int64(n << spare >> spare)
}

// bounds returns the least and the largest number of the field.
func (f field) bounds() (low, high int64) {
	if !f.signed {
		return 0, math.MaxInt64 >> (63 - f.width)
	}
	high = math.MaxInt64 >> (64 - f.width)
	return -high - 1, high
}

// add returns what becomes of n + more under o, and false if it is refused. n is a number of the field if more is
// not 0.
func (f field) add(n, more int64, o overflow) (int64, bool) {
	low, high := f.bounds()
	sum := n + more
	limit := n
	switch {
	case more > 0 && (sum < n || sum > high):
		limit = high
	case more < 0 && (sum > n || sum < low):
		limit = low
	case more == 0 && (n > high || f.width < 64 && high-n < 0):
		limit = high // redis-server's distance from a very small number overflows too
	case more == 0 && n < low:
		limit = low
	default:
		return sum, true
	}
	switch o {
	case saturate:
		return limit, true
	case refuse:
		return 0, false
	}
	return f.truncate(uint64(sum)), true
}

// parseFieldOps reads the operations. It replies with an error itself.
func parseFieldOps(c *call.Call) (ops []fieldOp, ok bool) {
	mode := wrap
	for i := 2; i < len(c.Args); {
		left := len(c.Args) - i - 1
		op := fieldOp{overflow: mode}
		switch {
		case c.Is(i, "GET") && left >= 2:
			op.op = 'g'
		case c.Is(i, "SET") && left >= 3:
			op.op = 's'
		case c.Is(i, "INCRBY") && left >= 3:
			op.op = 'i'
		case c.Is(i, "OVERFLOW") && left >= 1:
			if mode, ok = parseOverflow(c, i+1); !ok {
				return nil, false
			}
			i += 2
			continue
		default:
			c.Fail(reply.ErrSyntax)
			return nil, false
		}
		if !op.parse(c, i+1) {
			return nil, false
		}
		ops = append(ops, op)
		i += 4
		if op.op == 'g' {
			i--
		}
	}
	return ops, true
}

func parseOverflow(c *call.Call, i int) (overflow, bool) {
	switch {
	case c.Is(i, "WRAP"):
		return wrap, true
	case c.Is(i, "SAT"):
		return saturate, true
	case c.Is(i, "FAIL"):
		return refuse, true
	}
	c.Fail("ERR Invalid OVERFLOW type specified")
	return 0, false
}

// parse reads type, offset and number from argument i on. It replies with an error itself.
func (o *fieldOp) parse(c *call.Call, i int) bool {
	f, ok := parseField(c.Args[i])
	if !ok {
		c.Fail("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.")
		return false
	}
	o.field = f
	offset, unit := c.Args[i+1], int64(1)
	if len(offset) > 0 && offset[0] == '#' {
		offset, unit = offset[1:], int64(f.width)
	}
	if o.at, ok = bitOffset(c, offset, unit); !ok {
		return false
	}
	if o.op == 'g' {
		return true
	}
	o.n, ok = c.Int(i + 2)
	return ok
}

// bitfield implements BITFIELD key [GET type offset | [OVERFLOW WRAP|SAT|FAIL] SET type offset value |
// INCRBY type offset increment ...].
func bitfield(c *call.Call) {
	ops, ok := parseFieldOps(c)
	if !ok {
		return
	}
	key := c.Args[1]
	e, found, failed := c.GetType(key, keyspace.String)
	if failed {
		return
	}
	limit := writtenBytes(ops)
	if limit == 0 {
		c.LookedUp(key, found)
		replyFields(c, ops, e.Packed)
		return
	}
	if !found {
		createFields(c, key, ops, limit)
		return
	}
	n := int64(len(e.Packed))
	if limit > n || e.Enc != keyspace.Raw {
		c.DB.Splice(key, int(max(limit, n)), nil, keyspace.Raw)
	}
	e, _ = c.Get(key)
	if wrote, changed := replyFields(c, ops, e.Packed); changed || wrote && limit > n {
		c.Notify(call.EventString, "setbit", key)
	}
}

// createFields carries out the operations on a string of limit zero bytes, which then is the new key's: one change.
func createFields(c *call.Call, key []byte, ops []fieldOp, limit int64) {
	b := make([]byte, limit)
	wrote, _ := writeFields(c, ops, b, func(o *fieldOp, b []byte, n int64) []byte {
		o.put(b, n)
		return b
	})
	putValue(c, key, keyspace.Value{Type: keyspace.String, Enc: keyspace.Raw, Packed: b, Given: true}, keyspace.NoExpiry, false)
	if wrote {
		c.Notify(call.EventString, "setbit", key)
	}
}

// bitfieldRO implements BITFIELD_RO key [GET type offset ...].
func bitfieldRO(c *call.Call) {
	ops, ok := parseFieldOps(c)
	if !ok {
		return
	}
	if writtenBytes(ops) > 0 {
		c.Fail("ERR BITFIELD_RO only supports the GET subcommand")
		return
	}
	if e, _, failed := c.GetType(c.Args[1], keyspace.String); !failed {
		replyFields(c, ops, e.Packed)
	}
}

// writtenBytes returns how long the string must be for what the operations write; 0 if they only read.
func writtenBytes(ops []fieldOp) (limit int64) {
	for _, o := range ops {
		if o.op != 'g' {
			limit = max(limit, (o.at+int64(o.field.width)-1)>>3+1)
		}
	}
	return limit
}

// replyFields carries out the operations on the string b of the first argument, which must be long enough for what
// they write, and reports whether they wrote, and something else than was there.
func replyFields(c *call.Call, ops []fieldOp, b []byte) (wrote, changed bool) {
	return writeFields(c, ops, b, func(o *fieldOp, b []byte, n int64) []byte {
		o.splice(c, b, n)
		e, _ := c.Get(c.Args[1])
		return e.Packed
	})
}

// writeFields is replyFields with a write, which puts n where o says and returns the string as it is then.
func writeFields(c *call.Call, ops []fieldOp, b []byte, write func(o *fieldOp, b []byte, n int64) []byte) (wrote, changed bool) {
	c.Out.Array(len(ops))
	for i := range ops {
		o := &ops[i]
		old := o.field.get(b, o.at)
		if o.op == 'g' {
			c.Out.Int(old)
			continue
		}
		n, result, ok := int64(0), old, false
		if o.op == 's' {
			n, ok = o.field.set(o.n, o.overflow)
		} else {
			n, ok = o.field.add(old, o.n, o.overflow)
			result = n
		}
		if !ok {
			c.Out.Null()
			continue
		}
		c.Out.Int(result)
		wrote = true
		if n == old {
			continue
		}
		changed = true
		b = write(o, b, n)
	}
	return wrote, changed
}

// splice puts n into the string b of the first argument.
func (o *fieldOp) splice(c *call.Call, b []byte, n int64) {
	first, limit := o.bytes()
	var space [9]byte
	bytes := append(space[:0], b[first:limit]...)
	o.field.put(bytes, o.at-first*8, n)
	c.DB.Splice(c.Args[1], int(first), bytes, keyspace.Raw)
}

// put puts n into b.
func (o *fieldOp) put(b []byte, n int64) {
	first, limit := o.bytes()
	o.field.put(b[first:limit], o.at-first*8, n)
}

// bytes returns which bytes the field stands in.
func (o *fieldOp) bytes() (first, limit int64) {
	return o.at >> 3, (o.at+int64(o.field.width)-1)>>3 + 1
}

// set returns what is stored for n under o, and false if it is refused. An unsigned field takes a negative number
// for the large one of the same bits.
func (f field) set(n int64, o overflow) (int64, bool) {
	if !f.signed && n < 0 {
		_, high := f.bounds()
		switch o {
		case saturate:
			return high, true
		case refuse:
			return 0, false
		}
		return f.truncate(uint64(n)), true
	}
	return f.add(n, 0, o)
}
