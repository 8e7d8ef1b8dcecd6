package commands

import (
	"strings"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
)

// keys implements KEYS pattern.
func keys(c *call.Call) {
	only := scanOptions{pattern: c.Args[1]}
	if string(only.pattern) == "*" { // of the empty name too, which the pattern does not match
		only.pattern = nil
	}
	mark, n := c.Out.Mark(), 0
	c.DB.Names(c.Now, func(key []byte) {
		if only.matches(key) {
			c.Out.Bulk(key)
			n++
		}
	})
	c.Out.EndArray(mark, n)
}

// scan implements SCAN cursor [MATCH pattern] [COUNT count] [TYPE type].
func scan(c *call.Call) {
	cursor, ok := parseCursor(c, 1)
	if !ok {
		return
	}
	var o scanOptions
	if !o.parse(c, 2, typeOnly) {
		return
	}
	replyScan(c.Out, func() (next uint64, n int) {
		next = c.DB.Scan(cursor, o.count, func(e keyspace.Entry) {
			if !e.Expired(c.Now) && o.matches(e.Key) && o.matchesType(e.Type) {
				c.Out.Bulk(e.Key)
				n++
			}
		})
		return next, n
	})
}

// matchesType reports whether keys of type t were asked for.
func (o *scanOptions) matchesType(t keyspace.Type) bool {
	return o.typ == nil || call.EqualFold(o.typ, strings.ToUpper(t.String()))
}

// randomkey implements RANDOMKEY.
func randomkey(c *call.Call) {
	e, found := c.DB.Random(c.Rand.Uint64(), c.Now)
	bulkOrNull(c.Out, e.Key, found)
}
