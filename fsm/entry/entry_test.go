package entry

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden entry of this format version anew")

func args(words ...string) [][]byte {
	var out [][]byte
	for _, w := range words {
		out = append(out, []byte(w))
	}
	return out
}

// sample is an entry with a part and an item of every kind.
func sample() []byte {
	id, _ := ParseNodeID("000102030405060708090a0b0c0d0e0f10111213")
	batch := AppendBatchHead(nil, BatchHead{Node: id, Incarnation: 3, Seq: 300, Inherit: true})
	batch = AppendCommand(batch, 15, args("set", "k", ""))
	batch = AppendTxHead(batch, 1, 2)
	batch = AppendTxWatch(batch, 2, []byte("w"), 1<<40)
	batch = AppendTxCommand(batch, 0, args("incr", "a"))
	batch = AppendTxCommand(batch, 1, args("del", "b", "c"))
	batch = AppendSettings(batch, args("hash-max-listpack-entries", "64"))
	batch = AppendFragment(batch, []byte("abc"), false)
	batch = AppendFragment(batch, []byte("d"), true)
	var b Builder
	b.Add(PartGenesis, AppendGenesis(nil, Genesis{ClusterID: [20]byte{9}, Seed: [2]uint64{1, 2}}))
	b.Add(PartBatch, batch)
	b.Add(PartTick, nil)
	b.Add(PartRetire, id[:])
	return b.Seal(1_700_000_000_123, 1)
}

// sampleNeeds is an entry of the second format, with the parts that came with it.
func sampleNeeds() []byte {
	id, _ := ParseNodeID("000102030405060708090a0b0c0d0e0f10111213")
	var b Builder
	b.Add(PartRaise, AppendRaise(nil, 2))
	b.Add(PartChain, AppendChain(nil, Chain{Leader: id, Index: 1 << 33, Value: ChainValue{1, 2, 15: 16}}))
	b.Add(PartTick, nil)
	b.Add(PartRecount, nil)
	return b.Seal(1_700_000_000_124, 0x0102)
}

// sampleWaits is an entry with the items of commands that wait.
func sampleWaits() []byte {
	id, _ := ParseNodeID("000102030405060708090a0b0c0d0e0f10111213")
	batch := AppendBatchHead(nil, BatchHead{Node: id, Incarnation: 3, Seq: 301})
	batch = AppendWaiting(batch, 2, args("blpop", "k", "0"))
	batch = AppendUnblock(batch, 1<<20, true)
	batch = AppendUnblock(batch, 7, false)
	batch = AppendDrop(batch, 300)
	var b Builder
	b.Add(PartBatch, batch)
	return b.Seal(1_700_000_000_125, 5)
}

// sampleUsers is an entry with items of users: a script, a transaction, and commands that
// wait, of one user and of the default one.
func sampleUsers() []byte {
	id, _ := ParseNodeID("000102030405060708090a0b0c0d0e0f10111213")
	batch := AppendBatchHead(nil, BatchHead{Node: id, Incarnation: 3, Seq: 302})
	batch = AppendCommand(AppendAs(batch, "ann"), 0, args("eval", "x", "0"))
	batch = AppendTxCommand(AppendTxHead(AppendAs(batch, "ann"), 0, 1), 1, args("eval", "y", "0"))
	batch = AppendWaiting(AppendOwned(batch, "bob", 300), 2, args("blpop", "k", "0"))
	batch = AppendWaiting(batch, 2, args("blpop", "k", "0"))
	var b Builder
	b.Add(PartBatch, batch)
	return b.Seal(1_700_000_000_127, 5)
}

// sampleEvicts is an entry with the parts about memory.
func sampleEvicts() []byte {
	evict := AppendEvict(nil, 0, args("a", "", "b c"))
	evict = AppendEvict(evict, 15, args("z"))
	var b Builder
	b.Add(PartEvict, evict)
	b.Add(PartPressure, nil)
	return b.Seal(1_700_000_000_126, 5)
}

// render writes out all that an entry says.
func render(e Entry) (string, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "stamp %d needs %d\n", e.StampMs, e.Needs)
	for {
		kind, payload, ok, err := e.Next()
		if err != nil || !ok {
			return out.String(), err
		}
		fmt.Fprintf(&out, "part %d\n", kind)
		switch kind {
		case PartGenesis:
			g, settings, err := DecodeFounding(payload)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&out, "  %s %d\n", g.ID(), g.Seed)
			if len(settings) > 0 {
				fmt.Fprintf(&out, "  settings %q\n", settings)
			}
		case PartRetire:
			id, err := DecodeRetire(payload)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&out, "  %s\n", id)
		case PartRaise:
			version, err := DecodeRaise(payload)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&out, "  %d\n", version)
		case PartChain:
			c, err := DecodeChain(payload)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&out, "  %s %d %x\n", c.Leader, c.Index, c.Value)
		case PartEvict:
			err := DecodeEvict(payload, func(db int, keys [][]byte) { fmt.Fprintf(&out, "  evict %d %q\n", db, keys) })
			if err != nil {
				return "", err
			}
		case PartBatch:
			if err := renderBatch(&out, payload); err != nil {
				return "", err
			}
		}
	}
}

func renderBatch(out *bytes.Buffer, payload []byte) error {
	b, err := DecodeBatch(payload)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  batch %s %d %d %v\n", b.Node, b.Incarnation, b.Seq, b.Inherit)
	var it Item
	for {
		ok, err := b.Next(&it)
		if err != nil || !ok {
			return err
		}
		fmt.Fprintf(out, "  item %d piece %q\n", it.Kind, it.Piece)
		if it.User != "" {
			fmt.Fprintf(out, "    user %q %d\n", it.User, it.Born)
		}
		if it.Waiter > 0 {
			fmt.Fprintf(out, "    waiter %d %v\n", it.Waiter, it.Failed)
		}
		for _, w := range it.Watches {
			fmt.Fprintf(out, "    watch %d %q %d\n", w.DB, w.Key, w.Version)
		}
		for _, c := range it.Commands {
			fmt.Fprintf(out, "    command %d %q\n", c.DB, c.Args)
		}
	}
}

// Entries written by every release must be read by all later ones.
func TestGoldenEntries(t *testing.T) {
	checkGolden(t, "v1.entry", sample(), `stamp 1700000000123 needs 1
part 3
  0900000000000000000000000000000000000000 [1 2]
part 1
  batch 000102030405060708090a0b0c0d0e0f10111213 3 300 true
  item 1 piece ""
    command 15 ["set" "k" ""]
  item 2 piece ""
    watch 2 "w" 1099511627776
    command 0 ["incr" "a"]
    command 1 ["del" "b" "c"]
  item 3 piece ""
    command 0 ["hash-max-listpack-entries" "64"]
  item 4 piece "abc"
  item 5 piece "d"
part 2
part 4
  000102030405060708090a0b0c0d0e0f10111213
`)
	checkGolden(t, "v2.entry", sampleNeeds(), `stamp 1700000000124 needs 258
part 5
  2
part 6
  000102030405060708090a0b0c0d0e0f10111213 8589934592 01020000000000000000000000000010
part 2
part 7
`)
}

// The names of users came with semantic version 5.
func TestGoldenUsers(t *testing.T) {
	checkGolden(t, "v5-users.entry", sampleUsers(), `stamp 1700000000127 needs 5
part 1
  batch 000102030405060708090a0b0c0d0e0f10111213 3 302 false
  item 1 piece ""
    user "ann" 0
    command 0 ["eval" "x" "0"]
  item 2 piece ""
    user "ann" 0
    command 1 ["eval" "y" "0"]
  item 6 piece ""
    user "bob" 300
    command 2 ["blpop" "k" "0"]
  item 6 piece ""
    command 2 ["blpop" "k" "0"]
`)
}

// Commands that wait came with semantic version 5.
func TestGoldenWaits(t *testing.T) {
	checkGolden(t, "v5.entry", sampleWaits(), `stamp 1700000000125 needs 5
part 1
  batch 000102030405060708090a0b0c0d0e0f10111213 3 301 false
  item 6 piece ""
    command 2 ["blpop" "k" "0"]
  item 8 piece ""
    waiter 1048576 true
  item 8 piece ""
    waiter 7 false
  item 7 piece ""
    waiter 300 false
`)
}

// So did keys that go for want of memory.
func TestGoldenEvicts(t *testing.T) {
	checkGolden(t, "v5-evict.entry", sampleEvicts(), `stamp 1700000000126 needs 5
part 8
  evict 0 ["a" "" "b c"]
  evict 15 ["z"]
part 9
`)
}

func checkGolden(t *testing.T, name string, now []byte, want string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, now, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(golden, now) {
		t.Errorf("%s: the encoding has changed: add a format and keep the old decoder", name)
	}
	e, err := Decode(golden)
	if err != nil {
		t.Fatal(err)
	}
	got, err := render(e)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("%s\ngot\n%s\nwant\n%s", name, got, want)
	}
}

func TestDecodeRefusesEveryCutAndFlip(t *testing.T) {
	for _, whole := range [][]byte{sample(), sampleNeeds(), sampleWaits(), sampleUsers(), sampleEvicts()} {
		refusesEveryCutAndFlip(t, whole)
	}
}

func refusesEveryCutAndFlip(t *testing.T, whole []byte) {
	t.Helper()
	for i := range whole {
		if _, err := Decode(whole[:i]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut at %d: %v", i, err)
		}
		for bit := range 8 {
			flipped := bytes.Clone(whole)
			flipped[i] ^= 1 << bit
			if _, err := Decode(flipped); err == nil {
				t.Fatalf("bit %d of byte %d flipped unseen", bit, i)
			}
		}
	}
}

func TestBuilderIsReusable(t *testing.T) {
	var b Builder
	b.Add(PartTick, nil)
	first := b.Seal(1, 1)
	kept := bytes.Clone(first)
	b.Reset()
	if !b.Empty() {
		t.Error("not empty after Reset")
	}
	b.Add(PartBatch, bytes.Repeat([]byte{7}, 100))
	b.Seal(2, 1)
	if !bytes.Equal(first, kept) {
		t.Error("a sealed entry changed when the builder was used again")
	}
}

// What Ahead shows is what Next gives after it, up to the first item that is no
// plain command.
func TestAheadShowsWhatComes(t *testing.T) {
	body := AppendBatchHead(nil, BatchHead{Incarnation: 1, Seq: 1})
	body = AppendCommand(body, 1, args("set", "a", "1"))
	body = AppendCommand(body, 0, args("ping"))
	body = AppendCommand(body, 2, args("get", "b"))
	body = AppendCommand(body, 0, args("del", "c", "d", "e"))
	body = AppendTxHead(body, 0, 0)
	body = AppendCommand(body, 0, args("get", "behind"))
	shown := func(b *Batch, limit int) string {
		var out strings.Builder
		n := b.Ahead(func(db int, arg []byte) bool {
			fmt.Fprintf(&out, "%d:%s ", db, arg)
			limit--
			return limit > 0
		})
		return fmt.Sprint(out.String(), n)
	}
	b, err := DecodeBatch(body)
	if err != nil {
		t.Fatal(err)
	}
	f := func(limit int, want string) {
		t.Helper()
		if got := shown(&b, limit); got != want {
			t.Errorf("at most %d: %q, want %q", limit, got, want)
		}
	}
	f(10, "1:a 2:b 0:c 4")
	f(2, "1:a 2:b 3")
	var it Item
	if _, err := b.Next(&it); err != nil || string(it.Commands[0].Args[1]) != "a" {
		t.Fatalf("Ahead took an item: %v, %v", it, err)
	}
	f(10, "2:b 0:c 3")
}

func TestParseNodeIDRefusesOtherText(t *testing.T) {
	for _, s := range []string{"", "00", "zz0102030405060708090a0b0c0d0e0f10111213", "000102030405060708090a0b0c0d0e0f1011121314"} {
		if _, err := ParseNodeID(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}

// FuzzParts feeds the decoders what a checksum would not have caught.
func FuzzParts(f *testing.F) {
	e, _ := Decode(sample())
	f.Add(e.rest)
	waits, _ := Decode(sampleWaits())
	f.Add(waits.rest)
	f.Add([]byte{1, 3, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, rest []byte) {
		e := Entry{rest: rest}
		if _, err := render(e); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		b := Batch{items: decoderOf(rest)}
		b.Ahead(func(int, []byte) bool { return true })
		var it Item
		if err := DecodeItem(rest, &it); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	var id NodeID
	batch := AppendBatchHead(nil, BatchHead{Node: id, Incarnation: 1, Seq: 1})
	for range 50 {
		batch = AppendCommand(batch, 0, args("SET", "key:000000012345", "0123456789012345678901234567890123456789012345678901234567890123"))
	}
	var builder Builder
	builder.Add(PartBatch, batch)
	sealed := builder.Seal(1, 1)
	var it Item
	b.ReportAllocs()
	for b.Loop() {
		e, _ := Decode(sealed)
		_, payload, _, _ := e.Next()
		decoded, _ := DecodeBatch(payload)
		for {
			ok, _ := decoded.Next(&it)
			if !ok {
				break
			}
		}
	}
}
