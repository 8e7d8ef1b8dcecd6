package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/quorate/quorate/engine/types/chain"
)

func (n *node) recount(t testing.TB) chain.Value {
	t.Helper()
	s, err := n.Freeze(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	count, _ := s.Recount(func() bool { return false })
	return count
}

// The recount of a node that came by way of a snapshot is that of the one that
// lived, however their memory looks, and so it stays; and a change changes it.
func TestRecountFollowsFromContent(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := &walker{Rand: rand.New(rand.NewPCG(seed, 77)), keys: 4, fields: true}
			lived := newNode()
			lived.set(t, "hash-max-listpack-entries", "8", "zset-max-listpack-entries", "8", "set-max-intset-entries", "8", "list-max-listpack-size", "8")
			came := lived
			for step := range 3000 {
				if step%500 == 0 {
					came = lived.restored(t, lived.snapshot(t))
				}
				db, args := w.command()
				mutations, was := lived.Stats().Mutations, chain.Value{}
				if step%20 == 0 {
					was = lived.recount(t)
				}
				lived.do(db, args...)
				came.do(db, args...)
				if step%20 != 0 {
					continue
				}
				now := lived.recount(t)
				if now != came.recount(t) {
					t.Fatalf("step %d: %q: the recounts differ", step, args)
				}
				if now != was && lived.Stats().Mutations == mutations && args[0] != "FUNCTION" { // libraries are no keys
					t.Fatalf("step %d: %q changed nothing, but the recount", step, args)
				}
			}
		})
	}
}

// A snapshot whose keys are not those that were counted is refused, though the file
// is whole.
func TestLoaderRecounts(t *testing.T) {
	n := newNode()
	for i := range 1000 {
		n.do(i%3, "SET", fmt.Sprint("key", i), fmt.Sprint("some value ", i))
	}
	file := n.snapshot(t)
	at := bytes.Index(file, []byte("some value 500"))
	file[at] ^= 1
	copy(file[len(file)-8:], make([]byte, 8)) // no checksum, so that nothing else can tell
	r := New(Options{})
	if err := r.Restore(bytes.NewReader(file), nil); !errors.Is(err, ErrRecount) {
		t.Errorf("%v", err)
	}
}
