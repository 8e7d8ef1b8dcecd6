package cluster

import (
	"testing"
	"time"
)

// stuck is a leader of three whose small entry does not get through.
func stuck() office { return office{term: 3, commit: 10, last: 11, voters: 3, heard: 2} }

func TestWhoResigns(t *testing.T) {
	for _, c := range []struct {
		name  string
		every time.Duration // between looks
		edit  func(o *office, look int)
		after int // looks behind the first until it resigns, 0 for never
	}{
		{"entries that do not get through", officeEvery, func(*office, int) {}, 10},
		{"nothing to commit", officeEvery, func(o *office, _ int) { o.last = o.commit }, 0},
		{"no leader", officeEvery, func(o *office, _ int) { *o = office{} }, 0},
		{"commits each second", officeEvery, func(o *office, look int) { o.commit, o.last = uint64(look/5), uint64(look/5+5) }, 14},
		{"commits each 400 ms", officeEvery, func(o *office, look int) { o.commit, o.last = uint64(look/2), uint64(look/2+5) }, 0},
		{"another term each second", officeEvery, func(o *office, look int) { o.term = uint64(3 + look/5) }, 14},
		{"own disk", officeEvery, func(o *office, _ int) { o.hangs = true }, 0},
		{"own disk for a while", officeEvery, func(o *office, look int) { o.hangs = look <= 20 }, 30},
		{"one of three is away", officeEvery, func(o *office, _ int) { o.heard = 1 }, 0},
		{"two of five are away", officeEvery, func(o *office, _ int) { o.voters, o.heard = 5, 2 }, 0},
		{"one of five is away", officeEvery, func(o *office, _ int) { o.voters, o.heard = 5, 3 }, 10},
		{"alone", officeEvery, func(o *office, _ int) { o.voters, o.heard = 1, 0 }, 0},
		{"a pair", officeEvery, func(o *office, _ int) { o.voters, o.heard = 2, 1 }, 0},
		{"a process that stands still", 10 * time.Second, func(*office, int) {}, 5},
		{"a large entry", officeEvery, func(o *office, _ int) { o.flying = 1 << 20 }, 30},
	} {
		tn := newTenure(300 * time.Millisecond)
		now := time.Unix(1, 0)
		resigned := 0
		for look := 0; look <= 100 && resigned == 0; look++ {
			o := stuck()
			c.edit(&o, look)
			if tn.look(now, o) {
				resigned = look
			}
			now = now.Add(c.every)
		}
		if resigned != c.after {
			t.Errorf("%s: resigned at look %d, want %d", c.name, resigned, c.after)
		}
	}
}

// A node that loses its office stands back, longer the second time.
func TestDeposedNodeStandsBack(t *testing.T) {
	var d deposals
	now := time.Unix(1, 0)
	for i, c := range []struct{ after, want time.Duration }{{0, standBack}, {time.Second, standBackAgain}, {resignPauseMax - 1, standBackAgain}, {resignPauseMax, standBack}} {
		now = now.Add(c.after)
		if got := d.beats(now); got != c.want {
			t.Errorf("deposal %d: %d", i, got)
		}
	}
}

// Where nobody does better, resignations become rare, until there was peace.
func TestResignationsBecomeRare(t *testing.T) {
	tn := newTenure(300 * time.Millisecond)
	now := time.Unix(1, 0)
	pauses := func(length time.Duration) (got []time.Duration) {
		for end := now.Add(length); now.Before(end); now = now.Add(officeEvery) {
			if tn.look(now, stuck()) {
				got = append(got, tn.pause)
			}
		}
		return got
	}
	want := []time.Duration{5, 10, 20, 40, 60, 60}
	got := pauses(190 * time.Second)
	if len(got) != len(want) {
		t.Fatalf("pauses %v", got)
	}
	for i, p := range got {
		if p != want[i]*time.Second {
			t.Errorf("pause %d is %v", i, p)
		}
	}
	now = now.Add(2 * resignPauseMax)
	if got := pauses(4 * time.Second); len(got) != 1 || got[0] != resignPause {
		t.Errorf("after peace: %v", got)
	}
}
