package nemesis

import (
	"math/rand/v2"
	"sync"
	"time"
)

// link is what a proxy does to the bytes that flow from one node to another. The
// zero value lets them pass.
type link struct {
	// Each read's bytes wait for delay and up to jitter more; they stay in order.
	delay, jitter time.Duration
	// At most drip bytes are written at once, with dripEvery between; 0: no
	// limit.
	drip int
	// One bit in about flip bytes is turned over; 0: none is.
	flip int
	// Nothing passes, and no connection ends.
	hang bool
}

const (
	dripEvery = 2 * time.Millisecond
	chunkMax  = 16 << 10
	chunksMax = 64 // that wait in a pipe, each of up to chunkMax bytes
)

// mesh is the directed links between nodes.
type mesh struct {
	mu      sync.Mutex
	links   map[[2]int]link // guarded by mu; from, to
	changed chan struct{}   // guarded by mu; closed at the next change
}

func newMesh() *mesh { return &mesh{links: make(map[[2]int]link), changed: make(chan struct{})} }

// get returns a link, and a channel that is closed when any of them changes.
func (m *mesh) get(from, to int) (link, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.links[[2]int{from, to}], m.changed
}

// set makes links bad; nil makes all of them good.
func (m *mesh) set(links map[[2]int]link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.links = links
	close(m.changed)
	m.changed = make(chan struct{})
}

// wait returns how long the bytes of one read wait.
func (l link) wait(r *rand.Rand) time.Duration {
	d := l.delay
	if l.jitter > 0 {
		d += time.Duration(r.Int64N(int64(l.jitter)))
	}
	return d
}

// spoil turns bits over, one in about l.flip bytes, and returns how many.
func (l link) spoil(b []byte, r *rand.Rand) (flipped int) {
	if l.flip <= 0 {
		return 0
	}
	for at := r.IntN(2 * l.flip); at < len(b); at += 1 + r.IntN(2*l.flip) {
		b[at] ^= 1 << r.IntN(8)
		flipped++
	}
	return flipped
}
