package words

import (
	"reflect"
	"testing"
)

func TestSplit(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		want       []string
	}{
		{"plain", "  set  a\tb ", []string{"set", "a", "b"}},
		{"empty", "   ", nil},
		{"escapes", `a "\x41\n\"b\q"`, []string{"a", "A\n\"bq"}},
		{"short hex", `"\x4" b`, []string{"x4", "b"}},
		{"single quotes", `'a\'b\n' c`, []string{`a'b\n`, "c"}},
		{"empty words", `"" ''`, []string{"", ""}},
		{"quote ends a word's text", `foo"bar" b`, []string{"foobar", "b"}},
		{"backslash outside quotes", `foo\ bar`, []string{`foo\`, "bar"}},
		{"NUL ends the line", "a b\x00c d", []string{"a", "b"}},
	} {
		words, ok := Split([]byte(tc.line))
		var got []string
		for _, w := range words {
			got = append(got, string(w))
		}
		if !ok || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: Split(%q) = %q, %t, want %q", tc.name, tc.line, got, ok, tc.want)
		}
	}
	for _, line := range []string{`"a`, `'a`, `"a"b`, `'a'b`, `"a\`, "\"a\x00\""} {
		if _, ok := Split([]byte(line)); ok {
			t.Errorf("Split(%q) is content with its quotes", line)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(`set "a\x00b" 'c'`)
	f.Add(`a"b`)
	f.Fuzz(func(t *testing.T, line string) {
		Split([]byte(line))
		words, ok := Split([]byte(Quote(line) + " x"))
		if !ok || len(words) != 2 || string(words[0]) != line {
			t.Errorf("quoted and split again, %q is %q, %t", line, words, ok)
		}
	})
}
