package keyspace

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quorate/quorate/engine/types/hash"
)

// A model of hashes whose fields expire.
type (
	modelField struct {
		value int
		at    int64 // or hash.Never
	}
	modelHash struct {
		fields   map[string]modelField
		expireAt int64
	}
	modelHashes map[string]*modelHash
)

func (m *modelHash) clone() *modelHash { return &modelHash{maps.Clone(m.fields), m.expireAt} }

// live returns the fields that are not due.
func (m *modelHash) live(now int64) map[string]modelField {
	live := maps.Clone(m.fields)
	maps.DeleteFunc(live, func(_ string, f modelField) bool { return f.at != hash.Never && f.at <= now })
	return live
}

func (m *modelHash) gone(now int64) bool {
	return m.expireAt != NoExpiry && m.expireAt <= now || len(m.live(now)) == 0
}

// seen returns how many fields a client sees.
func (m *modelHash) seen(now int64) int {
	if m.gone(now) {
		return 0
	}
	return len(m.live(now))
}

// fieldWalk drives a keyspace and a model with the same operations.
type fieldWalk struct {
	*rand.Rand
	t      *testing.T
	ks     *Keyspace
	dbs    [2]modelHashes
	now    int64
	limits hash.Limits
}

func newFieldWalk(t *testing.T, s uint64) *fieldWalk {
	return &fieldWalk{
		Rand: rand.New(rand.NewPCG(s, 5)), t: t, ks: New(Options{Seed: testSeed, Databases: 2}),
		dbs: [2]modelHashes{{}, {}}, now: 1000, limits: hash.Limits{Entries: 8, Value: 64},
	}
}

func (w *fieldWalk) text() string { return fmt.Sprint("f", w.IntN(16)) }

func (w *fieldWalk) time() int64 {
	if w.IntN(2) == 0 {
		return hash.Never
	}
	return w.now + 1 + int64(w.IntN(300))
}

func (w *fieldWalk) step() {
	db, name := w.IntN(2), fmt.Sprint("hash", w.IntN(12))
	d, m, key := w.ks.DB(db), w.dbs[db], []byte(name)
	old := m[name]
	w.sameVersions(d, key, old)
	switch w.IntN(12) {
	case 0, 1, 2, 3, 4, 5:
		w.change(d, m, name)
	case 6:
		if d.Delete(key) != (old != nil) {
			w.t.Fatalf("Delete(%s) is not %v", name, old != nil)
		}
		delete(m, name)
	case 7:
		to, newName := w.IntN(2), fmt.Sprint("hash", w.IntN(12))
		if to == db && newName == name {
			return
		}
		move := w.IntN(2) == 0
		done := d.Copy
		if move {
			done = d.Move
		}
		if done(key, w.ks.DB(to), []byte(newName)) != (old != nil) {
			w.t.Fatalf("%s is not %v", name, old != nil)
		}
		if old != nil {
			w.dbs[to][newName] = old.clone()
			if move {
				delete(m, name)
			}
		}
	case 8:
		at := NoExpiry
		if w.IntN(2) == 0 {
			at = w.now + 1 + int64(w.IntN(300))
		}
		if d.SetExpire(key, at); old != nil {
			old.expireAt = at
		}
	case 9:
		loss := d.Evict(key, w.now)
		if want := old != nil && old.gone(w.now); want != (loss != Nothing) {
			w.t.Fatalf("Evict(%s) = %d, want %v", name, loss, want)
		}
		if loss != Nothing {
			delete(m, name)
		}
	case 10:
		w.now += int64(w.IntN(30))
		w.expire(w.IntN(6))
	default:
		if w.IntN(40) == 0 {
			w.ks.Swap(0, 1, w.now)
			w.dbs[0], w.dbs[1] = w.dbs[1], w.dbs[0]
		}
	}
}

// change sets, expires or deletes fields of a hash, as a command does.
func (w *fieldWalk) change(d *DB, m modelHashes, name string) {
	key := []byte(name)
	e, exists := d.Get(key, w.now)
	if exists != (m[name] != nil && !m[name].gone(w.now)) {
		w.t.Fatalf("%s is there: %v, at %d: %+v", name, exists, w.now, m[name])
	}
	if !exists {
		d.Evict(key, w.now)
		m[name] = &modelHash{map[string]modelField{}, NoExpiry}
	}
	h := hash.New(testSeed, nil)
	if exists {
		if e.Object != nil {
			d.Edit(key, w.now)
		}
		e.Packed = slices.Clone(e.Packed)
		h = e.Hash(testSeed)
	}
	h = h.AsOf(w.now)
	wasObject := h.Object() != nil
	for range 1 + w.IntN(3) {
		field, at := w.text(), w.time()
		if len(m[name].live(w.now)) > 1 && w.IntN(3) == 0 {
			if h.Delete([]byte(field)) {
				delete(m[name].fields, field)
			}
			continue
		}
		value := w.IntN(100)
		h.SetUntil([]byte(field), fmt.Append(nil, value), at, w.limits)
		m[name].fields[field] = modelField{value, at}
	}
	switch v := HashValue(&h); {
	case !exists:
		d.Put(key, v, NoExpiry)
	case wasObject:
		d.Settle(key)
	default:
		d.Replace(key, v)
	}
}

// expire compares what is deleted with what the model has of it.
func (w *fieldWalk) expire(limit int) {
	fields := 0
	n := w.ks.ExpireDue(w.now, limit, func(db int, key []byte, loss Loss) {
		m := w.dbs[db][string(key)]
		switch loss {
		case FieldsDue:
			e, ok := w.ks.DB(db).Get(key, 0)
			if !ok {
				w.t.Fatalf("%s is gone with some of its fields", key)
			}
			h := e.Hash(testSeed)
			for field, f := range m.fields {
				if !h.Has([]byte(field)) && f.at != hash.Never && f.at <= w.now {
					delete(m.fields, field)
					fields++
				}
			}
		case AllFieldsDue:
			if len(m.live(w.now)) != 0 {
				w.t.Fatalf("%s went with fields that are not due: %+v", key, m)
			}
			delete(w.dbs[db], string(key))
			fields++
		case KeyDue:
			if m.expireAt == NoExpiry || m.expireAt > w.now {
				w.t.Fatalf("%s went at %d: %+v", key, w.now, m)
			}
			delete(w.dbs[db], string(key))
			fields++
		}
	})
	if n != fields {
		w.t.Fatalf("ExpireDue gives %d, %d have gone", n, fields)
	}
	if next := w.ks.NextExpiry(); n < limit && next != NoExpiry && next <= w.now {
		w.t.Fatalf("ExpireDue stops at %d of %d before what is due at %d", n, limit, next)
	}
}

// sameVersions lets time pass in mind: a version must change when fields get due.
func (w *fieldWalk) sameVersions(d *DB, key []byte, m *modelHash) {
	if m == nil {
		return
	}
	later := w.now + int64(w.IntN(100))
	a, b := d.Version(key, w.now), d.Version(key, later)
	if changed := m.seen(w.now) != m.seen(later); changed && a == b {
		w.t.Fatalf("%s has fields that get due until %d, and one version: %+v", key, later, m)
	}
}

// check compares everything stored with the model.
func (w *fieldWalk) check() {
	for i, m := range w.dbs {
		d := w.ks.DB(i)
		checkStore(w.t, d.store)
		d.Scan(0, 1000, func(e Entry) { checkHash(w.t, &e, m[string(e.Key)], w.now) })
		if d.Len() != len(m) {
			w.t.Fatalf("%d keys, want %d", d.Len(), len(m))
		}
	}
}

func checkHash(t *testing.T, e *Entry, m *modelHash, now int64) {
	t.Helper()
	if m == nil {
		t.Fatalf("%s should not be there", e.Key)
	}
	h := e.Hash(testSeed)
	got := map[string]modelField{}
	h.Each(func(field, value []byte, at int64) bool {
		var n int
		fmt.Sscan(string(value), &n)
		got[string(field)] = modelField{n, at}
		return true
	})
	if !maps.Equal(got, m.fields) || e.ExpireAt != m.expireAt || e.Expired(now) != m.gone(now) {
		t.Fatalf("%s is %v until %d, gone at %d: %v; want %+v", e.Key, got, e.ExpireAt, now, e.Expired(now), m)
	}
}

func TestFieldsRandomWalk(t *testing.T) {
	for s := range uint64(3) {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			w := newFieldWalk(t, s)
			for i := range 20_000 {
				w.step()
				if i%200 == 0 {
					w.check()
				}
			}
			w.check()
		})
	}
}

// A view keeps fields and their times while the hashes go on changing.
func TestFrozenFields(t *testing.T) {
	w := newFieldWalk(t, 9)
	for range 3000 {
		w.step()
	}
	want := [2]modelHashes{{}, {}}
	for i, m := range w.dbs {
		for key, h := range m {
			want[i][key] = h.clone()
		}
	}
	f, err := w.ks.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	now := w.now
	var batch Batch
	for range 3000 {
		w.step()
	}
	for f.Next(&batch) {
		for i := range batch.Entries {
			e := &batch.Entries[i]
			checkHash(t, e, want[batch.DB][string(e.Key)], now)
			delete(want[batch.DB], string(e.Key))
		}
	}
	f.Close()
	if len(want[0])+len(want[1]) != 0 {
		t.Errorf("the view lacks %v", want)
	}
	w.check()
}

// What is due goes in an order that follows from the content.
func TestFieldsAndKeysExpireInOrder(t *testing.T) {
	k := New(Options{Seed: testSeed, Databases: 2})
	put := func(db int, key string, expireAt int64, times ...int64) {
		h := hash.New(testSeed, nil)
		for i, at := range times {
			h.SetUntil(fmt.Append(nil, "f", i), []byte("v"), at, hash.Limits{Entries: 3, Value: 64})
		}
		k.DB(db).Put([]byte(key), HashValue(&h), expireAt)
	}
	put(1, "packed", NoExpiry, 10, 30, hash.Never)
	put(0, "large", NoExpiry, 20, 21, 22, 50, hash.Never)
	put(0, "both", 20, 20, hash.Never)
	put(0, "all", NoExpiry, 5, 25)
	if k.NextExpiry() != 5 {
		t.Errorf("%d comes first", k.NextExpiry())
	}
	var got []string
	tell := func(db int, key []byte, loss Loss) { got = append(got, fmt.Sprint(db, string(key), loss)) }
	for _, step := range []struct {
		now   int64
		limit int
		n     int
		want  []string
	}{
		{4, 9, 0, nil},
		{24, 1, 1, []string{"0all2"}},
		{24, 2, 2, []string{"1packed2", "0both1"}},
		{24, 2, 2, []string{"0large2"}},
		{24, 9, 1, []string{"0large2"}},
		{25, 9, 1, []string{"0all3"}},
		{60, 9, 2, []string{"1packed2", "0large2"}},
		{1000, 9, 0, nil},
	} {
		got = nil
		if n := k.ExpireDue(step.now, step.limit, tell); n != step.n || !slices.Equal(got, step.want) {
			t.Errorf("at %d, at most %d: %d deleted, %v; want %d, %v", step.now, step.limit, n, got, step.n, step.want)
		}
	}
	if k.NextExpiry() != NoExpiry || cmp.Or(k.DB(0).store.fields.len, k.DB(1).store.fields.len) != 0 {
		t.Error("something is left in an index")
	}
}

// Fields that go because they are due are counted, also those of a hash that goes whole.
func TestFieldsThatWereDueAreCounted(t *testing.T) {
	k := New(Options{Seed: testSeed})
	for _, key := range []string{"some", "all"} {
		h := hash.New(testSeed, nil)
		for _, field := range []string{"a", "b", "c"} {
			h.Set([]byte(field), []byte("v"), hash.Limits{Entries: 10, Value: 10})
			if key == "all" || field != "c" {
				h.Expire([]byte(field), 10)
			}
		}
		k.DB(0).Put([]byte(key), HashValue(&h), NoExpiry)
	}
	k.ExpireDue(10, 100, nil)
	if got := k.Stats().Fields; got != 5 {
		t.Errorf("%d fields are counted, want 5", got)
	}
}
