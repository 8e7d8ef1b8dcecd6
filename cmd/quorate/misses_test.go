package main

import (
	"context"
	"testing"

	"github.com/quorate/quorate/engine"
)

// What there is no room for is counted, and what waits is delivered in order.
func TestMissesAreBounded(t *testing.T) {
	m := newMisses()
	messages := make([]engine.Message, missesMax+3)
	for i := range messages {
		messages[i].Channel = []byte{byte(i)}
	}
	m.take(messages[:2])
	m.take(messages[2:])
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	m.deliver(ctx, func(got engine.Message) {
		if got.Channel[0] != byte(n) {
			t.Errorf("message %d is %v", n, got.Channel)
		}
		n++
	}, func(lost int) {
		if lost != 3 || n != missesMax {
			t.Errorf("%d are lost, %d delivered", lost, n)
		}
		cancel()
	})
}
