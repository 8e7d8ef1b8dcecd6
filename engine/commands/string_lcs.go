package commands

import (
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
)

// lcsOptions are the options of LCS.
type lcsOptions struct {
	length, indexes, withLen bool
	minLen                   int64
}

func (o *lcsOptions) parse(c *call.Call) bool {
	for i := 3; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "IDX"):
			o.indexes = true
		case c.Is(i, "LEN"):
			o.length = true
		case c.Is(i, "WITHMATCHLEN"):
			o.withLen = true
		case c.Is(i, "MINMATCHLEN") && i+1 < len(c.Args):
			i++
			n, ok := c.Int(i)
			if !ok {
				return false
			}
			o.minLen = n
		default:
			c.Fail(reply.ErrSyntax)
			return false
		}
	}
	if o.indexes && o.length {
		c.Fail("ERR If you want both the length and indexes, please just use IDX.")
		return false
	}
	return true
}

// lcs implements LCS key1 key2 [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN].
func lcs(c *call.Call) {
	a, foundA := c.Get(c.Args[1])
	b, foundB := c.Get(c.Args[2])
	if foundA && a.Type != keyspace.String || foundB && b.Type != keyspace.String {
		c.Fail("ERR The specified keys must contain string values")
		return
	}
	var o lcsOptions
	if !o.parse(c) {
		return
	}
	t, ok := newLCSTable(a.Packed, b.Packed, c.Settings.ProtoMaxBulkLen)
	switch {
	case !ok:
		c.Fail("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
	case o.length:
		c.Out.Int(int64(t.len()))
	case o.indexes:
		t.replyIndexes(c.Out, &o)
	default:
		c.Out.Bulk(t.common())
	}
}

// lcsTable tells how the longest common subsequence of a and b is found, from their ends to their beginnings.
//
// The longest one of the first i bytes of a and the first j of b is longer by a byte than that of i-1 and j-1 if these
// bytes are equal, else it is the longer one of i-1 and j, and of i and j-1. Which of the two is one bit a pair; the
// lengths themselves are needed of one row alone.
type lcsTable struct {
	a, b   []byte
	length int
	up     []uint64 // a bit of each pair, see bitOf: i-1 and j is the longer one
}

// newLCSTable fills a table, unless Redis' own, which takes four bytes of each pair, would take more than bytesMax bytes.
func newLCSTable(a, b []byte, bytesMax int) (*lcsTable, bool) {
	if len(a)+1 > bytesMax/4/(len(b)+1) {
		return nil, false
	}
	t := &lcsTable{a: a, b: b, up: make([]uint64, len(a)*len(b)/64+1)}
	t.fill()
	return t, true
}

// byB reports whether rows are of bytes of a, and there is one for each byte of b: a row belongs to the shorter one.
func (t *lcsTable) byB() bool { return len(t.a) < len(t.b) }

// bitOf returns where the bit of the first i bytes of a and the first j of b is.
func (t *lcsTable) bitOf(i, j int) int {
	if t.byB() {
		return (j-1)*len(t.a) + i - 1
	}
	return (i-1)*len(t.b) + j - 1
}

func (t *lcsTable) fill() {
	long, short, byB := t.a, t.b, t.byB()
	if byB {
		long, short = short, long
	}
	row := make([]uint32, len(short)+1) // the lengths for what is done of long, and each beginning of short
	bit := 0
	for _, x := range long {
		before := uint32(0) // row[k] before x
		for k, y := range short {
			lessLong, lessShort := row[k+1], row[k]
			switch {
			case x == y:
				row[k+1] = before + 1
			case lessLong > lessShort:
				if !byB {
					t.up[bit>>6] |= 1 << (bit & 63)
				}
			default:
				row[k+1] = lessShort
				if byB && lessShort > lessLong {
					t.up[bit>>6] |= 1 << (bit & 63)
				}
			}
			before = lessLong
			bit++
		}
	}
	t.length = int(row[len(short)])
}

func (t *lcsTable) len() int { return t.length }

// goesUp reports whether the first i-1 bytes of a and j of b have more in common than i of a and j-1 of b.
func (t *lcsTable) goesUp(i, j int) bool {
	bit := t.bitOf(i, j)
	return t.up[bit>>6]>>(bit&63)&1 == 1
}

// matches calls visit for each run of common bytes from the last to the first: a[i:i+n] is b[j:j+n].
func (t *lcsTable) matches(visit func(i, j, n int)) {
	i, j := len(t.a), len(t.b)
	for i > 0 && j > 0 {
		n := 0
		for i > 0 && j > 0 && t.a[i-1] == t.b[j-1] {
			i, j, n = i-1, j-1, n+1
		}
		if n > 0 {
			visit(i, j, n)
			continue
		}
		if t.goesUp(i, j) {
			i--
		} else {
			j--
		}
	}
}

// common returns the longest common subsequence that the matches make.
func (t *lcsTable) common() []byte {
	s := make([]byte, t.len())
	end := len(s)
	t.matches(func(i, _, n int) {
		copy(s[end-n:end], t.a[i:i+n])
		end -= n
	})
	return s
}

func (t *lcsTable) replyIndexes(out *reply.Writer, o *lcsOptions) {
	out.Map(2)
	out.BulkString("matches")
	mark, count := out.Mark(), 0
	t.matches(func(i, j, n int) {
		if int64(n) < o.minLen {
			return
		}
		count++
		if o.withLen {
			out.Array(3)
		} else {
			out.Array(2)
		}
		for _, from := range [...]int{i, j} {
			out.Array(2)
			out.Int(int64(from))
			out.Int(int64(from + n - 1))
		}
		if o.withLen {
			out.Int(int64(n))
		}
	})
	out.EndArray(mark, count)
	out.BulkString("len")
	out.Int(int64(t.len()))
}
