package heat

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

func told(mode Mode, keys int) *Map {
	m := New(start)
	m.Follow(Rules{Mode: mode, LogFactor: 10, DecayMinutes: 1})
	m.Fit(keys)
	return m
}

// drain returns all that m has to tell.
func drain(m *Map) (all [][]byte) {
	silent := 0
	for silent <= len(m.words)/tellWordsMax {
		silent++
		if b := m.Tell(nil); len(b) > 0 {
			all = append(all, b)
			silent = 0
		}
	}
	return all
}

// What one node reads another one hears of, once, whatever the sizes of their tables.
func TestTellAndHear(t *testing.T) {
	for _, mode := range []Mode{LRU, LFU} {
		for _, sizes := range [][2]int{{1, 1}, {1, 100_000}, {100_000, 1}} {
			t.Run(fmt.Sprint(mode, sizes), func(t *testing.T) {
				from, to := told(mode, sizes[0]), told(mode, sizes[1])
				r := rand.New(rand.NewPCG(1, 1))
				var read, other []uint64
				for i := range 2000 {
					h := r.Uint64()
					for _, m := range []*Map{from, to} {
						m.SetLogged(true)
						m.Created(h)
						m.SetLogged(false)
					}
					if i%2 == 0 {
						read = append(read, h)
					} else {
						other = append(other, h)
					}
				}
				if got := drain(from); len(got) > 0 {
					t.Fatalf("told of what all nodes have done: %x", got)
				}
				from.SetNow(start + 100_000)
				to.SetNow(start + 103_000)
				for _, h := range read {
					for range 100 {
						from.Touch(h)
					}
				}
				for _, b := range drain(from) {
					if err := to.Hear(b); err != nil {
						t.Fatal(err)
					}
				}
				idle, frequent := 0, 0
				for _, h := range read {
					if to.IdleMs(h) < 2000 {
						idle++
					}
					if to.Freq(h) > FreqInit {
						frequent++
					}
				}
				if idle < 950 || mode == LFU && frequent < 900 {
					t.Errorf("of 1000 keys %d are known to be in use, %d often", idle, frequent)
				}
				idle = 0
				for _, h := range other {
					if to.IdleMs(h) < 2000 {
						idle++
					}
				}
				if idle > 60 { // tags that agree
					t.Errorf("%d keys that nobody has read are taken for others", idle)
				}
				if got := drain(from); len(got) > 0 {
					t.Errorf("told twice: %d", len(got))
				}
			})
		}
	}
}

// What is told at once is bounded, and the rest comes later.
func TestTellIsBounded(t *testing.T) {
	const keys = 200_000
	m := told(LFU, keys)
	for i := range uint64(keys) {
		m.Touch(i * 0x9e3779b97f4a7c15)
	}
	words := 0
	for i := range m.words {
		if m.words[i].Load()&untoldBit != 0 {
			words++
		}
	}
	calls, total := 0, 0
	for _, b := range drain(m) {
		if len(b) > tellBytesMax {
			t.Fatalf("%d bytes at once", len(b))
		}
		total += len(b)
		calls++
	}
	if calls < 50 || total > 5*words {
		t.Errorf("%d bytes about %d keys in %d calls", total, words, calls)
	}
}

// A hint never makes a key look less used than it is known to be, and what it says of
// keys that are not known takes no better one's place.
func TestHearOnlyRaises(t *testing.T) {
	from, to := told(LFU, 1), told(LFU, 1)
	from.Touch(7)
	hints := from.Tell(nil)
	to.SetFreq(7, 100)
	for h := range uint64(ways - 1) {
		to.SetFreq(1<<32|(h+50)<<1, 50)
	}
	to.SetNow(start + 5000)
	if err := to.Hear(hints); err != nil {
		t.Fatal(err)
	}
	if got := to.Freq(7); got != 100 {
		t.Errorf("frequency %d", got)
	}
	to.Forget(7)
	to.SetFreq(1<<32|999, 50)
	if err := to.Hear(hints); err != nil || to.Freq(7) != 0 {
		t.Errorf("frequency %d, %v", to.Freq(7), err)
	}
}

func FuzzHear(f *testing.F) {
	m := told(LRU, 1)
	m.Touch(7)
	f.Add(m.Tell(nil))
	m = told(LFU, 100_000)
	m.Touch(1 << 63)
	m.Touch(7)
	f.Add(m.Tell(nil))
	f.Add([]byte{2, 63, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, mode := range []Mode{Plain, LRU, LFU} {
			m := told(mode, 10)
			if err := m.Hear(bytes.Clone(b)); err != nil && !errors.Is(err, ErrMalformed) {
				t.Error(err)
			}
		}
	})
}
