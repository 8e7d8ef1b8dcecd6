package cluster

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRoundIsClosedBeforeItsQuestion(t *testing.T) {
	bubble(t, "late readers wait for the next", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		asked, answers := 0, make(chan uint64)
		var reached []uint64
		r := &rounds{
			ctx: ctx,
			ask: func(context.Context) (uint64, error) {
				asked++
				return <-answers, nil
			},
			reach: func(_ context.Context, index uint64) error {
				reached = append(reached, index)
				return nil
			},
		}
		var done [3]bool
		join := func(i int) {
			go func() {
				if err := r.join(t.Context()); err != nil {
					t.Error(err)
				}
				done[i] = true
			}()
			synctest.Wait()
		}
		join(0)
		join(1) // the first question is on its way already
		join(2)
		if asked != 1 {
			t.Fatalf("%d questions", asked)
		}
		answers <- 5
		synctest.Wait()
		if done != [3]bool{true, false, false} || asked != 2 {
			t.Fatalf("done %v after the first answer, %d questions", done, asked)
		}
		answers <- 7
		synctest.Wait()
		if done != [3]bool{true, true, true} || len(reached) != 2 || reached[1] != 7 {
			t.Errorf("done %v, reached %v", done, reached)
		}
		cancel()
		r.close()
		if err := r.join(t.Context()); !errors.Is(err, errClosed) {
			t.Errorf("after close: %v", err)
		}
	})
	bubble(t, "an error is everybody's, and time ends", func(t *testing.T) {
		failure := errors.New("no leader")
		r := &rounds{
			ctx:   t.Context(),
			ask:   func(ctx context.Context) (uint64, error) { return 1, nil },
			reach: func(ctx context.Context, _ uint64) error { <-ctx.Done(); return failure },
		}
		began := time.Now()
		if err := r.join(t.Context()); !errors.Is(err, failure) || time.Since(began) != readWait {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := r.join(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestAppliedIndexWakesWhoeverItHasReached(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := newAppliedIndex()
		var woken [10]atomic.Bool
		for _, index := range []uint64{1, 5, 9} {
			go func() { woken[index].Store(a.wait(t.Context(), index) == nil) }()
		}
		synctest.Wait()
		a.advance(5)
		synctest.Wait()
		if !woken[1].Load() || !woken[5].Load() || woken[9].Load() {
			t.Error("not the right ones were woken")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.wait(ctx, 10); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		a.advance(9)
		synctest.Wait()
		if !woken[9].Load() || len(a.waiting) != 0 {
			t.Errorf("%d wait", len(a.waiting))
		}
	})
}
