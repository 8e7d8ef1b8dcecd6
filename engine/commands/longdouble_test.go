package commands

import (
	"strings"
	"testing"
)

// The sums are what redis-server 7.0.15 on amd64 makes of INCRBYFLOAT.
func TestLongDouble(t *testing.T) {
	for _, c := range []struct{ a, b, sum string }{
		{"0", "10.50", "10.5"},
		{"10.5", "0.1", "10.6"},
		{"5.0e3", "2.0e2", "5200"},
		{"1e18", "0.1", "1000000000000000000.125"},
		{"3", "-3", "0"},
		{"0", "-0", "0"},
		{"-1e-20", "0", "0"},
		{"0x10", "0x1.8p1", "19"},
		{"+1", ".5", "1.5"},
		{"1.", "1E0", "2"},
		{"010", "1", "11"},
	} {
		a, okA := parseLongDouble([]byte(c.a))
		b, okB := parseLongDouble([]byte(c.b))
		if !okA || !okB {
			t.Errorf("%s or %s is refused", c.a, c.b)
			continue
		}
		sum, ok := addLongDouble(a, b)
		if !ok {
			t.Errorf("%s + %s is not finite", c.a, c.b)
			continue
		}
		if got := string(appendLongDouble(nil, sum)); got != c.sum {
			t.Errorf("%s + %s = %s, want %s", c.a, c.b, got, c.sum)
		}
	}
}

func TestLongDoubleRefuses(t *testing.T) {
	for _, s := range []string{
		"", " 1", "1 ", "nan", "-nan", "1e", "e1", ".", "0x", "1_0", "0b1", "++1", "1e5000", "-1e5000", "1e-5000",
		"1e99999999999999999999", "infinit", "i", "1.2.3", strings.Repeat("1", 5*1024),
	} {
		if f, ok := parseLongDouble([]byte(s)); ok {
			t.Errorf("%.20q is taken for %v", s, f)
		}
	}
	largest, _ := parseLongDouble([]byte("1.1e4932"))
	if _, ok := addLongDouble(largest, largest); ok {
		t.Error("a sum out of range is finite")
	}
	infinite, ok := parseLongDouble([]byte("-Inf"))
	if !ok || !infinite.IsInf() {
		t.Error("infinity is refused")
	}
	if _, ok := addLongDouble(infinite, largest); ok {
		t.Error("a sum with infinity is finite")
	}
}
