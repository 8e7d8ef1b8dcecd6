// Package notation writes replies down, much as redis-cli shows them.
package notation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/engine/reply"
)

// Lines takes a reply down. Every kind reads
// differently, but for the null of RESP3 and the null bulk string of RESP2.
func Lines(v reply.Value) []string {
	switch v.Kind {
	case reply.KindStatus:
		return []string{string(v.Text)}
	case reply.KindError:
		return []string{"(error) " + string(v.Text)}
	case reply.KindInt:
		return []string{"(integer) " + strconv.FormatInt(v.Int, 10)}
	case reply.KindBulk:
		return []string{Quote(v.Text)}
	case reply.KindNull:
		if v.Array {
			return []string{"(nil array)"}
		}
		return []string{"(nil)"}
	case reply.KindDouble:
		return []string{"(double) " + string(v.Text)}
	case reply.KindBigNumber:
		return []string{"(big number) " + string(v.Text)}
	case reply.KindBool:
		return []string{fmt.Sprintf("(%t)", v.Int == 1)}
	case reply.KindVerbatim:
		return []string{"(verbatim) " + Quote(v.Text)}
	case reply.KindBlobError:
		return []string{"(blob error) " + Quote(v.Text)}
	case reply.KindMap:
		return mapNotation(v)
	case reply.KindSet:
		return listNotation(v, "set", "~ ")
	case reply.KindPush:
		return listNotation(v, "push", "> ")
	default:
		return listNotation(v, "array", ") ")
	}
}

func listNotation(v reply.Value, kind, mark string) []string {
	if len(v.Elems) == 0 {
		return []string{"(empty " + kind + ")"}
	}
	var lines []string
	for i, elem := range v.Elems {
		lines = appendElem(lines, strconv.Itoa(i+1)+mark, Lines(elem))
	}
	return lines
}

func mapNotation(v reply.Value) []string {
	if len(v.Elems) == 0 {
		return []string{"(empty map)"}
	}
	var lines []string
	for i := 0; i < len(v.Elems); i += 2 {
		key := strings.Join(Lines(v.Elems[i]), " ")
		lines = appendElem(lines, strconv.Itoa(i/2+1)+"# "+key+" => ", Lines(v.Elems[i+1]))
	}
	return lines
}

// appendElem puts head before the first line of an element; those of a long
// one stand below each other.
func appendElem(lines []string, head string, elem []string) []string {
	margin := strings.Repeat(" ", min(len(head), 12))
	for i, l := range elem {
		if i == 0 {
			lines = append(lines, head+l)
			continue
		}
		lines = append(lines, margin+l)
	}
	return lines
}

// Quote writes bytes as a redis-cli string: escapes for all but plain ASCII.
func Quote(b []byte) string {
	var s strings.Builder
	s.WriteByte('"')
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			s.WriteByte('\\')
			s.WriteByte(c)
		case c == '\n':
			s.WriteString(`\n`)
		case c == '\r':
			s.WriteString(`\r`)
		case c == '\t':
			s.WriteString(`\t`)
		case c < ' ' || c > '~':
			fmt.Fprintf(&s, `\x%02x`, c)
		default:
			s.WriteByte(c)
		}
	}
	s.WriteByte('"')
	return s.String()
}

// Sort brings the elements of a reply into an order of their own, group
// by group. A reply that begins with a plain value and holds lists, as SCAN's
// does, keeps its order and has the lists sorted.
func Sort(v *reply.Value, group int) {
	if len(v.Elems) == 0 {
		return
	}
	inner := func(e reply.Value) bool { return len(e.Elems) > 0 }
	if !inner(v.Elems[0]) && slices.ContainsFunc(v.Elems, inner) && v.Kind != reply.KindMap {
		for i := range v.Elems {
			Sort(&v.Elems[i], group)
		}
		return
	}
	switch {
	case v.Kind == reply.KindMap:
		group = 2
	case v.Kind == reply.KindSet || inner(v.Elems[0]) || len(v.Elems)%group != 0:
		group = 1
	}
	groups := slices.Collect(slices.Chunk(v.Elems, group))
	slices.SortFunc(groups, func(a, b []reply.Value) int {
		return strings.Compare(groupText(a), groupText(b))
	})
	v.Elems = slices.Concat(groups...)
}

func groupText(group []reply.Value) string {
	var b strings.Builder
	for _, v := range group {
		b.WriteString(strings.Join(Lines(v), "\n"))
		b.WriteByte('\n')
	}
	return b.String()
}
