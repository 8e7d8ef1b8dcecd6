package geohash

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestKnownPlaces(t *testing.T) {
	for _, c := range []struct {
		place  Point
		number uint64
		text   string
	}{
		{Point{13.361389, 38.115556}, 3479099956230698, "sqc8b49rny0"}, // Redis' documentation
		{Point{15.087269, 37.502669}, 3479447370796909, "sqdtr74hyu0"},
		{Point{LonMin, LatMin}, 0, "00bh0hbj200"},
	} {
		if n := Encode(c.place); n != c.number {
			t.Errorf("%v: number %d, want %d", c.place, n, c.number)
		}
		if text := Text(Decode(float64(c.number))); string(text[:]) != c.text {
			t.Errorf("%v: text %s, want %s", c.place, text, c.text)
		}
	}
	if d := Distance(Point{13.361389, 38.115556}, Point{15.087269, 37.502669}); math.Abs(d-166274.15) > 1 {
		t.Errorf("from Palermo to Catania it is %v m", d)
	}
}

func randomPoint(r *rand.Rand) Point {
	return Point{Lon: r.Float64()*360 - 180, Lat: r.Float64()*170 - 85}
}

// A place's number leads to a place less than a step away, which has the same number.
func TestNumbersAreOfNearPlaces(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		p := randomPoint(r)
		n := Encode(p)
		q := Decode(float64(n))
		if d := Distance(p, q); d > 0.6 {
			t.Fatalf("%v is %v m from %v", p, d, q)
		}
		if Encode(q) != n {
			t.Fatalf("%v: %d, and again %d", p, n, Encode(q))
		}
	}
}

// Distances are those of a plain formula with math's functions, and equal both ways.
func TestDistanceAgainstTheFormula(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		a, b := randomPoint(r), randomPoint(r)
		if r.IntN(2) == 0 {
			b = Point{a.Lon + r.Float64(), a.Lat + r.Float64()*0.01}
		}
		lat1, lat2 := a.Lat*math.Pi/180, b.Lat*math.Pi/180
		u, v := math.Sin((lat2-lat1)/2), math.Sin((b.Lon-a.Lon)*math.Pi/360)
		want := 2 * earthRadius * math.Asin(math.Sqrt(u*u+math.Cos(lat1)*math.Cos(lat2)*v*v))
		got := Distance(a, b)
		if math.Abs(got-want) > 1e-9*want+1e-6 || got != Distance(b, a) {
			t.Fatalf("from %v to %v: %v, back %v, want %v", a, b, got, Distance(b, a), want)
		}
	}
}

// Cells are left and come back to; those around have their edges in common.
func TestNeighbours(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	for range 5_000 {
		c := cellOf(randomPoint(r), uint(1+r.IntN(stepMax)))
		for _, d := range neighbours {
			if back := c.moved(d.east, d.north).moved(-d.east, -d.north); back != c {
				t.Fatalf("%v moved by %v and back is %v", c, d, back)
			}
		}
		here, east := c.area(), c.moved(1, 0).area()
		if here.east != east.west && here.east != LonMax {
			t.Fatalf("east of %v begins %v", here, east)
		}
	}
}

// Far from the poles and the date line every place in a shape has a number in one of
// its spans, and no number is in two.
func TestSpansCoverTheShape(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	for range 3_000 {
		s := Shape{Center: Point{r.Float64()*200 - 100, r.Float64()*100 - 50}, Unit: 1, Radius: math.Pow(10, r.Float64()*6)}
		if s.Box = r.IntN(2) == 0; s.Box {
			s.Width, s.Height = math.Pow(10, r.Float64()*6), math.Pow(10, r.Float64()*6)
		}
		spans := s.AppendSpans(nil)
		reach := s.reach() / earthRadius / degree
		for range 30 {
			p := Point{s.Center.Lon + (r.Float64()*2-1)*reach, s.Center.Lat + (r.Float64()*2-1)*reach}
			if !p.Valid() {
				continue
			}
			p = Decode(float64(Encode(p)))
			if _, ok := s.Contains(p); !ok {
				continue
			}
			n, in := Encode(p), 0
			for _, span := range spans {
				if span.From <= n && n < span.Limit {
					in++
				}
			}
			if in != 1 {
				t.Fatalf("%+v: %v, number %d, is in %d of %v", s, p, n, in, spans)
			}
		}
	}
}

// Whatever a score and a shape are, there is a place and a bounded search.
func FuzzSearch(f *testing.F) {
	f.Add(3479099956230698.0, 13.0, 38.0, 200.0, 1.0, 1000.0, true)
	f.Add(-1.5, -180.0, 85.05112878, math.Inf(1), 0.0, 0.3048, false)
	f.Add(math.Inf(1), 0.0, 0.0, 5e-324, 5e300, 1.0, true)
	f.Fuzz(func(t *testing.T, score, lon, lat, width, height, unit float64, box bool) {
		p := Decode(score)
		if !p.Valid() && !math.IsNaN(score) {
			t.Errorf("%v is at %v", score, p)
		}
		s := Shape{Center: Point{lon, lat}, Radius: width, Width: width, Height: height, Unit: unit, Box: box}
		if !s.Center.Valid() || !(width >= 0) || !(height >= 0) || !(unit > 0) {
			return
		}
		spans := s.AppendSpans(nil)
		if len(spans) == 0 || len(spans) > cellsMax {
			t.Errorf("%d spans", len(spans))
		}
		for _, span := range spans {
			if span.From >= span.Limit {
				t.Errorf("an empty span: %v", span)
			}
		}
		s.Contains(p)
	})
}

func BenchmarkContains(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 5))
	points := make([]Point, 1024)
	for i := range points {
		points[i] = Point{13 + r.Float64(), 38 + r.Float64()}
	}
	for name, radius := range map[string]float64{"in": 1e6, "out": 10} {
		b.Run(name, func(b *testing.B) {
			s := Shape{Center: Point{13.5, 38.5}, Radius: radius, Unit: 1}
			i := 0
			for b.Loop() {
				s.Contains(points[i%len(points)])
				i++
			}
		})
	}
}
