package transcript

import (
	"crypto/sha1"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/transcript/notation"
)

const sample = `# A comment.

config zset-max-listpack-entries 3

# Another.
run unordered=2 local pairs come as they like
HGETALL "k\x00"
times 3 SADD k m$i
----
1) "a"
---- resp3
(empty map)

script twice
# no comment: a script's line
return ARGV[1] * 2

run
EVAL @twice 0 21
EVALSHA sha@twice 0 @none
----

advance 1500ms

reset

# The end.
`

func TestFormatGivesBackWhatWasParsed(t *testing.T) {
	steps, err := parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	if got := format(steps); got != sample {
		t.Errorf("got\n%s\nwant\n%s", got, sample)
	}
	run := steps[1]
	if run.sortBy != 2 || run.local != "pairs come as they like" || run.line != 6 {
		t.Errorf("got %+v", run)
	}
	if got := run.commands[1].args(2); string(got[2]) != "m2" || run.commands[1].times != 3 {
		t.Errorf("second time: %q, %d times", got, run.commands[1].times)
	}
	if got := run.want(reply.RESP3); !slices.Equal(got, []string{"(empty map)"}) {
		t.Errorf("RESP3 replies: %q", got)
	}
	text := "# no comment: a script's line\nreturn ARGV[1] * 2"
	use := steps[3].commands
	if got := use[0].words[1]; got != text {
		t.Errorf("@twice is %q", got)
	}
	if got := use[1].words; got[1] != fmt.Sprintf("%x", sha1.Sum([]byte(text))) || got[3] != "@none" {
		t.Errorf("EVALSHA: %q", got)
	}
}

func TestTimesAreHidden(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	v := reply.Value{Kind: reply.KindArray, Elems: []reply.Value{
		{Kind: reply.KindInt, Int: 1_700_000_000_123},
		{Kind: reply.KindInt, Int: 1_600_000_000_000},
		{Kind: reply.KindInt},
		{Kind: reply.KindBulk, Text: []byte("1700000000000")},
		{Kind: reply.KindBulk, Text: []byte("1700000000001-7")},
		{Kind: reply.KindBulk, Text: []byte("1600000000000-7")},
	}}
	hideTimes(&v, now)
	want := []string{
		"1) (integer) now", "2) (integer) 1600000000000", "3) (integer) 0", `4) "1700000000000"`,
		`5) "now-7"`, `6) "1600000000000-7"`,
	}
	if got := notation.Lines(v); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"unknown step":          "walk\n",
		"script without name":   "script\nreturn 1\n",
		"local without reason":  "run local\nGET k\n",
		"ours without reason":   "run unordered ours\nGET k\n",
		"unknown option":        "run sorted\nGET k\n",
		"no group":              "run unordered=0\nGET k\n",
		"unbalanced quotes":     "run\nGET \"k\n",
		"comment inside a step": "run\n# no\nGET k\n",
		"long directive":        "reset\nGET k\n",
		"times without command": "run\ntimes 3\n",
		"not a duration":        "advance 3\n",
	} {
		if _, err := parse(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSplit(t *testing.T) {
	for text, want := range map[string][]string{
		`SET k v`:                   {"SET", "k", "v"},
		`  SET   k ""`:              {"SET", "k", ""},
		`SET k "\x00\xfF\n\"\\ \q"`: {"SET", "k", "\x00\xff\n\"\\ q"},
		`SET k 'a\'b\n "'`:          {"SET", "k", `a'b\n "`},
	} {
		got, err := split(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v", text, got, err)
		}
	}
}

func TestNotation(t *testing.T) {
	for name, c := range map[string]struct{ raw, want string }{
		"status":       {"+OK\r\n", "OK"},
		"error":        {"-ERR no\r\n", "(error) ERR no"},
		"integer":      {":-1\r\n", "(integer) -1"},
		"bulk":         {"$5\r\na\"\n\x00\xff\r\n", `"a\"\n\x00\xff"`},
		"null bulk":    {"$-1\r\n", "(nil)"},
		"null array":   {"*-1\r\n", "(nil array)"},
		"null":         {"_\r\n", "(nil)"},
		"double":       {",1.5\r\n", "(double) 1.5"},
		"bool":         {"#t\r\n", "(true)"},
		"verbatim":     {"=6\r\ntxt:hi\r\n", `(verbatim) "txt:hi"`},
		"empty array":  {"*0\r\n", "(empty array)"},
		"nested array": {"*2\r\n*2\r\n:1\r\n:2\r\n:3\r\n", "1) 1) (integer) 1\n   2) (integer) 2\n2) (integer) 3"},
		"map":          {"%1\r\n$1\r\nk\r\n*2\r\n:1\r\n:2\r\n", "1# \"k\" => 1) (integer) 1\n          2) (integer) 2"},
		"set":          {"~1\r\n:1\r\n", "1~ (integer) 1"},
	} {
		v, _, err := reply.Read([]byte(c.raw))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(notation.Lines(v), "\n"); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

func TestSortReply(t *testing.T) {
	for name, c := range map[string]struct {
		raw   string
		group int
		want  string
	}{
		"elements":    {"*3\r\n:3\r\n:1\r\n:2\r\n", 1, "1 2 3"},
		"flat pairs":  {"*4\r\n:3\r\n:1\r\n:2\r\n:9\r\n", 2, "2 9 3 1"},
		"map":         {"%2\r\n:3\r\n:1\r\n:2\r\n:9\r\n", 1, "2 9 3 1"},
		"scan":        {"*2\r\n:7\r\n*2\r\n:2\r\n:1\r\n", 1, "7 [1 2]"},
		"pair arrays": {"*2\r\n*2\r\n:5\r\n:1\r\n*2\r\n:4\r\n:2\r\n", 2, "[4 2] [5 1]"},
	} {
		v, _, err := reply.Read([]byte(c.raw))
		if err != nil {
			t.Fatal(err)
		}
		notation.Sort(&v, c.group)
		if got := flat(v.Elems); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func flat(elems []reply.Value) string {
	var parts []string
	for _, e := range elems {
		if e.Elems != nil {
			parts = append(parts, "["+flat(e.Elems)+"]")
			continue
		}
		parts = append(parts, strings.TrimPrefix(notation.Lines(e)[0], "(integer) "))
	}
	return strings.Join(parts, " ")
}
