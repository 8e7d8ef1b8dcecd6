package cluster

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/quorate/quorate/transport/peer"
)

// A node whose release does not know the rules in force is not taken in.
func TestNodeOfAnOlderReleaseIsNotTakenIn(t *testing.T) {
	n := single(t)
	eventually(t, "it leads", func() bool { return n.readyTerm.Load() != 0 })
	eventually(t, "the semantic version rises", func() bool { return n.fsm.Semantic() == SemanticMax })
	ask := func(known uint16) error {
		s := Status{ID: strings.Repeat("ab", 20), Addr: "127.0.0.1:1", SemanticMax: known}
		req, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		_, err = n.members.serveJoin(t.Context(), peer.Info{}, req)
		return err
	}
	for _, known := range []uint16{0, 1} {
		if err := ask(known); err == nil || !strings.Contains(err.Error(), "upgrade it") {
			t.Errorf("one that knows version %d: %v", known, err)
		}
	}
	if err := ask(SemanticMax); err != nil {
		t.Errorf("one of this release: %v", err)
	}
}
