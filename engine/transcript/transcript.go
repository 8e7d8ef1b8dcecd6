// Package transcript tests behaviour written down as text: files of commands
// and the replies they must get, compared with redis-server's on request.
//
// A file is a list of steps, set apart by blank lines. Lines that begin with #
// are comments.
//
//	# NX leaves an existing member alone.
//	run
//	ZADD k 1 a
//	ZADD k NX 2 a
//	ZSCORE k a
//	----
//	(integer) 1
//	(integer) 0
//	"1"
//	---- resp3
//	(integer) 1
//	(integer) 0
//	(double) 1
//
// The steps:
//
//	run [unordered[=N]] [clock] [local REASON | ours REASON]
//	    Commands, one a line, quoted as in redis-cli, then the replies. The
//	    block after "---- resp3" is there when RESP3 replies read differently.
//	    With unordered, the elements of a reply are sorted, in groups of N
//	    (2 for flat pairs). With clock, times in milliseconds about now read
//	    "now", those of stream entries' IDs too. With local, redis-server executes the commands
//	    too, but replies are not compared, for they hang on chance or time.
//	    With ours, redis-server is not asked at all. REASON says why.
//	    "times 300 SADD k m$i" is 300 commands, i counting from 1; only the
//	    last reply is shown.
//	script NAME
//	    The lines up to the next blank one are a script: in later commands the word
//	    @NAME is its text, sha@NAME its SHA1.
//	config NAME VALUE
//	    Sets a parameter until the next reset. When notify-keyspace-events is
//	    set, events stand behind the reply of the command that caused them.
//	advance DURATION
//	    Moves the clock. redis-server is given that time to pass; if it is
//	    longer than a fifth of a second, nothing is compared up to the next reset.
//	reset
//	    Empties the keyspace and undoes config and advance.
//
// Each file is run from an empty keyspace once for each protocol. The flag
// -rewrite puts the replies got into the files. The flag -oracle, or
// the environment variable QUORATE_ORACLE with the path of a redis-server 7.0,
// compares every reply byte for byte with that server's.
package transcript

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/transcript/notation"
)

var (
	rewrite = flag.Bool("rewrite", false, "put the replies got into the test scripts")
	oracle  = flag.Bool("oracle", os.Getenv("QUORATE_ORACLE") != "", "compare all replies with redis-server's")
)

// Oracle reports whether redis-server is to be asked.
func Oracle() bool { return *oracle }

// Rewrite reports whether expectations are to be replaced by what was got.
func Rewrite() bool { return *rewrite }

// serverWaitMax is the longest advance that the oracle waits out.
const serverWaitMax = 200 * time.Millisecond

// A Target executes commands one after another, beginning with nothing.
type Target interface {
	// Do executes one command and returns its reply as sent, and the keyspace
	// events it caused.
	Do(args [][]byte) (raw []byte, events []Message)
	// Config sets a configuration parameter.
	Config(name, value string) error
	// Advance moves the clock.
	Advance(d time.Duration)
}

// Message is what a subscriber receives.
type Message struct{ Channel, Payload string }

// Test runs every file that matches one of the patterns, in both protocols.
// open returns a new target whose keyspace is empty.
func Test(t *testing.T, open func(t *testing.T, proto reply.Proto) Target, patterns ...string) {
	var srv *server
	if *oracle {
		srv = startServer(t)
	}
	for _, file := range files(t, patterns) {
		name := filepath.Join(filepath.Base(filepath.Dir(file)), strings.TrimSuffix(filepath.Base(file), ".txt"))
		t.Run(name, func(t *testing.T) {
			testFile(t, file, open, srv)
		})
	}
}

// Commands returns the commands of every file that matches one of the patterns,
// each once however often it runs.
func Commands(t *testing.T, patterns ...string) [][]string {
	var commands [][]string
	for _, file := range files(t, patterns) {
		for _, s := range load(t, file) {
			for _, c := range s.commands {
				commands = append(commands, c.words)
			}
		}
	}
	return commands
}

// files returns the names that match one of the patterns.
func files(t *testing.T, patterns []string) []string {
	var files []string
	for _, pattern := range patterns {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, matches...)
	}
	if len(files) == 0 {
		t.Fatalf("no file matches %q", patterns)
	}
	return files
}

// load reads a file.
func load(t *testing.T, file string) []step {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := parse(string(text))
	if err != nil {
		t.Fatalf("%s:%v", file, err)
	}
	return steps
}

func testFile(t *testing.T, file string, open func(*testing.T, reply.Proto) Target, srv *server) {
	steps := load(t, file)
	for _, proto := range []reply.Proto{reply.RESP2, reply.RESP3} {
		r := runner{t: t, file: file, proto: proto, open: open, srv: srv}
		r.reset()
		for i := range steps {
			r.step(&steps[i])
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(format(steps)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// runner carries one file through one protocol.
type runner struct {
	t     *testing.T
	file  string
	proto reply.Proto
	open  func(*testing.T, reply.Proto) Target
	srv   *server // nil without the oracle

	ours   Target
	theirs Target // nil without the oracle, and while it cannot follow
}

func (r *runner) reset() {
	r.ours = r.open(r.t, r.proto)
	r.theirs = nil
	if r.srv != nil {
		r.theirs = r.srv.open(r.t, r.proto)
	}
}

func (r *runner) step(s *step) {
	r.t.Helper()
	switch s.verb {
	case "run":
		r.run(s)
	case "reset":
		r.reset()
	case "config":
		for _, target := range []Target{r.ours, r.theirs} {
			if target == nil {
				continue
			}
			if err := target.Config(s.name, s.value); err != nil {
				r.t.Fatalf("%s:%d: %v", r.file, s.line, err)
			}
		}
	case "advance":
		r.ours.Advance(s.duration)
		if s.duration > serverWaitMax {
			r.theirs = nil
		}
		if r.theirs != nil {
			r.theirs.Advance(s.duration)
		}
	}
}

// run executes the commands of s and compares the replies with those written
// in the file.
func (r *runner) run(s *step) {
	r.t.Helper()
	var got []string
	for _, c := range s.commands {
		var shown []string
		for i := range c.times {
			shown = r.command(s, &c, i+1)
		}
		got = append(got, shown...)
	}
	if *rewrite {
		s.put(r.proto, got)
		return
	}
	if want := s.want(r.proto); !slices.Equal(got, want) {
		i := firstDifference(got, want)
		r.t.Errorf("%s:%d: RESP%d replies\n%s\nwant\n%s\nthe same up to line %d:\n%s", r.file, s.line, r.proto,
			indent(got), indent(want), i, indent(slices.Concat(got[i:min(i+1, len(got))], want[i:min(i+1, len(want))])))
	}
}

// command executes one command and returns its reply, taken down in lines.
func (r *runner) command(s *step, c *line, i int) []string {
	r.t.Helper()
	args := c.args(i)
	shown, err := takeDown(r.ours, args, s)
	if err != nil {
		r.t.Fatalf("%s:%d: %q: %v", r.file, s.line, args, err)
	}
	if r.theirs == nil || s.ours != "" {
		return shown.lines
	}
	server, err := takeDown(r.theirs, args, s)
	if err != nil {
		r.t.Fatalf("%s:%d: redis-server: %q: %v", r.file, s.line, args, err)
	}
	same := slices.Equal(shown.lines, server.lines) && (s.sortBy > 0 || s.clock || shown.raw == server.raw)
	if !same && s.local == "" {
		r.t.Errorf("%s:%d: RESP%d: %s\n%s%q\nredis-server says\n%s%q", r.file, s.line, r.proto, c.text,
			indent(shown.lines), shown.raw, indent(server.lines), server.raw)
	}
	return shown.lines
}

// taken is a reply taken down.
type taken struct {
	raw   string
	lines []string
}

func takeDown(target Target, args [][]byte, s *step) (taken, error) {
	raw, events := target.Do(args)
	v, rest, err := reply.Read(raw)
	if err != nil {
		return taken{}, err
	}
	if len(rest) > 0 {
		v = reply.Value{Kind: reply.KindError, Text: []byte("more than one reply: " + string(raw))}
	}
	if s.sortBy > 0 {
		notation.Sort(&v, s.sortBy)
	}
	if s.clock {
		hideTimes(&v, time.Now())
	}
	lines := notation.Lines(v)
	for _, m := range events {
		lines = append(lines, "-> "+m.Channel+" "+notation.Quote([]byte(m.Payload)))
	}
	return taken{string(raw), lines}, nil
}

func firstDifference(a, b []string) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return i
}

func indent(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("\t" + l + "\n")
	}
	return b.String()
}
