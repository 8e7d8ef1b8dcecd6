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

// lcsTable holds at row i, column j the length of the longest common subsequence of the first i bytes of a and the
// first j bytes of b.
type lcsTable struct {
	a, b  []byte
	cells []uint32
}

// newLCSTable fills a table of at most bytesMax bytes.
func newLCSTable(a, b []byte, bytesMax int) (*lcsTable, bool) {
	width := len(b) + 1
	if len(a)+1 > bytesMax/4/width {
		return nil, false
	}
	t := &lcsTable{a, b, make([]uint32, (len(a)+1)*width)}
	for i := range a {
		above, row := t.cells[i*width:(i+1)*width], t.cells[(i+1)*width:(i+2)*width]
		for j := range b {
			if a[i] == b[j] {
				row[j+1] = above[j] + 1
			} else {
				row[j+1] = max(above[j+1], row[j])
			}
		}
	}
	return t, true
}

func (t *lcsTable) at(i, j int) uint32 { return t.cells[i*(len(t.b)+1)+j] }

func (t *lcsTable) len() int { return int(t.at(len(t.a), len(t.b))) }

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
		if t.at(i-1, j) > t.at(i, j-1) {
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
