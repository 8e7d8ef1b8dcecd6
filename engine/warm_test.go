package engine

import (
	"fmt"
	"sync"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

// Readers warm keys beside one another while a writer, which warms its own,
// takes turns with them. With -race: they share nothing.
func TestViewsWarmBesideEachOther(t *testing.T) {
	e := New(Options{})
	key := func(i int) []byte { return fmt.Appendf(nil, "key:%d", i%3000) }
	const rounds = 200
	var all sync.WaitGroup
	for reader := range 3 {
		all.Go(func() {
			for round := range rounds {
				e.View(0, 0, func(v *View) {
					var out reply.Writer
					for i := range 20 {
						v.Expect(i%2, key(reader*1000+round*20+i))
					}
					v.Warm()
					v.Do(0, [][]byte{[]byte("get"), key(reader*1000 + round*20)}, false, &out)
				})
			}
		})
	}
	all.Go(func() {
		for round := range rounds {
			e.Apply(func(step *Step) {
				var out reply.Writer
				step.Entry(uint64(round+1), int64(round+1))
				for i := range 20 {
					step.Expect(i%2, key(round*20+i))
				}
				step.Warm()
				for i := range 20 {
					step.Do(i%2, [][]byte{[]byte("set"), key(round*20 + i), []byte("value")}, false, &out)
				}
				if round%50 == 49 {
					step.Do(0, [][]byte{[]byte("flushdb")}, false, &out)
				}
			})
		}
	})
	all.Wait()
}
