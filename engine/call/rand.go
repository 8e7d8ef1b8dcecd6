package call

import "math/bits"

// Rand is a generator whose sequence follows from its seed alone.
//
// The algorithm is SplitMix64 (Steele, Lea, Flood: Fast Splittable
// Pseudorandom Number Generators, 2014). It must never change: the nodes of a
// cluster run it side by side.
type Rand struct{ state uint64 }

// NewRand returns the generator of the command at position pos of log entry
// index.
func NewRand(index, pos uint64) *Rand {
	r := new(Rand)
	r.Seed(index, pos)
	return r
}

// Seed starts r anew, as NewRand does.
func (r *Rand) Seed(index, pos uint64) {
	r.state = index
	r.state = r.Uint64() ^ pos
	r.Uint64()
}

// Uint64 returns the next number.
func (r *Rand) Uint64() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Uint64n returns a number in [0, n). n must not be 0.
func (r *Rand) Uint64n(n uint64) uint64 {
	hi, _ := bits.Mul64(r.Uint64(), n) // bias below n/2^64
	return hi
}
