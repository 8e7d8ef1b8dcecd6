package keyspace

import "slices"

// Awaited are keys that somebody waits for. Those to which something happens become
// ready, in the order in which it happens.
//
// The zero Awaited is empty and ready for use.
type Awaited struct {
	keys  map[int]map[string]*AwaitedKey // by database
	ready []*AwaitedKey
}

// AwaitedKey is a key that somebody waits for.
type AwaitedKey struct {
	DB    int
	Name  []byte
	waits [typeFree + 1]int // how many wait for it to hold a value of a type
	ready bool
}

// Add notes that one more waits for a key to hold a value of type t.
func (a *Awaited) Add(db int, name []byte, t Type) *AwaitedKey {
	if a.keys == nil {
		a.keys = make(map[int]map[string]*AwaitedKey)
	}
	if a.keys[db] == nil {
		a.keys[db] = make(map[string]*AwaitedKey)
	}
	k := a.keys[db][string(name)]
	if k == nil {
		k = &AwaitedKey{DB: db, Name: slices.Clone(name)}
		a.keys[db][string(name)] = k
	}
	k.waits[t]++
	return k
}

// Remove notes that one less waits for k to hold a value of type t.
func (a *Awaited) Remove(k *AwaitedKey, t Type) {
	k.waits[t]--
	if k.waits == [typeFree + 1]int{} {
		delete(a.keys[k.DB], string(k.Name))
	}
}

// Ready reports whether NextReady has a key.
func (a *Awaited) Ready() bool { return len(a.ready) > 0 }

// NextReady takes the key that has been ready for longest. From then on it may become
// ready again.
func (a *Awaited) NextReady() *AwaitedKey {
	k := a.ready[0]
	a.ready[0] = nil
	a.ready = a.ready[1:]
	if len(a.ready) == 0 {
		a.ready = nil
	}
	k.ready = false
	return k
}

// touch makes a key ready if somebody waits for a value of type t there.
func (a *Awaited) touch(db int, key []byte, t Type) {
	if k := a.keys[db][string(key)]; k != nil && k.waits[t] > 0 && !k.ready {
		k.ready = true
		a.ready = append(a.ready, k)
	}
}

// touchAll makes all keys of a database ready, in the order of their names.
func (a *Awaited) touchAll(db int) {
	first := len(a.ready)
	for _, k := range a.keys[db] {
		if !k.ready {
			k.ready = true
			a.ready = append(a.ready, k)
		}
	}
	slices.SortFunc(a.ready[first:], func(x, y *AwaitedKey) int { return slices.Compare(x.Name, y.Name) })
}

// Await has what happens to keys noted in a; nil, nowhere. While nobody waits, a
// change costs one comparison.
func (k *Keyspace) Await(a *Awaited) { k.awaited = a }

// note notes what a change, which is about to be made, does to keys that somebody
// waits for. Where a stream goes, those that read it for a group must hear of it.
func (k *Keyspace) note(c *change) {
	a := k.awaited
	switch c.op {
	case opPut, opReplace:
		k.noteStream(c.db, c.key)
		a.touch(c.db, c.key, c.value.Type)
	case opEdit:
		if t, ok := k.typeOf(c.db, c.key); ok {
			a.touch(c.db, c.key, t)
		}
	case opDelete, opEvict:
		k.noteStream(c.db, c.key)
	case opMove, opCopy:
		if t, ok := k.typeOf(c.db, c.key); ok {
			k.noteStream(c.other, c.value.Packed)
			a.touch(c.other, c.value.Packed, t)
		}
		if c.op == opMove {
			k.noteStream(c.db, c.key)
		}
	case opFlush:
		a.touchAll(c.db)
	case opSwap:
		a.touchAll(c.db)
		a.touchAll(c.other)
	case opSplice, opExpire: // of strings, and of no value
	}
}

// noteStream notes that something happens to a key if it holds a stream.
func (k *Keyspace) noteStream(db int, key []byte) {
	if t, ok := k.typeOf(db, key); ok && t == Stream {
		k.awaited.touch(db, key, t)
	}
}

func (k *Keyspace) typeOf(db int, key []byte) (Type, bool) {
	d := k.dbs[db]
	_, p, ok := d.find(key)
	if !ok {
		return 0, false
	}
	return p.rec.content().typ, true
}
