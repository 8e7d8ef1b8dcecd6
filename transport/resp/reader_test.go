package resp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// pieces is a Source that hands out its pieces one after the other, then
// io.EOF.
type pieces struct {
	left [][]byte
	read int
}

func (p *pieces) Read(b []byte) (int, error) {
	for len(p.left) > 0 && len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	p.left[0] = p.left[0][n:]
	p.read += n
	return n, nil
}

func (p *pieces) ReadIdle(get func() []byte, _ func([]byte)) ([]byte, int, error) {
	buf := get()
	n, err := p.Read(buf)
	return buf, n, err
}

func cut(input []byte, size int) *pieces {
	p := &pieces{}
	for len(input) > 0 {
		n := min(size, len(input))
		p.left = append(p.left, append([]byte(nil), input[:n]...))
		input = input[n:]
	}
	return p
}

var testLimits = Limits{Bulk: 512 << 20, Query: 1 << 30}

func fixed(l Limits) func() Limits { return func() Limits { return l } }

// readAll takes everything down: commands as words in quotes, then the error.
func readAll(src Source, l Limits, trusted bool) (commands []string, err error) {
	r := NewReader(src, fixed(l))
	defer r.Close()
	for {
		batch, err := r.Next(trusted)
		if err != nil {
			return commands, err
		}
		for _, args := range batch {
			commands = append(commands, fmt.Sprintf("%q", args))
		}
	}
}

func TestReader(t *testing.T) {
	const ping = "*1\r\n$4\r\nPING\r\n"
	for _, tc := range []struct {
		name, in string
		want     []string
		err      string // "" is the end of the input
	}{
		{"one", ping, []string{`["PING"]`}, ""},
		{"pipeline", ping + "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", []string{`["PING"]`, `["ECHO" ""]`}, ""},
		{"inline", "SET a \"b c\"\r\n\r\nPING\n", []string{`["SET" "a" "b c"]`, `["PING"]`}, ""},
		{"empty arrays are skipped", "*0\r\n*-1\r\n*-5\r\n" + ping, []string{`["PING"]`}, ""},
		{"the bytes after a bulk are skipped", "*1\r\n$4\r\nPINGxx" + ping, []string{`["PING"]`, `["PING"]`}, ""},
		{"half a command", ping + "*2\r\n$4\r\nEC", []string{`["PING"]`}, ""},
		{"commands before a bad frame", ping + "*1\r\n$x\r\n", []string{`["PING"]`}, "invalid bulk length"},
		{"bulk 2^63-1", "*1\r\n$9223372036854775807\r\n", nil, "invalid bulk length"},
		{"bulk 2^64", "*1\r\n$18446744073709551616\r\n", nil, "invalid bulk length"},
		{"bulk -1", "*1\r\n$-1\r\n", nil, "invalid bulk length"},
		{"bulk -2", "*1\r\n$-2\r\n", nil, "invalid bulk length"},
		{"bulk -0", "*1\r\n$-0\r\n", nil, "invalid bulk length"},
		{"bulk of no digits", "*1\r\n$\r\n", nil, "invalid bulk length"},
		{"bulk over the limit", "*1\r\n$536870913\r\n", nil, "invalid bulk length"},
		{"multibulk 2^31", "*2147483648\r\n", nil, "invalid multibulk length"},
		{"multibulk 1e30", "*1e30\r\n", nil, "invalid multibulk length"},
		{"multibulk with space", "* 1\r\n", nil, "invalid multibulk length"},
		{"multibulk with sign", "*+1\r\n", nil, "invalid multibulk length"},
		{"multibulk with zero", "*01\r\n", nil, "invalid multibulk length"},
		{"multibulk of no digits", "*\r\n", nil, "invalid multibulk length"},
		{"nested array", "*1\r\n*1\r\n$4\r\nPING\r\n", nil, "expected '$', got '*'"},
		{"status", "*1\r\n+PING\r\n", nil, "expected '$', got '+'"},
		{"unbalanced quotes", "SET \"a\r\n", nil, "unbalanced quotes in request"},
		{"inline of 65000", strings.Repeat("x", 65000) + "\r\n", []string{fmt.Sprintf("[%q]", strings.Repeat("x", 65000))}, ""},
		{"inline without end", strings.Repeat("x", 70000), nil, "too big inline request"},
		{"inline too long", strings.Repeat("x", 70000) + "\r\n", nil, "too big inline request"},
		{"multibulk without end", "*1" + strings.Repeat("0", 70000), nil, "too big mbulk count string"},
		{"bulk head without end", "*1\r\n$1" + strings.Repeat("0", 70000), nil, "too big bulk count string"},
		{"a million arguments announced", "*1048577\r\n$1\r\na\r\n", nil, ""},
		{"half a gigabyte announced", "*1\r\n$536870912\r\nabc", nil, ""},
		{"big bulk", "*2\r\n$1\r\na\r\n$100000\r\n" + strings.Repeat("y", 100000) + "\r\n" + ping, []string{fmt.Sprintf("[%q %q]", "a", strings.Repeat("y", 100000)), `["PING"]`}, ""},
		{"NULs", strings.Repeat("\x00", 100) + "\r\n" + ping, []string{`["PING"]`}, ""},
	} {
		for _, size := range []int{1 << 30, 7, 1} {
			if size == 1 && len(tc.in) > 80000 {
				continue // no news, and slow
			}
			got, err := readAll(cut([]byte(tc.in), size), testLimits, true)
			if fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("%s, in pieces of %d: got %.300q, want %.300q", tc.name, size, got, tc.want)
			}
			want := io.EOF
			if tc.err != "" {
				want = ProtocolError(tc.err)
			}
			if !errors.Is(err, want) {
				t.Errorf("%s, in pieces of %d: error %v, want %v", tc.name, size, err, want)
			}
		}
	}
}

func TestUntrusted(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     error
	}{
		{"ten arguments", "*10\r\n" + strings.Repeat("$1\r\na\r\n", 10), io.EOF},
		{"eleven arguments", "*11\r\n", ProtocolError("unauthenticated multibulk length")},
		{"bulk of 16385", "*1\r\n$16385\r\n", ProtocolError("unauthenticated bulk length")},
	} {
		if _, err := readAll(cut([]byte(tc.in), 100), testLimits, false); !errors.Is(err, tc.want) {
			t.Errorf("%s: error %v, want %v", tc.name, err, tc.want)
		}
	}

	// What is behind AUTH in the same write is judged after AUTH.
	in := "*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n*12\r\n" + strings.Repeat("$1\r\na\r\n", 12)
	r := NewReader(cut([]byte(in), 1<<20), fixed(testLimits))
	if batch, err := r.Next(false); err != nil || len(batch) != 1 {
		t.Fatalf("first batch: %d commands, %v", len(batch), err)
	}
	if batch, err := r.Next(true); err != nil || len(batch) != 1 || len(batch[0]) != 12 {
		t.Errorf("second batch: %q, %v", batch, err)
	}
}

// The memory of a big argument that is done with is used for smaller ones: what comes
// behind those is not theirs.
func TestBigArgumentsOfOtherSizes(t *testing.T) {
	var in strings.Builder
	var want []string
	for _, n := range []int{100_000, 50_000, 40_000, 70_000, 33_000} {
		value := strings.Repeat("v", n)
		fmt.Fprintf(&in, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n*1\r\n$4\r\nPING\r\n", n, value)
		fmt.Fprintf(&in, "*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$%d\r\n%s\r\n$1\r\nb\r\n$%d\r\n%[2]s\r\n", n, value, n)
		want = append(want, "SET k "+value, "PING", "MSET a "+value+" b "+value)
	}
	for _, size := range []int{64 << 10, 1000, 1 << 20} {
		r := NewReader(cut([]byte(in.String()), size), fixed(testLimits))
		var got []string
		for {
			batch, err := r.Next(true)
			if err != nil {
				break
			}
			for _, args := range batch {
				got = append(got, string(bytes.Join(args, []byte(" "))))
			}
		}
		r.Close()
		if !slices.Equal(got, want) {
			t.Errorf("in pieces of %d: %d commands of %d, or others", size, len(got), len(want))
		}
	}
}

func TestQueryLimit(t *testing.T) {
	limits := Limits{Bulk: 1 << 20, Query: 1 << 20}
	arg := "$100000\r\n" + strings.Repeat("z", 100000) + "\r\n"
	for name, in := range map[string]string{
		"many big arguments":   "*100\r\n" + strings.Repeat(arg, 100),
		"many small arguments": "*1000000\r\n" + strings.Repeat("$4\r\nabcd\r\n", 1<<20),
	} {
		src := cut([]byte(in), 64<<10)
		if _, err := readAll(src, limits, true); !errors.Is(err, ErrQueryTooLarge) {
			t.Errorf("%s: error %v", name, err)
		}
		if src.read > 2<<20 {
			t.Errorf("%s: %d bytes were read", name, src.read)
		}
	}
}

// Memory follows what arrives, not what is announced, and is let go.
func TestReaderMemory(t *testing.T) {
	head := "*2\r\n$1\r\na\r\n$536870912\r\nabc"
	src := cut([]byte(head), 1<<20)
	r := NewReader(src, fixed(testLimits))
	if _, err := r.Next(true); err != io.EOF {
		t.Fatal(err)
	}
	if n := holds(r); n > 256<<10 {
		t.Errorf("half a gigabyte announced takes %d bytes", n)
	}

	var in bytes.Buffer
	fmt.Fprintf(&in, "*100001\r\n$4\r\nMSET\r\n")
	for range 100000 {
		in.WriteString("$10\r\n0123456789\r\n")
	}
	for range 3 {
		in.WriteString("*1\r\n$4\r\nPING\r\n")
	}
	r = NewReader(cut(in.Bytes(), 50000), fixed(testLimits))
	for {
		if _, err := r.Next(true); err != nil {
			break
		}
	}
	if n := holds(r); n > 128<<10 {
		t.Errorf("after a large command, %d bytes are held", n)
	}
}

func holds(r *Reader) int64 {
	query, free, complete := r.Memory()
	return query + free + complete
}

func TestNextDoesNotAllocate(t *testing.T) {
	src := &endless{data: bytes.Repeat([]byte("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n"), 16)}
	r := NewReader(src, fixed(testLimits))
	for range 10 {
		if _, err := r.Next(true); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = r.Next(true) }); n > 0.1 {
		t.Errorf("Next allocates %.1f times", n)
	}
}

// endless gives the same bytes again and again.
type endless struct {
	data []byte
	at   int
}

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.data[e.at:])
	e.at = (e.at + n) % len(e.data)
	return n, nil
}

func (e *endless) ReadIdle(get func() []byte, _ func([]byte)) ([]byte, int, error) {
	buf := get()
	n, err := e.Read(buf)
	return buf, n, err
}

// However the bytes are cut, the same commands and the same error come out.
func FuzzReader(f *testing.F) {
	f.Add([]byte("*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$1\r\nx\r\nGET \"a\\x41\"\r\n"), uint8(3))
	f.Add([]byte("*0\r\n*-1\r\n*3\r\n$33000\r\nab"), uint8(1))
	f.Add([]byte("*1\r\n$5\r\nabcdexx\r\n'"), uint8(5))
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		small := Limits{Bulk: 1 << 16, Query: 1 << 20}
		want, wantErr := readAll(cut(in, 1<<20), small, true)
		got, err := readAll(cut(in, int(size)+1), small, true)
		if fmt.Sprint(got) != fmt.Sprint(want) || !errors.Is(err, wantErr) {
			t.Errorf("in pieces of %d: %q, %v\nat once: %q, %v", int(size)+1, got, err, want, wantErr)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	src := &endless{data: bytes.Repeat([]byte("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$64\r\n"+strings.Repeat("x", 64)+"\r\n"), 16)}
	r := NewReader(src, fixed(testLimits))
	for b.Loop() {
		if _, err := r.Next(true); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(16*b.N), "ns/command")
}
