package cluster

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// hall is where the subscribers of one node are, and what they heard.
type hall struct {
	mu    sync.Mutex
	note  func(Interest)
	heard []Remote
}

func (h *hall) watch(note func(Interest)) []Interest {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.note = note
	return nil
}

// set makes count subscribers want a name.
func (h *hall) set(kind uint8, name string, count int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.note(Interest{Kind: kind, Name: name, Count: count})
}

func (h *hall) receive(r Remote) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.Channel, r.Text = bytes.Clone(r.Channel), bytes.Clone(r.Text)
	h.heard = append(h.heard, r)
}

// texts returns what was heard on a channel.
func (h *hall) texts(channel string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []string
	for _, r := range h.heard {
		if string(r.Channel) == channel {
			all = append(all, string(r.Text))
		}
	}
	return all
}

// duo is two nodes, of which the second has a hall.
func duo(t *testing.T) (speaker, listener *Node, h *hall) {
	t.Helper()
	h = new(hall)
	var nodes []*Node
	addrs := []string{freeAddr(t), freeAddr(t)}
	for i, addr := range addrs {
		o := testNode(t, fmt.Sprintf("%s/n%d", t.TempDir(), i), addr, addrs, 2)
		o.Memory = true
		if i == 1 {
			o.WatchInterest, o.Receive = h.watch, h.receive
		}
		n, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Halt() })
		nodes = append(nodes, n)
	}
	eventually(t, "the nodes know each other", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.note != nil && nodes[0].members.has(nodes[1].id()) && nodes[1].members.has(nodes[0].id()) && nodes[1].pubsub.tells(nodes[0].id())
	})
	return nodes[0], nodes[1], h
}

func (p *publisher) tells(id raft.ServerID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.links[id] != nil && p.links[id].running
}

func known5s(t *testing.T, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	n.SubscriptionsKnown(ctx)
	if ctx.Err() != nil {
		t.Fatal("the other node does not know of the subscriptions")
	}
}

func TestMessagesReachTheOtherNode(t *testing.T) {
	speaker, listener, h := duo(t)
	say := func(channel, text string, want int) {
		t.Helper()
		if got := speaker.Publish([]byte(channel), []byte(text), false); got != want {
			t.Errorf("%q has %d receivers, want %d", channel, got, want)
		}
	}
	h.set(kindChannel, "news", 2)
	h.set(kindChannel, "\xff\xfe\x00", 1) // names are bytes
	h.set(kindPattern, "n*", 1)
	known5s(t, listener)
	say("news", "1", 3)
	say("\xff\xfe\x00", "2", 1)
	say("nothing", "3", 1)
	say("other", "4", 0)
	eventually(t, "messages", func() bool { return len(h.texts("\xff\xfe\x00")) == 1 && len(h.texts("nothing")) == 1 })
	if got := h.texts("news"); !reflect.DeepEqual(got, []string{"1"}) {
		t.Errorf("news: %q", got)
	}

	h.set(kindPattern, "n*", 0)
	h.set(kindChannel, "news", 1)
	known5s(t, listener)
	say("news", "5", 1)
	say("nothing", "6", 0)

	// A stream that breaks is opened again though nobody subscribes anew.
	speaker.pubsub.mu.Lock()
	stream := speaker.pubsub.links[listener.id()].stream
	speaker.pubsub.mu.Unlock()
	stream.Close()
	say("news", "lost", 0)
	eventually(t, "a new stream", func() bool { return speaker.Receivers([]byte("news"), false) == 1 })
	say("news", "7", 1)

	// More changes than are kept are told as a whole.
	speaker.pubsub.mu.Lock()
	speaker.pubsub.links[listener.id()].version = 1 << 40 // it lost count
	speaker.pubsub.mu.Unlock()
	for i := range 3 * changesMax {
		h.set(kindChannel, fmt.Sprint("c", i), 1)
	}
	known5s(t, listener)
	if got, want := len(speaker.RemoteInterest()), 3*changesMax+2; got != want {
		t.Errorf("%d names are known, want %d", got, want)
	}
	say(fmt.Sprint("c", 3*changesMax-1), "8", 1)
}

// Who wants all messages gets them, and counts as no subscriber.
func TestAllMessagesReachWhoWantsThem(t *testing.T) {
	speaker, listener, h := duo(t)
	eventually(t, "the semantic version rises", func() bool { return listener.fsm.Semantic() == SemanticMax })
	listener.HearAll(true)
	listener.HearAll(true) // no news
	known5s(t, listener)
	for _, sharded := range []bool{false, true} {
		if got := speaker.Publish([]byte("any"), []byte("1"), sharded); got != 0 {
			t.Errorf("%d receivers", got)
		}
	}
	eventually(t, "two messages", func() bool { return len(h.texts("any")) == 2 })
	if got := speaker.RemoteInterest(); len(got) != 0 {
		t.Errorf("subscribers are known: %v", got)
	}
	listener.HearAll(false)
	known5s(t, listener)
	h.set(kindChannel, "last", 1)
	known5s(t, listener)
	speaker.Publish([]byte("any"), []byte("2"), false)
	speaker.Publish([]byte("last"), []byte("3"), false)
	eventually(t, "the last", func() bool { return len(h.texts("last")) == 1 })
	if got := h.texts("any"); len(got) != 2 {
		t.Errorf("heard %q", got)
	}
}

func FuzzTelling(f *testing.F) {
	f.Add((&telling{Incarnation: 3, From: 1, To: 2, Interest: []Interest{{kindPattern, "a*", 2}, {kindChannel, "\xff", 0}}}).append(nil))
	f.Add((&telling{All: true}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeTelling(b)
		if err != nil {
			return
		}
		again, err := decodeTelling(got.append(nil))
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%+v became %+v, %v", got, again, err)
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add(appendMessage(1, 2, []byte("channel"), []byte("text"), true))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeMessage(b)
		if err != nil {
			return
		}
		again, err := decodeMessage(appendMessage(r.Number, r.After, r.Channel, r.Text, r.Sharded))
		if err != nil || !bytes.Equal(again.Text, r.Text) || !bytes.Equal(again.Channel, r.Channel) || again.Number != r.Number || again.After != r.After {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}

func TestDamagedMessagesBetweenNodesAreRefused(t *testing.T) {
	whole := (&telling{Incarnation: 300, From: 1, To: 2, Interest: []Interest{{kindChannel, "news", 7}}}).append(nil)
	for i := range whole {
		// A cut between interests is a shorter telling: here there is one.
		if got, err := decodeTelling(whole[:i]); err == nil && len(got.Interest) != 0 {
			t.Errorf("telling cut at %d was taken: %+v", i, got)
		}
	}
	message := appendMessage(300, 2, []byte("channel"), nil, false)
	for i := range message {
		if _, err := decodeMessage(message[:i]); err == nil {
			t.Errorf("message cut at %d was taken", i)
		}
	}
	if _, err := decodeTelling((&telling{Interest: []Interest{{9, "x", 1}}}).append(nil)); err == nil {
		t.Error("an unknown kind was taken")
	}
}
