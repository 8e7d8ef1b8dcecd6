package rdb

import "errors"

// LZF data is a sequence of pieces. The first byte tells which kind follows:
//
//	000lllll                     l+1 bytes as they are
//	lllooooo oooooooo            l+2 bytes from offset o+1 back, l in 1..6
//	111ooooo llllllll oooooooo   l+9 bytes from offset o+1 back
//
// The compressor makes the same choices as Redis', so that DUMP gives the same
// bytes: the same hash of three bytes, the newest occurrence only, and the two
// last places of a match entered into the table.
const (
	lzfLiteralMax = 1 << 5
	lzfOffsetMax  = 1 << 13
	lzfMatchMax   = 1<<8 + 1<<3
	lzfTableBits  = 16

	// lzfPieceMax is the length of the longest piece.
	lzfPieceMax = 1 + lzfLiteralMax

	// lzfRatioMax is not less than what a byte of LZF data can expand to: 264 bytes
	// by three.
	lzfRatioMax = 88
)

var errLZF = errors.New("corrupt LZF data")

// compressor compresses one string after the other.
type compressor struct {
	// table has, by the hash of three bytes, base and the place where they were
	// seen last. Entries of earlier strings are not above base.
	table [1 << lzfTableBits]uint32
	base  uint32
	out   []byte
}

func lzfHash(v uint32) uint32 {
	return (v>>(24-lzfTableBits) - v*5) & (1<<lzfTableBits - 1)
}

// compress returns in as LZF data if that is shorter by at least four bytes. What
// it returns is valid until the next call.
func (c *compressor) compress(in []byte) ([]byte, bool) {
	n := len(in)
	limit := n - 4
	if limit <= 0 {
		return nil, false
	}
	if cap(c.out) < n+8 {
		c.out = make([]byte, n+8)
	}
	if uint64(c.base)+uint64(n) >= 1<<32 {
		c.table, c.base = [1 << lzfTableBits]uint32{}, 0
	}
	base := c.base
	c.base += uint32(n)

	out := c.out[:cap(c.out)]
	literals, op := 0, 1 // a run of literals has its length byte before it
	ip := 0
	for ip < n-2 {
		slot := &c.table[lzfHash(uint32(in[ip])<<16|uint32(in[ip+1])<<8|uint32(in[ip+2]))]
		seen := *slot
		*slot = base + uint32(ip)
		// The first byte of a string is never the start of a match.
		ref := int(seen - base)
		if seen <= base || ip-ref > lzfOffsetMax || in[ref] != in[ip] || in[ref+1] != in[ip+1] || in[ref+2] != in[ip+2] {
			if op >= limit {
				return nil, false
			}
			out[op] = in[ip]
			op, ip, literals = op+1, ip+1, literals+1
			if literals == lzfLiteralMax {
				out[op-literals-1] = lzfLiteralMax - 1
				literals, op = 0, op+1
			}
			continue
		}
		if literals == 0 {
			op--
		} else {
			out[op-literals-1] = byte(literals - 1)
		}
		if op+4 >= limit {
			return nil, false
		}
		size, offset := matchLen(in, ref, ip), ip-ref-1
		if l := size - 2; l < 7 {
			out[op] = byte(offset>>8 | l<<5)
			op++
		} else {
			out[op], out[op+1] = byte(offset>>8|7<<5), byte(l-7)
			op += 2
		}
		out[op] = byte(offset)
		literals, op = 0, op+2
		ip += size
		if ip >= n-2 {
			break
		}
		for at := ip - 2; at < ip; at++ {
			c.table[lzfHash(uint32(in[at])<<16|uint32(in[at+1])<<8|uint32(in[at+2]))] = base + uint32(at)
		}
	}
	if op+3 > limit {
		return nil, false
	}
	for ; ip < n; ip++ {
		out[op] = in[ip]
		op, literals = op+1, literals+1
		if literals == lzfLiteralMax {
			out[op-literals-1] = lzfLiteralMax - 1
			literals, op = 0, op+1
		}
	}
	if literals == 0 {
		return out[:op-1], true
	}
	out[op-literals-1] = byte(literals - 1)
	return out[:op], true
}

// matchLen returns how many bytes from ref on are those from ip on; three are
// known to be. Redis counts up to 16 more before it minds the limits, so near the
// end of the data a match may be a little longer than lzfMatchMax and the two
// bytes left out would have it.
func matchLen(in []byte, ref, ip int) int {
	most := min(len(in)-ip-2, lzfMatchMax)
	size := 3
	if most > 16 {
		for ; size <= 18; size++ {
			if in[ref+size] != in[ip+size] {
				return size
			}
		}
	}
	for size < most && in[ref+size] == in[ip+size] {
		size++
	}
	return size
}

// An expander turns LZF data back into what it stands for: the bytes from start to
// end of dst, in however many calls.
type expander struct {
	dst        []byte
	start, end int
}

// expand takes the pieces that are whole in in, and returns their length.
func (x *expander) expand(in []byte) (taken int, ok bool) {
	for taken < len(in) {
		rest := in[taken:]
		control := int(rest[0])
		if control < lzfLiteralMax {
			n := control + 1
			if len(rest) < 1+n {
				return taken, true
			}
			if !x.room(n) {
				return taken, false
			}
			x.dst = append(x.dst, rest[1:1+n]...)
			taken += 1 + n
			continue
		}
		n, head := control>>5+2, 2
		if control>>5 == 7 {
			head = 3
		}
		if len(rest) < head {
			return taken, true
		}
		if head == 3 {
			n += int(rest[1])
		}
		if !x.room(n) || !x.repeat(n, control&0x1f<<8|int(rest[head-1])+1) {
			return taken, false
		}
		taken += head
	}
	return taken, true
}

// room makes room for n more bytes, if they are still before the end.
func (x *expander) room(n int) bool {
	if n > x.end-len(x.dst) {
		return false
	}
	if cap(x.dst)-len(x.dst) < n {
		x.dst = regrow(x.dst, min(x.end, cap(x.dst)+max(cap(x.dst), trustBytes)))
	}
	return true
}

// repeat appends the n bytes that begin so far back.
func (x *expander) repeat(n, back int) bool {
	from := len(x.dst) - back
	if from < x.start {
		return false
	}
	if n <= back {
		x.dst = append(x.dst, x.dst[from:from+n]...)
		return true
	}
	for range n { // the piece repeats itself
		x.dst = append(x.dst, x.dst[from])
		from++
	}
	return true
}
