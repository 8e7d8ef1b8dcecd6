package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

// scanned is a collection that a test iterates over while it changes.
type scanned struct {
	scan    func(cursor, count string) []string
	add     func(element string) []string
	remove  func(element string) []string
	rebuild [][]string // makes it anew, in the form that its size calls for; then only what stays is there
	pair    int        // strings in a reply for each element
}

var scans = map[string]scanned{
	"SCAN": {
		scan:   func(cursor, count string) []string { return []string{"SCAN", cursor, "COUNT", count} },
		add:    func(e string) []string { return []string{"SET", e, "v"} },
		remove: func(e string) []string { return []string{"DEL", e} },
		pair:   1,
	},
	"SSCAN": {
		scan:    func(cursor, count string) []string { return []string{"SSCAN", "k", cursor, "COUNT", count} },
		add:     func(e string) []string { return []string{"SADD", "k", e} },
		remove:  func(e string) []string { return []string{"SREM", "k", e} },
		rebuild: [][]string{{"SUNIONSTORE", "k", "k", "k"}},
		pair:    1,
	},
	"HSCAN": {
		scan:    func(cursor, count string) []string { return []string{"HSCAN", "k", cursor, "COUNT", count} },
		add:     func(e string) []string { return []string{"HSET", "k", e, "v"} },
		remove:  func(e string) []string { return []string{"HDEL", "k", e} },
		rebuild: [][]string{{"COPY", "k", "l", "REPLACE"}, {"RENAME", "l", "k"}},
		pair:    2,
	},
	"ZSCAN": {
		scan:    func(cursor, count string) []string { return []string{"ZSCAN", "k", cursor, "COUNT", count} },
		add:     func(e string) []string { return []string{"ZADD", "k", "1", e} },
		remove:  func(e string) []string { return []string{"ZREM", "k", e} },
		rebuild: [][]string{{"ZUNIONSTORE", "k", "1", "k"}},
		pair:    2,
	},
}

// Whatever a collection goes through meanwhile, an iteration returns every element that
// is there from its begin to its end, and ends; each of its steps may be another node's,
// of which one is restored from a snapshot now and then.
func TestIterationsReturnWhatStays(t *testing.T) {
	for name, kind := range scans {
		for _, stay := range []int{1, 20, 400} {
			for round := range uint64(2) {
				t.Run(fmt.Sprintf("%s/%d of them/%d", name, stay, round), func(t *testing.T) {
					it := iteration{scanned: kind, trio: newTrio(t, reply.RESP2, 400), rand: rand.New(rand.NewPCG(round, uint64(stay)))}
					it.run(stay)
				})
			}
		}
	}
}

// iteration is one of them.
type iteration struct {
	scanned
	*trio
	rand  *rand.Rand
	comes int // elements that have come and may be gone
}

func (it *iteration) call(args []string) string { return it.do(0, words(args...)).reply }

// run iterates once over elements of which some stay, in a collection that was grown to
// any size before.
func (it *iteration) run(stay int) {
	for i := range stay {
		it.call(it.add(fmt.Sprint("stays:", i)))
	}
	it.grow(it.rand.IntN(900))
	seen, cursor := make(map[string]bool), "0"
	for steps := 0; ; steps++ {
		if steps > 20000 {
			it.t.Fatal("the iteration does not end")
		}
		if steps > 0 {
			it.change()
		}
		r, _, err := reply.Read([]byte(it.call(it.scan(cursor, fmt.Sprint(1+it.rand.IntN(20))))))
		if err != nil || len(r.Elems) != 2 {
			it.t.Fatalf("step %d: %+v, %v", steps, r, err)
		}
		for i := 0; i < len(r.Elems[1].Elems); i += it.pair {
			seen[string(r.Elems[1].Elems[i].Text)] = true
		}
		if cursor = string(r.Elems[0].Text); cursor == "0" {
			break
		}
	}
	for i := range stay {
		if e := fmt.Sprint("stays:", i); !seen[e] {
			it.t.Errorf("%s was there all the time and was not returned", e)
		}
	}
}

// change lets the collection grow, shrink, or be made anew, seldom by much.
func (it *iteration) change() {
	switch it.rand.IntN(12) {
	case 0:
		it.grow(it.rand.IntN(300))
	case 1, 2:
		it.shrink(it.rand.IntN(300))
	case 3:
		if it.rand.IntN(8) == 0 {
			it.shrink(it.comes)
			for _, args := range it.rebuild {
				it.call(args)
			}
		}
	default:
		it.grow(it.rand.IntN(3))
	}
}

func (it *iteration) grow(n int) {
	for range n {
		it.call(it.add(fmt.Sprint("comes:", it.comes)))
		it.comes++
	}
}

// shrink removes the n that came last.
func (it *iteration) shrink(n int) {
	for range min(n, it.comes) {
		it.comes--
		if got := it.call(it.remove(fmt.Sprint("comes:", it.comes))); !strings.HasPrefix(got, ":1") {
			it.t.Fatalf("removed comes:%d: %q", it.comes, got)
		}
	}
}
