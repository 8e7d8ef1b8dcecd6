package commands

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
)

var bitmapRows = []call.Row{
	{Spec: command.Spec{Name: "getbit", Group: command.Bitmap, Arity: 3, Flags: command.ReadOnly | command.Fast, Keys: command.One(readKey)}, Do: getbit},
	{Spec: command.Spec{Name: "setbit", Group: command.Bitmap, Arity: 4, Flags: command.Write | command.DenyOOM, Keys: command.One(replaceKey)}, Do: setbit},
	{Spec: command.Spec{Name: "bitcount", Group: command.Bitmap, Arity: -2, Flags: command.ReadOnly, Keys: command.One(readKey)}, Do: bitcount},
	{Spec: command.Spec{Name: "bitpos", Group: command.Bitmap, Arity: -3, Flags: command.ReadOnly, Keys: command.One(readKey)}, Do: bitpos},
	{Spec: command.Spec{Name: "bitop", Group: command.Bitmap, Arity: -4, Flags: command.Write | command.DenyOOM, Keys: []command.KeySpec{command.Range(overwriteKey, 2, 0, 1), command.Range(readKey, 3, -1, 1)}}, Do: bitop},
	{Spec: command.Spec{Name: "bitfield", Group: command.Bitmap, Arity: -2, Flags: command.Write | command.DenyOOM, Keys: bitfieldKeys}, Do: bitfield},
	{Spec: command.Spec{Name: "bitfield_ro", Group: command.Bitmap, Arity: -2, Flags: command.ReadOnly | command.Fast, Keys: command.One(readKey)}, Do: bitfieldRO},
}

const (
	errBitOffset reply.Error = "ERR bit offset is not an integer or out of range"
	errBitValue  reply.Error = "ERR bit is not an integer or out of range"
)

// bitOffset returns b as the number of a bit, in units of unit bits. It replies with an error itself.
func bitOffset(c *call.Call, b []byte, unit int64) (int64, bool) {
	n, ok := call.ParseInt(b)
	if !ok || n < 0 || n > int64(c.Settings.ProtoMaxBulkLen)*8/unit || n*unit>>3 >= int64(c.Settings.ProtoMaxBulkLen) {
		c.Fail(errBitOffset)
		return 0, false
	}
	return n * unit, true
}

// getbit implements GETBIT key offset.
func getbit(c *call.Call) {
	at, ok := bitOffset(c, c.Args[2], 1)
	if !ok {
		return
	}
	if e, _, failed := c.GetType(c.Args[1], keyspace.String); !failed {
		c.Out.Int(int64(bitAt(e.Packed, at)))
	}
}

// bitAt returns bit i of b; there are zeros beyond the end. The first bit is the highest of the first byte.
func bitAt(b []byte, i int64) byte {
	if i>>3 >= int64(len(b)) {
		return 0
	}
	return b[i>>3] >> (7 - i&7) & 1
}

// setbit implements SETBIT key offset value.
func setbit(c *call.Call) {
	at, ok := bitOffset(c, c.Args[2], 1)
	if !ok {
		return
	}
	value, ok := call.ParseInt(c.Args[3])
	if !ok || value>>1 != 0 {
		c.Fail(errBitValue)
		return
	}
	key := c.Args[1]
	e, found, failed := c.GetType(key, keyspace.String)
	if failed {
		return
	}
	old := bitAt(e.Packed, at)
	var b [1]byte
	if at>>3 < int64(len(e.Packed)) {
		b[0] = e.Packed[at>>3]
	}
	changed := !found || at>>3 >= int64(len(e.Packed)) || old != byte(value)
	b[0] = b[0]&^(1<<(7-at&7)) | byte(value)<<(7-at&7)
	if !changed && e.Enc == keyspace.Raw {
		c.Out.Int(int64(old))
		return
	}
	spliceOrCreate(c, key, found, int(at>>3), b[:])
	if changed {
		c.Notify(call.EventString, "setbit", key)
	}
	c.Out.Int(int64(old))
}

// spliceOrCreate writes data at off of the string at key, which is created if it was not found: one change either way.
func spliceOrCreate(c *call.Call, key []byte, found bool, off int, data []byte) int {
	if found {
		return c.DB.Splice(key, off, data, keyspace.Raw)
	}
	b := make([]byte, off+len(data))
	copy(b[off:], data)
	putValue(c, key, keyspace.Value{Type: keyspace.String, Enc: keyspace.Raw, Packed: b, Given: true}, keyspace.NoExpiry, false)
	return len(b)
}

// rangeInBits reports whether argument i says BIT instead of BYTE. It replies with an error itself.
func rangeInBits(c *call.Call, i int) (inBits, ok bool) {
	switch {
	case c.Is(i, "BIT"):
		return true, true
	case c.Is(i, "BYTE"):
		return false, true
	}
	c.Fail(reply.ErrSyntax)
	return false, false
}

// bitcount implements BITCOUNT key [start end [BYTE|BIT]].
func bitcount(c *call.Call) {
	e, found, failed := c.GetType(c.Args[1], keyspace.String)
	if failed {
		return
	}
	if !found {
		c.Out.Int(0)
		return
	}
	n := int64(len(e.Packed))
	from, limit := int64(0), n*8
	switch len(c.Args) {
	case 2:
	case 4, 5:
		start, ok := c.Int(2)
		if !ok {
			return
		}
		end, ok := c.Int(3)
		if !ok {
			return
		}
		if start < 0 && end < 0 && start > end {
			c.Out.Int(0)
			return
		}
		inBits := false
		if len(c.Args) == 5 {
			if inBits, ok = rangeInBits(c, 4); !ok {
				return
			}
		}
		from, limit = bitRange(start, end, n, inBits)
	default:
		c.Fail(reply.ErrSyntax)
		return
	}
	c.Out.Int(countBits(e.Packed, from, limit))
}

// bitRange returns the half-open range of bits that the inclusive range from start to end of n bytes stands for, which
// is given in bytes or in bits.
func bitRange(start, end, n int64, inBits bool) (from, limit int64) {
	if inBits {
		return byteRange(start, end, n*8)
	}
	from, limit = byteRange(start, end, n)
	return from * 8, limit * 8
}

// countBits returns the number of ones in the bits of b from from to below limit.
func countBits(b []byte, from, limit int64) int64 {
	n := int64(0)
	for from < limit && from&7 != 0 {
		n += int64(bitAt(b, from))
		from++
	}
	for ; from+64 <= limit; from += 64 {
		n += int64(bits.OnesCount64(binary.BigEndian.Uint64(b[from>>3:])))
	}
	for ; from < limit; from++ {
		n += int64(bitAt(b, from))
	}
	return n
}

// findBit returns the first bit of b from from to below limit that is bit, or limit.
func findBit(b []byte, bit byte, from, limit int64) int64 {
	for from < limit && from&7 != 0 {
		if bitAt(b, from) == bit {
			return from
		}
		from++
	}
	skip := uint64(0) // bytes without that bit
	if bit == 0 {
		skip = math.MaxUint64
	}
	for from+64 <= limit && binary.LittleEndian.Uint64(b[from>>3:]) == skip {
		from += 64
	}
	for from+8 <= limit && b[from>>3] == byte(skip) {
		from += 8
	}
	for from < limit && bitAt(b, from) != bit {
		from++
	}
	return from
}

// bitpos implements BITPOS key bit [start [end [BYTE|BIT]]].
func bitpos(c *call.Call) {
	bit, ok := c.Int(2)
	if !ok {
		return
	}
	if bit != 0 && bit != 1 {
		c.Fail("ERR The bit argument must be 1 or 0.")
		return
	}
	e, found, failed := c.GetType(c.Args[1], keyspace.String)
	if failed {
		return
	}
	if !found { // zeros without end
		c.Out.Int(-bit)
		return
	}
	if len(c.Args) > 6 {
		c.Fail(reply.ErrSyntax)
		return
	}
	n := int64(len(e.Packed))
	start, end, inBits, ok := bitposRange(c)
	if !ok {
		return
	}
	from, limit := bitRange(start, end, n, inBits)
	at := findBit(e.Packed, byte(bit), from, limit)
	if at == limit && (from == limit || bit == 1 || len(c.Args) >= 5) {
		at = -1 // without an end given, zeros follow
	}
	c.Out.Int(at)
}

// bitposRange returns the range to look through. It replies with an error itself.
func bitposRange(c *call.Call) (start, end int64, inBits, ok bool) {
	end = -1
	if len(c.Args) > 3 {
		if start, ok = c.Int(3); !ok {
			return 0, 0, false, false
		}
	}
	if len(c.Args) > 5 {
		if inBits, ok = rangeInBits(c, 5); !ok {
			return 0, 0, false, false
		}
	}
	if len(c.Args) > 4 {
		if end, ok = c.Int(4); !ok {
			return 0, 0, false, false
		}
	}
	return start, end, inBits, true
}

// bitFold says how BITOP makes one word of two: of the bits that both have, of those that one alone has, and of all.
type bitFold struct{ both, either, flip uint64 }

// bitFolds are the operations. NOT folds a string with itself.
var bitFolds = [...]struct {
	name string
	fold bitFold
}{
	{"AND", bitFold{both: math.MaxUint64}},
	{"OR", bitFold{both: math.MaxUint64, either: math.MaxUint64}},
	{"XOR", bitFold{either: math.MaxUint64}},
	{"NOT", bitFold{both: math.MaxUint64, flip: math.MaxUint64}},
}

func (f bitFold) word(x, y uint64) uint64 { return x&y&f.both | (x^y)&f.either ^ f.flip }

// bytes puts what f makes of the bytes of dst and of src into dst, 32 at once. src must not be the longer one.
func (f bitFold) bytes(dst, src []byte) {
	dst = dst[:len(src)]
	for len(dst) >= 32 && len(src) >= 32 {
		d, s := dst[:32:32], src[:32:32]
		binary.LittleEndian.PutUint64(d[0:8], f.word(binary.LittleEndian.Uint64(d[0:8]), binary.LittleEndian.Uint64(s[0:8])))
		binary.LittleEndian.PutUint64(d[8:16], f.word(binary.LittleEndian.Uint64(d[8:16]), binary.LittleEndian.Uint64(s[8:16])))
		binary.LittleEndian.PutUint64(d[16:24], f.word(binary.LittleEndian.Uint64(d[16:24]), binary.LittleEndian.Uint64(s[16:24])))
		binary.LittleEndian.PutUint64(d[24:32], f.word(binary.LittleEndian.Uint64(d[24:32]), binary.LittleEndian.Uint64(s[24:32])))
		dst, src = dst[32:], src[32:]
	}
	for i := range src {
		dst[i] = byte(f.word(uint64(dst[i]), uint64(src[i])))
	}
}

// bitop implements BITOP AND|OR|XOR|NOT destkey key [key ...].
func bitop(c *call.Call) {
	operation := -1
	for i := range bitFolds {
		if c.Is(1, bitFolds[i].name) {
			operation = i
		}
	}
	if operation < 0 {
		c.Fail(reply.ErrSyntax)
		return
	}
	fold := bitFolds[operation].fold
	not := fold.flip != 0
	if not && len(c.Args) != 4 {
		c.Fail("ERR BITOP NOT must be called with a single source key.")
		return
	}
	sources := make([][]byte, 0, len(c.Args)-3)
	longest := 0
	for _, key := range c.Args[3:] {
		e, found, failed := c.GetType(key, keyspace.String)
		c.LookedUp(key, found || failed)
		if failed {
			return
		}
		sources = append(sources, e.Packed)
		longest = max(longest, len(e.Packed))
	}
	result := bytes.Clone(sources[0]) // nothing is cleared first
	result = append(result, make([]byte, longest-len(result))...)[:longest:longest]
	if not {
		fold.bytes(result, result)
	}
	for _, src := range sources[1:] {
		fold.bytes(result, src)
		if fold.either == 0 { // AND: zeros follow the end of a string
			clear(result[len(src):])
		}
	}
	storeBits(c, c.Args[2], result)
	c.Out.Int(int64(longest))
}

// storeBits stores the result of BITOP, which is given away, or deletes the key if it is empty.
func storeBits(c *call.Call, key, result []byte) {
	_, existed := c.Get(key)
	switch {
	case len(result) > 0:
		putValue(c, key, keyspace.Value{Type: keyspace.String, Enc: keyspace.Raw, Given: true, Packed: result}, keyspace.NoExpiry, existed)
		c.Notify(call.EventString, "set", key)
	case existed:
		deleteKey(c, key)
	}
}
