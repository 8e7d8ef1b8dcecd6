package session

import (
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/quorate/quorate/engine/reply"
)

// lolwut: LOLWUT [VERSION version] [columns [rows]] draws a log that a few nodes
// agree on, each a row behind the one above: every row follows from the one
// before by one rule, and chance has the first row only.
func lolwut(s *Session, r *request) {
	args := r.args[1:]
	if len(args) >= 2 && strings.EqualFold(string(args[0]), "version") {
		if _, err := strconv.ParseInt(string(args[1]), 10, 64); err != nil {
			r.fail(reply.ErrNotInteger)
			return
		}
		args = args[2:]
	}
	columns, rows := lolwutSize(args)
	r.out.Verbatim("txt", automaton(columns, rows, rand.Uint64())+"Redis ver. "+RedisVersion+", Quorate ver. "+s.srv.opts.Version+"\n")
}

// lolwutSize returns the size of the drawing: what can't be read or is too large
// is as if it were not there.
func lolwutSize(args [][]byte) (columns, rows int) {
	size := [2]int{66, 20}
	for i := range min(len(args), len(size)) {
		if n, err := strconv.Atoi(string(args[i])); err == nil && n > 0 && n <= 1000 {
			size[i] = n
		}
	}
	return size[0], size[1]
}

// automaton draws rows of cells, each alive where exactly one of its left
// neighbour, itself and its right neighbour, the latter two as one, was.
func automaton(columns, rows int, chance uint64) string {
	cells := make([]bool, columns)
	for i := range cells {
		cells[i] = chance>>(i%64)&1 == 1
	}
	var text strings.Builder
	for range rows {
		next := make([]bool, columns)
		for i, alive := range cells {
			mark := byte(' ')
			if alive {
				mark = '#'
			}
			text.WriteByte(mark)
			left, right := cells[(i+columns-1)%columns], cells[(i+1)%columns]
			next[i] = left != (alive || right)
		}
		text.WriteByte('\n')
		cells = next
	}
	return text.String()
}
