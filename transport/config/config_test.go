package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	for name, s := range byName {
		if name != strings.ToLower(name) {
			t.Errorf("%s is not in lower case", name)
		}
		got, err := s.canonical(s.Default, s.Default)
		if err != nil || got != s.Default {
			t.Errorf("%s: default %q is not canonical: %q, %v", name, s.Default, got, err)
		}
		if _, both := refused[name]; both {
			t.Errorf("%s is both known and refused", name)
		}
	}
}

func TestParseMemory(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "10b": 10, "1k": 1000, "1kb": 1024, "2MB": 2 << 20, "1g": 1e9, "3gB": 3 << 30, "": 0} {
		if got, ok := ParseMemory(text); !ok || got != want {
			t.Errorf("ParseMemory(%q) = %d, %t, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"-1", "1.5mb", "5kib", "kb", "9223372036854775807k", "1 kb", "x"} {
		if n, ok := ParseMemory(text); ok {
			t.Errorf("ParseMemory(%q) = %d", text, n)
		}
	}
}

func TestSetTexts(t *testing.T) {
	failed := func(name, why string) string {
		return "CONFIG SET failed (possibly related to argument '" + name + "') - " + why
	}
	for _, tc := range []struct {
		name  string
		pairs []Pair
		want  string
	}{
		{"unknown", []Pair{{"foo", "1"}}, "Unknown option or number of arguments for CONFIG SET - 'foo'"},
		{"twice", []Pair{{"maxmemory", "1"}, {"MAXMEMORY", "2"}}, failed("MAXMEMORY", "duplicate parameter")},
		{"immutable", []Pair{{"databases", "4"}}, failed("databases", "can't set immutable config")},
		{"protected", []Pair{{"dir", "/"}}, failed("dir", "can't set protected config")},
		{"no integer", []Pair{{"timeout", "1x"}}, failed("timeout", "argument couldn't be parsed into an integer")},
		{"leading zero", []Pair{{"timeout", "07"}}, failed("timeout", "argument couldn't be parsed into an integer")},
		{"range", []Pair{{"timeout", "-1"}}, failed("timeout", "argument must be between 0 and 2147483647 inclusive")},
		{"memory", []Pair{{"maxmemory", "5kib"}}, failed("maxmemory", "argument must be a memory value")},
		{"memory beyond all", []Pair{{"repl-backlog-size", "99999999999999999999"}}, failed("repl-backlog-size", "argument must be between 1 and 9223372036854775807 inclusive")},
		{"percentiles", []Pair{{"latency-tracking-info-percentiles", "50 x"}}, failed("latency-tracking-info-percentiles", "Invalid latency-tracking-info-percentiles parameters")},
		{"percentiles beyond", []Pair{{"latency-tracking-info-percentiles", "1e400"}}, failed("latency-tracking-info-percentiles", "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")},
		{"percent", []Pair{{"maxmemory-clients", "101%"}}, failed("maxmemory-clients", "percentage argument must be less or equal to 100")},
		{"bool", []Pair{{"protected-mode", "x"}}, failed("protected-mode", "argument must be 'yes' or 'no'")},
		{"enum", []Pair{{"loglevel", "x"}}, failed("loglevel", "argument(s) must be one of the following: debug, verbose, notice, warning")},
		{"words", []Pair{{"shutdown-on-sigterm", "now x"}}, failed("shutdown-on-sigterm", "argument(s) must be one of the following: default, save, nosave, now, force")},
		{"words that exclude each other", []Pair{{"shutdown-on-sigterm", "save nosave"}}, failed("shutdown-on-sigterm", "shutdown options SAVE and NOSAVE can't be used simultaneously")},
		{"save", []Pair{{"save", "900 1 x"}}, failed("save", "Invalid save parameters")},
		{"buffer class", []Pair{{"client-output-buffer-limit", "foo 1 2 3"}}, failed("client-output-buffer-limit", "Invalid client class specified in buffer limit configuration.")},
		{"events", []Pair{{"notify-keyspace-events", "q"}}, failed("notify-keyspace-events", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")},
	} {
		if err := New().Set(tc.pairs...); err == nil || err.Error() != tc.want {
			t.Errorf("%s: %v\nwant %s", tc.name, err, tc.want)
		}
	}
}

func TestSetAndGet(t *testing.T) {
	c := New()
	err := c.Set(Pair{"maxmemory", "10K"}, Pair{"client-output-buffer-limit", "replica 1 2kb 3"},
		Pair{"hash-max-ziplist-value", "1k"}, Pair{"notify-keyspace-events", "KEAn"}, Pair{"latency-tracking-info-percentiles", "50 99.50 100"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"maxmemory":                         "10000",
		"client-output-buffer-limit":        "normal 0 0 0 slave 1 2048 3 pubsub 33554432 8388608 60",
		"hash-max-listpack-value":           "1000",
		"notify-keyspace-events":            "AnKE",
		"latency-tracking-info-percentiles": "50 99.5 100",
	} {
		if got := c.String(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	got := c.Get("hash-max-*-value", "MAXMEMORY", "listen")
	want := []Pair{{"hash-max-listpack-value", "1000"}, {"hash-max-ziplist-value", "1000"}, {"listen", ""}, {"maxmemory", "10000"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Get = %q, want %q", got, want)
	}
	for _, p := range c.Get("*") {
		if s, _ := Lookup(p.Name); s.Has(Hidden) {
			t.Errorf("CONFIG GET * shows %s", p.Name)
		}
	}
}

// A refused value leaves everything as it was, and hooks that had heard of
// the new values hear of the old ones again.
func TestSetRollsBack(t *testing.T) {
	c := New()
	var heard []string
	c.OnSet("timeout", func(v string) error {
		heard = append(heard, v)
		return nil
	})
	c.OnSet("maxclients", func(v string) error {
		if v == "7" {
			return errors.New("not seven")
		}
		return nil
	})
	err := c.Set(Pair{"timeout", "5"}, Pair{"maxclients", "7"}, Pair{"maxmemory", "9"})
	if err == nil || !strings.HasSuffix(err.Error(), "'maxclients') - not seven") {
		t.Errorf("error %v", err)
	}
	if c.Int("timeout") != 0 || c.Int("maxclients") != 10000 || c.Int("maxmemory") != 0 {
		t.Errorf("timeout %d, maxclients %d, maxmemory %d after a refused change", c.Int("timeout"), c.Int("maxclients"), c.Int("maxmemory"))
	}
	if want := []string{"5", "0"}; !reflect.DeepEqual(heard, want) {
		t.Errorf("hook heard %q, want %q", heard, want)
	}
}

// A certificate and its key are of no use one without the other.
func TestHooksSeeTheWholeChange(t *testing.T) {
	c := New()
	for _, name := range []string{"tls-cert-file", "tls-key-file"} {
		c.OnSet(name, func(string) error {
			if cert, key := c.String("tls-cert-file"), c.String("tls-key-file"); cert != key {
				return fmt.Errorf("certificate %q with the key of %q", cert, key)
			}
			return nil
		})
	}
	if err := c.Set(Pair{"tls-cert-file", "a"}, Pair{"tls-key-file", "a"}); err != nil {
		t.Error(err)
	}
	if err := c.Set(Pair{"tls-cert-file", "b"}, Pair{"tls-key-file", "c"}); err == nil || c.String("tls-cert-file") != "a" || c.String("tls-key-file") != "a" {
		t.Errorf("error %v, and then certificate %q with the key of %q", err, c.String("tls-cert-file"), c.String("tls-key-file"))
	}
}

func TestClusterValuesAreTheClustersToSet(t *testing.T) {
	c := New()
	ch, err := c.Prepare([]Pair{{"timeout", "5"}, {"hll-sparse-max-bytes", "1kb"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Pair{{"hll-sparse-max-bytes", "1024"}}; !reflect.DeepEqual(ch.Cluster(), want) {
		t.Errorf("Cluster() = %q, want %q", ch.Cluster(), want)
	}
	if err := c.Commit(ch); err != nil {
		t.Fatal(err)
	}
	if c.Int("timeout") != 5 || c.Int("hll-sparse-max-bytes") != 3000 {
		t.Errorf("after Commit: timeout %d, hll-sparse-max-bytes %d", c.Int("timeout"), c.Int("hll-sparse-max-bytes"))
	}
	c.Rollback(ch)
	if c.Int("timeout") != 0 {
		t.Errorf("after Rollback: timeout %d", c.Int("timeout"))
	}
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestParse(t *testing.T) {
	dir := t.TempDir()
	more := write(t, dir, "more.conf", "timeout 9\nsave 1 2\n")
	path := write(t, dir, "main.conf", "# a comment\nPORT 7001\nsave 900 1\nsave 300 10\ninclude "+more+"\n"+
		"requirepass \"a\\x20b\"\nrename-command GET Fetch\nrename-command FLUSHALL \"\"\nlisten a :7100 tls\nlisten b 0.0.0.0:7101 advertise h:1 redirect always\nio-threads 4\nport 7002\n")
	c, err := Parse([]string{path, "--appendfsync", "everysec", "--bind", "127.0.0.1", "-::1", "--join", "a:1,b:2", "--timeout", "3"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"port": "7002", "save": "900 1 300 10 1 2", "timeout": "3", "requirepass": "a b", "appendfsync": "everysec",
		"bind": "127.0.0.1 -::1", "join": "a:1,b:2", "rename-command": `get fetch flushall ""`,
		"listen": "a :7100 tls, b 0.0.0.0:7101 advertise h:1 redirect always",
	} {
		if got := c.String(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if w := c.Warnings(); len(w) != 1 || !strings.Contains(w[0], "io-threads") {
		t.Errorf("warnings %q", w)
	}
	want := []Listener{
		{Name: "default", Network: "tcp", Addrs: []string{"127.0.0.1:7002", "-[::1]:7002"}},
		{Name: "a", Network: "tcp", Addrs: []string{":7100"}, TLS: true},
		{Name: "b", Network: "tcp", Addrs: []string{"0.0.0.0:7101"}, Advertise: "h:1", Redirect: RedirectAlways},
	}
	if got := c.Listeners(); !reflect.DeepEqual(got, want) {
		t.Errorf("listeners %+v\nwant %+v", got, want)
	}
}

// As redis-server takes them.
func TestParseCommandLine(t *testing.T) {
	path := write(t, t.TempDir(), "q.conf", "save 900 1\ntimeout 1\n")
	for _, tc := range []struct {
		args       []string
		name, want string
	}{
		{[]string{"--save", "100", "100"}, "save", "900 1 100 100"},
		{[]string{"--save", "100 100", "--save", "5 6"}, "save", "900 1 100 100 5 6"},
		{[]string{"--save", ""}, "save", ""},
		{[]string{"--save", "--timeout", "2"}, "save", ""},
		{[]string{"--save", "", "--save", "5 6"}, "save", "5 6"},
		{[]string{"--maxmemory 700mb", "--timeout 3"}, "maxmemory", "734003200"},
		{[]string{"--maxmemory '700mb'"}, "maxmemory", "734003200"},
		{[]string{"--shutdown-on-sigint", "nosave", "force", "now"}, "shutdown-on-sigint", "nosave now force"},
		{[]string{"--shutdown-on-sigint", "default nosave"}, "shutdown-on-sigint", "nosave"},
		{[]string{"--appendonly", "--timeout", "3"}, "appendonly", "yes"},
		{[]string{"--proc-title-template", "--save", "--save", ""}, "proc-title-template", "--save"},
		{[]string{"--proc-title-template --my--title", "--timeout", "3"}, "proc-title-template", "--my--title"},
	} {
		c, err := Parse(append([]string{path}, tc.args...))
		if err != nil {
			t.Errorf("%q: %v", tc.args, err)
			continue
		}
		if got := c.String(tc.name); got != tc.want {
			t.Errorf("%q: %s is %q, want %q", tc.args, tc.name, got, tc.want)
		}
	}
	if c, err := Parse([]string{write(t, t.TempDir(), "none.conf", "save\n")}); err != nil || c.String("save") != "" {
		t.Errorf("save without values: %v", err)
	}
	if _, err := Parse([]string{"--requirepass 'a"}); err == nil || !strings.Contains(err.Error(), "unbalanced quotes") {
		t.Errorf("got %v", err)
	}
}

func TestParseErrorsNameThePlace(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct{ name, file, want string }{
		{"unknown", "port 1\nmaxmemry 1\n", `:2: unknown directive "maxmemry"; did you mean "maxmemory"?`},
		{"value", "\n\nmaxmemory 5kib\n", `:3: maxmemory "5kib": argument must be a memory value (bytes, or with a unit: 64kb, 100mb, 1gb)`},
		{"quotes", "requirepass \"a\n", ":1: unbalanced quotes"},
		{"count", "timeout 1 2\n", ":1: timeout takes one value, 2 were given"},
		{"rename", "rename-command get\n", `:1: rename-command "get": write a command's name and the one by which it is called instead, or ""`},
		{"refused", "loadmodule /x\n", ":1: loadmodule: modules are not supported; remove the line"},
		{"listen", "listen a 1\n", `:1: listen "a 1": "1" is not ADDR:PORT`},
	} {
		path := write(t, dir, tc.name+".conf", tc.file)
		_, err := Parse([]string{path})
		if err == nil || err.Error() != path+tc.want {
			t.Errorf("%s: %v\nwant %s", tc.name, err, path+tc.want)
		}
	}
	loop := filepath.Join(dir, "loop.conf")
	write(t, dir, "loop.conf", "include "+loop+"\n")
	if _, err := Parse([]string{loop}); err == nil || !strings.Contains(err.Error(), "include each other") {
		t.Errorf("a file that includes itself: %v", err)
	}
	if _, err := Parse([]string{"--port", "x"}); err == nil || !strings.HasPrefix(err.Error(), "command line: port") {
		t.Errorf("command line: %v", err)
	}
}

func TestRewrite(t *testing.T) {
	if err := New().Rewrite(nil); !errors.Is(err, ErrNoFile) {
		t.Errorf("without a file: %v", err)
	}
	path := write(t, t.TempDir(), "q.conf", "# keep me\ntimeout 1\nsave 900 1\nsave 300 10\n\nport 7001\n")
	c, err := Parse([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Set(Pair{"timeout", "2"}, Pair{"requirepass", "a b"}, Pair{"save", "1 2 3 4"}); err != nil {
		t.Fatal(err)
	}
	want := "# keep me\ntimeout 2\nsave 1 2\nsave 3 4\n\nport 7001\n# Generated by CONFIG REWRITE\nrequirepass \"a b\"\n"
	for range 2 {
		if err := c.Rewrite(nil); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != want {
			t.Errorf("rewritten:\n%s\nwant:\n%s", got, want)
		}
	}
	// Users stand where users stood, and others at the end; nil leaves them.
	for _, tc := range []struct {
		before, want string
		users        []string
	}{
		{"user b on\ntimeout 5\nuser c off\n", "user b on\ntimeout 5\nuser c off\n", nil},
		{"user b on\ntimeout 5\nuser c off\n", "timeout 5\n", []string{}},
		{"user b on\ntimeout 5\nUSER c off\n", "user a on\ntimeout 5\nuser b on\n# Generated by CONFIG REWRITE\nuser c on\n", []string{"user a on", "user b on", "user c on"}},
	} {
		users := write(t, t.TempDir(), "users.conf", tc.before)
		c, err := Parse([]string{users})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Rewrite(tc.users); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(users); string(got) != tc.want {
			t.Errorf("with %q rewritten:\n%s\nwant:\n%s", tc.users, got, tc.want)
		}
	}
	again, err := Parse([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Get("*"), c.Get("*")) {
		t.Error("the rewritten file does not give the same configuration")
	}
}
