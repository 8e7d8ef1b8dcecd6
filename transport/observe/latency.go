package observe

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// samplesKept is how many samples LATENCY HISTORY shows of an event.
const samplesKept = 160

// Sample is a moment at which an event took longer than the threshold.
type Sample struct {
	At       time.Time // whole seconds
	Duration time.Duration
}

// Spikes keeps what took longer than latency-monitor-threshold, by event.
type Spikes struct {
	mu     sync.Mutex
	events map[string]*spikes // guarded by mu; events are a handful of fixed names
}

type spikes struct {
	samples []Sample // oldest first
	longest time.Duration
}

// Add notes that an event took d. Of one second the longest is kept.
func (l *Spikes) Add(event string, at time.Time, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.events == nil {
		l.events = make(map[string]*spikes)
	}
	e := l.events[event]
	if e == nil {
		e = &spikes{}
		l.events[event] = e
	}
	at = at.Truncate(time.Second)
	e.longest = max(e.longest, d)
	if n := len(e.samples); n > 0 && e.samples[n-1].At.Equal(at) {
		e.samples[n-1].Duration = max(e.samples[n-1].Duration, d)
		return
	}
	if len(e.samples) == samplesKept {
		e.samples = append(e.samples[:0], e.samples[1:]...)
	}
	e.samples = append(e.samples, Sample{at, d})
}

// Latest is a line of LATENCY LATEST.
type Latest struct {
	Event   string
	Last    Sample
	Longest time.Duration
}

// Latest returns the last sample of each event, by name.
func (l *Spikes) Latest() []Latest {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Latest
	for _, name := range slices.Sorted(maps.Keys(l.events)) {
		e := l.events[name]
		all = append(all, Latest{name, e.samples[len(e.samples)-1], e.longest})
	}
	return all
}

// History returns the samples of an event, oldest first.
func (l *Spikes) History(event string) []Sample {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.events[event]
	if e == nil {
		return nil
	}
	return slices.Clone(e.samples)
}

// Reset forgets the events of these names, all if there are none, and returns
// how many it forgot.
func (l *Spikes) Reset(events ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := len(l.events)
	maps.DeleteFunc(l.events, func(name string, _ *spikes) bool {
		return len(events) == 0 || slices.ContainsFunc(events, func(e string) bool { return strings.EqualFold(e, name) })
	})
	return before - len(l.events)
}
