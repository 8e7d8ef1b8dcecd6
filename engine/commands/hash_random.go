package commands

import (
	"math"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
)

// parseRandomCount reads argument 2, the number of elements to choose; a
// negative one allows repetition. It replies with errors itself.
func parseRandomCount(c *call.Call) (int64, bool) {
	n, ok := c.Int(2)
	switch {
	case !ok:
	case n == math.MinInt64:
		c.Fail("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807")
	case n < -repeatsMax:
		c.Fail(errRepeats)
	default:
		return n, true
	}
	return 0, false
}

// hrandfield replies with a field chosen by chance, or with several and perhaps
// their values.
func hrandfield(c *call.Call) {
	if len(c.Args) == 2 {
		randomField(c)
		return
	}
	n, ok := parseRandomCount(c)
	if !ok {
		return
	}
	withValues := len(c.Args) == 4 && c.Is(3, "WITHVALUES")
	switch {
	case len(c.Args) > 3 && !withValues:
		c.Fail(reply.ErrSyntax)
		return
	case withValues && n > math.MaxInt64/2:
		c.Fail(reply.ErrOutOfRange)
		return
	}
	if h, ok := openHash(c, c.Args[1]); ok {
		h.replyRandom(n, withValues)
	}
}

func randomField(c *call.Call) {
	h, ok := openHash(c, c.Args[1])
	switch {
	case !ok:
	case !h.exists:
		c.Out.Null()
	default:
		h.replyFieldAt(nth(h.Ranks(), randomRank(c.Rand, h.Len())), false)
	}
}

// nth returns the rank of the i-th field that is not due. live holds their ranks,
// or is nil when none is due.
func nth(live []int, i int) int {
	if live == nil {
		return i
	}
	return live[i]
}

// replyRandom writes n distinct fields chosen by chance, all if there are not so
// many; a negative n takes -n fields that may be the same.
func (h *hashKey) replyRandom(n int64, withValues bool) {
	c, size, live := h.c, h.Len(), h.Ranks()
	switch {
	case size == 0 || n == 0:
		c.Out.Array(0)
	case n < 0:
		replyRepeats(c, int(-n), size, func(n int) { h.beginFields(n, withValues) }, func(rank int) { h.replyFieldAt(nth(live, rank), withValues) })
	case n < int64(size):
		h.beginFields(int(n), withValues)
		for _, rank := range randomRanks(c.Rand, int(n), size) {
			h.replyFieldAt(nth(live, rank), withValues)
		}
	default:
		h.beginFields(size, withValues)
		for field, value := range h.All() {
			h.replyField(field, value, withValues)
		}
	}
}

// beginFields begins a reply of n fields: with values, pairs in RESP3 and a flat
// list in RESP2.
func (h *hashKey) beginFields(n int, withValues bool) {
	if withValues && h.c.Out.Proto() != reply.RESP3 {
		n *= 2
	}
	h.c.Out.Array(n)
}

// replyFieldAt writes the field with the given rank among those stored.
func (h *hashKey) replyFieldAt(rank int, withValues bool) {
	var fieldDigits, valueDigits [20]byte
	field, value := h.At(rank, fieldDigits[:], valueDigits[:])
	h.replyField(field, value, withValues)
}

func (h *hashKey) replyField(field, value []byte, withValues bool) {
	out := h.c.Out
	if !withValues {
		out.Bulk(field)
		return
	}
	if out.Proto() == reply.RESP3 {
		out.Array(2)
	}
	out.Bulk(field)
	out.Bulk(value)
}
