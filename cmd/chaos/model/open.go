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
	call int64 // of the operation that told it and returned first
	ret  int64
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
					all[v] = witness{op.Call, op.Return}
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

// likely returns the operations as they most likely were: of those of unknown
// outcome, the ones whose values were read took effect shortly before, with
// all before them in their pipeline, and the first whose values nobody read did
// not, with all behind it. rest keeps the others of which nothing is known, or
// drops them. What is linearizable so is linearizable.
func likely(ops []*history.Op, rest bool) []porcupine.Operation {
	seen := witnesses(ops)
	all := make([]porcupine.Operation, 0, len(ops))
	for i := 0; i < len(ops); i++ {
		op := ops[i]
		if op.Outcome != history.Open {
			all = append(all, operation(op))
			continue
		}
		n := 1
		for op.Chain != 0 && i+n < len(ops) && ops[i+n].Chain == op.Chain {
			n++
		}
		all = append(all, likelyChain(ops[i:i+n], seen, rest)...)
		i += n - 1
	}
	return all
}

// likelyChain is likely for the unanswered end of one pipeline.
func likelyChain(chain []*history.Op, seen map[string]witness, rest bool) []porcupine.Operation {
	links := make([]porcupine.Operation, len(chain))
	end := 0 // of what took effect, or may have
	limit := history.Forever
	for i := len(chain) - 1; i >= 0; i-- {
		links[i] = operation(chain[i])
		written(chain[i], func(v string) {
			if w, ok := seen[v]; ok && w.ret >= chain[i].Call {
				limit = min(limit, w.ret)
				links[i].Call = max(links[i].Call, w.call)
				end = max(end, i+1)
			}
		})
		links[i].Return = min(links[i].Return, limit)
	}
	for rest && end < len(chain) {
		unread := false
		written(chain[end], func(string) { unread = true })
		if unread {
			break
		}
		end++
	}
	links = links[:end]
	if len(links) < 2 {
		return links
	}
	for i := range links {
		placed := *chain[i]
		placed.Pipe, placed.Pos, placed.Last = 1<<63|placed.Chain, i, i == len(links)-1
		links[i].Input = &placed
		links[i].Call = chain[i].Call // its turn comes after the one before it
	}
	return links
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
