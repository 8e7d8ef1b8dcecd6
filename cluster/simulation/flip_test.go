package simulation

import (
	"math/rand/v2"
	"testing"

	"github.com/quorate/quorate/cluster/raftlog/faultfs"
)

// A flipped bit excuses a node's end until the cluster is well, and after that as
// long as it can still be read.
func TestFlipExcusesNoMoreThanItExplains(t *testing.T) {
	disk := faultfs.New()
	disk.SetContent("/log", []byte("record"))
	m := &machine{disk: disk, life: &life{disk: disk}}
	f := func(when string, want bool) {
		t.Helper()
		if got := m.damaged(); got != want {
			t.Errorf("%s: damaged %v", when, got)
		}
	}
	f("at first", false)
	m.flip(rand.New(rand.NewPCG(1, 1)))
	f("flipped", true)
	at := m.flipped.at
	m.disk.SetContent("/log", []byte("record"[:at]))
	f("repaired, not yet well", true)
	m.recovered()
	f("repaired and well", false)
	m.flip(rand.New(rand.NewPCG(1, 1)))
	m.recovered()
	f("well, and the bit stands", true)
	m.disk.SetContent("/log", []byte("other!"))
	f("written over", false)
}
