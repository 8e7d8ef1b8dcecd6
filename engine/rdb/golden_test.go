package rdb_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/rdb/redistest"
)

// Files of testdata: as redis-server 7.0.15 has written them with the given
// directives, and beside each what it told of every key: database, name, expiry time
// and DUMP.
var goldens = []struct {
	name       string
	directives []string
	differs    bool // its DUMP is not that of the default configuration
}{
	{name: "redis-7.0.15"},
	{name: "redis-7.0.15-plain", directives: []string{"--rdbcompression", "no"}, differs: true},
	{name: "redis-7.0.15-lru", directives: []string{"--maxmemory-policy", "allkeys-lru", "--rdbchecksum", "no", "--list-compress-depth", "1"}},
	{name: "redis-7.0.15-lfu", directives: []string{"--maxmemory-policy", "allkeys-lfu", "--set-max-intset-entries", "2", "--hash-max-listpack-entries", "1", "--zset-max-listpack-entries", "1"}},
}

var remake = flag.Bool("golden", false, "make the files of testdata anew, with redis-server")

func TestMakeGoldens(t *testing.T) {
	if !*remake {
		t.Skip("makes files: run with -golden")
	}
	for _, golden := range goldens {
		srv := redistest.Start(t, nil, golden.directives...)
		d := rand.New(rand.NewPCG(8, 8))
		var keys []string
		key := func(db int, name string) string {
			srv.Do("SELECT", fmt.Sprint(db))
			keys = append(keys, fmt.Sprint(db, " ", name))
			return name
		}
		for i, s := range []string{"", "-129", "40000", "3000000000", "12345678901234567890", strings.Repeat("ab", 30), strings.Repeat("x", 300)} {
			srv.Do("SET", key(0, fmt.Sprint("string", i)), s)
		}
		srv.Do("SET", key(0, "expires"), "soon", "PXAT", "4000000000123")
		srv.Do("RPUSH", key(0, "list"), "a", "-7", strings.Repeat("long", 20))
		srv.Do("CONFIG", "SET", "list-max-listpack-size", "3")
		srv.Do("RPUSH", key(0, "long"), "1", "2", "3", "4", "5", "6", "7")
		srv.Do("DEBUG", "QUICKLIST-PACKED-THRESHOLD", "100b")
		srv.Do("RPUSH", key(0, "plain"), "1", strings.Repeat("plain", 30), "2", "3", strings.Repeat("last", 30))
		srv.Do("SADD", key(0, "intset"), "1", "2", "70000")
		srv.Do("SADD", key(0, "set"), "a", "17", strings.Repeat("m", 70))
		srv.Do("HSET", key(0, "hash"), "f", "v", "n", "12")
		srv.Do("HSET", key(0, "large hash"), "f", strings.Repeat("v", 65), "n", "12")
		srv.Do("ZADD", key(0, "zset"), "1", "a", "-inf", "b", "2.25", "c", "1e300", "d")
		srv.Do("ZADD", key(0, "large zset"), "1", strings.Repeat("m", 65), "-0", "a", "inf", "b", "0.1", "c")
		srv.Do("CONFIG", "SET", "stream-node-max-entries", "3")
		randomStream(srv, d, key(0, "stream"))
		srv.Do("XGROUP", "CREATE", key(0, "empty stream"), "g", "0", "MKSTREAM")
		srv.Do("SET", key(9, "other"), "database")
		srv.Do("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
		write(t, golden.name+".rdb", srv.Save())
		var lines strings.Builder
		for _, line := range keys {
			var db, name string
			db, name, _ = strings.Cut(line, " ")
			srv.Do("SELECT", db)
			fmt.Fprintf(&lines, "%s %q %d %x\n", db, name, srv.Do("PEXPIRETIME", name).Int, srv.Do("DUMP", name).Text)
		}
		write(t, golden.name+".txt", []byte(lines.String()))
	}
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile("testdata/"+name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldens(t *testing.T) {
	var dumper rdb.Dumper
	for _, golden := range goldens {
		want := map[string]string{}
		for line := range strings.Lines(string(read(t, golden.name+".txt"))) {
			var db, expireAt int
			var name, dump string
			if _, err := fmt.Sscanf(line, "%d %q %d %s", &db, &name, &expireAt, &dump); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			want[fmt.Sprintf("%d %s %d", db, name, expireAt)] = dump
		}
		functions := 0
		err := readAll(read(t, golden.name+".rdb"), build(), func(item *rdb.Item) {
			switch item.Kind {
			case rdb.Function:
				functions++
			case rdb.Key:
				line := fmt.Sprintf("%d %s %d", item.DB, item.Entry.Key, item.Entry.ExpireAt)
				payload, err := hex.DecodeString(want[line])
				if err != nil || len(payload) == 0 {
					t.Fatalf("%s: %q is not in the list", golden.name, line)
				}
				delete(want, line)
				v, err := rdb.Undump(payload, build())
				if err != nil {
					t.Fatalf("%s, %s: %v", golden.name, line, err)
				}
				if got, want := describe(&item.Entry.Value), describe(&v); got != want {
					t.Errorf("%s, %s\ngot  %s\nwant %s", golden.name, line, got, want)
				}
				// Sets and hashes of redis-server have an order of its own.
				again := dumper.Append(nil, &item.Entry.Value)
				if !golden.differs && payload[0] != 2 && payload[0] != 4 && !bytes.Equal(again, payload) {
					t.Errorf("%s, %s\ngot  %x\nwant %x", golden.name, line, again, payload)
				}
			}
		})
		if err != nil || len(want) != 0 || functions != 1 {
			t.Errorf("%s: %v; %d keys missing, %d functions", golden.name, err, len(want), functions)
		}
	}
}

// TestTruncated cuts files at every byte.
func TestTruncated(t *testing.T) {
	for _, golden := range goldens {
		whole := read(t, golden.name+".rdb")
		for n := range whole {
			if err := readAll(whole[:n], build(), func(*rdb.Item) {}); !errors.Is(err, rdb.ErrTruncated) {
				t.Fatalf("%s cut at %d: %v", golden.name, n, err)
			}
		}
		if err := readAll(whole, build(), func(*rdb.Item) {}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFlippedBits damages files: with their checksum it is noticed, without it
// nothing worse than an error happens.
func TestFlippedBits(t *testing.T) {
	for _, golden := range goldens {
		whole := read(t, golden.name+".rdb")
		for n := range len(whole) - 8 {
			damaged := bytes.Clone(whole)
			damaged[n] ^= 1 << (n % 8)
			checked := !bytes.HasSuffix(whole, make([]byte, 8))
			if err := readAll(damaged, build(), func(*rdb.Item) {}); err == nil && checked {
				t.Fatalf("%s with a bit of byte %d flipped: no error", golden.name, n)
			}
			clear(damaged[len(damaged)-8:])
			_ = readAll(damaged, build(), func(item *rdb.Item) { describe(&item.Entry.Value) })
		}
	}
}

func TestEmptyInTheMiddleOfKeys(t *testing.T) {
	r, err := rdb.NewReader(bytes.NewReader(file("0010", "\x12"+str("none")+length(1)+"\x02"+str(lp()), "\x00"+str("k")+str("v"))))
	if err != nil {
		t.Fatal(err)
	}
	item, err := r.Next()
	if err != nil || string(item.Entry.Key) != "k" || r.Empty() != 1 {
		t.Fatalf("%v, %v, %d left out", item, err, r.Empty())
	}
}

// TestClaimsAreNotBelieved feeds files that claim much and hold little.
func TestClaimsAreNotBelieved(t *testing.T) {
	const huge = "\x81\x00\x00\x00\x0F\xFF\xFF\xFF\xFF"
	for valueType := range byte(26) {
		for _, payload := range []string{huge, length(1) + huge, "\xC3" + huge + huge, length(1) + "\x02" + huge, streamNodes() + huge} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := readAll(file("0010", string(valueType)+str("k")+payload), build(), func(*rdb.Item) {})
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("type %d, %q: no error", valueType, payload)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
				t.Errorf("type %d, %q: %d bytes allocated", valueType, payload, grown)
			}
		}
	}
}

// FuzzReader reads any bytes. What can be read is written, and must be the same
// when it is read again.
func FuzzReader(f *testing.F) {
	for _, golden := range goldens {
		whole := read(f, golden.name+".rdb")
		f.Add(whole)
		f.Add(append(bytes.Clone(whole[:len(whole)-8]), make([]byte, 8)...))
	}
	for _, v := range oldValues {
		f.Add(file("0009", string(v.valueType)+str("key")+v.payload))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, derive := range []bool{false, true} {
			build := build()
			build.Derive = derive
			var dumper rdb.Dumper
			_ = readAll(b, build, func(item *rdb.Item) {
				if item.Kind != rdb.Key {
					return
				}
				want := describe(&item.Entry.Value)
				payload := dumper.Append(nil, &item.Entry.Value)
				build.Derive = false
				v, err := rdb.Undump(payload, build)
				if err != nil {
					t.Fatalf("%s: %v", want, err)
				}
				if got := describe(&v); got != want && item.Entry.Type != 0 {
					t.Fatalf("got  %s\nwant %s", got, want)
				}
			})
		}
	})
}

// FuzzUndump reads any payload with a right checksum.
func FuzzUndump(f *testing.F) {
	for _, v := range oldValues {
		f.Add([]byte(string(v.valueType) + v.payload))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		payload := rdb.Sealed(b)
		v, err := rdb.Undump(payload, build())
		if err == nil {
			describe(&v)
		} else if !errors.Is(err, rdb.ErrCorrupt) && !errors.Is(err, rdb.ErrUnsupported) && !errors.Is(err, rdb.ErrPayload) {
			t.Fatal(err)
		}
	})
}

func TestUndumpChecksThePayload(t *testing.T) {
	good := rdb.Sealed([]byte("\x00\x01v"))
	if v, err := rdb.Undump(good, build()); err != nil || string(v.Packed) != "v" {
		t.Fatalf("%v, %q", err, v.Packed)
	}
	for n := range good {
		if _, err := rdb.Undump(good[:n], build()); !errors.Is(err, rdb.ErrPayload) {
			t.Errorf("cut at %d: %v", n, err)
		}
		damaged := bytes.Clone(good)
		damaged[n] ^= 0x40
		if _, err := rdb.Undump(damaged, build()); !errors.Is(err, rdb.ErrPayload) {
			t.Errorf("byte %d damaged: %v", n, err)
		}
	}
}
