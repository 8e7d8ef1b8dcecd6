package pubsub

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

type recorder struct {
	name string
	log  *[]string
}

func (r recorder) Deliver(m *Message) {
	*r.log = append(*r.log, fmt.Sprintf("%s %d %s %s %s", r.name, m.Kind, m.Pattern, m.Channel, m.Text))
}

func TestPublish(t *testing.T) {
	var log []string
	a, b := recorder{"a", &log}, recorder{"b", &log}
	r := NewRegistry()
	r.Subscribe(a, Channel, "news.1")
	r.Subscribe(b, Pattern, "n*")
	r.Subscribe(a, Pattern, "*1")
	r.Subscribe(b, Channel, "news.1")
	r.Subscribe(b, Shard, "news.1")
	if n := r.Publish([]byte("news.1"), []byte("x"), false); n != 4 || r.Receivers([]byte("news.1"), false) != 4 {
		t.Errorf("%d received", n)
	}
	want := []string{"a 0  news.1 x", "b 0  news.1 x", "b 1 n* news.1 x", "a 1 *1 news.1 x"}
	if !reflect.DeepEqual(log, want) {
		t.Errorf("delivered %q, want %q", log, want)
	}
	log = nil
	if n := r.Publish([]byte("news.1"), []byte("y"), true); n != 1 || log[0] != "b 2  news.1 y" {
		t.Errorf("sharded: %d received, %q", n, log)
	}
	r.Unsubscribe(a, Channel, "news.1")
	r.Unsubscribe(b, Channel, "news.1")
	r.Unsubscribe(b, Channel, "news.1")
	r.Unsubscribe(b, Pattern, "n*")
	if n := r.Receivers([]byte("news.1"), false); n != 1 {
		t.Errorf("%d receivers left, want 1", n)
	}
	if names := r.Names(Channel, ""); len(names) != 0 || r.Len(Pattern) != 1 {
		t.Errorf("channels left %q, %d patterns", names, r.Len(Pattern))
	}
}

func TestEncoded(t *testing.T) {
	m := &Message{Kind: Pattern, Pattern: "c*", Channel: []byte("ch"), Text: []byte("hi")}
	if got := string(m.Encoded(reply.RESP2)); got != "*4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$2\r\nch\r\n$2\r\nhi\r\n" {
		t.Errorf("RESP2 %q", got)
	}
	m = &Message{Kind: Shard, Channel: []byte("ch"), Text: []byte("hi")}
	if got := string(m.Encoded(reply.RESP3)); got != ">3\r\n$8\r\nsmessage\r\n$2\r\nch\r\n$2\r\nhi\r\n" {
		t.Errorf("RESP3 %q", got)
	}
}

// Whoever watches ends up with the counts of the registry.
func TestWatch(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	r := NewRegistry()
	counts := make(map[Interest]int)
	key := func(i Interest) Interest { return Interest{Kind: i.Kind, Name: i.Name} }
	var log []string
	subs := []recorder{{"a", &log}, {"b", &log}, {"c", &log}}
	has := make(map[string]bool)
	for step := range 5000 {
		if step == 100 {
			for _, i := range r.Watch(func(i Interest) { counts[key(i)] = i.Count }) {
				counts[key(i)] = i.Count
			}
		}
		sub, kind, name := subs[rnd.IntN(3)], Kind(rnd.IntN(int(kinds))), fmt.Sprint("ch", rnd.IntN(5))
		id := fmt.Sprint(sub.name, kind, name)
		if has[id] {
			r.Unsubscribe(sub, kind, name)
		} else {
			r.Subscribe(sub, kind, name)
		}
		has[id] = !has[id]
	}
	for kind := range kinds {
		for _, name := range []string{"ch0", "ch1", "ch2", "ch3", "ch4"} {
			if want := r.Count(kind, name); counts[Interest{Kind: kind, Name: name}] != want {
				t.Errorf("%d %s: watched %d, is %d", kind, name, counts[Interest{Kind: kind, Name: name}], want)
			}
		}
	}
}

func hold(t *testing.T, h *Hold, steps func(take func(Stream, uint64, uint64), applied func(uint64))) []string {
	t.Helper()
	var out []string
	deliver := func(m Remote) { out = append(out, string(m.Text)) }
	steps(func(from Stream, number, after uint64) {
		h.Take(from, Remote{Number: number, After: after, Text: fmt.Appendf(nil, "%s%d.%d", from.Node, from.Incarnation, number)}, deliver)
	}, func(index uint64) { h.Applied(index, deliver) })
	return out
}

func TestHold(t *testing.T) {
	a, b := Stream{Node: "a", Incarnation: 1}, Stream{Node: "b", Incarnation: 1}
	type take = func(Stream, uint64, uint64)
	type applied = func(uint64)
	for _, tc := range []struct {
		name  string
		steps func(take, applied)
		want  []string
		stats HoldStats
	}{
		{"at once", func(take take, _ applied) {
			take(a, 1, 5)
			take(a, 2, 10)
		}, []string{"a1.1", "a1.2"}, HoldStats{Received: 2}},
		{"held until applied, also what is behind", func(take take, applied applied) {
			take(a, 1, 11)
			take(a, 2, 1)
			take(b, 1, 1)
			applied(10)
			applied(11)
		}, []string{"b1.1", "a1.1", "a1.2"}, HoldStats{Received: 3}},
		{"seen numbers are refused", func(take take, _ applied) {
			take(a, 1, 1)
			take(a, 2, 1)
			take(a, 2, 1)
			take(a, 1, 1)
		}, []string{"a1.1", "a1.2"}, HoldStats{Received: 2, Refused: 2}},
		{"gaps are counted", func(take take, _ applied) {
			take(a, 1, 1)
			take(a, 5, 1)
		}, []string{"a1.1", "a1.5"}, HoldStats{Received: 2, Missed: 3}},
		{"a new life begins again at 1", func(take take, _ applied) {
			take(a, 7, 1)
			take(Stream{Node: "a", Incarnation: 2}, 1, 1)
			take(a, 8, 1)
		}, []string{"a1.7", "a2.1"}, HoldStats{Received: 2, Refused: 1}},
		{"an older connection is refused", func(take take, _ applied) {
			take(a, 1, 1)
			take(Stream{Node: "a", Incarnation: 1, Connection: 2}, 3, 1)
			take(a, 2, 1)
		}, []string{"a1.1", "a1.3"}, HoldStats{Received: 2, Refused: 1, Missed: 1}},
	} {
		h := NewHold(10)
		got := hold(t, h, tc.steps)
		if !slices.Equal(got, tc.want) || h.Stats() != tc.stats {
			t.Errorf("%s: %q, %+v\nwant %q, %+v", tc.name, got, h.Stats(), tc.want, tc.stats)
		}
	}
}

func TestHoldIsBounded(t *testing.T) {
	h := NewHold(0)
	for i := range uint64(heldMax + 10) {
		h.Take(Stream{Node: "a"}, Remote{Number: i + 1, After: 1}, func(Remote) { t.Fatal("delivered too early") })
	}
	if s := h.Stats(); s.Held != heldMax || s.Overflown != 10 {
		t.Errorf("%+v", s)
	}
	h.Forget("a")
	if h.Waiting() != 0 {
		t.Errorf("%d wait after Forget", h.Waiting())
	}
}

// In any interleaving, each sender's messages come out in order, none twice,
// and none before its index.
func TestHoldWalk(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		h := NewHold(0)
		var applied uint64
		last := make(map[string]uint64)
		now := ""
		deliver := func(m Remote) {
			node := string(m.Channel)
			if m.Number <= last[node] {
				t.Fatalf("seed %d: %s got %d after %d", seed, node, m.Number, last[node])
			}
			if m.After > applied {
				t.Fatalf("seed %d: message of index %d delivered at %d (%s)", seed, m.After, applied, now)
			}
			last[node] = m.Number
		}
		sent := make(map[string]uint64)
		after := make(map[string]uint64)
		for range 300 {
			if rnd.IntN(3) == 0 {
				applied += uint64(rnd.IntN(3))
				h.Applied(applied, deliver)
				continue
			}
			node := string(rune('a' + rnd.IntN(3)))
			number := sent[node] + uint64(rnd.IntN(3)) // sometimes again, sometimes with a gap
			if number == 0 {
				number = 1
			}
			sent[node] = max(sent[node], number)
			after[node] = max(after[node], applied+uint64(rnd.IntN(4)))
			h.Take(Stream{Node: node}, Remote{Number: number, After: after[node], Channel: []byte(node)}, deliver)
		}
		applied += 100
		h.Applied(applied, deliver)
		if h.Waiting() != 0 {
			t.Fatalf("seed %d: %d wait for ever", seed, h.Waiting())
		}
	}
}
