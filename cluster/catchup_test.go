package cluster

import (
	"context"
	"testing"
	"testing/synctest"
)

// A node that hears of an index beyond its own asks for it, once, and one that
// has it already asks nobody.
func TestCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		applied, asked := newAppliedIndex(), 0
		r := &rounds{
			ctx:   t.Context(),
			ask:   func(context.Context) (uint64, error) { asked++; return 9, nil },
			reach: func(_ context.Context, index uint64) error { applied.advance(index); return nil },
		}
		c := newCatchUp(r, applied)
		go c.run(t.Context())
		for _, step := range []struct {
			index uint64
			asked int
		}{{0, 0}, {7, 1}, {5, 1}, {9, 1}, {10, 2}} {
			c.to(step.index)
			synctest.Wait()
			if asked != step.asked {
				t.Errorf("after index %d: asked %d times, want %d", step.index, asked, step.asked)
			}
		}
	})
}
