package stream

import (
	"errors"
	"fmt"

	"github.com/quorate/quorate/engine/types/listpack"
)

// ErrCorrupt is what the errors of [Stream.AppendNode] wrap.
var ErrCorrupt = errors.New("corrupt stream node")

var errOrder = fmt.Errorf("%w: IDs do not ascend", ErrCorrupt)

// validateNode checks a node from an untrusted source completely. It returns how
// many entries are alive and the ID of the last of them.
func validateNode(id ID, lp []byte) (entries int, last ID, err error) {
	if err := listpack.Validate(lp); err != nil {
		return 0, ID{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	r := reader{lp: lp, pos: listpack.First(lp)}
	alive, deleted, fields := r.number(), r.number(), r.number()
	r.skip(fields)
	if r.number() != 0 || r.bad {
		return 0, ID{}, fmt.Errorf("%w: master entry", ErrCorrupt)
	}
	n, seen, marked := node{id: id, lp: lp}, 0, 0
	for r.pos >= 0 {
		at := r.pos
		flags := r.number()
		r.integer()
		r.integer()
		width, elements := fields, 3
		if flags&flagSameFields == 0 {
			width, elements = 2*r.number(), 4
		}
		r.skip(width)
		if r.number() != elements+width || r.bad {
			return 0, ID{}, fmt.Errorf("%w: entry %d", ErrCorrupt, seen)
		}
		e := n.entryAt(at, fields)
		if e.id.Less(id) || e.id.IsZero() || !e.deleted() && e.id.Compare(last) <= 0 {
			return 0, ID{}, errOrder
		}
		seen++
		if e.deleted() {
			marked++
		} else {
			last = e.id
		}
	}
	if seen == 0 || marked != deleted || seen-marked != alive {
		return 0, ID{}, fmt.Errorf("%w: master entry counts %d and %d, there are %d and %d", ErrCorrupt, alive, deleted, seen-marked, marked)
	}
	return alive, last, nil
}

// reader goes over a listpack and notes when it is not as expected.
type reader struct {
	lp  []byte
	pos int // -1 at the end
	bad bool
}

// integer reads an element that must be an integer.
func (r *reader) integer() int64 {
	if r.pos < 0 {
		r.bad = true
		return 0
	}
	s, n := listpack.Get(r.lp, r.pos)
	r.bad = r.bad || s != nil
	r.pos = listpack.Next(r.lp, r.pos)
	return n
}

// number reads an integer that counts elements of this listpack.
func (r *reader) number() int {
	n := r.integer()
	if n < 0 || n > int64(len(r.lp)) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) skip(n int) {
	for ; n > 0; n-- {
		if r.pos < 0 {
			r.bad = true
			return
		}
		r.pos = listpack.Next(r.lp, r.pos)
	}
}
