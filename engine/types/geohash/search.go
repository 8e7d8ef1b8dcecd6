package geohash

import "math"

// Shape is a circle or a box around a center.
type Shape struct {
	Center Point
	// Unit is the metres of the unit that the lengths are in.
	Unit float64
	// Radius is a circle's.
	Radius float64
	// Box says that it is a box, of a width and a height.
	Box           bool
	Width, Height float64
}

// Contains returns the distance of p from the center, in metres, and whether p is in
// the shape. The width of a box is measured along p's parallel.
func (s *Shape) Contains(p Point) (distance float64, ok bool) {
	if !s.Box {
		radius := mul(s.Radius, s.Unit)
		// No place is nearer than its parallel; that is known at a tenth of the cost.
		if latDistance(p.Lat, s.Center.Lat) > radius*(1+1e-9) {
			return 0, false
		}
		distance = Distance(s.Center, p)
		return distance, !(distance > radius)
	}
	if latDistance(p.Lat, s.Center.Lat) > mul(s.Height, s.Unit)/2 {
		return 0, false
	}
	if Distance(p, Point{Lon: s.Center.Lon, Lat: p.Lat}) > mul(s.Width, s.Unit)/2 {
		return 0, false
	}
	return Distance(s.Center, p), true
}

// reach returns the distance from the center to the shape's farthest point, in metres.
func (s *Shape) reach() float64 {
	if !s.Box {
		return s.Radius * s.Unit
	}
	return math.Sqrt(mul(s.Width/2, s.Width/2)+mul(s.Height/2, s.Height/2)) * s.Unit
}

// bounds returns the area of coordinates that the shape lies in. Towards the pole that
// it is nearer to it becomes wider.
func (s *Shape) bounds() area {
	height, width := s.Radius, s.Radius
	if s.Box {
		height, width = s.Height/2, s.Width/2
	}
	lat := mul(height, s.Unit) / earthRadius / degree
	nearPole := s.Center.Lat + lat
	if s.Center.Lat < 0 {
		nearPole = s.Center.Lat - lat
	}
	lon := mul(width, s.Unit) / earthRadius / cos(mul(nearPole, degree)) / degree
	return area{
		west: s.Center.Lon - lon, east: s.Center.Lon + lon,
		south: s.Center.Lat - lat, north: s.Center.Lat + lat,
	}
}

// Span is the numbers from From to below Limit.
type Span struct{ From, Limit uint64 }

// cellsMax is how many cells are looked through: one and its neighbours.
const cellsMax = 9

// AppendSpans appends the spans of numbers that may lie in the shape, in the order in
// which redis-server looks through them.
func (s *Shape) AppendSpans(dst []Span) []Span {
	cells, n := s.cells()
	for i := range n {
		dst = append(dst, cells[i].span())
	}
	return dst
}

// cells returns the n cells that cover the shape: the one that its center is in, and
// those of its neighbours that the shape reaches.
func (s *Shape) cells() (cells [cellsMax]cell, n int) {
	step := stepFor(s.reach(), s.Center.Lat)
	middle := cellOf(s.Center, step)
	wanted := func(int, int) bool { return true }
	if step > 1 { // else the cells are halves of the earth, and all are wanted
		bounds := s.bounds()
		if !middle.neighboursCover(bounds) {
			step--
			middle = cellOf(s.Center, step)
		}
		if inner := middle.area(); step > 1 {
			wanted = func(east, north int) bool {
				return !(north < 0 && inner.south < bounds.south || north > 0 && inner.north > bounds.north ||
					east < 0 && inner.west < bounds.west || east > 0 && inner.east > bounds.east)
			}
		}
	}
	cells[0], n = middle, 1
	last := cell{} // of those before but the middle
	for _, d := range neighbours {
		if !wanted(d.east, d.north) {
			continue
		}
		// Around a sphere of few cells two neighbours may be the same.
		if c := middle.moved(d.east, d.north); c != last {
			cells[n], last = c, c
			n++
		}
	}
	return cells, n
}

// neighbours are the ways to a cell's neighbours in redis-server's order.
var neighbours = [cellsMax - 1]struct{ east, north int }{
	{0, 1}, {0, -1}, {1, 0}, {-1, 0}, {1, 1}, {-1, 1}, {1, -1}, {-1, -1},
}

// mercatorMax is half of the earth's circumference in Web Mercator, in metres.
const mercatorMax = 20037726.37

// stepFor returns of how many bits each coordinate of a cell is to be, so that it and
// its neighbours cover a circle of a radius around a latitude.
func stepFor(radius, lat float64) uint {
	if radius == 0 {
		return stepMax
	}
	step := 1
	for ; radius < mercatorMax; step++ {
		radius *= 2
	}
	step -= 2                          // most circles cross a border of cells
	if lat = math.Abs(lat); lat > 66 { // parallels are short
		step--
		if lat > 80 {
			step--
		}
	}
	return uint(min(max(step, 1), stepMax))
}
