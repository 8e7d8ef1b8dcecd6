package hll

import "math"

// histogram counts the registers by what they hold. A dense form may hold more
// than any hash gives.
type histogram [1 << registerBits]int

// Count estimates how many different elements b has seen.
func Count(b []byte) (uint64, error) {
	var h histogram
	if IsDense(b) {
		h.addDense(b[headLen:])
	} else if err := h.addSparse(b); err != nil {
		return 0, err
	}
	return h.estimate(), nil
}

// Count estimates how many different elements the HyperLogLogs have seen
// together.
func (u *Union) Count() uint64 {
	var h histogram
	for _, rank := range u {
		h[rank&registerMask]++
	}
	return h.estimate()
}

func (h *histogram) addDense(registers []byte) {
	for ; len(registers) >= 3; registers = registers[3:] {
		v := uint32(registers[0]) | uint32(registers[1])<<8 | uint32(registers[2])<<16
		h[v&registerMask]++
		h[v>>6&registerMask]++
		h[v>>12&registerMask]++
		h[v>>18&registerMask]++
	}
}

func (h *histogram) addSparse(b []byte) error {
	if len(b) > sparseLenMax {
		return ErrCorrupt
	}
	n := 0
	for at := headLen; at < len(b); {
		op := opcodeAt(b, at)
		h[op.rank] += op.run
		n += op.run
		at += op.size
	}
	if n != Registers {
		return ErrCorrupt
	}
	return nil
}

// estimate is the estimator of Otmar Ertl, "New cardinality estimation algorithms
// for HyperLogLog sketches", arXiv:1702.01284, algorithm 6, as Redis has it.
//
// All nodes must come to the same number. No step depends on whether a processor
// multiplies and adds in one: every product that is added is exact, for one of
// its factors is a power of two.
func (h *histogram) estimate() uint64 {
	const (
		m        = float64(Registers)
		alphaInf = 0.5 / math.Ln2
	)
	z := m * tau((m-float64(h[rankMax]))/m)
	for rank := rankMax - 1; rank >= 1; rank-- {
		z = (z + float64(h[rank])) * 0.5
	}
	z += m * sigma(float64(h[0])/m)
	n := math.Round(alphaInf * m * m / z)
	if n >= staleBit { // also if z is 0: no HyperLogLog that elements were added to
		return staleBit // what redis-server gets where it overflows
	}
	return uint64(n)
}

// sigma is what the registers that hold zero add; x is their share.
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	z := x
	for y := 1.0; ; y += y {
		x *= x
		before := z
		z += x * y
		if z == before {
			return z
		}
	}
}

// tau is what the registers of the largest rank add; x is the share of others.
func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	z := 1 - x
	for y := 0.5; ; y *= 0.5 {
		x = math.Sqrt(x)
		before := z
		z -= (1 - x) * (1 - x) * y
		if z == before {
			return z / 3
		}
	}
}
