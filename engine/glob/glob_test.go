package glob

import (
	"bufio"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestKeys compares with what redis-server answered: testdata/keys.txt has a
// line of keys, then in each line a pattern and the keys that it matches.
func TestKeys(t *testing.T) {
	f, err := os.Open("testdata/keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var keys []string
	checked := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "keys "); ok {
			keys = unquoteAll(t, rest)
			continue
		}
		words := unquoteAll(t, line)
		pattern, want := words[0], map[string]bool{}
		for _, k := range words[1:] {
			want[k] = true
		}
		for _, k := range keys {
			if got := Match(pattern, k); got != want[k] {
				t.Errorf("Match(%q, %q) = %v", pattern, k, got)
			}
			checked++
		}
	}
	if checked < 10_000 {
		t.Fatalf("only %d pairs compared", checked)
	}
}

func unquoteAll(t *testing.T, line string) []string {
	t.Helper()
	var out []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		q, err := strconv.QuotedPrefix(line)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		s, err := strconv.Unquote(q)
		if err != nil {
			t.Fatalf("%q: %v", q, err)
		}
		out, line = append(out, s), line[len(q):]
	}
	return out
}

func TestMatchFold(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"MAX*", "maxmemory", true},
		{"max*", "MAXMEMORY", true},
		{"m[A-C]x", "mbx", true},
		{"m[a-c]x", "mBx", true},
		{"m[B]x", "mbx", true},
		{`m[\B]x`, "mbx", false},
		{`m\Bx`, "mbx", true},
		{"maxmemory", "maxclients", false},
		{"\xc4", "\xe4", false},
	} {
		if got := MatchFold(c.pattern, []byte(c.s)); got != c.want {
			t.Errorf("MatchFold(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

// TestManyStars would not end in a lifetime if earlier stars were retried.
func TestManyStars(t *testing.T) {
	start := time.Now()
	s := strings.Repeat("a", 20_000)
	if Match(strings.Repeat("*", 20_000)+"b", s) || Match(strings.Repeat("a*", 20_000)+"b", s) {
		t.Error("matched a byte that is not there")
	}
	if !Match(strings.Repeat("*a", 20_000), s) {
		t.Error("no match for one star before each byte")
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

// naive says by trying everything what patterns of stars, question marks and
// letters match.
func naive(p, s string) bool {
	switch {
	case p == "":
		return s == ""
	case p[0] == '*':
		return naive(p[1:], s) || s != "" && naive(p, s[1:])
	case s == "":
		return false
	}
	return (p[0] == '?' || p[0] == s[0]) && naive(p[1:], s[1:])
}

func TestAgainstNaive(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(alphabet string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = alphabet[rnd.IntN(len(alphabet))]
		}
		return string(b)
	}
	for range 50_000 {
		p, s := pick("ab*?", rnd.IntN(9)), pick("ab", 1+rnd.IntN(9))
		if got, want := Match(p, s), naive(p, s); got != want {
			t.Fatalf("Match(%q, %q) = %v", p, s, got)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add([]byte("h[^a-c]*?\\*"), []byte("hello*"))
	f.Add([]byte("[^"), []byte("x"))
	f.Fuzz(func(t *testing.T, p, s []byte) {
		if len(s) > 0 && Match(p, s) && !Match(append([]byte("*"), p...), s) {
			t.Errorf("%q matches %q, but not with a star before it", p, s)
		}
		if len(s) > 0 && !Match(escape(s), s) {
			t.Errorf("%q does not match itself", s)
		}
		MatchFold(p, s)
	})
}

func escape(s []byte) []byte {
	var p []byte
	for _, c := range s {
		p = append(p, '\\', c)
	}
	return p
}
