package heat

import "testing"

// The engine's lock is held meanwhile.
func BenchmarkTell(b *testing.B) {
	m := told(LFU, tellWordsMax)
	touch := func(n uint64) {
		for i := range n {
			m.Touch(i * 0x9e3779b97f4a7c15)
		}
	}
	b.Run("nothing", func(b *testing.B) {
		for b.Loop() {
			m.Tell(nil)
		}
	})
	touch(tellWordsMax)
	hints := m.Tell(nil)
	b.Run("hear", func(b *testing.B) {
		for b.Loop() {
			_ = m.Hear(hints)
		}
		b.ReportMetric(float64(len(hints)), "bytes")
	})
}
