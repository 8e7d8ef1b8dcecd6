package cluster

import (
	"testing"
	"time"

	"github.com/quorate/quorate/engine/waiting"
)

func TestASilentNodeIsRetired(t *testing.T) {
	begin := time.Unix(1000, 0)
	a, b := waiting.Owner{1}, waiting.Owner{2}
	r := retiring{after: 5 * time.Second}
	contact := map[waiting.Owner]time.Time{a: begin.Add(-time.Hour)}
	look := func(after time.Duration, term uint64, want int, why string) {
		t.Helper()
		contact[b] = begin.Add(after) // is heard all the time
		if got := r.look(begin.Add(after), term, []waiting.Owner{a, b}, contact); len(got) != want || want == 1 && got[0] != a {
			t.Errorf("%s: after %v: %v", why, after, got)
		}
	}
	look(0, 7, 0, "a new leader has heard nobody yet")
	look(4*time.Second, 7, 0, "it is patient")
	look(5*time.Second, 7, 1, "it retires the silent one")
	look(6*time.Second, 7, 0, "but not at every look")
	look(10*time.Second, 7, 1, "again, if it still waits")
	look(11*time.Second, 8, 0, "another term begins anew")
	contact[a] = begin.Add(15 * time.Second)
	look(17*time.Second, 8, 0, "it was heard")
	look(20*time.Second, 8, 1, "and is silent again")
}
