package rdb_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/types/hash"
	"github.com/quorate/quorate/engine/types/list"
	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/seed"
	"github.com/quorate/quorate/engine/types/set"
	"github.com/quorate/quorate/engine/types/stream"
	"github.com/quorate/quorate/engine/types/zset"
)

// noise is what does not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

// bigValues makes a large value of each kind, of about so many bytes.
var bigValues = []struct {
	name string
	make func(bytes int) keyspace.Value
}{
	{"string", func(n int) keyspace.Value {
		return keyspace.Value{Type: keyspace.String, Enc: keyspace.Raw, Packed: noise(n)}
	}},
	{"string that compresses", func(n int) keyspace.Value {
		return keyspace.Value{Type: keyspace.String, Enc: keyspace.Raw, Packed: bytes.Repeat([]byte("0123456789abcdef"), n/16)}
	}},
	{"list", func(n int) keyspace.Value {
		l := list.NewChunked(list.DefaultLimits)
		for i := range n / 64 {
			l.PushBack(fmt.Appendf(nil, "%064d", i))
		}
		return keyspace.Value{Type: keyspace.List, Enc: keyspace.Quicklist, Object: keyspace.Box(l)}
	}},
	{"list of a large element", func(n int) keyspace.Value {
		l := list.NewChunked(list.DefaultLimits)
		l.PushBack(noise(n))
		return keyspace.Value{Type: keyspace.List, Enc: keyspace.Quicklist, Object: keyspace.Box(l)}
	}},
	{"set", func(n int) keyspace.Value {
		s := set.NewHashtable(seed.Seed{K0: 3, K1: 4}, nil)
		for i := range n / 64 {
			s.Add(fmt.Appendf(nil, "%064d", i), set.Limits{})
		}
		return keyspace.Value{Type: keyspace.Set, Enc: keyspace.Hashtable, Object: keyspace.Box(s.Object())}
	}},
	{"hash", func(n int) keyspace.Value {
		h := hash.NewLarge(seed.Seed{K0: 3, K1: 4})
		for i := range n / 64 {
			h.Set(fmt.Append(nil, i), fmt.Appendf(nil, "%060d", i), hash.Limits{})
		}
		return keyspace.Value{Type: keyspace.Hash, Enc: keyspace.Hashtable, Object: keyspace.Box(h.Object())}
	}},
	{"hash listpack", func(n int) keyspace.Value {
		lp := listpack.New(n)
		for i := range n / 64 / 8 {
			lp = listpack.Append(listpack.Append(lp, fmt.Append(nil, i)), noise(512))
		}
		return keyspace.Value{Type: keyspace.Hash, Enc: keyspace.Listpack, Packed: lp}
	}},
	{"hash whose fields expire", func(n int) keyspace.Value {
		h := hash.NewLarge(seed.Seed{K0: 3, K1: 4})
		for i := range n / 64 {
			h.SetUntil(fmt.Append(nil, i), fmt.Appendf(nil, "%060d", i), int64(i%100+1), hash.Limits{})
		}
		return keyspace.HashValue(&h)
	}},
	{"hash listpack whose fields expire", func(n int) keyspace.Value {
		lp := listpack.New(n)
		for i := range n / 64 / 8 {
			lp = listpack.AppendInt(listpack.Append(listpack.Append(lp, fmt.Append(nil, i)), noise(512)), int64(i+1))
		}
		return keyspace.Value{Type: keyspace.Hash, Enc: keyspace.ListpackEx, Packed: lp}
	}},
	{"zset", func(n int) keyspace.Value {
		z := zset.NewLarge(seed.Seed{K0: 3, K1: 4})
		for i := range n / 64 {
			z.Add(fmt.Appendf(nil, "%056d", i), float64(i), zset.Limits{})
		}
		return keyspace.Value{Type: keyspace.Zset, Enc: keyspace.Skiplist, Object: keyspace.Box(z.Object())}
	}},
	{"stream", func(n int) keyspace.Value {
		s := stream.New()
		for i := range n / 64 {
			_ = s.Add(stream.ID{Ms: uint64(i + 1)}, [][]byte{[]byte("f"), fmt.Appendf(nil, "%050d", i)}, stream.DefaultLimits)
		}
		return keyspace.Value{Type: keyspace.Stream, Enc: keyspace.StreamEncoding, Object: keyspace.Box(s)}
	}},
}

// allocated returns how many bytes f allocates, in all.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// TestNothingIsHeldTwice writes and reads large values. A writer may allocate its
// buffers, and the room for a long string's LZF data; a reader of a file of known
// length its buffers and what it takes to make the value anew. Only for what was
// compressed memory has to double.
func TestNothingIsHeldTwice(t *testing.T) {
	const size, buffers = 2 << 20, 1 << 20
	for _, kind := range bigValues {
		t.Run(kind.name, func(t *testing.T) {
			var v keyspace.Value
			making := allocated(func() { v = kind.make(size) })
			var file bytes.Buffer
			writeKey(t, &file, v)
			writing := allocated(func() { writeKey(t, io.Discard, v) })
			if most := buffers + len(v.Packed); writing > most && kind.name != "list of a large element" {
				t.Errorf("writing allocates %d bytes, more than %d", writing, most)
			}
			most := making + buffers
			if file.Len() < len(v.Packed)/2 {
				most += size
			}
			if reading := allocated(func() { loadKey(t, &file) }); reading > most {
				t.Errorf("reading allocates %d bytes, more than %d", reading, most)
			}
		})
	}
}

func writeKey(t *testing.T, out io.Writer, v keyspace.Value) {
	f := rdb.NewWriter(out, 0)
	_ = f.Database(0, 1, 0)
	_ = f.Key(&keyspace.Entry{Key: []byte("k"), Value: v, ExpireAt: keyspace.NoExpiry})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// loadKey reads a file of one key and puts that into a keyspace.
func loadKey(t *testing.T, file *bytes.Buffer) {
	size := file.Len()
	r, err := rdb.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	r.Build(build())
	r.Size(int64(size))
	ks := keyspace.New(keyspace.Options{Seed: build().Seed, Databases: 1})
	for {
		item, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		switch item.Kind {
		case rdb.Key:
			if err := ks.DB(0).Load(item.Entry.Key, item.Entry.Value, item.Entry.ExpireAt, 0); err != nil {
				t.Fatal(err)
			}
		case rdb.End:
			return
		}
	}
}
