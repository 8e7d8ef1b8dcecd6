package main

import (
	"context"
	"sync"

	"github.com/quorate/quorate/engine"
)

// missesMax is how many messages wait to be delivered at most: subscribers of what reads
// miss hear of fewer, rather than that reads wait for them.
const missesMax = 64 << 10

// misses delivers what subscribers are told of keys that reads have missed. Who reads may
// hold the output of a client, and so can't deliver to others.
type misses struct {
	mu      sync.Mutex
	waiting []engine.Message // guarded by mu
	dropped int              // guarded by mu; since the last delivery

	wake chan struct{} // one token when some wait
}

func newMisses() *misses { return &misses{wake: make(chan struct{}, 1)} }

func (m *misses) take(messages []engine.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	room := min(len(messages), missesMax-len(m.waiting))
	m.waiting = append(m.waiting, messages[:room]...)
	m.dropped += len(messages) - room
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// deliver publishes them until ctx ends. Lost is told how many there was no room for.
func (m *misses) deliver(ctx context.Context, publish func(engine.Message), lost func(int)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		}
		m.mu.Lock()
		messages, dropped := m.waiting, m.dropped
		m.waiting, m.dropped = nil, 0
		m.mu.Unlock()
		for _, message := range messages {
			publish(message)
		}
		if dropped > 0 {
			lost(dropped)
		}
	}
}
