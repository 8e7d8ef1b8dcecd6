package keyspace

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

const benchKeys = 1_000_000

func benchKeyspace(b *testing.B) (*Keyspace, [][]byte) {
	k := New(Options{Seed: testSeed})
	load(k, 0, benchKeys)
	rng := rand.New(rand.NewPCG(1, 1))
	keys := make([][]byte, 1<<16)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key:%012d", rng.IntN(benchKeys))
	}
	runtime.GC()
	b.ResetTimer()
	return k, keys
}

func BenchmarkGet(b *testing.B) {
	k, keys := benchKeyspace(b)
	for i := range b.N {
		if _, ok := k.DB(0).Get(keys[i%len(keys)], 0); !ok {
			b.Fatal("a key is missing")
		}
	}
}

func BenchmarkPut(b *testing.B) {
	k, keys := benchKeyspace(b)
	v := Value{Packed: make([]byte, 40)}
	for i := range b.N {
		k.DB(0).Put(keys[i%len(keys)], v, NoExpiry)
	}
}

func BenchmarkSetExpire(b *testing.B) {
	k, keys := benchKeyspace(b)
	for i := range b.N {
		k.DB(0).SetExpire(keys[i%len(keys)], int64(1_000_000+i))
	}
}

func BenchmarkScan(b *testing.B) {
	k, _ := benchKeyspace(b)
	cursor := uint64(0)
	for range b.N {
		cursor = k.DB(0).Scan(cursor, 10, func(Entry) {})
	}
}

func BenchmarkFrozenRead(b *testing.B) {
	k, _ := benchKeyspace(b)
	var batch Batch
	for range b.N {
		f, err := k.Freeze()
		if err != nil {
			b.Fatal(err)
		}
		for f.Next(&batch) {
		}
		f.Close()
	}
}

// TestFigures loads as many keys as QUORATE_FIGURES says and prints what docs/benchmarks.md states.
func TestFigures(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("QUORATE_FIGURES"))
	if err != nil {
		t.Skip("a measurement, not a test: set QUORATE_FIGURES to a number of keys")
	}
	runtime.GC()
	before := rss(t)
	k := New(Options{Seed: testSeed})
	value := make([]byte, 64)
	var worst time.Duration
	begin := time.Now()
	var key []byte
	for i := range n {
		key = fmt.Appendf(key[:0], "key:%012d", i)
		start := time.Now()
		k.DB(0).Put(key, Value{Packed: value[:16+i%49]}, NoExpiry)
		worst = max(worst, time.Since(start))
	}
	took := time.Since(begin)
	loaded := rss(t)
	start := time.Now()
	runtime.GC()
	t.Logf("%d keys: %.1f bytes of RSS a key, %v a put, worst %v, full GC %v, %+v", n,
		float64(loaded-before)/float64(n), took/time.Duration(n), worst, time.Since(start), k.Stats())
	runtime.KeepAlive(k)
}

// rss returns the resident set size in bytes.
func rss(t *testing.T) int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("needs /proc")
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
