package session

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/transport/observe"
)

func TestLatencyGraph(t *testing.T) {
	at := time.Unix(1000, 0)
	samples := []observe.Sample{
		{At: at, Duration: 10 * time.Millisecond},
		{At: at.Add(50 * time.Minute), Duration: 20 * time.Millisecond},
		{At: at.Add(time.Hour), Duration: 120 * time.Millisecond},
	}
	want := `command - high 120 ms, low 10 ms (all time high 300 ms)
` + strings.Repeat("-", 80) + `
  #
  |
  |
_o|

111
h00
 ms
`
	if got := graph("command", samples, 300*time.Millisecond, at.Add(time.Hour+10*time.Second)); got != want {
		t.Errorf("the graph is\n%s\nnot\n%s", got, want)
	}
}

func TestLolwut(t *testing.T) {
	if got := automaton(5, 3, 0b00100); got != "  #  \n ### \n##  #\n" {
		t.Errorf("the drawing is %q", got)
	}
}
