package keyspace

import "github.com/quorate/quorate/engine/types/chain"

// A handle is the number of an object in its store's handle table. 0 is none.
type handle uint32

// handles is a table of objects. It keeps the sum of what they occupy.
//
// An object changes after the call that announced it, so its size is taken a little later: when recentLen other
// objects were announced since, or when it is announced again. Reading the sum measures the recent ones on the spot.
type handles struct {
	slots  paged[objectSlot] // number 0 is never used
	free   []handle
	recent [recentLen]handle // objects changed since they were measured; 0 where none
	next   int               // place in recent for the next one
	sum    int64             // of the slots' bytes
	chain  *chain.Chain      // the keyspace's, which objects join
}

type objectSlot struct {
	object Object
	bytes  int
	first  int64 // when the first field expires, as the index has it, of a hash; see fields.go
}

const (
	recentLen = 8
	slotBytes = 32 // of an objectSlot
)

func (t *handles) object(h handle) Object { return t.slots.at(uint32(h)).object }

func (t *handles) add(o Object) handle {
	var h handle
	if n := len(t.free); n > 0 {
		h = t.free[n-1]
		t.free = t.free[:n-1]
	} else {
		if t.slots.len == 0 {
			t.slots.grow() // 0 stands for none
		}
		h = handle(t.slots.grow())
	}
	s := t.slots.at(uint32(h))
	s.object, s.first = o, firstExpiry(o)
	o.Join(t.chain)
	t.measure(h)
	return h
}

func (t *handles) drop(h handle) {
	s := t.slots.at(uint32(h))
	t.sum -= int64(s.bytes)
	*s = objectSlot{}
	t.free = append(t.free, h)
}

func (t *handles) measure(h handle) {
	s := t.slots.at(uint32(h))
	if s.object == nil {
		return
	}
	bytes := s.object.MemBytes()
	t.sum += int64(bytes - s.bytes)
	s.bytes = bytes
}

// changing tells that the object of h is about to change.
func (t *handles) changing(h handle) {
	t.measure(h)
	for _, r := range t.recent {
		if r == h {
			return
		}
	}
	if old := t.recent[t.next]; old != 0 {
		t.measure(old)
	}
	t.recent[t.next] = h
	t.next = (t.next + 1) % recentLen
}

// bytes returns what all objects occupy.
func (t *handles) bytes() int64 {
	sum := t.sum + int64(t.slots.len)*slotBytes
	for _, h := range t.recent {
		if h == 0 {
			continue
		}
		if s := t.slots.at(uint32(h)); s.object != nil {
			sum += int64(s.object.MemBytes() - s.bytes)
		}
	}
	return sum
}

// A blob is a packed value too long for its record. It has spare capacity when it has grown.
//
// Invariant: while shared, bytes below len(b) at the time of sharing are not changed in place.
type blob struct {
	b      []byte
	shared bool // Freeze gave b's memory away
}

// Freeze implements Object.
func (o *blob) Freeze() Object {
	o.shared = true
	return &blob{b: o.b[:len(o.b):len(o.b)], shared: true}
}

// MemBytes implements Object.
func (o *blob) MemBytes() int { return cap(o.b) + 32 }

// Join implements Object. Whoever splices a blob has told the chain.
func (o *blob) Join(*chain.Chain) {}

// Mix implements Object.
func (o *blob) Mix(c *chain.Chain) { c.Bytes(o.b) }

// splice writes data at off, with zero bytes before it where the blob is shorter.
func (o *blob) splice(off int, data []byte) {
	old := len(o.b)
	end := off + len(data)
	switch {
	case end > cap(o.b):
		grown := make([]byte, max(old, end), roomFor(end))
		copy(grown, o.b)
		o.b, o.shared = grown, false
	case o.shared && off < old:
		o.b, o.shared = append(make([]byte, 0, cap(o.b)), o.b...), false
	}
	if end > old {
		o.b = o.b[:end]
		clear(o.b[old:max(old, min(off, end))])
	}
	copy(o.b[off:], data)
}

// roomFor returns the capacity for a blob that has just grown to n bytes: double while small, then a quarter more.
func roomFor(n int) int {
	if n < 1<<20 {
		return 2 * n
	}
	return n + n/4
}
