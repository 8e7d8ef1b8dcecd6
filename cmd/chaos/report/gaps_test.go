package report

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/cmd/chaos/nemesis"
	"github.com/quorate/quorate/cmd/chaos/side"
)

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func TestGapsBelongToTheirFault(t *testing.T) {
	const leader, follower = 0, 1
	s := Summary{
		Faults: []Fault{
			{Name: "process/kill-one", Role: "leader", Node: leader, From: ms(1000), To: ms(3000)},
			{Name: "process/kill-one", Role: "follower", Node: follower, From: ms(4000), To: ms(6000)},
			{Name: "process/transfer", Node: nemesis.Nobody, From: ms(7000), To: ms(8000)},
			{Name: "process/kill-all", Node: nemesis.Everybody, From: ms(9000), To: ms(10000)},
		},
		Gaps: []side.Gap{
			{Node: leader, From: ms(990), To: ms(2900)},    // of the dead node itself
			{Node: 2, From: ms(1010), To: ms(1500)},        // 490
			{Node: follower, From: ms(2500), To: ms(2600)}, // shorter
			{Node: 2, From: ms(3050), To: ms(3900)},        // between two faults
			{Node: leader, From: ms(3500), To: ms(4030)},   // goes on into the second
			{Node: leader, From: ms(7100), To: ms(7160)},
			{Node: follower, From: ms(9100), To: ms(11000)},
		},
	}
	s.Join()
	for i, want := range []int{490, 30, 60, 900} {
		if got := s.Faults[i].Gap; got != ms(want) {
			t.Errorf("fault %d: %v, want %d ms", i, got, want)
		}
	}
	if len(s.FaultGaps) != 4 || s.FaultGaps[1].Role != "follower" || s.FaultGaps[2].Max != ms(490) {
		t.Errorf("%v", s.FaultGaps)
	}
	if quiet := s.quietGaps(); len(quiet) != 3 || quiet[0] != ms(850) || quiet[1] != gapFloor {
		t.Errorf("between faults: %v", quiet)
	}
	table := strings.Join(s.GapTable(), "\n")
	for _, line := range []string{"leader killed", "follower killed", "leadership handed over"} {
		if !strings.Contains(table, line) {
			t.Errorf("no %q in\n%s", line, table)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		all  []time.Duration
		want time.Duration
	}{
		{[]time.Duration{ms(5)}, ms(5)},
		{[]time.Duration{ms(30), ms(10)}, ms(20)},
		{[]time.Duration{ms(9), ms(1), ms(2)}, ms(2)},
	} {
		if got := median(c.all); got != c.want {
			t.Errorf("median of %v: %v, want %v", c.all, got, c.want)
		}
	}
}
