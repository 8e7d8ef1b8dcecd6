package engine

import (
	"sync/atomic"

	"github.com/quorate/quorate/engine/call"
)

// lookups sums up what views and steps have counted by themselves, so that a
// lookup costs no atomic operation.
type lookups struct{ hits, misses atomic.Uint64 }

func (l *lookups) add(n *call.Lookups) {
	if n.Hits > 0 {
		l.hits.Add(n.Hits)
	}
	if n.Misses > 0 {
		l.misses.Add(n.Misses)
	}
}

// Lookups returns how many keys this node's clients have looked up to read them,
// since the start or ResetLookups.
func (e *Engine) Lookups() call.Lookups {
	return call.Lookups{Hits: e.lookups.hits.Load(), Misses: e.lookups.misses.Load()}
}

// ResetLookups makes Lookups count from 0.
func (e *Engine) ResetLookups() {
	e.lookups.hits.Store(0)
	e.lookups.misses.Store(0)
}

// missedLocked returns the messages for what reads have missed.
func (e *Engine) missedLocked(n *call.Lookups) (messages []Message) {
	for _, m := range n.Missed {
		e.settings.NotifyKeyspaceEvents.MissedMessages(m, func(channel, text []byte) {
			messages = append(messages, Message{Channel: channel, Text: text})
		})
	}
	return messages
}
