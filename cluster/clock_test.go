package cluster

import (
	"testing"
	"time"
)

func TestStamps(t *testing.T) {
	start := time.Now()
	ms := start.UnixMilli()
	// at is a moment d after the start by the monotonic clock, whose wall clock
	// is off by jump.
	type reading struct {
		mono, jump time.Duration
		saw        int64 // stamp applied before, relative to ms; 0 for none
		want       int64 // relative to ms
	}
	cases := []struct {
		name     string
		readings []reading
	}{
		{"follow the wall clock", []reading{{mono: 0, want: 0}, {mono: time.Second, want: 1000}, {mono: time.Hour, want: 3600_000}}},
		{
			"never go back, nor stand still",
			[]reading{{mono: time.Second, want: 1000}, {mono: 2 * time.Second, jump: -time.Minute, want: 1500}, {mono: 3 * time.Second, jump: -time.Minute, want: 2000}},
		},
		{
			"never go behind what was applied, and wait for the wall clock at half the pace of time",
			[]reading{{mono: time.Second, want: 1000}, {mono: time.Second, saw: 5000, want: 5000}, {mono: 3 * time.Second, want: 6000}, {mono: 10 * time.Second, want: 10_000}},
		},
		{
			"follow a jump ahead at twice the pace of time",
			[]reading{{mono: 0, want: 0}, {mono: time.Second, jump: time.Hour, want: 2500}, {mono: 2 * time.Second, jump: time.Hour, want: 4500}},
		},
		{
			"go on from an old stamp at once: after a restart, or an idle time on another leader",
			[]reading{{mono: time.Second, saw: -3600_000, want: 1000}},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newStamper(start, start.UnixMilli())
			for i, r := range c.readings {
				if r.saw != 0 {
					s.saw(ms + r.saw)
				}
				if got := s.stamp(start.Add(r.mono), ms+(r.mono+r.jump).Milliseconds()) - ms; got != r.want {
					t.Errorf("reading %d: stamp %d, want %d", i, got, r.want)
				}
			}
		})
	}
}

// A clock that jumped back and is right again is believed at once, but for what
// the stamps went slower meanwhile: its node may have led or not.
func TestStampsAfterAClockCameBack(t *testing.T) {
	const pace, away, after = 7 * time.Millisecond, 2 * time.Second, 4 * time.Second
	start := time.Now()
	for _, leads := range []bool{true, false} {
		s := newStamper(start, start.UnixMilli())
		s.stamp(start, start.UnixMilli())
		stamp := func(d time.Duration) int64 {
			wall := start.Add(d)
			if d < away {
				wall = wall.Add(-time.Hour)
			}
			if !leads && d < away { // another one's stamps are applied
				s.look(start.Add(d), wall.UnixMilli())
				s.saw(start.Add(d).UnixMilli())
				return s.next()
			}
			return s.stamp(start.Add(d), wall.UnixMilli())
		}
		for d := pace; d < after; d += pace {
			stamp(d)
		}
		if behind := start.Add(after).UnixMilli() - stamp(after); behind > 20 {
			t.Errorf("leads %v: %v after the clock is right again stamps are %d ms behind", leads, after-away, behind)
		}
	}
}

// TestStampsOfManyLooks looks at the clocks as often as a node does.
func TestStampsOfManyLooks(t *testing.T) {
	const pace = 7 * time.Millisecond
	start := time.Now()
	for _, c := range []struct {
		name      string
		jump      time.Duration
		after     time.Duration
		want, tol time.Duration
	}{
		{"a jump ahead is followed at twice the pace", time.Hour, 10 * time.Second, 20*time.Second + stampSlack, 20 * time.Millisecond},
		{"a jump ahead is caught up with", 5 * time.Second, 10 * time.Second, 15 * time.Second, 20 * time.Millisecond},
		{"a jump back is waited for at half the pace", -time.Hour, 10 * time.Second, 5 * time.Second, 20 * time.Millisecond},
		{"a jump back is over", -5 * time.Second, 20 * time.Second, 15 * time.Second, 20 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStamper(start, start.UnixMilli())
			first := s.stamp(start, start.UnixMilli())
			last := first
			for d := pace; d <= c.after; d += pace {
				got := s.stamp(start.Add(d), start.Add(d+c.jump).UnixMilli())
				if got < last {
					t.Fatalf("after %v: stamp %d after %d", d, got, last)
				}
				last = got
			}
			if took := time.Duration(last-first) * time.Millisecond; (took - c.want).Abs() > c.tol {
				t.Errorf("stamps went on by %v in %v, want %v", took, c.after, c.want)
			}
		})
	}
}
