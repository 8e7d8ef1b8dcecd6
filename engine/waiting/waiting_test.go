package waiting

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/chain"
)

func keys(names ...string) [][]byte {
	var all [][]byte
	for _, n := range names {
		all = append(all, []byte(n))
	}
	return all
}

// A walk against a dumb model: a list of what waits, in order.
func TestTableIsAListInOrder(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		ks := keyspace.New(keyspace.Options{Databases: 3})
		table, model := new(Table), []*Waiter(nil)
		var c chain.Chain
		for range 2000 {
			switch n := r.IntN(10); {
			case n < 4:
				w := Waiter{
					Owner: Owner{byte(r.IntN(3))}, DB: r.IntN(3), Type: []keyspace.Type{keyspace.List, keyspace.Zset}[r.IntN(2)],
					Deadline: int64(r.IntN(50)), Args: keys("blpop"), Keys: keys(fmt.Sprint(r.IntN(5)), fmt.Sprint(r.IntN(5))),
				}
				if r.IntN(4) == 0 {
					w.User, w.Born = "bob", r.Uint64N(3)
				}
				added, err := table.Add(w, &c)
				if err != nil {
					t.Fatal(err)
				}
				model = append(model, added)
			case n < 7 && len(model) > 0:
				i := r.IntN(len(model))
				table.Remove(model[i], &c)
				model = slices.Delete(model, i, i+1)
			case n == 7:
				now := int64(r.IntN(50))
				checkDue(t, table, model, now)
			case n == 8:
				if table.Len() > 0 {
					ks.Await(table.Awaited())
				}
				checkReady(t, r, ks, table, model)
				ks.Await(nil)
			default:
				table = again(t, table)
				for i, w := range model {
					model[i] = table.Get(w.ID)
				}
			}
			if !slices.Equal(table.All(), model) {
				t.Fatalf("seed %d: %d wait, %d in the model", seed, table.Len(), len(model))
			}
		}
		for _, w := range model {
			table.Remove(w, &c)
		}
		if table.bytes != 0 || len(table.queues) != 0 || len(table.deadlines) != 0 {
			t.Fatalf("seed %d: the empty table holds %d bytes, %d queues", seed, table.bytes, len(table.queues))
		}
	}
}

func checkDue(t *testing.T, table *Table, model []*Waiter, now int64) {
	t.Helper()
	var want *Waiter
	for _, w := range model {
		if w.Deadline != Forever && w.Deadline <= now && (want == nil || w.Deadline < want.Deadline) {
			want = w
		}
	}
	if got := table.Due(now); got != want {
		t.Fatalf("due at %d: %v, want %v", now, got, want)
	}
}

// checkReady puts a value into a key, and looks who is told, in which order.
func checkReady(t *testing.T, r *rand.Rand, ks *keyspace.Keyspace, table *Table, model []*Waiter) {
	t.Helper()
	db, name, typ := r.IntN(3), fmt.Sprint(r.IntN(5)), []keyspace.Type{keyspace.List, keyspace.Zset, keyspace.String}[r.IntN(3)]
	ks.DB(db).Put([]byte(name), keyspace.Value{Type: typ, Packed: []byte("x")}, keyspace.NoExpiry)
	var want, got []*Waiter
	of := false
	for _, w := range model {
		if w.DB == db && slices.ContainsFunc(w.Keys, func(k []byte) bool { return string(k) == name }) {
			want = append(want, w)
			of = of || w.Type == typ
		}
	}
	if !of {
		want = nil
	}
	for table.Ready() {
		_, waiters := table.NextReady()
		got = slices.AppendSeq(got, waiters)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("a %v at %d:%s: %d are served, want %d", typ, db, name, len(got), len(want))
	}
}

// again returns the table as a snapshot brings it.
func again(t *testing.T, table *Table) *Table {
	t.Helper()
	text := table.Append(nil)
	decoded, err := Decode(text, 3)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(decoded.Append(nil), text) {
		t.Fatal("encoded again, the table differs")
	}
	return decoded
}

func TestATableCutShortIsRefused(t *testing.T) {
	table := new(Table)
	var c chain.Chain
	for i := range 3 {
		_, _ = table.Add(Waiter{DB: i, Type: keyspace.Stream, Args: keys("xread", "x"), Keys: keys("a", "b")}, &c)
	}
	text := table.Append(nil)
	for n := range text {
		if _, err := Decode(text[:n], 3); err == nil {
			t.Errorf("cut at byte %d: no error", n)
		}
	}
	if _, err := Decode(text, 2); err == nil {
		t.Error("a database that is not there was taken")
	}
}

// The bytes of a table in a snapshot: as ever while nobody's user matters, else with each
// waiter's user and his birth.
func TestGoldenTables(t *testing.T) {
	const (
		alone = "01" + "01" + // format, the last ID
			"01" + // waiters
			"01" + "09" + "00000000000000000000000000000000000000" + "02" + "LL" + "c801" + // ID, owner, database, type, deadline
			"02" + "05626c706f70" + "016b" + // arguments
			"01" + "016b" // keys
		mixed = "02" + "02" +
			"02" +
			"01" + "09" + "00000000000000000000000000000000000000" + "02" + "LL" + "c801" +
			"02" + "05626c706f70" + "016b" + "01" + "016b" +
			"00" + "00" + // no user
			"02" + "09" + "00000000000000000000000000000000000000" + "02" + "LL" + "c801" +
			"02" + "05626c706f70" + "016b" + "01" + "016b" +
			"03626f62" + "ac02" // bob, born as number 300
	)
	table := new(Table)
	var c chain.Chain
	add := func(user string, born uint64) {
		w := Waiter{Owner: Owner{9}, DB: 2, Type: keyspace.List, Deadline: 100, Args: keys("blpop", "k"), Keys: keys("k"), User: user, Born: born}
		if _, err := table.Add(w, &c); err != nil {
			t.Fatal(err)
		}
	}
	check := func(golden string) {
		t.Helper()
		want, err := hex.DecodeString(strings.ReplaceAll(golden, "LL", fmt.Sprintf("%02x", byte(keyspace.List))))
		if err != nil {
			t.Fatal(err)
		}
		if got := table.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("written as\n%x, want\n%x", got, want)
		}
		read, err := Decode(want, 3)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(read.All(), table.All(), func(a, b *Waiter) bool {
			return a.ID == b.ID && a.Owner == b.Owner && a.DB == b.DB && a.User == b.User && a.Born == b.Born
		}) {
			t.Errorf("%x is read as another table", want)
		}
		for n := range want {
			if _, err := Decode(want[:n], 3); err == nil {
				t.Errorf("cut at byte %d: no error", n)
			}
		}
	}
	add("", 0)
	check(alone)
	add("bob", 300)
	check(mixed)
	// Once who has a user is gone, the table is as ever.
	table.Remove(table.Get(2), &c)
	if got := table.Append(nil); got[0] != format {
		t.Errorf("a table without users has format %d", got[0])
	}
}

func TestATableHasBounds(t *testing.T) {
	table := new(Table)
	var c chain.Chain
	large := Waiter{Args: [][]byte{make([]byte, BytesMax/2)}, Keys: keys("k")}
	if _, err := table.Add(large, &c); err != nil {
		t.Fatal(err)
	}
	before := c.Value()
	if _, err := table.Add(large, &c); err != ErrFull {
		t.Errorf("a second one of half the bytes: %v", err)
	}
	if c.Value() != before || table.Len() != 1 {
		t.Error("what was refused has left something")
	}
}
