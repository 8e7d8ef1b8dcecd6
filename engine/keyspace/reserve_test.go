package keyspace

import "testing"

// However many keys were announced, a table takes those that come in hash order, and is nearly as dense as one that grew.
func TestReserve(t *testing.T) {
	const keys = 30_000
	from := New(Options{Seed: testSeed})
	load(from, 0, keys)
	for _, announced := range []int{0, 1, 701, keys / 50, keys, 3 * keys} {
		k := New(Options{Seed: testSeed})
		k.DB(0).Reserve(announced)
		checkStore(t, k.DB(0).store)
		from.DB(0).Scan(0, keys, func(e Entry) {
			if err := k.DB(0).Load(e.Key, e.Value, e.ExpireAt, e.Version); err != nil {
				t.Fatal(err)
			}
		})
		checkStore(t, k.DB(0).store)
		if got, grown := k.Stats().Table, from.Stats().Table; announced <= keys && got > grown*3/2 {
			t.Errorf("with %d keys announced the table has %d bytes, one that grew %d", announced, got, grown)
		}
		k.DB(0).Reserve(10 * keys) // too late: nothing is lost
		load(k, 0, 2*keys)
		checkStore(t, k.DB(0).store)
		if k.DB(0).Len() != 2*keys {
			t.Fatalf("%d keys", k.DB(0).Len())
		}
	}
}
