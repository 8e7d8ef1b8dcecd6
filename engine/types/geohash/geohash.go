// Package geohash makes numbers of places on the earth, so that those of near places
// are near, and tells which numbers may lie in a circle or a box, as Redis does.
//
// A place's number interleaves the bits of its latitude and its longitude, 26 of
// each, halving the range by every bit. Redis keeps it as the score of a sorted set.
// The poles have no number: latitudes end where Web Mercator's do.
//
// All nodes must come to the same digits, so no result here hangs on the processor:
// products are rounded before they are added to.
package geohash

import "math"

const (
	// LonMax and LatMax are the largest coordinates, LonMin and LatMin the least,
	// in degrees.
	LonMax, LonMin = 180, -180
	LatMax, LatMin = 85.05112878, -85.05112878

	stepMax = 26 // bits of each coordinate in a number
)

// Point is a place, in degrees.
type Point struct{ Lon, Lat float64 }

// Valid reports whether p has a number.
func (p Point) Valid() bool {
	return p.Lon >= LonMin && p.Lon <= LonMax && p.Lat >= LatMin && p.Lat <= LatMax
}

// Encode returns the number of a place, which must be valid.
func Encode(p Point) uint64 { return cellOf(p, stepMax).bits }

// Decode returns the middle of the places that have a number. Any score of a sorted
// set is taken for one, as redis-server takes it.
func Decode(score float64) Point {
	a := cell{bits: bitsOf(score), step: stepMax}.area()
	return Point{
		Lon: min(max((a.west+a.east)/2, LonMin), LonMax),
		Lat: min(max((a.south+a.north)/2, LatMin), LatMax),
	}
}

// bitsOf converts a score as C programs do on the machines that redis-server is
// mostly used on, where C itself leaves open what happens.
func bitsOf(score float64) uint64 {
	switch {
	case score >= 1<<64:
		return 0
	case score >= 0:
		return uint64(score)
	case score >= -1<<63:
		return uint64(int64(score))
	}
	return 1 << 63
}

const alphabet = "0123456789bcdefghjkmnpqrstuvwxyz"

// textLen is the length of a place's text.
const textLen = 11

// Text returns the place as geohash.org writes it, where latitudes go up to the poles.
// It has fewer bits than the last letter needs, which is always 0.
func Text(p Point) (text [textLen]byte) {
	bits := interleave(p, 90, stepMax)
	for i := range textLen - 1 {
		text[i] = alphabet[bits>>(2*stepMax-5*(i+1))&31]
	}
	text[textLen-1] = alphabet[0]
	return text
}

// interleave returns the first step bits of each coordinate, the longitude's first,
// where latitudes go up to latMax.
func interleave(p Point, latMax float64, step uint) uint64 {
	scale := float64(uint64(1) << step)
	lat := uint32((p.Lat + latMax) / (2 * latMax) * scale)
	lon := uint32((p.Lon + LonMax) / (2 * LonMax) * scale)
	return spread(lat) | spread(lon)<<1
}

// spread puts a zero before every bit of x.
func spread(x uint32) uint64 {
	v := uint64(x)
	v = (v | v<<16) & 0x0000ffff0000ffff
	v = (v | v<<8) & 0x00ff00ff00ff00ff
	v = (v | v<<4) & 0x0f0f0f0f0f0f0f0f
	v = (v | v<<2) & 0x3333333333333333
	return (v | v<<1) & 0x5555555555555555
}

// gather is the reverse of spread: it takes every second bit.
func gather(v uint64) uint32 {
	v &= 0x5555555555555555
	v = (v | v>>1) & 0x3333333333333333
	v = (v | v>>2) & 0x0f0f0f0f0f0f0f0f
	v = (v | v>>4) & 0x00ff00ff00ff00ff
	v = (v | v>>8) & 0x0000ffff0000ffff
	return uint32(v | v>>16)
}

// earthRadius is in metres, as Redis has it.
const earthRadius = 6372797.560856

// degree is an angle of one in radians, with the digits that it has in C.
const degree = float64(math.Pi) / 180

// Distance returns the distance of two places on a sphere, in metres.
func Distance(a, b Point) float64 {
	v := sin((mul(b.Lon, degree) - mul(a.Lon, degree)) / 2)
	if v == 0 {
		return latDistance(a.Lat, b.Lat)
	}
	lat1, lat2 := mul(a.Lat, degree), mul(b.Lat, degree)
	u := sin((lat2 - lat1) / 2)
	h := mul(u, u) + mul(mul(mul(cos(lat1), cos(lat2)), v), v)
	return mul(2*earthRadius, asin(math.Sqrt(h)))
}

// latDistance returns the distance of two places on one meridian.
func latDistance(lat1, lat2 float64) float64 {
	return mul(earthRadius, math.Abs(mul(lat2, degree)-mul(lat1, degree)))
}
