package models

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var bitmapKind = kind{
	new:   func() model { return &bitmapModel{bits: make(map[string][]bool)} },
	forms: []string{"int", "embstr", "raw"},
}

func TestBitmaps(t *testing.T) { testKind(t, bitmapKind) }
func FuzzBitmaps(f *testing.F) { fuzzKind(f, bitmapKind) }

// bitmapModel is the bits of all keys, always whole bytes of them.
type bitmapModel struct{ bits map[string][]bool }

func (m *bitmapModel) key(w *walk) string { return pick(&w.dice, "a", "b", "c", "d") }

func bitsOf(text string) []bool {
	var bits []bool
	for i := range len(text) {
		for bit := 7; bit >= 0; bit-- {
			bits = append(bits, text[i]>>bit&1 == 1)
		}
	}
	return bits
}

func textOf(bits []bool) string {
	text := make([]byte, len(bits)/8)
	for i, bit := range bits {
		if bit {
			text[i/8] |= 128 >> (i % 8)
		}
	}
	return string(text)
}

// reaching returns bits with zeros added, so that there are n at least, in whole bytes.
func reaching(bits []bool, n int) []bool {
	for len(bits) < n || len(bits)%8 != 0 {
		bits = append(bits, false)
	}
	return bits
}

func one(bit bool) int {
	if bit {
		return 1
	}
	return 0
}

func (m *bitmapModel) check(w *walk) {
	for _, key := range []string{"a", "b", "c", "d"} {
		bits, found := m.bits[key]
		w.want(one(found), "EXISTS", key)
		w.want(textOf(bits), "GETRANGE", key, "0", "-1")
		w.meet(key)
	}
}

func (m *bitmapModel) step(w *walk) {
	steps := []func(*walk, string){m.setbit, m.setbit, m.setbit, m.getbit, m.count, m.position, m.op, m.field, m.field, m.text}
	pick(&w.dice, steps...)(w, m.key(w))
}

func (m *bitmapModel) setbit(w *walk, key string) {
	at, bit := w.below(400), w.coin()
	bits := reaching(m.bits[key], at+1)
	old := bits[at]
	bits[at] = bit
	m.bits[key] = bits
	w.want(one(old), "SETBIT", key, fmt.Sprint(at), fmt.Sprint(one(bit)))
}

func (m *bitmapModel) getbit(w *walk, key string) {
	at, bits := w.below(500), m.bits[key]
	w.want(one(at < len(bits) && bits[at]), "GETBIT", key, fmt.Sprint(at))
}

// span draws the end of a command's arguments that says where to look, and tells
// which bits those are. Up to so many of the three arguments are given.
func (m *bitmapModel) span(w *walk, key string, given int) (args []string, from, limit int) {
	size := len(m.bits[key])
	if given == 0 {
		return nil, 0, size
	}
	unit, first, last := 8, w.between(-30, 30), w.between(-30, 30)
	args = []string{fmt.Sprint(first), fmt.Sprint(last)}
	if given == 1 {
		args, last = args[:1], -1
	}
	if given == 3 {
		args = append(args, pick(&w.dice, "BYTE", "BIT"))
		if args[2] == "BIT" {
			unit = 1
		}
	}
	whole := size / unit
	from, limit = part(first, last, whole)
	if last < -whole { // before the beginning is the beginning
		from, limit = part(first, 0, whole)
	}
	return args, from * unit, limit * unit
}

func (m *bitmapModel) count(w *walk, key string) {
	args, from, limit := m.span(w, key, pick(&w.dice, 0, 2, 3))
	if len(args) > 0 && backwards(args[0], args[1]) {
		limit = from
	}
	n := 0
	for _, bit := range m.bits[key][from:limit] {
		n += one(bit)
	}
	w.want(n, append([]string{"BITCOUNT", key}, args...)...)
}

// backwards reports whether two indexes from the end are in the wrong order. All
// commands but BITPOS find nothing there, however short the string is.
func backwards(first, last string) bool {
	return first[0] == '-' && last[0] == '-' && (len(first) < len(last) || len(first) == len(last) && first < last)
}

func (m *bitmapModel) position(w *walk, key string) {
	given, sought := w.below(4), w.coin()
	args, from, limit := m.span(w, key, given)
	bits, found := m.bits[key]
	want := -1
	if at := slices.Index(bits[from:limit], sought); at >= 0 {
		want = from + at
	} else if !sought && given < 2 && limit > from {
		want = limit // zeros follow a string whose end was not named
	}
	if !found {
		want = -one(sought)
	}
	w.want(want, append([]string{"BITPOS", key, fmt.Sprint(one(sought))}, args...)...)
}

func (m *bitmapModel) op(w *walk, key string) {
	name, sources := pick(&w.dice, "AND", "OR", "XOR", "NOT"), repeat(&w.dice, 4, func() string { return m.key(w) })
	if name == "NOT" {
		sources = sources[:1]
	}
	size := 0
	for _, s := range sources {
		size = max(size, len(m.bits[s]))
	}
	result := make([]bool, size)
	for i := range result {
		for n, s := range sources {
			bit := i < len(m.bits[s]) && m.bits[s][i]
			switch {
			case name == "NOT":
				result[i] = !bit
			case n == 0:
				result[i] = bit
			case name == "AND":
				result[i] = result[i] && bit
			case name == "OR":
				result[i] = result[i] || bit
			default:
				result[i] = result[i] != bit
			}
		}
	}
	if m.bits[key] = result; size == 0 {
		delete(m.bits, key)
	}
	w.want(size/8, append([]string{"BITOP", name, key}, sources...)...)
}

// integer is a type of BITFIELD.
type integer struct {
	signed bool
	size   int
}

func (t integer) String() string {
	if t.signed {
		return "i" + strconv.Itoa(t.size)
	}
	return "u" + strconv.Itoa(t.size)
}

// limits returns the least and the greatest number, and how many there are.
func (t integer) limits() (low, high, all *big.Int) {
	all = new(big.Int).Lsh(big.NewInt(1), uint(t.size))
	low = new(big.Int)
	if t.signed {
		low.Rsh(all, 1)
		low.Neg(low)
	}
	high = new(big.Int).Add(low, all)
	return low, high.Sub(high, big.NewInt(1)), all
}

// wrap returns the number of the type that has n's last bits.
func (t integer) wrap(n *big.Int) *big.Int {
	_, high, all := t.limits()
	n = new(big.Int).Mod(n, all)
	if n.Cmp(high) > 0 {
		n.Sub(n, all)
	}
	return n
}

func (t integer) read(bits []bool, at int) *big.Int {
	n := new(big.Int)
	for i := at; i < at+t.size; i++ {
		n.Lsh(n, 1)
		if i < len(bits) && bits[i] {
			n.SetBit(n, 0, 1)
		}
	}
	return t.wrap(n)
}

func (t integer) write(bits []bool, at int, n *big.Int) []bool {
	_, _, all := t.limits()
	n = new(big.Int).Mod(n, all)
	bits = reaching(bits, at+t.size)
	for i := range t.size {
		bits[at+i] = n.Bit(t.size-1-i) == 1
	}
	return bits
}

// within brings n into the type's limits in one of BITFIELD's ways; nil is FAIL's.
func (t integer) within(n *big.Int, way string) *big.Int {
	low, high, _ := t.limits()
	switch {
	case n.Cmp(low) >= 0 && n.Cmp(high) <= 0:
		return n
	case way == "WRAP":
		return t.wrap(n)
	case way == "FAIL":
		return nil
	case n.Cmp(low) < 0:
		return low
	}
	return high
}

func (m *bitmapModel) field(w *walk, key string) {
	var args []string
	var replies []any
	bits, way, writes := slices.Clone(m.bits[key]), "WRAP", false
	for range w.between(1, 4) {
		t := integer{w.coin(), w.between(1, 64)}
		if !t.signed {
			t.size = min(t.size, 63)
		}
		at := w.below(300)
		place := fmt.Sprint(at)
		if w.coin() {
			at = w.below(6) * t.size
			place = fmt.Sprint("#", at/t.size)
		}
		old := t.read(bits, at)
		by := big.NewInt(pick(&w.dice, int64(w.take(8)), int64(w.between(-200, 200))))
		switch w.below(4) {
		case 0:
			args = append(args, "GET", t.String(), place)
			replies = append(replies, old.Int64())
			continue
		case 1:
			way = pick(&w.dice, "WRAP", "SAT", "FAIL")
			args = append(args, "OVERFLOW", way)
			continue
		case 2:
			writes = true
			args = append(args, "SET", t.String(), place, by.String())
			if !t.signed { // the number is taken for one without a sign
				by = new(big.Int).SetUint64(uint64(by.Int64()))
			}
			next := t.within(by, way)
			replies = append(replies, reply64(old, next != nil))
			bits = written(t, bits, at, next)
		case 3:
			writes = true
			args = append(args, "INCRBY", t.String(), place, by.String())
			next := t.within(new(big.Int).Add(old, by), way)
			if next == nil {
				replies = append(replies, nil)
			} else {
				replies = append(replies, next.Int64())
			}
			bits = written(t, bits, at, next)
		}
	}
	if writes {
		m.bits[key] = bits
	}
	if !writes && !strings.Contains(strings.Join(args, " "), "OVERFLOW") && w.coin() {
		w.want(replies, append([]string{"BITFIELD_RO", key}, args...)...)
		return
	}
	w.want(replies, append([]string{"BITFIELD", key}, args...)...)
}

// reply64 returns a number as a reply; nil if nothing was done.
func reply64(n *big.Int, done bool) any {
	if !done {
		return nil
	}
	return n.Int64()
}

// written returns the bits after a write: longer even if nothing is written.
func written(t integer, bits []bool, at int, n *big.Int) []bool {
	if n == nil {
		return reaching(bits, at+t.size)
	}
	return t.write(bits, at, n)
}

func (m *bitmapModel) text(w *walk, key string) {
	switch w.below(6) {
	case 0:
		n := one(m.bits[key] != nil)
		delete(m.bits, key)
		w.want(n, "DEL", key)
	case 1, 2:
		text := pick(&w.dice, "12", "\xff\xff\xff", "abcdefgh", strings.Repeat("\xff", 60), strings.Repeat("\x00", 50)+"\x01")
		m.bits[key] = bitsOf(text)
		w.want(ok, "SET", key, text)
	case 3:
		m.bits[key] = append(m.bits[key], bitsOf("\xf0")...)
		w.want(len(m.bits[key])/8, "APPEND", key, "\xf0")
	case 4:
		w.want(len(m.bits[key])/8, "STRLEN", key)
	case 5:
		keys := slices.Sorted(maps.Keys(m.bits))
		w.wantSorted(keys, "KEYS", "*")
	}
}
