package hll

import (
	"slices"
	"strconv"
)

const (
	sparseRankMax = 32 // the largest rank that an opcode holds
	rankRunMax    = 4  // the longest run of one
	zerosShortMax = 64 // the longest run of zeros in one byte
)

// An opcode is a run of equal registers in a sparse form.
type opcode struct {
	rank byte // of each register
	run  int  // how many there are
	size int  // of the opcode, in bytes
}

// opcodeAt returns the opcode at byte at. A second byte that is missing is zero.
func opcodeAt(b []byte, at int) opcode {
	x := b[at]
	switch x >> 6 {
	case 0:
		return opcode{run: int(x) + 1, size: 1}
	case 1:
		n := int(x&0x3f) << 8
		if at+1 < len(b) {
			n |= int(b[at+1])
		}
		return opcode{run: n + 1, size: 2}
	}
	return opcode{rank: x>>2&0x1f + 1, run: int(x&3) + 1, size: 1}
}

// appendZeros appends an opcode of n zeros.
func appendZeros(dst []byte, n int) []byte {
	if n > zerosShortMax {
		return append(dst, 1<<6|byte((n-1)>>8), byte(n-1))
	}
	return append(dst, byte(n-1))
}

// rankOpcode returns the opcode of a run of ranks.
func rankOpcode(rank byte, run int) byte { return 1<<7 | (rank-1)<<2 | byte(run-1) }

// appendRun appends opcodes of n registers of rank, which may be none.
func appendRun(dst []byte, rank byte, n int) []byte {
	switch {
	case n == 0:
		return dst
	case rank == 0:
		return appendZeros(dst, n)
	}
	return append(dst, rankOpcode(rank, n))
}

// AppendOpcodes appends a sparse form as text, as PFDEBUG DECODE shows it: "z:n"
// and "Z:n" for n zeros in one byte and two, "v:rank,n" for others.
func AppendOpcodes(dst, b []byte) ([]byte, error) {
	if len(b) > sparseLenMax {
		return nil, ErrCorrupt
	}
	for at := headLen; at < len(b); {
		op := opcodeAt(b, at)
		if at > headLen {
			dst = append(dst, ' ')
		}
		at += op.size
		switch {
		case op.rank > 0:
			dst = append(dst, "v:"...)
			dst = strconv.AppendInt(dst, int64(op.rank), 10)
			dst = append(dst, ',')
		case op.size == 1:
			dst = append(dst, "z:"...)
		default:
			dst = append(dst, "Z:"...)
		}
		dst = strconv.AppendInt(dst, int64(op.run), 10)
	}
	return dst, nil
}

// An Editor raises registers of a HyperLogLog of which it owns the memory. It
// leaves the cached count as it is.
//
// A sparse form becomes dense when it would grow beyond a limit, or cannot hold
// a rank; never back. Where an Editor raises registers in ascending order, each
// costs no search: it goes on where the last one was.
type Editor struct {
	b         []byte
	sparseMax int // bytes up to which the sparse form may grow
	hint      struct {
		at, first int // an opcode, and its first register
		limit     int // registers from here on are behind it; 0: there is no hint
	}
}

// Edit returns an editor of b, whose sparse form may grow to sparseMax bytes.
func Edit(b []byte, sparseMax int) *Editor { return &Editor{b: b, sparseMax: sparseMax} }

// Bytes returns the HyperLogLog as it has become.
func (e *Editor) Bytes() []byte { return e.b }

// Add adds an element, and reports whether that raised a register.
func (e *Editor) Add(element []byte) (raised bool, err error) {
	return e.Raise(Place(element))
}

// Raise makes register index rank, and reports whether it was less.
func (e *Editor) Raise(index int, rank byte) (raised bool, err error) {
	switch {
	case IsDense(e.b):
		return e.raiseDense(index, rank), nil
	case len(e.b) > sparseLenMax:
		return false, ErrCorrupt
	case rank > sparseRankMax:
		return true, e.promote(index, rank)
	}
	p, ok := e.find(index)
	if !ok {
		return false, ErrCorrupt
	}
	op := opcodeAt(e.b, p.at)
	if op.rank >= rank {
		return false, nil
	}
	var buf [5]byte
	seq := appendRun(buf[:0], op.rank, index-p.first)
	seq = append(seq, rankOpcode(rank, 1))
	seq = appendRun(seq, op.rank, p.first+op.run-1-index)
	if growth := len(seq) - op.size; growth > 0 && len(e.b)+growth > e.sparseMax {
		return true, e.promote(index, rank)
	}
	e.b = slices.Replace(e.b, p.at, p.at+op.size, seq...)
	e.join(p.before)
	return true, nil
}

func (e *Editor) raiseDense(index int, rank byte) bool {
	p, less := Raise(e.b, index, rank)
	copy(e.b[p.Off:], p.Bytes())
	return less
}

// promote makes the form dense and then raises a register.
func (e *Editor) promote(index int, rank byte) error {
	dense, err := Dense(e.b)
	if err != nil {
		return err
	}
	e.b = dense
	e.raiseDense(index, rank)
	return nil
}

// position is where a register is in a sparse form.
type position struct {
	at, first int // its opcode, and the first register of that
	before    int // the opcode before; at if there is none
}

// find returns the position of register index.
func (e *Editor) find(index int) (p position, ok bool) {
	p = position{at: headLen, before: headLen}
	if e.hint.limit > 0 && index >= e.hint.limit {
		p = position{at: e.hint.at, first: e.hint.first, before: e.hint.at}
	} else {
		e.hint.limit = 0
	}
	beforeFirst := p.first
	for p.at < len(e.b) {
		op := opcodeAt(e.b, p.at)
		if p.at+op.size > len(e.b) {
			return p, false
		}
		if index < p.first+op.run {
			return p, true
		}
		if p.before != p.at { // two opcodes back nothing changes
			e.hint.at, e.hint.first, e.hint.limit = p.before, beforeFirst, p.first
		}
		p.before, beforeFirst = p.at, p.first
		p.at += op.size
		p.first += op.run
	}
	return p, false
}

// joinLooks is how many opcodes are looked at for one that the next can join.
// Redis looks at as many, and what it does not look at stays apart.
const joinLooks = 5

// join makes one opcode of two of the same rank next to each other, from byte at
// on.
func (e *Editor) join(at int) {
	for looks := joinLooks; looks > 0 && at < len(e.b); looks-- {
		op := opcodeAt(e.b, at)
		if op.rank > 0 && at+1 < len(e.b) {
			next := opcodeAt(e.b, at+1)
			if next.rank == op.rank && op.run+next.run <= rankRunMax {
				e.b[at] = rankOpcode(op.rank, op.run+next.run)
				e.b = slices.Delete(e.b, at+1, at+2)
				continue
			}
		}
		at += op.size
	}
}
