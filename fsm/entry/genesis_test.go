package entry

import (
	"reflect"
	"testing"
)

// A genesis with settings comes back whole; one without is as it always was;
// one cut short is refused.
func TestFounding(t *testing.T) {
	g := Genesis{ClusterID: [20]byte{9, 8}, Seed: [2]uint64{1, 2}}
	settings := args("hash-max-listpack-entries", "64", "notify-keyspace-events", "")
	payload := AppendFounding(nil, g, settings)
	got, pairs, err := DecodeFounding(payload)
	if err != nil || got != g || !reflect.DeepEqual(pairs, settings) {
		t.Errorf("got %v with %q, %v", got, pairs, err)
	}
	for n := range payload {
		if _, _, err := DecodeFounding(payload[:n]); err == nil && n != genesisLen {
			t.Errorf("cut at byte %d: no error", n)
		}
	}
	if got, pairs, err := DecodeFounding(AppendGenesis(nil, g)); err != nil || got != g || pairs != nil {
		t.Errorf("without settings: %v with %q, %v", got, pairs, err)
	}
	if _, _, err := DecodeFounding(AppendFragment(AppendGenesis(nil, g), []byte("x"), true)); err == nil {
		t.Error("an item that is no settings was taken")
	}
}
