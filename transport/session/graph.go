package session

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/observe"
)

// How the graph of LATENCY GRAPH is drawn: bars from a baseline up, one a sample,
// with the age of each beneath, read downwards.
const (
	graphColumns = 80 // samples at most
	graphRows    = 4
)

// latencyGraph: LATENCY GRAPH event.
func latencyGraph(s *Session, r *request) {
	event := string(r.args[2])
	samples := s.srv.spikes.History(event)
	if len(samples) == 0 {
		r.fail(reply.Error("ERR No samples available for event '" + string(reply.CText(r.args[2])) + "'"))
		return
	}
	longest := time.Duration(0)
	for _, l := range s.srv.spikes.Latest() {
		if l.Event == event {
			longest = l.Longest
		}
	}
	r.out.Verbatim("txt", graph(event, samples[max(0, len(samples)-graphColumns):], longest, s.srv.now()))
}

// graph draws the samples, oldest first.
func graph(event string, samples []observe.Sample, longest time.Duration, now time.Time) string {
	low, high := samples[0].Duration, samples[0].Duration
	for _, sample := range samples {
		low, high = min(low, sample.Duration), max(high, sample.Duration)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s - high %d ms, low %d ms (all time high %d ms)\n", event,
		high.Milliseconds(), low.Milliseconds(), longest.Milliseconds())
	text.WriteString(strings.Repeat("-", graphColumns) + "\n")
	for row := graphRows - 1; row >= 0; row-- {
		text.WriteString(graphLine(len(samples), func(i int) byte { return bar(samples[i].Duration, low, high, row) }))
	}
	text.WriteByte('\n')
	ages := make([]string, len(samples))
	tallest := 0
	for i, sample := range samples {
		ages[i] = age(now.Sub(sample.At))
		tallest = max(tallest, len(ages[i]))
	}
	for row := range tallest {
		text.WriteString(graphLine(len(samples), func(i int) byte {
			if row < len(ages[i]) {
				return ages[i][row]
			}
			return ' '
		}))
	}
	return text.String()
}

func graphLine(n int, at func(i int) byte) string {
	line := make([]byte, n, n+1)
	for i := range line {
		line[i] = at(i)
	}
	return string(append(line, '\n'))
}

// bar returns what a sample shows in a row, 0 the lowest: nothing above its
// height, which has three steps in each row.
func bar(d, low, high time.Duration, row int) byte {
	const steps = "_o#"
	height := 0
	if high > low {
		height = int(int64(d-low) * int64(graphRows*len(steps)-1) / int64(high-low))
	}
	switch top := height / len(steps); {
	case row > top:
		return ' '
	case row < top:
		return '|'
	}
	return steps[height%len(steps)]
}

// age writes how long ago something was, in the largest unit that it fills.
func age(d time.Duration) string {
	switch {
	case d >= 24*time.Hour:
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	case d >= time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d >= time.Minute:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return strconv.Itoa(int(max(d, 0)/time.Second)) + "s"
}
