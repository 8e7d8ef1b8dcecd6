package geohash

import (
	"math"
	"math/big"
)

// Sine, cosine and arc sine that are the same on all processors: math's functions
// are not, for a compiler may multiply and add in one where the processor can, and
// an operation rounded less is another result. Here every product is rounded by an
// explicit conversion, or exact.
//
// Results carry some 65 bits until they are rounded at the end. So they are the
// nearest number but for one in thousands, and so are those of the C library that
// redis-server is linked with, whose digits STOREDIST shows.
//
// An angle is split into the nearest of a table, a multiple of 1/64, and a rest,
// whose series end soon.

// A double is the sum of two numbers, of which lo is less than half a digit of hi.
type double struct{ hi, lo float64 }

// mul is a product that is rounded before anything is added to it.
func mul(a, b float64) float64 { return float64(a * b) }

// exactProduct returns a*b.
func exactProduct(a, b float64) double {
	p := float64(a * b)
	return double{p, math.FMA(a, b, -p)}
}

// exactSum returns a+b, where a is the larger one.
func exactSum(a, b float64) double {
	s := a + b
	return double{s, b - (s - a)}
}

// plus returns d+e.
func (d double) plus(e double) double {
	s := d.hi + e.hi
	part := s - d.hi
	low := (d.hi - (s - part)) + (e.hi - part)
	return exactSum(s, low+d.lo+e.lo)
}

// times returns d*e.
func (d double) times(e double) double {
	p := exactProduct(d.hi, e.hi)
	return exactSum(p.hi, p.lo+(mul(d.hi, e.lo)+mul(d.lo, e.hi)))
}

func (d double) negated() double { return double{-d.hi, -d.lo} }

const (
	tableStep = 64
	tableLen  = 102 // up to a right angle
)

// pi is the number of that name. It is lo more than math.Pi as a number.
var pi = double{math.Pi, 0x1.1a62633145c07p-53}

// angleTable holds the sines and cosines of the multiples of 1/64.
type angleTable struct{ sines, cosines [tableLen]double }

var angles = makeAngles()

// makeAngles makes the table: each angle is the one before turned by 1/64.
func makeAngles() *angleTable {
	number := func(x float64) *big.Float { return new(big.Float).SetPrec(160).SetFloat64(x) }
	stepSin, stepCos := number(0), number(0)
	term := number(1)
	for n := range 20 { // the series of the exponential function, its terms in turn
		switch n % 4 {
		case 0:
			stepCos.Add(stepCos, term)
		case 1:
			stepSin.Add(stepSin, term)
		case 2:
			stepCos.Sub(stepCos, term)
		case 3:
			stepSin.Sub(stepSin, term)
		}
		term.Quo(term, number(tableStep*float64(n+1)))
	}
	t := &angleTable{}
	sin, cos := number(0), number(1)
	for i := range tableLen {
		t.sines[i], t.cosines[i] = doubleOf(sin), doubleOf(cos)
		nextSin := number(0).Mul(sin, stepCos)
		nextSin.Add(nextSin, number(0).Mul(cos, stepSin))
		nextCos := number(0).Mul(cos, stepCos)
		nextCos.Sub(nextCos, number(0).Mul(sin, stepSin))
		sin, cos = nextSin, nextCos
	}
	return t
}

func doubleOf(f *big.Float) double {
	hi, _ := f.Float64()
	lo, _ := new(big.Float).Sub(f, big.NewFloat(hi)).Float64()
	return double{hi, lo}
}

// fold returns an angle of up to a right one that has the sine of x, which is
// between 0 and pi.
func fold(x float64) (angle double, obtuse bool) {
	if x <= math.Pi/2 {
		return double{hi: x}, false
	}
	return exactSum(pi.hi-x, pi.lo), true
}

// split returns the place of an angle's nearest one in the table, and the rest.
func split(angle double) (i int, rest double) {
	nearest := math.RoundToEven(mul(angle.hi, tableStep))
	return int(nearest), double{angle.hi - nearest/tableStep, angle.lo}
}

// sinRest returns what the sine of a rest has more than the rest itself, and
// cosRest what its cosine has more than 1.
func sinRest(r float64) float64 {
	x := mul(r, r)
	p := mul(x, -1.0/5040) + 1.0/120
	p = mul(x, p) - 1.0/6
	return mul(mul(x, p), r)
}

func cosRest(r float64) float64 {
	x := mul(r, r)
	p := mul(x, 1.0/40320) - 1.0/720
	p = mul(x, p) + 1.0/24
	p = mul(x, p) - 0.5
	return mul(x, p)
}

// turned returns a*cos(r) + b*sin(r).
func turned(a, b, r double) float64 {
	sum := a.plus(exactProduct(b.hi, r.hi))
	small := mul(a.hi, cosRest(r.hi)) + mul(b.hi, sinRest(r.hi)) + mul(b.lo, r.hi) + mul(b.hi-mul(a.hi, r.hi), r.lo)
	return sum.hi + (sum.lo + small)
}

// sin returns the sine of x, which is between -pi and pi.
func sin(x float64) float64 {
	angle, _ := fold(math.Abs(x))
	i, r := split(angle)
	return math.Copysign(turned(angles.sines[i], angles.cosines[i], r), x)
}

// cos returns the cosine of x, which is between -pi and pi.
func cos(x float64) float64 {
	angle, obtuse := fold(math.Abs(x))
	i, r := split(angle)
	c := turned(angles.cosines[i], angles.sines[i].negated(), r)
	if obtuse {
		return -c
	}
	return c
}

// asin returns the arc sine of x, which is not negative; of more than 1 there is
// none.
func asin(x float64) float64 {
	if x > 1 {
		return math.NaN()
	}
	t := angles
	i := t.below(x)
	// The sine of the rest of the angle, by the difference of two angles.
	s := double{hi: x}
	if i > 0 {
		adjacent := root(double{hi: 1}.plus(exactProduct(x, x).negated()))
		s = double{hi: x}.times(t.cosines[i]).plus(adjacent.times(t.sines[i]).negated())
	}
	sum := double{hi: float64(i) / tableStep}.plus(s)
	return sum.hi + (sum.lo + asinRest(s.hi))
}

// root returns the square root of d.
func root(d double) double {
	if d.hi == 0 {
		return double{}
	}
	r := math.Sqrt(d.hi)
	return exactSum(r, (math.FMA(-r, r, d.hi)+d.lo)/(2*r))
}

// below returns the place of the last angle up to a right one whose sine is no more
// than x.
func (t *angleTable) below(x float64) int {
	i, limit := 0, 101 // 100/64 is less than half of pi
	for limit-i > 1 {
		if middle := (i + limit) / 2; t.sines[middle].hi <= x {
			i = middle
		} else {
			limit = middle
		}
	}
	return i
}

// asinRest returns what the arc sine of a small s has more than s itself.
func asinRest(s float64) float64 {
	x := mul(s, s)
	p := mul(x, 35.0/1152) + 5.0/112
	p = mul(x, p) + 3.0/40
	p = mul(x, p) + 1.0/6
	return mul(mul(x, p), s)
}
