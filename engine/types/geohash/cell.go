package geohash

// A cell is all places whose coordinates have the same first bits, step of each.
type cell struct {
	bits uint64
	step uint
}

// area is a cell's, in degrees.
type area struct{ west, east, south, north float64 }

// cellOf returns the cell that p is in. East and north of the last cell, where no
// place is, there is one more: for a place on the very edge.
func cellOf(p Point, step uint) cell {
	return cell{bits: interleave(p, LatMax, step), step: step}
}

// area returns the area of the cell.
func (c cell) area() area {
	lat, lon := gather(c.bits), gather(c.bits>>1)
	scale := float64(uint64(1) << c.step)
	at := func(i uint32, low, span float64) float64 { return low + mul(float64(i)/scale, span) }
	return area{
		west:  at(lon, LonMin, LonMax-LonMin),
		east:  at(lon+1, LonMin, LonMax-LonMin),
		south: at(lat, LatMin, LatMax-LatMin),
		north: at(lat+1, LatMin, LatMax-LatMin),
	}
}

// span returns the numbers of the places in the cell.
func (c cell) span() Span {
	shift := 2 * (stepMax - c.step)
	return Span{From: c.bits << shift, Limit: (c.bits + 1) << shift}
}

const (
	lonBits = 0xaaaaaaaaaaaaaaaa
	latBits = 0x5555555555555555
)

// moved returns the cell that is east and north of c by one cell, by minus one or by
// none. Behind the last one comes the first.
func (c cell) moved(east, north int) cell {
	lon := moved(c.bits, lonBits, latBits, c.step, east)
	lat := moved(c.bits, latBits, lonBits, c.step, north)
	return cell{bits: lon | lat, step: c.step}
}

// moved adds by to the number in own of the bits, those between, others, being
// another's. The number of a cell on the very edge is cut only when it moves.
func moved(bits, own, others uint64, step uint, by int) uint64 {
	unused := 64 - 2*step
	n, fill := bits&own, others>>unused // ones between make a carry pass
	switch by {
	case 0:
		return n
	case 1:
		n += fill + 1
	default:
		n = n | fill
		n -= fill + 1
	}
	return n & (own >> unused)
}

// neighboursCover reports whether the cells around c reach beyond b on each side.
func (c cell) neighboursCover(b area) bool {
	return !(c.moved(0, 1).area().north < b.north || c.moved(0, -1).area().south > b.south ||
		c.moved(1, 0).area().east < b.east || c.moved(-1, 0).area().west > b.west)
}
