package geohash

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// bigSin returns the sine of x, or with n = 0 the cosine, to more digits than
// needed.
func bigSin(x float64, n int) *big.Float {
	number := func(f float64) *big.Float { return new(big.Float).SetPrec(200).SetFloat64(f) }
	term, square := number(1), number(0).Mul(number(x), number(x))
	if n == 1 {
		term = number(x)
	}
	sum := number(0).Set(term)
	for range 40 {
		n += 2
		term.Quo(term.Neg(term.Mul(term, square)), number(float64(n*(n-1))))
		sum.Add(sum, term)
	}
	return sum
}

// Nearly all results are the nearest number.
func TestTrigonometryIsTheNearest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	wrong := map[string]int{}
	const rounds = 500
	for i := range rounds {
		scale := 1.0
		if i%2 == 1 {
			scale = math.Ldexp(1, -r.IntN(30))
		}
		x := (2*r.Float64() - 1) * math.Pi * scale
		if want, _ := bigSin(x, 1).Float64(); sin(x) != want {
			wrong["sin"]++
		}
		if want, _ := bigSin(x, 0).Float64(); cos(x) != want {
			wrong["cos"]++
		}
		a := r.Float64() * scale
		y := asin(a)
		if !nearestAsin(a, y) {
			wrong["asin"]++
		}
	}
	for name, n := range wrong {
		if n > 1 {
			t.Errorf("%s: %d of %d are not the nearest", name, n, rounds)
		}
	}
}

// nearestAsin reports whether y is the nearest number to the arc sine of x: the
// angle that differs from y by half a digit is on the other side.
func nearestAsin(x, y float64) bool {
	half := math.Abs(math.Nextafter(y, 4)-y) / 2
	s, c := bigSin(y, 1), bigSin(y, 0)
	miss := new(big.Float).Sub(new(big.Float).SetPrec(200).SetFloat64(x), s)
	off, _ := miss.Quo(miss, c).Float64()
	return math.Abs(off) <= half*(1+1e-9)
}

func TestTrigonometryAtTheEnds(t *testing.T) {
	for _, c := range []struct{ got, want float64 }{
		{sin(0), 0},
		{cos(0), 1},
		{asin(0), 0},
		{asin(1), math.Pi / 2},
		{sin(math.Pi / 2), 1},
		{sin(math.Pi), 0x1.1a62633145c07p-53},
		{sin(-math.Pi), -0x1.1a62633145c07p-53},
		{asin(math.Nextafter(1, 0)), 0x1.921fb50442d18p+00},
		{sin(1e-300), 1e-300},
		{asin(1e-300), 1e-300},
	} {
		if c.got != c.want {
			t.Errorf("got %x, want %x", c.got, c.want)
		}
	}
	if !math.IsNaN(asin(math.Nextafter(1, 2))) {
		t.Error("there is an arc sine of more than 1")
	}
}
