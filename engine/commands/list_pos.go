package commands

import (
	"math"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
)

// lposOptions are the options of LPOS.
type lposOptions struct {
	rank   int64 // which match comes first; negative from the end
	count  int64 // how many matches; 0 is all, -1 one that is not in an array
	maxLen int64 // how many elements to look at; 0 is all
}

// lpos replies with the indexes of elements that are a value.
func lpos(c *call.Call) {
	o, ok := parseLpos(c)
	if !ok {
		return
	}
	l, ok := openList(c, c.Args[1])
	if !ok {
		return
	}
	mark, found := c.Out.Mark(), 0
	end, rank := head, o.rank
	if rank < 0 {
		end, rank = tail, -rank
	}
	at := l.At(end.first())
	for i := 0; at.Valid() && (o.maxLen == 0 || int64(i) < o.maxLen); i++ {
		if at.Equal(c.Args[2]) {
			if rank--; rank <= 0 {
				index := i
				if end == tail {
					index = l.Len() - 1 - i
				}
				c.Out.Int(int64(index))
				found++
				if o.count != 0 && int64(found) >= o.count {
					break
				}
			}
		}
		if end == tail {
			at.Prev()
		} else {
			at.Next()
		}
	}
	switch {
	case o.count >= 0:
		c.Out.EndArray(mark, found)
	case found == 0:
		c.Out.Null()
	}
}

func parseLpos(c *call.Call) (o lposOptions, ok bool) {
	o = lposOptions{rank: 1, count: -1}
	for i := 3; i < len(c.Args); i += 2 {
		more := i+1 < len(c.Args)
		switch {
		case more && c.Is(i, "RANK"):
			if o.rank, ok = c.Int(i + 1); !ok {
				return o, false
			}
			if o.rank == 0 {
				c.Fail("ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list")
				return o, false
			}
		case more && c.Is(i, "COUNT"):
			if o.count, ok = call.ParseInt(c.Args[i+1]); !ok || o.count < 0 {
				c.Fail("ERR COUNT can't be negative")
				return o, false
			}
		case more && c.Is(i, "MAXLEN"):
			if o.maxLen, ok = call.ParseInt(c.Args[i+1]); !ok || o.maxLen < 0 {
				c.Fail("ERR MAXLEN can't be negative")
				return o, false
			}
		default:
			c.Fail(reply.ErrSyntax)
			return o, false
		}
	}
	if o.rank == math.MinInt64 { // no positive number is as large: redis-server shows all matches
		o.rank, o.count = -1, min(o.count, 0)
	}
	return o, true
}
