package model

import (
	"slices"
	"strconv"
	"strings"
)

// A stream's ids come from the log's clock and must grow. An XADD without a
// reply leaves an entry whose id is not known; the first XRANGE that shows it
// tells.

// before reports whether stream id a comes before b; an unknown one is before all.
func before(a, b string) bool {
	ams, aseq := splitID(a)
	bms, bseq := splitID(b)
	return ams < bms || ams == bms && aseq < bseq
}

func splitID(id string) (ms, seq uint64) {
	left, right, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(left, 10, 64)
	seq, _ = strconv.ParseUint(right, 10, 64)
	return ms, seq
}

// doXAdd is XADD key * f value.
func doXAdd(e *exec) {
	v := e.at(1)
	id := ""
	if e.known {
		id = strings.TrimPrefix(e.want, "$")
		if !before(v.lastID, id) {
			return
		}
		v.lastID = id
	}
	v.kind = stream
	v.items = append(slices.Clone(v.items), id, e.cmd[4])
	e.out = append(e.out, e.s.with(e.key(1), v))
}

// doXRange is XRANGE key - +, flattened: id, f, value, id, f, value ...
func doXRange(e *exec) {
	v := e.at(1)
	if !e.known {
		e.says("")
		return
	}
	words := strings.Fields(strings.Trim(e.want, "[]"))
	if len(words)*2 != len(v.items)*3 {
		return
	}
	items := slices.Clone(v.items)
	last := ""
	for i := 0; i < len(items); i += 2 {
		id, val := words[i/2*3], words[i/2*3+2]
		if val != items[i+1] || items[i] != "" && items[i] != id || !before(last, id) {
			return
		}
		items[i], last = id, id
	}
	v.items = items
	if before(v.lastID, last) {
		v.lastID = last
	}
	e.out = append(e.out, e.s.with(e.key(1), v))
}

// doXTrim is XTRIM key MAXLEN n.
func doXTrim(e *exec) {
	v := e.at(1)
	n, _ := strconv.Atoi(e.cmd[3])
	gone := max(len(v.items)/2-n, 0)
	v.items = v.items[2*gone:]
	e.gives(integer(gone), e.s.with(e.key(1), v))
}
