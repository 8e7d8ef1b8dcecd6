package entry

import (
	"errors"
	"testing"
)

// The name of a user comes back with his command or transaction, and goes with it; before
// anything else it is refused, as is a cut.
func TestItemAs(t *testing.T) {
	body := AppendBatchHead(nil, BatchHead{Incarnation: 1, Seq: 1})
	body = AppendCommand(AppendAs(body, "alice"), 3, args("eval", "x", "0"))
	body = AppendCommand(body, 0, args("get", "k"))
	body = AppendTxCommand(AppendTxHead(AppendAs(body, "bob"), 0, 1), 1, args("eval", "y", "0"))
	b, err := DecodeBatch(body)
	if err != nil {
		t.Fatal(err)
	}
	var it Item
	for _, want := range []struct {
		kind ItemKind
		user string
	}{{ItemCommand, "alice"}, {ItemCommand, ""}, {ItemTx, "bob"}} {
		if ok, err := b.Next(&it); err != nil || !ok || it.Kind != want.kind || it.User != want.user || len(it.Commands) != 1 {
			t.Fatalf("got %+v, %v, want %+v", it, err, want)
		}
	}
	for _, item := range [][]byte{
		AppendCommand(AppendAs(nil, "alice"), 3, args("eval", "x", "0")),
		AppendWaiting(AppendOwned(nil, "alice", 300), 3, args("blpop", "k", "0")),
	} {
		for cut := range item {
			if err := DecodeItem(item[:cut], &it); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%q cut at %d: %v", item, cut, err)
			}
		}
	}
	for name, bad := range map[string][]byte{
		"settings":                        AppendSettings(AppendAs(nil, "alice"), args("a", "b")),
		"a fragment":                      AppendFragment(AppendAs(nil, "alice"), []byte("x"), true),
		"twice":                           AppendCommand(AppendAs(AppendAs(nil, "alice"), "bob"), 0, args("get", "k")),
		"of no name":                      AppendCommand(AppendAs(nil, ""), 0, args("get", "k")),
		"and nothing":                     AppendAs(nil, "alice"),
		"who waits, without his birth":    AppendWaiting(AppendAs(nil, "alice"), 0, args("blpop", "k", "0")),
		"and birth of what does not wait": AppendCommand(AppendOwned(nil, "alice", 7), 0, args("get", "k")),
		"of no name, and birth":           AppendWaiting(AppendOwned(nil, "", 7), 0, args("blpop", "k", "0")),
	} {
		if err := DecodeItem(bad, &it); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a user %s: %v", name, err)
		}
	}
}
