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
		{"never go back", []reading{{mono: time.Second, want: 1000}, {mono: 2 * time.Second, jump: -time.Minute, want: 1000}}},
		{"never go behind what was applied", []reading{{mono: time.Second, saw: 5000, want: 5000}, {mono: 6 * time.Second, want: 6000}}},
		{
			"follow a jump ahead at twice the pace of time",
			[]reading{{mono: 0, want: 0}, {mono: time.Second, jump: time.Hour, want: 2500}, {mono: 2 * time.Second, jump: time.Hour, want: 5000}},
		},
		{
			"go on from an old stamp at once: after a restart, or an idle time on another leader",
			[]reading{{mono: time.Second, saw: -3600_000, want: 1000}},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newStamper(start)
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
