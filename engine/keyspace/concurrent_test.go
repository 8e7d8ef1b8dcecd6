package keyspace

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
)

// One goroutine changes under the write lock; readers and the snapshot's writer share the read lock. The race
// detector looks on, and the view must be what it was.
func TestViewBesideReadersAndWriter(t *testing.T) {
	const keys = 20_000
	key := func(i int) []byte { return fmt.Appendf(nil, "key:%d", i%keys) }
	value := func(i int) Value {
		switch i % 7 {
		case 0:
			return Value{Type: List, Object: &list{[]uint64{uint64(i)}}}
		case 1:
			return Value{Packed: bytes.Repeat([]byte{byte(i)}, inlineMax+i%100)}
		}
		return Value{Packed: bytes.Repeat([]byte{byte(i)}, i%100)}
	}
	var mu sync.RWMutex
	k := New(Options{Seed: testSeed})
	d := k.DB(0)
	want := map[string]plain{}
	for i := range keys {
		d.Put(key(i), value(i), NoExpiry)
		e, _ := d.Get(key(i), 0)
		want[string(key(i))] = plainOf(e)
	}
	f, err := k.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			mu.Lock()
			switch e, _ := d.Edit(key(i*31), 0); {
			case e.Object != nil:
				e.Object.(*list).items[0]++
			case i%5 == 0:
				d.Delete(key(i * 31))
			case len(e.Packed) > 0 && i%5 < 3:
				d.Splice(key(i*31), i%len(e.Packed), []byte("changed"), Raw)
			default:
				d.Put(key(i*31), value(i), int64(i))
			}
			mu.Unlock()
		}
	})
	for range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				mu.RLock()
				if e, ok := d.Get(key(i), 0); ok {
					plainOf(e)
				}
				mu.RUnlock()
			}
		})
	}
	got := map[string]plain{}
	var b Batch
	for {
		mu.RLock()
		more := f.Next(&b)
		mu.RUnlock()
		if !more {
			break
		}
		for _, e := range b.Entries { // without a lock
			got[string(e.Key)] = plainOf(e)
		}
	}
	close(done)
	wg.Wait()
	f.Close()
	if len(got) != len(want) {
		t.Errorf("%d keys, want %d", len(got), len(want))
	}
	for key, p := range want {
		if got[key] != p {
			t.Fatalf("%s is %.100v, want %.100v", key, got[key], p)
		}
	}
	checkStore(t, d.store)
}
