package main

import (
	"strings"
	"testing"
)

func TestObituary(t *testing.T) {
	s := &servers{dir: t.TempDir(), logs: t.TempDir()}
	defer s.stop()
	if err := s.start("dead", "sh", "-c", "echo my last words; exit 7"); err != nil {
		t.Fatal(err)
	}
	if err := s.start("alive", "sh", "-c", "exec sleep 60"); err != nil {
		t.Fatal(err)
	}
	<-s.processes[0].ended
	got := s.obituary()
	for _, want := range []string{"dead ended: exit status 7", "my last words"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	if strings.Contains(got, "alive") {
		t.Errorf("%q speaks ill of the living", got)
	}
}
