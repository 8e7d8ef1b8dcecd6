package models

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
)

// dice makes choices of bytes, until there are none left.
type dice struct{ bytes []byte }

// randomBytes returns what a walk of a test is made of.
func randomBytes(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64())
	}
	return b[:n]
}

func (d *dice) over() bool { return len(d.bytes) == 0 }

// take returns a number of so many bytes; zeros stand for those that are missing.
func (d *dice) take(n int) uint64 {
	var b [8]byte
	d.bytes = d.bytes[copy(b[:n], d.bytes):]
	return binary.LittleEndian.Uint64(b[:])
}

// below returns a number from 0 to n-1.
func (d *dice) below(n int) int {
	if n <= 256 {
		return int(d.take(1)) % n
	}
	return int(d.take(4) % uint64(n))
}

// between returns a number from low to high.
func (d *dice) between(low, high int) int { return low + d.below(high-low+1) }

func (d *dice) coin() bool { return d.below(2) == 0 }

func pick[T any](d *dice, of ...T) T { return of[d.below(len(of))] }

// repeat returns from 1 to n words.
func repeat(d *dice, n int, word func() string) []string {
	words := make([]string, d.between(1, n))
	for i := range words {
		words[i] = word()
	}
	return words
}

// text returns what a value, a member or a field may be: few different ones, now
// and then one that no compact encoding takes.
func (d *dice) text() string {
	switch d.below(16) {
	case 0:
		return ""
	case 1:
		return strings.Repeat(pick(d, "ab", "x", "\x00\xff"), d.between(1, 90))
	case 2:
		return fmt.Sprint(int64(d.take(8)))
	case 3, 4, 5, 6:
		return fmt.Sprint(d.between(-20, 300))
	}
	return fmt.Sprint("m", d.below(40))
}
