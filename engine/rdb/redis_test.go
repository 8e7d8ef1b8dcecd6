package rdb_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/rdb/redistest"
	"github.com/quorate/quorate/engine/types/seed"
)

func build() rdb.Build {
	return rdb.Build{Seed: seed.Seed{K0: 3, K1: 4}, Settings: call.DefaultSettings()}
}

// text makes up strings of the kinds that RDB files write in different ways.
func text(d *rand.Rand) string {
	switch d.IntN(7) {
	case 0:
		return strconv.Itoa(d.IntN(600) - 300)
	case 1:
		return strconv.FormatInt(int64(d.Uint64())>>d.IntN(64), 10)
	case 2:
		return strings.Repeat(string(rune('a'+d.IntN(3))), d.IntN(400))
	case 3:
		var b strings.Builder // few letters, many repetitions near and far
		for range d.IntN(600) {
			b.WriteByte(byte('a' + d.IntN(1+d.IntN(8))))
		}
		return b.String()
	case 4:
		b := make([]byte, d.IntN(80))
		for i := range b {
			b[i] = byte(d.Uint32())
		}
		return string(b)
	case 5:
		return fmt.Sprintf("user:%d:profile:%d:user:%d", d.IntN(100), d.IntN(100), d.IntN(100))
	}
	return strings.Repeat(fmt.Sprintf("%d,", d.IntN(1000)), d.IntN(30))
}

// TestDumpEqualsRedis sends random values to redis-server, reads what DUMP gives of
// them and writes it again: the bytes must be the same.
func TestDumpEqualsRedis(t *testing.T) {
	srv := redistest.Start(t, nil)
	var dumper rdb.Dumper
	kinds := []struct {
		name string
		make func(d *rand.Rand, key string)
	}{
		{"string", func(d *rand.Rand, key string) { srv.Do("SET", key, text(d)) }},
		{"list", func(d *rand.Rand, key string) {
			for range d.IntN(60) + 1 {
				srv.Do("RPUSH", key, text(d))
			}
			srv.Do("RPUSH", key, strings.Repeat(text(d), d.IntN(200)))
		}},
		{"intset", func(d *rand.Rand, key string) {
			for range d.IntN(60) + 1 {
				srv.Do("SADD", key, strconv.FormatInt(int64(d.Uint64())>>d.IntN(64), 10))
			}
		}},
		{"small hash", func(d *rand.Rand, key string) {
			for range d.IntN(60) + 1 {
				srv.Do("HSET", key, text(d)[:0]+strconv.Itoa(d.IntN(100)), strconv.FormatUint(d.Uint64(), 36))
			}
		}},
		{"small zset", func(d *rand.Rand, key string) {
			for range d.IntN(60) + 1 {
				srv.Do("ZADD", key, strconv.FormatFloat(d.NormFloat64(), 'g', d.IntN(17)+1, 64), strconv.Itoa(d.IntN(100)))
			}
		}},
		{"large zset", func(d *rand.Rand, key string) {
			for range d.IntN(100) + 1 {
				srv.Do("ZADD", key, strconv.FormatFloat(d.NormFloat64(), 'g', d.IntN(4)+1, 64), strconv.Itoa(d.IntN(100)))
			}
			srv.Do("ZADD", key, "-0", "zero", "inf", "top", "-inf", "bottom", "1", strings.Repeat("long", 20))
		}},
		{"stream", func(d *rand.Rand, key string) { randomStream(srv, d, key) }},
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			d := rand.New(rand.NewPCG(1, 1))
			for i := range 60 {
				key := fmt.Sprint(kind.name, i)
				kind.make(d, key)
				want := srv.Do("DUMP", key).Text
				v, err := rdb.Undump(want, build())
				if err != nil {
					t.Fatalf("%s: %v\n%q", key, err, want)
				}
				if got := dumper.Append(nil, &v); !bytes.Equal(got, want) {
					t.Fatalf("%s\ngot  %q\nwant %q", key, got, want)
				}
			}
		})
	}
}

func randomStream(srv *redistest.Server, d *rand.Rand, key string) {
	id := func() string { return fmt.Sprint(d.IntN(300)+1, "-", d.IntN(3)) }
	for i := range d.IntN(150) {
		if d.IntN(3) == 0 {
			srv.Do("XADD", key, fmt.Sprint(2*i+1, "-", d.IntN(3)), "a", text(d), "b", text(d))
		} else {
			srv.Do("XADD", key, fmt.Sprint(2*i+1, "-", d.IntN(3)), text(d), "c")
		}
	}
	for range d.IntN(10) {
		srv.Do("XDEL", key, id())
	}
	for g := range d.IntN(3) {
		group := fmt.Sprint("g", g)
		srv.Do("XGROUP", "CREATE", key, group, id(), "MKSTREAM")
		for c := range d.IntN(3) {
			srv.Do("XREADGROUP", "GROUP", group, fmt.Sprint("c", c), "COUNT", strconv.Itoa(d.IntN(30)+1), "STREAMS", key, ">")
		}
		srv.Do("XACK", key, group, id(), id(), id())
		srv.Do("XGROUP", "CREATECONSUMER", key, group, "idle")
	}
	if d.IntN(3) == 0 {
		srv.Do("XTRIM", key, "MAXLEN", strconv.Itoa(d.IntN(100)))
	}
	srv.Do("XGROUP", "CREATE", key, "last", "$", "MKSTREAM")
}

// TestRestoredByRedis sends payloads of sets and hashes, whose order is not
// redis-server's, back to it.
func TestRestoredByRedis(t *testing.T) {
	srv := redistest.Start(t, nil)
	d := rand.New(rand.NewPCG(2, 1))
	var dumper rdb.Dumper
	for i := range 100 {
		key := fmt.Sprint("k", i)
		for range d.IntN(80) + 1 {
			if i%2 == 0 {
				srv.Do("SADD", key, text(d))
			} else {
				srv.Do("HSET", key, text(d), text(d))
			}
		}
		v, err := rdb.Undump(srv.Do("DUMP", key).Text, build())
		if err != nil {
			t.Fatal(err)
		}
		if got := srv.Do("RESTORE", "copy", "0", string(dumper.Append(nil, &v)), "REPLACE"); string(got.Text) != "OK" {
			t.Fatalf("%s: %s", key, got.Text)
		}
		got, want := srv.Do("DEBUG", "DIGEST-VALUE", "copy"), srv.Do("DEBUG", "DIGEST-VALUE", key)
		if string(got.Elems[0].Text) != string(want.Elems[0].Text) {
			t.Fatalf("%s is another after a round trip", key)
		}
	}
}
