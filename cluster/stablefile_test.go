package cluster

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/cluster/raftlog/faultfs"
)

// stableValues opens the bbolt file and returns what it holds, as raft would see it.
func stableValues(path string) (map[string]string, error) {
	inner, err := raftlog.OpenBolt(path)
	if err != nil {
		return nil, err
	}
	defer inner.Close()
	s, err := newCheckedStable(inner, func(error) {})
	if err != nil {
		return nil, err
	}
	return valuesOf(s)
}

func valuesOf(s raft.StableStore) (map[string]string, error) {
	values := make(map[string]string)
	for _, key := range stableKeys {
		v, err := s.Get(key)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		values[string(key)] = string(v)
	}
	return values, nil
}

// history is what a stable store goes through: each step is one change.
func history(s raft.StableStore, step uint64) error {
	switch step % 6 {
	case 0:
		return s.SetUint64([]byte("CurrentTerm"), step)
	case 1:
		return s.SetUint64([]byte("LastVoteTerm"), step-1)
	case 2:
		return s.Set([]byte("LastVoteCand"), fmt.Appendf(nil, "node %d at host:%d", step, step))
	case 3:
		return s.Set(keyNodeID, bytes.Repeat([]byte{'a'}, 40))
	case 4:
		return s.SetUint64(keyLogBegan, 1)
	}
	return s.SetUint64(keyIncarnation, step)
}

const pageBytes = 4096 // of bbolt, here; the first two pages are its meta pages

// torn returns what may be in the file while a change turns before into after:
// bbolt writes the pages of data, syncs, writes one meta page, and syncs. dataDone
// says that the first sync is behind it.
func torn(before, after []byte, dataDone bool, r *rand.Rand) []byte {
	b := slices.Clone(before)
	b = append(b, make([]byte, max(0, len(after)-len(b)))...)
	for off := 0; off < len(after); off += 512 {
		meta := off < 2*pageBytes
		sector := after[off : off+512]
		switch {
		case meta && !dataDone:
		case meta || !dataDone:
			if keep := []int{0, 512, r.IntN(512)}[r.IntN(3)]; keep > 0 {
				copy(b[off:], sector[:keep])
			}
		default:
			copy(b[off:], sector)
		}
	}
	return b
}

// TestPowerLossOfTheStableStore takes the power away in each change of a bbolt
// file, by the order in which bbolt writes and syncs. The file is never refused,
// and holds what it held before the change, or after.
func TestPowerLossOfTheStableStore(t *testing.T) {
	rounds := faultfs.Rounds(t, 2)
	path := filepath.Join(t.TempDir(), fileStable)
	inner, err := raftlog.OpenBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	content := func() []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	stable, err := newCheckedStable(inner, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	crashed := filepath.Join(t.TempDir(), fileStable)
	before, old := content(), map[string]string{}
	for step := range uint64(30) {
		// A step that sets a key for the first time makes two changes of the file.
		if err := history(stable, step); err != nil {
			t.Fatal(err)
		}
		after := content()
		values, err := valuesOf(stable)
		if err != nil {
			t.Fatal(err)
		}
		if step >= 6 {
			for seed := range 2 * rounds {
				r := rand.New(rand.NewPCG(seed, step))
				if err := os.WriteFile(crashed, torn(before, after, seed%2 == 1, r), 0o600); err != nil {
					t.Fatal(err)
				}
				got, err := stableValues(crashed)
				if err != nil {
					t.Fatalf("step %d, loss %d: %v", step, seed, err)
				}
				if !equal(got, values) && (!equal(got, old)) {
					t.Fatalf("step %d, loss %d: %q, it was %q or %q", step, seed, got, old, values)
				}
			}
		}
		before, old = after, values
	}
}

func equal(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// TestFlippedBitsOfTheStableStore changes bits of a node's stable store all over
// the file. The start notices, or finds all values as they were: a term, a vote
// or an incarnation that has gone or changed is never believed.
func TestFlippedBitsOfTheStableStore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, fileStable)
	inner, err := raftlog.OpenBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	stable, err := newCheckedStable(inner, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	for step := range uint64(20) {
		if err := history(stable, step); err != nil {
			t.Fatal(err)
		}
	}
	stable.seal(0)
	want, err := valuesOf(stable)
	if err != nil {
		t.Fatal(err)
	}
	if err := inner.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	flips := int(faultfs.Rounds(t, 1)) * 300
	noticed := 0
	for range flips {
		// Half of the places are taken from the bytes that are used.
		at := r.IntN(len(whole))
		for r.IntN(8) > 0 && whole[at] == 0 {
			at = r.IntN(len(whole))
		}
		b := slices.Clone(whole)
		b[at] ^= 1 << r.IntN(8)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := stableValues(path)
		if err != nil || got[string(keyNodeID)] == "" { // the latter is checkIdentity's to notice
			noticed++
			continue
		}
		if !equal(got, want) {
			t.Errorf("byte %d, %#x for %#x: %q, it was %q", at, b[at], whole[at], got, want)
		}
	}
	t.Logf("%d of %d flips were noticed, the others changed nothing", noticed, flips)
	if noticed == 0 {
		t.Error("no flip was noticed")
	}
}
