package heat

import (
	"math/rand/v2"
	"sync"
	"testing"
)

const start = 1_700_000_000_000

func TestIdleTime(t *testing.T) {
	for _, mode := range []Mode{Plain, LRU} {
		m := New(start)
		m.Follow(Rules{Mode: mode})
		m.Fit(0)
		idleTime(t, m)
	}
}

func idleTime(t *testing.T, m *Map) {
	t.Helper()
	m.Created(1 << 60)
	m.SetNow(start + 5000)
	m.Touch(2 << 60)
	m.SetNow(start + 7000)
	m.SetNow(start) // never back
	for h, want := range map[uint64]int64{1 << 60: 7000, 2 << 60: 2000, 3 << 60: 7000} {
		if got := m.IdleMs(h); got != want {
			t.Errorf("%x is idle for %d ms, want %d", h, got, want)
		}
	}
	m.SetIdle(1<<60, 1000)
	if got := m.IdleMs(1 << 60); got != 1000_000 {
		t.Errorf("idle for %d ms", got)
	}
	m.Forget(1 << 60)
	m.Touch(1 << 60)
	if got := m.IdleMs(1 << 60); got != 0 {
		t.Errorf("idle for %d ms", got)
	}
}

func TestFrequency(t *testing.T) {
	m := New(start)
	m.Follow(Rules{Mode: LFU, LogFactor: 10, DecayMinutes: 1})
	m.Fit(10)
	m.Created(7)
	if got := m.Freq(7); got != FreqInit {
		t.Errorf("a new key has %d", got)
	}
	for range 1000 {
		m.Touch(7)
	}
	if got := m.Freq(7); got < 14 || got > 24 { // about what Redis' documentation tells: 18
		t.Errorf("after a thousand uses %d", got)
	}
	m.SetFreq(7, 100)
	m.Overwritten(7)
	if got := m.Freq(7); got != 100 {
		t.Errorf("%d, want 100", got)
	}
	m.SetNow(start + 10*60_000)
	if got := m.Freq(7); got != 90 {
		t.Errorf("ten minutes later %d", got)
	}
	m.SetNow(start + 500*60_000)
	if got := m.Freq(7); got != 0 {
		t.Errorf("hours later %d", got)
	}
	m.Follow(Rules{Mode: LFU, LogFactor: 0})
	m.SetFreq(7, 250)
	for range 10 {
		m.Touch(7)
	}
	m.SetNow(start + 1500*60_000)
	if got := m.Freq(7); got != 255 {
		t.Errorf("without a factor and decay %d", got)
	}
}

// What is used stays known, however many others come and go, and when the table changes
// its size.
func TestHotKeysStayKnown(t *testing.T) {
	for _, mode := range []Mode{LRU, LFU} {
		m := New(start)
		m.Follow(Rules{Mode: mode, LogFactor: 10, DecayMinutes: 1})
		m.Fit(0)
		r := rand.New(rand.NewPCG(1, uint64(mode)))
		var hot [500]uint64
		for i := range hot {
			hot[i] = r.Uint64()
			m.Created(hot[i])
		}
		for round := range 100 {
			m.SetNow(int64(start + round*1000))
			for _, h := range hot {
				m.Touch(h)
			}
			for range 5000 {
				m.Created(r.Uint64())
			}
			m.Fit(round * 5000)
		}
		cold := m.Score(r.Uint64())
		for _, h := range hot {
			if m.Score(h) >= cold {
				t.Fatalf("mode %d: a key that is used has score %d, one that never was %d", mode, m.Score(h), cold)
			}
		}
		large := m.Bytes()
		m.Fit(1000)
		if m.Bytes() >= large || large < 99*5000*8 {
			t.Errorf("mode %d: %d bytes for half a million keys, %d for a thousand", mode, large, m.Bytes())
		}
		known := 0
		for _, h := range hot {
			if m.Score(h) < cold {
				known++
			}
		}
		if known < len(hot)*9/10 {
			t.Errorf("mode %d: %d of %d are known in the smaller table", mode, known, len(hot))
		}
	}
}

// What was never used is idle since the first time that anybody tells.
func TestIdleSinceTheBeginning(t *testing.T) {
	m := New(0)
	m.Clear()
	m.SetNow(start)
	m.SetNow(start + 3000)
	if got := m.IdleMs(1); got != 3000 {
		t.Errorf("idle for %d ms", got)
	}
}

// While no policy asks for more, the table has one size.
func TestPlainIsSmall(t *testing.T) {
	m := New(start)
	m.Fit(10_000_000)
	if m.Bytes() > 64<<10 {
		t.Errorf("%d bytes", m.Bytes())
	}
	m.Follow(Rules{Mode: LRU})
	m.Fit(1_000_000)
	if m.Bytes() < 8_000_000 || m.Bytes() > 16_000_000*2 {
		t.Errorf("%d bytes for a million keys", m.Bytes())
	}
	m.Follow(Rules{})
	m.Fit(1_000_000)
	if m.Bytes() > 64<<10 {
		t.Errorf("%d bytes", m.Bytes())
	}
}

func TestReadersAtOnce(t *testing.T) {
	m := New(start)
	m.Follow(Rules{Mode: LFU, LogFactor: 1, DecayMinutes: 1})
	m.Fit(100)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range uint64(20_000) {
				m.SetNow(int64(start + i*10))
				m.Touch((i%100)<<50 | uint64(g))
				m.Score(i << 50)
			}
		})
	}
	wg.Wait()
}

func BenchmarkTouch(b *testing.B) {
	for name, mode := range map[string]Mode{"plain": Plain, "lru": LRU, "lfu": LFU} {
		b.Run(name, func(b *testing.B) {
			m := New(start)
			m.Follow(Rules{Mode: mode, LogFactor: 10, DecayMinutes: 1})
			m.Fit(100_000)
			var h [1 << 16]uint64
			for i := range h {
				h[i] = rand.Uint64()
			}
			b.ResetTimer()
			for i := range b.N {
				m.Touch(h[i&(1<<16-1)])
			}
		})
	}
}

func TestMovedAndCleared(t *testing.T) {
	m := New(start)
	m.Follow(Rules{Mode: LFU, LogFactor: 10, DecayMinutes: 1})
	m.Fit(100_000)
	m.SetFreq(7, 100)
	m.Created(9 << 40)
	m.Moved(7, 9<<40)
	if old, moved := m.Freq(7), m.Freq(9<<40); old != FreqInit || moved != 100 {
		t.Errorf("frequencies %d and %d", old, moved)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		m.SetFreq(r.Uint64(), 200)
	}
	m.Clear()
	m.Fit(1)
	if got := m.Bytes(); got > 200_000 {
		t.Errorf("%d bytes without keys", got)
	}
	for range 1000 {
		if h := r.Uint64(); m.Freq(h) != FreqInit {
			t.Fatalf("frequency %d after all keys are gone", m.Freq(h))
		}
	}
}
