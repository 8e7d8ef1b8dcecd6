package engine

import (
	"fmt"
	"testing"
)

// A state that was read from its own snapshot is the same, versions and chain included.
func TestReload(t *testing.T) {
	e := New(Options{})
	for i := range uint64(300) {
		apply(e, i+1, int64(1000+i), fmt.Sprintf("SET s%d v PX 100000", i), fmt.Sprintf("RPUSH l %d", i), fmt.Sprintf("ZADD z %d m%d", i, i),
			fmt.Sprintf("HSET h f%d %d", i, i), fmt.Sprintf("SADD i %d", i), "XADD x * a b", "APPEND a x")
	}
	shown := []string{"OBJECT ENCODING s1", "OBJECT ENCODING l", "OBJECT ENCODING z", "OBJECT ENCODING h", "OBJECT ENCODING i", "OBJECT ENCODING a", "PEXPIRETIME s7", "DBSIZE", "XINFO STREAM x FULL"}
	digest, chain, before := e.Digest(), e.Chain(), view(e, 0, 0, shown...)
	was := e.env.Keyspace
	var version uint64
	e.View(0, 0, func(v *View) { version = v.Version(0, []byte("z")) })
	if err := e.Reload(); err != nil {
		t.Fatal(err)
	}
	if e.env.Keyspace == was {
		t.Error("the state is the old one")
	}
	if e.Digest() != digest || e.Chain() != chain || view(e, 0, 0, shown...) != before {
		t.Errorf("the state is another one:\n%s\n%s", before, view(e, 0, 0, shown...))
	}
	e.View(0, 0, func(v *View) {
		if v.Version(0, []byte("z")) != version {
			t.Error("a key has another version")
		}
	})
	if got := apply(e, 400, 5000, "GET s1", "LLEN l"); got != "$1|v|:300|" {
		t.Errorf("afterwards: %s", got)
	}
}

// What is due is absent, and stays where it is until it is in the way, while that is set.
func TestWhatIsDueMayStay(t *testing.T) {
	e := New(Options{})
	apply(e, 1, 1000, "SET a 1 PX 10", "SET b 1 PX 10", "SET c 1 PX 5000")
	entry := func(index uint64, stamp int64) {
		e.Apply(func(s *Step) {
			s.Entry(index, stamp)
			s.ExpireDue(10)
		})
	}
	set := func(value string) {
		e.Apply(func(s *Step) {
			if err := s.Set([][]byte{[]byte("debug-active-expire"), []byte(value)}); err != nil {
				t.Fatal(err)
			}
		})
	}
	set("no")
	entry(2, 2000)
	if got := view(e, 0, 0, "GET a", "DBSIZE"); got != "$-1|:3|" {
		t.Errorf("kept: %s", got)
	}
	if next := e.NextExpiry(); next != 6000 {
		t.Errorf("next is due at %d, want 6000", next)
	}
	if got := apply(e, 3, 2000, "INCR a", "TTL a", "DBSIZE"); got != ":1|:-1|:3|" {
		t.Errorf("in the way of a write: %s", got)
	}
	set("yes")
	if next := e.NextExpiry(); next != 1010 {
		t.Errorf("next is due at %d, want 1010", next)
	}
	entry(4, 2000)
	if got := view(e, 0, 0, "DBSIZE"); got != ":2|" {
		t.Errorf("deleted: %s", got)
	}
}
