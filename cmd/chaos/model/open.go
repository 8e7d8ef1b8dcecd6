package model

import (
	"strconv"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/quorate/quorate/cmd/chaos/history"
)

// Operations without a reply may take effect at any later time or never, and
// make the search long. What replies show of the values that they wrote, each
// of which is written once in a run, says more of them.

// uniqueMark begins every unique value, and nothing else does.
const uniqueMark = "u"

// Unique returns the n-th unique value.
func Unique(n uint64) string { return uniqueMark + strconv.FormatUint(n, 36) }

// eachUnique calls f for each unique value in a text.
func eachUnique(text string, f func(value string)) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z')
	}) {
		if strings.HasPrefix(word, uniqueMark) {
			f(word)
		}
	}
}

// witness is what replies show of a value.
type witness struct {
	ret int64 // of the operation that told it and returned first
}

// witnesses returns for each unique value that a reply shows the operation
// that did so and returned first.
func witnesses(ops []*history.Op) map[string]witness {
	all := make(map[string]witness)
	for _, op := range ops {
		if op.Outcome != history.Done {
			continue
		}
		for _, r := range op.Replies {
			eachUnique(r, func(v string) {
				if w, ok := all[v]; !ok || op.Return < w.ret {
					all[v] = witness{op.Return}
				}
			})
		}
	}
	return all
}

// written calls f for each unique value that op writes.
func written(op *history.Op, f func(value string)) {
	for _, c := range op.Cmds {
		for _, arg := range c[1:] {
			eachUnique(arg, f)
		}
	}
}

// noticed returns the operations without those of unknown outcome whose values no
// reply shows. They may never have taken effect: where the rest is linearizable,
// all of it is.
func noticed(ops []porcupine.Operation) []porcupine.Operation {
	kept := make([]porcupine.Operation, 0, len(ops))
	for _, o := range ops {
		writes := false
		op := o.Input.(*history.Op)
		written(op, func(string) { writes = true })
		if op.Outcome == history.Open && o.Return == history.Forever && writes {
			continue // whole gives an end to what was seen
		}
		kept = append(kept, o)
	}
	return kept
}

func operation(op *history.Op) porcupine.Operation {
	return porcupine.Operation{ClientId: op.Client, Input: op, Call: op.Call, Return: op.Return, Metadata: op.Line()}
}

// whole returns all operations. One of unknown outcome whose value was read
// took effect before that read returned.
func whole(ops []*history.Op) []porcupine.Operation {
	seen := witnesses(ops)
	all := make([]porcupine.Operation, len(ops))
	for i, op := range ops {
		all[i] = operation(op)
		if op.Outcome == history.Open {
			written(op, func(v string) {
				if w, ok := seen[v]; ok && w.ret >= op.Call {
					all[i].Return = min(all[i].Return, w.ret)
				}
			})
		}
	}
	return all
}

// until returns the part of a history up to a time: what returned later had
// not returned by then.
func until(ops []porcupine.Operation, at int64) []porcupine.Operation {
	var part []porcupine.Operation
	for _, o := range ops {
		if o.Call > at {
			continue
		}
		if o.Return > at {
			op := *o.Input.(*history.Op)
			op.Early = op.Outcome == history.Done
			o.Input, o.Return = &op, history.Forever
		}
		part = append(part, o)
	}
	return part
}

// open reports whether the outcome of any operation is unknown.
func open(ops []*history.Op) bool {
	for _, op := range ops {
		if op.Outcome == history.Open {
			return true
		}
	}
	return false
}
