package engine

import (
	"reflect"
	"testing"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/types/seed"
)

// otherSettings has a value for every setting that is not its default.
func otherSettings(t *testing.T) call.Settings {
	t.Helper()
	var fallback, other call.Settings
	fallback = call.DefaultSettings()
	other = fallback
	for name, s := range settings {
		if s.act {
			continue
		}
		changed := false
		for _, value := range []string{"-1", "8", "1000000", "3000000", "KEA", "yes", "no", "allchannels", "volatile-ttl", "50"} {
			if s.set(&other, value) == nil && s.get(&other) != s.get(&fallback) {
				changed = true
				break
			}
		}
		if !changed {
			t.Fatalf("no other value for %s", name)
		}
	}
	return other
}

// TestStateHoldsEverySetting fails when a field of call.Settings is no setting,
// so that it would be lost in a snapshot.
func TestStateHoldsEverySetting(t *testing.T) {
	other, fallback := reflect.ValueOf(otherSettings(t)), reflect.ValueOf(call.DefaultSettings())
	for i := range other.NumField() {
		name := other.Type().Field(i).Name
		if name != "Users" && other.Field(i).Equal(fallback.Field(i)) { // users have a field of their own
			t.Errorf("%s is not among the settings", name)
		}
	}
}

func TestStateRoundTripAndEveryCut(t *testing.T) {
	want := state{
		clock: 1_700_000_000_000, seed: seed.Seed{K0: 1 << 63, K1: 2}, settings: otherSettings(t),
		semantic: semantic.Max, versions: keyspace.State{Mutations: 1 << 40, Expired: 7, Floors: []uint64{0, 9}, Buckets: []uint64{1, 1 << 39, 3}},
	}
	encoded := want.append(nil)
	got, err := decodeState(encoded)
	got.semantic = want.semantic // of the log's state, not the engine's
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
	for cut := range encoded {
		if _, err := decodeState(encoded[:cut]); err == nil {
			t.Fatalf("cut at %d: no error", cut)
		}
	}
	if _, err := decodeState(append(encoded, 0)); err == nil {
		t.Error("a byte too many: no error")
	}
	encoded[0]++
	if _, err := decodeState(encoded); err == nil {
		t.Error("another format: no error")
	}
}
