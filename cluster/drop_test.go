package cluster

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/fsm/entry"
)

// dropsIn returns the waiters that a batch drops.
func dropsIn(t *testing.T, wire []byte) (drops []uint64) {
	t.Helper()
	b, err := entry.DecodeBatch(wire)
	if err != nil {
		t.Fatal(err)
	}
	var it entry.Item
	for {
		ok, err := b.Next(&it)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return drops
		}
		if it.Kind == entry.ItemDrop {
			drops = append(drops, it.Waiter)
		}
	}
}

// A client that goes is never forgotten: its waiter would be given what nobody gets.
func TestDropsAreNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.seq.Drop(7) // found in a snapshot, before anything of this life was applied
		r.after(0)
		first := r.way.first()
		if drops := dropsIn(t, first); len(drops) > 0 || r.way.count() > 0 {
			t.Errorf("what registers drops %v", drops)
		}
		r.apply(first)
		r.seq.Drop(8)
		r.seq.Drop(9)
		r.after(0)
		lost := r.way.take() // its fate is not known
		if len(lost) != 1 || len(dropsIn(t, lost[0])) == 0 || !r.seq.dropping() {
			t.Fatalf("%d batches", len(lost))
		}
		c := newConn()
		r.submit(c, "set")
		r.after(testTimeout + time.Second)
		r.way.take()
		r.after(2 * time.Second) // somebody waits, so the incarnation is given up
		var drops []uint64
		for range 20 {
			if wire := r.way.first(); wire != nil {
				drops = append(drops, dropsIn(t, wire)...)
				r.apply(wire)
			}
			r.after(time.Second)
		}
		slices.Sort(drops)
		if drops = slices.Compact(drops); !slices.Equal(drops, []uint64{7, 8, 9}) || r.seq.dropping() {
			t.Errorf("drops %v, more to come: %v", drops, r.seq.dropping())
		}
	})
}
