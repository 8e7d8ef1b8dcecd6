package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const goldenRDB = "../../engine/rdb/testdata/redis-7.0.15-lru.rdb"

func inspect(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := runInspect(append([]string{"rdb"}, args...), &out)
	return out.String(), err
}

// rdbFile makes a file out of a body.
func rdbFile(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made.rdb")
	if err := os.WriteFile(path, []byte("REDIS0010"+body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestInspectText(t *testing.T) {
	got, err := inspect(t, "--biggest", "2", goldenRDB)
	if err != nil {
		t.Fatal(err)
	}
	want := goldenRDB + `: RDB version 10, 1.5 KiB, 20 keys, read to its end, written without a checksum

database  keys  with expiry  in the file
0         19    1            1.4 KiB
9         1     0            18 B

type    encoding   keys  elements  in the file  largest
stream  stream 2   2     6         810 B        769 B
list    quicklist  3     15        158 B        69 B
string  embstr     4     -         87 B         32 B
zset    skiplist   1     4         66 B         66 B
zset    listpack   1     4         61 B         61 B
string  int        3     -         52 B         22 B
string  raw        2     -         51 B         27 B
hash    hashtable  1     2         34 B         34 B
set     intset     1     3         31 B         31 B
hash    listpack   1     2         27 B         27 B
set     hashtable  1     3         25 B         25 B

biggest keys  database  type    encoding   elements  expires  key
769 B         0         stream  stream 2   6         never    stream
69 B          0         list    quicklist  5         never    plain

expires within  keys
never           19
later           1

library of functions  code
lib                   68 B

field       value
redis-ver   7.0.15
redis-bits  64
`
	if !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s\nwant it to begin\n%s", got, want)
	}
}

func TestInspectJSON(t *testing.T) {
	text, err := inspect(t, "--json", goldenRDB)
	if err != nil {
		t.Fatal(err)
	}
	var c census
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	whole, _ := os.Stat(goldenRDB)
	keys, inDatabases := 0, 0
	for _, f := range c.Forms {
		keys += f.Keys
	}
	for _, db := range c.Databases {
		inDatabases += db.Keys
	}
	if keys != c.Keys || inDatabases != c.Keys || c.Keys != 20 || c.Bytes != whole.Size() || !c.Complete || c.Checksum || len(c.Biggest) != 10 {
		t.Errorf("%s", text)
	}
}

// TestInspectRanksKeys has keys of equal size, which stay in the file's order.
func TestInspectRanksKeys(t *testing.T) {
	body := "\xFE\x00"
	for _, kv := range []string{"a 1", "b 22", "c\xff 1", "d 333", "e 22", "f 22"} {
		key, value, _ := strings.Cut(kv, " ")
		body += "\x00" + string(byte(len(key))) + key + string(byte(len(value)+1)) + value + "x"
	}
	text, err := inspect(t, "--json", "--biggest", "4", rdbFile(t, body+"\xFF\x00\x00\x00\x00\x00\x00\x00\x00"))
	if err != nil {
		t.Fatal(err)
	}
	var c census
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range c.Biggest {
		got = append(got, k.Key)
	}
	if want := `d b c\xff e`; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestInspectModules reads what a redis-server with modules has written.
func TestInspectModules(t *testing.T) {
	const id = "\x81\x45\xE2\x52\x38\xDF\x91\x2C\x03" // ReJSON-RL, version 3
	text, err := inspect(t, rdbFile(t, "\xF7"+id+"\x02\x01\x02\x05\x00"+"\xFE\x00"+"\xFC\x00\x00\x00\x00\x00\x00\x00\x00"+"\x07\x03key"+id+"\x05\x04text\x00"+
		"\x00\x01k\x01v\xFF\x00\x00\x00\x00\x00\x00\x00\x00"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 keys", "module  ReJSON-RL  1 ", "ReJSON-RL  2 times", "1970-01-01 00:00:00"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

func TestInspectErrors(t *testing.T) {
	whole, err := os.ReadFile(goldenRDB)
	if err != nil {
		t.Fatal(err)
	}
	golden := string(whole[len("REDIS0010"):])
	for _, c := range []struct{ name, file, out, err string }{
		{"no such file", "/no/such.rdb", "", "no such file"},
		{"a directory", t.TempDir(), "", "name the RDB file in it"},
		{"another file", "inspect.go", "", "this is no RDB file"},
		{"cut off", rdbFile(t, golden[:600]), "NOT read to its end", "at byte 609: "},
		{"cut off", rdbFile(t, golden[:600]), "type ", "Copy it again"},
		{"damaged", rdbFile(t, strings.Replace(golden, "\xFE\x09", "\x3F\x09", 1)), "19 keys", "the file is damaged"},
		{"checksum", rdbFile(t, golden[:len(golden)-8]+"12345678"), "20 keys", "checksum"},
		{"of an old module", rdbFile(t, "\x06\x01k\x81module12"), "0 keys", "leave that out"},
	} {
		out, err := inspect(t, c.file)
		if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(out, c.out) {
			t.Errorf("%s: error %v, want %q; output %q", c.name, err, c.err, out)
		}
	}
	for _, args := range [][]string{nil, {"aof"}, {"rdb"}, {"rdb", "a", "b"}, {"rdb", "--biggest", "-1", "a"}} {
		if err := runInspect(args, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), inspectUsage) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestProgress(t *testing.T) {
	clock := time.Unix(0, 0)
	var shown bytes.Buffer
	p := &progress{in: strings.NewReader(strings.Repeat("x", 4000)), out: &shown, what: "reading", total: 4000, begun: clock, now: func() time.Time {
		clock = clock.Add(400 * time.Millisecond)
		return clock
	}}
	b := make([]byte, 1000)
	for range 2 {
		if _, err := p.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	want := "reading [###############               ]  50%, 2.4 KiB/s, 1s left"
	if got := strings.TrimSpace(shown.String()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.done()
	if !strings.HasSuffix(shown.String(), " \r") {
		t.Errorf("the line stays: %q", shown.String())
	}
	p.total = 0
	if got, want := p.line(5<<30, time.Second), "reading 5.0 GiB, 5.0 GiB/s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
