package reply

import (
	"errors"
	"math"
	"testing"
)

func TestWriterSpeaksBothProtocols(t *testing.T) {
	cases := []struct {
		name         string
		write        func(*Writer)
		resp2, resp3 string
	}{
		{"status", func(w *Writer) { w.OK() }, "+OK\r\n", "+OK\r\n"},
		{"null", func(w *Writer) { w.Null() }, "$-1\r\n", "_\r\n"},
		{"null array", func(w *Writer) { w.NullArray() }, "*-1\r\n", "_\r\n"},
		{"map", func(w *Writer) { w.Map(1); w.Int(1); w.Int(2) }, "*2\r\n:1\r\n:2\r\n", "%1\r\n:1\r\n:2\r\n"},
		{"set", func(w *Writer) { w.Set(1); w.Int(1) }, "*1\r\n:1\r\n", "~1\r\n:1\r\n"},
		{"push", func(w *Writer) { w.Push(0) }, "*0\r\n", ">0\r\n"},
		{"bool", func(w *Writer) { w.Bool(true) }, ":1\r\n", "#t\r\n"},
		{"double", func(w *Writer) { w.Double(3.1) }, "$18\r\n3.1000000000000001\r\n", ",3.1000000000000001\r\n"},
		{"infinity", func(w *Writer) { w.Double(math.Inf(-1)) }, "$4\r\n-inf\r\n", ",-inf\r\n"},
		{"verbatim", func(w *Writer) { w.Verbatim("txt", "hi") }, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"},
		{
			"bulk of unknown length",
			func(w *Writer) { w.Int(1); w.BulkOf(func(dst []byte) []byte { return append(dst, "hello, world"...) }) },
			":1\r\n$12\r\nhello, world\r\n", ":1\r\n$12\r\nhello, world\r\n",
		},
		{"error with line break", func(w *Writer) { w.Error("ERR a\r\nb") }, "-ERR a  b\r\n", "-ERR a  b\r\n"},
		{
			"array of unknown length",
			func(w *Writer) { m := w.Mark(); w.Int(7); w.Int(8); w.EndArray(m, 2) },
			"*2\r\n:7\r\n:8\r\n", "*2\r\n:7\r\n:8\r\n",
		},
		{
			"map of unknown length",
			func(w *Writer) { w.Int(0); m := w.Mark(); w.Int(7); w.Int(8); w.EndMap(m, 1) },
			":0\r\n*2\r\n:7\r\n:8\r\n", ":0\r\n%1\r\n:7\r\n:8\r\n",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for proto, want := range map[Proto]string{RESP2: c.resp2, RESP3: c.resp3, Discard: ""} {
				w := NewWriter(proto, nil)
				c.write(w)
				if got := string(w.Bytes()); got != want {
					t.Errorf("protocol %d: got %q, want %q", proto, got, want)
				}
			}
		})
	}
}

// The wanted texts are what printf("%.17g") gives.
func TestAppendDouble(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0", 3: "3", -3: "-3", 100: "100", 0.1: "0.10000000000000001", 1e15: "1000000000000000",
		1e16: "10000000000000000", 1e17: "1e+17", 1.5e300: "1.5000000000000001e+300", 1e-5: "1.0000000000000001e-05",
		math.MaxFloat64: "1.7976931348623157e+308", math.Copysign(0, -1): "-0", 1 << 53: "9007199254740992",
	} {
		if got := string(AppendDouble(nil, f)); got != want {
			t.Errorf("%v: got %s, want %s", f, got, want)
		}
	}
}

func TestReadIsIncompleteAtEveryCut(t *testing.T) {
	whole := "%1\r\n$3\r\nfoo\r\n*3\r\n:1\r\n_\r\n=6\r\ntxt:hi\r\n"
	for i := range whole {
		if _, _, err := Read([]byte(whole[:i])); !errors.Is(err, ErrIncomplete) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	v, rest, err := Read([]byte(whole + "+next\r\n"))
	if err != nil || string(rest) != "+next\r\n" || len(v.Elems) != 2 || len(v.Elems[1].Elems) != 3 {
		t.Fatalf("got %+v, rest %q, error %v", v, rest, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nfoo\r\n:1\r\n"))
	f.Add([]byte("*1000000000\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, rest, err := Read(b)
		if err == nil && len(rest) >= len(b) {
			t.Fatalf("a reply of no bytes in %q", b)
		}
	})
}

// BenchmarkLarge writes a reply of a million elements.
func BenchmarkLarge(b *testing.B) {
	element := []byte("element:0000001")
	b.ReportAllocs()
	for b.Loop() {
		w := NewWriter(RESP2, nil)
		w.Array(1_000_000)
		for range 1_000_000 {
			w.Bulk(element)
		}
	}
}
