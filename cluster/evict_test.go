package cluster

import (
	"reflect"
	"testing"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/fsm/entry"
)

// What is to be done about memory comes before the batches of an entry, and while it is not
// enough another entry follows, batches or none.
func TestReliefComesFirst(t *testing.T) {
	bubble(t, "relief", func(t *testing.T) {
		p := newPress(t)
		var asked []int
		answers := []engine.Relief{
			{},
			{Victims: []engine.Victims{{DB: 1, Keys: [][]byte{[]byte("k")}}}, More: true},
			{Victims: []engine.Victims{{DB: 0, Keys: [][]byte{[]byte("l"), []byte("m")}}}},
			{Pressed: true},
		}
		p.relieve = func(bytes int) engine.Relief {
			asked = append(asked, bytes)
			return answers[len(asked)-1]
		}
		p.lead(true)
		p.give(t, "a", "one")
		p.answer(t, 0, nil)
		p.give(t, "a", "three")
		p.answer(t, 1, nil)
		p.answer(t, 2, nil) // nobody gave anything
		p.give(t, "a", "five")
		p.answer(t, 3, nil)
		var got [][]string
		for _, made := range p.made() {
			got = append(got, made.parts(t))
		}
		want := [][]string{
			{"one"},
			{string(entry.AppendEvict(nil, 1, [][]byte{[]byte("k")})), "thre"},
			{string(entry.AppendEvict(nil, 0, [][]byte{[]byte("l"), []byte("m")}))[:4], ""},
			{"", "five"},
		}
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(asked, []int{3, 5, 0, 4}) {
			t.Errorf("%q\nwant %q\nasked for %d", got, want, asked)
		}
	})
}

// For how long more is used than the limit adds up.
func TestExceededTime(t *testing.T) {
	n := new(Node)
	now := time.Now()
	for i, over := range []bool{false, true, true, false, false, true} {
		n.eviction.note(over, now.Add(time.Duration(i-5)*time.Second))
	}
	total, current := n.Exceeded()
	if total < 2*time.Second || total > 3*time.Second || current > time.Second {
		t.Errorf("%v in all, %v now", total, current)
	}
}

// The leader hears of what clients of other nodes read, under a policy for which that matters.
func TestLeaderHearsOfReads(t *testing.T) {
	c := newTrio(t)
	leader := c.nodes[c.leader()]
	follower := c.nodes[(c.leader()+1)%3]
	x := newClient()
	set := func(pairs string) {
		t.Helper()
		leader.Submit(&fsm.Request{Conn: x, Ops: []fsm.Op{{Kind: fsm.OpSettings, Args: words(pairs)}}})
		if got := <-x.answers; got != "+OK" {
			t.Fatal(got)
		}
	}
	set("maxmemory-policy allkeys-lfu maxmemory 1000000000")
	for _, key := range []string{"read", "other"} {
		if got := x.do(t, leader, "SET "+key+" v"); got != "+OK" {
			t.Fatal(got)
		}
	}
	for range 200 {
		read(t, follower, "GET read")
	}
	deadline := time.Now().Add(10 * time.Second)
	for read(t, leader, "OBJECT FREQ read") == ":5\r\n" {
		if time.Now().After(deadline) {
			t.Fatal("the leader does not know that a key is read on another node")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if got := read(t, leader, "OBJECT FREQ other"); got != ":5\r\n" {
		t.Errorf("what nobody has read has frequency %s", got)
	}
}
