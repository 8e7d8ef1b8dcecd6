package keyspace

import (
	"fmt"
	"testing"
)

// A Warmer changes nothing, whatever it is told of: keys that are there, that
// are not, that are there twice, of several databases.
func TestWarmerChangesNothing(t *testing.T) {
	k := New(Options{Seed: testSeed, Databases: 2})
	load(k, 0, 5000)
	before := k.Stats()
	var w Warmer
	w.Visit() // of nothing
	for i := range 1000 {
		key := fmt.Appendf(nil, "key:%012d", i*10)
		if more := w.Add(k.DB(i%2), key); !more {
			w.Visit()
		}
	}
	w.Add(k.DB(0), []byte("key:000000000001"))
	w.Visit()
	if after := k.Stats(); after != before {
		t.Errorf("%+v became %+v", before, after)
	}
	for i := range w.keys {
		if w.keys[i].store != nil {
			t.Fatalf("key %d is still held after Visit", i)
		}
	}
}

func TestWarmerTakesSoMany(t *testing.T) {
	k := New(Options{Seed: testSeed})
	var w Warmer
	for i := range WarmMax - 1 {
		if !w.Add(k.DB(0), []byte{byte(i)}) {
			t.Fatalf("no more room after %d", i+1)
		}
	}
	if w.Add(k.DB(0), []byte("last")) {
		t.Error("room for more than WarmMax")
	}
}
