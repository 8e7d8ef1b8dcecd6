package commands

import (
	"bytes"
	"math"
	"strconv"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/glob"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
)

// scanOptions is what SCAN, HSCAN, SSCAN and ZSCAN may be asked for.
type scanOptions struct {
	count    int    // elements to look at, at least; COUNT
	pattern  []byte // of elements to return, nil for all; MATCH
	typ      []byte // of keys to return, nil for all; TYPE
	noValues bool   // of fields; NOVALUES
}

// scanOnly is the option that one of the commands alone has.
type scanOnly uint8

const (
	nothingOnly  scanOnly = iota
	typeOnly              // SCAN
	noValuesOnly          // HSCAN
)

// parseCursor reads argument i, or replies with an error. It takes what C's
// strtoul takes: nothing is 0, and a negative number wraps around.
func parseCursor(c *call.Call, i int) (uint64, bool) {
	arg := string(c.Args[i])
	if arg == "" {
		return 0, true
	}
	negative := arg[0] == '-'
	if negative || arg[0] == '+' {
		arg = arg[1:]
	}
	cursor, err := strconv.ParseUint(arg, 10, 64)
	if err != nil {
		c.Fail(reply.ErrInvalidCursor)
		return 0, false
	}
	if negative {
		return -cursor, true
	}
	return cursor, true
}

// parse reads the options from argument i on, or replies with an error.
func (o *scanOptions) parse(c *call.Call, i int, only scanOnly) bool {
	o.count = 10
	for ; i < len(c.Args); i += 2 {
		switch {
		case only == noValuesOnly && c.Is(i, "NOVALUES"):
			if c.TooNew(semantic.Geo, reply.ErrSyntax) {
				return false
			}
			o.noValues = true
			i-- // has no value itself
		case i+1 == len(c.Args):
			c.Fail(reply.ErrSyntax)
			return false
		case c.Is(i, "COUNT"):
			n, ok := c.IntIn(i+1, 1, math.MaxInt64, reply.ErrSyntax)
			if !ok {
				return false
			}
			o.count = int(n)
		case c.Is(i, "MATCH"):
			o.pattern = c.Args[i+1]
			if string(o.pattern) == "*" {
				o.pattern = nil
			}
		case only == typeOnly && c.Is(i, "TYPE"):
			o.typ = c.Args[i+1]
		default:
			c.Fail(reply.ErrSyntax)
			return false
		}
	}
	return true
}

// matches reports whether the pattern lets element through.
func (o *scanOptions) matches(element []byte) bool {
	return o.pattern == nil || glob.Match(o.pattern, element)
}

// replyScan replies with the cursor to go on with and the elements; scan writes
// these, and returns the cursor and how many it has written.
func replyScan(out *reply.Writer, scan func() (next uint64, n int)) {
	mark := out.Mark()
	next, n := scan()
	out.EndArray(mark, n)
	elements := bytes.Clone(out.Bytes()[mark:]) // the cursor goes before them
	out.Truncate(mark)
	out.Array(2)
	out.BulkString(strconv.FormatUint(next, 10))
	out.Raw(elements)
}
