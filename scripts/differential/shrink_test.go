package main

import (
	"bytes"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/quorate/quorate/scripts/differential/workload"
)

func TestShrinkFindsTheSteps(t *testing.T) {
	var steps []workload.Step
	for i := range 1000 {
		steps = append(steps, workload.Step{Args: [][]byte{[]byte("SET"), []byte(strconv.Itoa(i)), []byte("v")}})
	}
	tries := 0
	has := func(steps []workload.Step, key string) bool {
		return slices.ContainsFunc(steps, func(s workload.Step) bool { return len(s.Args) > 1 && string(s.Args[1]) == key })
	}
	s := &shrinker{end: time.Now().Add(time.Minute), differs: func(steps []workload.Step) bool {
		tries++
		return has(steps, "17") && has(steps, "600")
	}}
	got := s.shrink(steps)
	if len(got) != 2 || tries > 200 {
		t.Fatalf("%d steps are left after %d tries", len(got), tries)
	}
	for i, want := range []string{"SET 17", "SET 600"} {
		if string(bytes.Join(got[i].Args, []byte(" "))) != want {
			t.Errorf("%q is left, not %s", got[i].Args, want)
		}
	}
}

func TestShrinkTellsWhatDoesNotComeAgain(t *testing.T) {
	s := &shrinker{end: time.Now().Add(time.Minute), differs: func([]workload.Step) bool { return false }}
	if got := s.shrink(make([]workload.Step, 10)); got != nil {
		t.Fatalf("%d steps", len(got))
	}
}
