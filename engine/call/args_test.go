package call

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestParseInt(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "1": 1, "-1": -1, "10": 10, "9223372036854775807": math.MaxInt64, "-9223372036854775808": math.MinInt64,
	} {
		if got, ok := ParseInt([]byte(s)); !ok || got != want {
			t.Errorf("%q: got %d, %t", s, got, ok)
		}
	}
	for _, s := range []string{
		"", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1.0", "1e3", "0x1", "a", "1_0",
		"9223372036854775808", "-9223372036854775809", "111111111111111111111",
	} {
		if got, ok := ParseInt([]byte(s)); ok {
			t.Errorf("%q: got %d", s, got)
		}
	}
}

// Integers of any length read as all numbers do.
func TestParseFloatOfIntegers(t *testing.T) {
	for _, s := range []string{
		"0", "-0", "00", "-", "+", "+1", "--1", "1-", "-1", "007", "-007", "999999999999999", "-999999999999999", "9999999999999999", "9007199254740993",
		"123456789012345678901234567890", "1 ", " 1", "1_0", "1e3", "0x10",
	} {
		want, err := strconv.ParseFloat(s, 64)
		want16 := s == "0x10" // strtod takes it, strconv wants an exponent
		if want16 {
			want, err = 16, nil
		}
		wantOK := err == nil && !strings.Contains(s, "_")
		got, ok := ParseFloat([]byte(s))
		if ok != wantOK || ok && math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%q: got %v, %v, want %v, %v", s, got, ok, want, wantOK)
		}
	}
}

// What redis-server takes for a number was asked of it with ZADD.
func TestParseFloat(t *testing.T) {
	for s, want := range map[string]float64{
		"0": 0, "-1.5": -1.5, "+1": 1, ".5": 0.5, "5.": 5, "1e3": 1000, "0x10": 16, "0X1P3": 8, "0e-400": 0, "0x0p-9": 0,
		"inf": math.Inf(1), "-Infinity": math.Inf(-1), "1e-310": 1e-310, "4.9e-324": 5e-324,
	} {
		if got, ok := ParseFloat([]byte(s)); !ok || got != want {
			t.Errorf("%q: got %v, %t", s, got, ok)
		}
	}
	for _, s := range []string{
		"", ".", "-", "--1", " 1", "1 ", "\t1", "1e", "1x", "nan", "-NaN", "infinit", "1_0", "0x", "0x_1", "1\x00",
		"1e400", "-1e400", "1e-400", "0x1p-2000",
	} {
		if got, ok := ParseFloat([]byte(s)); ok {
			t.Errorf("%q: got %v", s, got)
		}
	}
}

func TestEqualFold(t *testing.T) {
	for _, s := range []string{"LIMIT", "limit", "LiMiT"} {
		if !EqualFold([]byte(s), "LIMIT") {
			t.Errorf("%s is not LIMIT", s)
		}
	}
	for _, s := range []string{"", "LIMI", "LIMITS", "L\tMIT"} {
		if EqualFold([]byte(s), "LIMIT") {
			t.Errorf("%s is LIMIT", s)
		}
	}
}

func TestEventsReadAsRedisWritesThem(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "KEA": "AKE", "KEg$lshzxetdmn": "AnKEm", "Eg$": "g$E", "xK": "xK", "Kgdmn": "gdnKm",
	} {
		e, ok := ParseEvents(s)
		if !ok || e.String() != want {
			t.Errorf("%q: got %q, %t; want %q", s, e, ok, want)
		}
	}
	if _, ok := ParseEvents("KEq"); ok {
		t.Error("q is no class of events")
	}
}

func TestRandFollowsFromItsSeed(t *testing.T) {
	a, b, other := NewRand(7, 1), NewRand(7, 1), NewRand(7, 2)
	if x, y, z := a.Uint64(), b.Uint64(), other.Uint64(); x != y || x == z {
		t.Errorf("got %d, %d and %d", x, y, z)
	}
	// The sequence is part of the state's history: it must not change.
	if got := NewRand(1, 0).Uint64(); got != 0xf18d6ce93d6cf1ee {
		t.Errorf("got %#x", got)
	}
	for range 1000 {
		if n := a.Uint64n(3); n > 2 {
			t.Fatalf("got %d of 3", n)
		}
	}
}
