package commands

import (
	"math"
	"testing"

	"github.com/quorate/quorate/engine/types/stream"
)

// TestAutomaticID holds what scripts can't show: the IDs that follow the clock.
func TestAutomaticID(t *testing.T) {
	for _, c := range []struct {
		name string
		last stream.ID
		now  int64
		want stream.ID
	}{
		{"a later millisecond", stream.ID{Ms: 5, Seq: 9}, 6, stream.ID{Ms: 6}},
		{"the same millisecond", stream.ID{Ms: 5, Seq: 9}, 5, stream.ID{Ms: 5, Seq: 10}},
		{"a clock behind", stream.ID{Ms: 5, Seq: 9}, 1, stream.ID{Ms: 5, Seq: 10}},
		{"a full millisecond", stream.ID{Ms: 5, Seq: math.MaxUint64}, 5, stream.ID{Ms: 6}},
		{"an empty stream at the beginning of time", stream.ID{}, 0, stream.ID{Seq: 1}},
	} {
		s := stream.New()
		s.LastID = c.last
		var o addOptions
		if id, failure := o.nextID(c.now, s); failure != "" || id != c.want {
			t.Errorf("%s: %v, %q, want %v", c.name, id, failure, c.want)
		}
	}
}
