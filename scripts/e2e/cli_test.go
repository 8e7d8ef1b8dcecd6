//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	out, code := quorate("version")
	if code != 0 || !regexp.MustCompile(`^quorate \d+\.\d+\.\d+ .*7\.0\.15`).MatchString(out) {
		t.Errorf("version: exit code %d, %q", code, out)
	}
}

// TestHealthAndStatus asks nodes with and without a majority how they are.
func TestHealthAndStatus(t *testing.T) {
	c := startCluster(t, 3)
	leader := c.leader()
	asked := c.others(leader)[0]
	port := strconv.Itoa(asked.port)
	if out, code := quorate("health", "--port", port); code != 0 {
		t.Errorf("health of a good node: exit code %d, %q", code, out)
	}
	out, code := quorate("cluster", "status", "--port", port)
	if code != 0 {
		t.Fatalf("cluster status: exit code %d, %q", code, out)
	}
	for _, word := range append([]string{"leader", "follower", "lag", "applied"}, c.nodes[0].addr(), c.nodes[1].addr(), c.nodes[2].addr()) {
		if !strings.Contains(out, word) {
			t.Errorf("the table does not have %q:\n%s", word, out)
		}
	}
	report, err := asked.report()
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Members) != 3 || report.Term == 0 || report.Commit == 0 || !report.Ready || c.byReport(report) != leader {
		t.Errorf("report: %+v", report)
	}

	for _, n := range c.others(asked) {
		n.kill()
	}
	if out, code := quorate("health", "--port", port); code != 1 || !strings.Contains(out, "CLUSTERDOWN") {
		t.Errorf("health without a majority: exit code %d, %q", code, out)
	}
	asked.kill()
	if out, code := quorate("health", "--port", port); code != 1 || strings.Count(out, "\n") != 1 {
		t.Errorf("health of nobody: exit code %d, %q", code, out)
	}
}

// TestBadConfiguration: what can't be meant ends in one line that says what to
// change, and exit code 1.
func TestBadConfiguration(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	port := strconv.Itoa(freePort(t))
	taken := newNode(t, 1)
	taken.start()
	taken.waitReady()
	for _, test := range []struct {
		name string
		args []string
		want string // a regular expression
	}{
		{"unknown directive in a file", []string{file("unknown.conf", "port "+port+"\nfrobnicate yes\n")}, `unknown\.conf:2.*frobnicate|line 2.*frobnicate`},
		{"unknown directive of the command line", []string{"--frobnicate", "yes"}, `frobnicate`},
		{"value out of range", []string{"--port", "70000"}, `port.*65535`},
		{"not a number", []string{"--port", "many"}, `port`},
		{"no such file", []string{filepath.Join(dir, "absent.conf")}, `absent\.conf`},
		{"unknown word", []string{"--appendfsync", "sometimes"}, `appendfsync`},
		{"expecting others without addresses", []string{"--port", port, "--dir", filepath.Join(dir, "a"), "--bootstrap-expect", "3"}, `bootstrap-expect.*join`},
		{"cluster port out of range", []string{"--port", "60000", "--dir", filepath.Join(dir, "b")}, `cluster-port`},
		{"outside loopback without a secret", []string{"--port", port, "--dir", filepath.Join(dir, "c"), "--cluster-bind", "0.0.0.0"}, `cluster-secret`},
		{"dir is a file", []string{"--port", port, "--dir", file("d", "")}, `d`},
		{"port in use", []string{"--port", strconv.Itoa(taken.port), "--cluster-port", port, "--dir", filepath.Join(dir, "e")}, strconv.Itoa(taken.port)},
		{"cluster port in use", []string{"--port", port, "--cluster-port", strconv.Itoa(taken.cluster), "--dir", filepath.Join(dir, "f")}, strconv.Itoa(taken.cluster)},
		{"a second process on one directory", []string{"--port", port, "--dir", taken.dir}, regexp.QuoteMeta(taken.dir)},
		{"no such listener syntax", []string{"--port", port, "--dir", filepath.Join(dir, "g"), "--listen", "host"}, `listen`},
		{"a command renamed that is not there", []string{"--port", port, "--dir", filepath.Join(dir, "h"), "--rename-command", "NOSUCH", "x"}, `rename-command`},
	} {
		t.Run(test.name, func(t *testing.T) {
			// Nodes log to the standard error as well, with a time in front.
			out, code := quorate(append([]string{"server"}, test.args...)...)
			if code != 1 {
				t.Errorf("exit code %d", code)
			}
			var lines []string
			for line := range strings.Lines(out) {
				if !strings.HasPrefix(line, "time=") {
					lines = append(lines, line)
				}
			}
			if len(lines) != 1 || !strings.HasPrefix(lines[0], "quorate: ") || !regexp.MustCompile(test.want).MatchString(lines[0]) {
				t.Errorf("%d lines, want one with %s:\n%s", len(lines), test.want, out)
			}
		})
	}
	taken.waitReady()
}

// TestUnknownSubcommand: likewise.
func TestUnknownSubcommand(t *testing.T) {
	if out, code := quorate("frobnicate"); code != 1 || strings.Count(out, "\n") != 1 {
		t.Errorf("exit code %d, %q", code, out)
	}
}

// TestConfigFile runs a node from a redis.conf.
func TestConfigFile(t *testing.T) {
	n := newNode(t, 1)
	conf := filepath.Join(filepath.Dir(n.dir), "redis.conf")
	text := fmt.Sprintf("# a comment\nport %d\ndir %q\nrequirepass \"two words\"\nsave 900 1\ntcp-backlog 128\nactiverehashing yes\n", n.port, n.dir)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	n.args = []string{"server", conf, "--maxclients", "50"}
	n.start()
	eventually(t, readyWithin, "the node is ready", func() error {
		out, code := quorate("health", "--port", strconv.Itoa(n.port), "--password", "two words")
		if code != 0 {
			return fmt.Errorf("health: %s", out)
		}
		return nil
	})
	port := strconv.Itoa(n.port)
	if out := redisCLI(t, "-p", port, "GET", "k"); !strings.HasPrefix(out, "NOAUTH") {
		t.Errorf("GET without a password: %q", out)
	}
	if out := redisCLI(t, "-p", port, "--no-auth-warning", "-a", "two words", "CONFIG", "GET", "maxclients"); out != "maxclients\n50" {
		t.Errorf("CONFIG GET maxclients: %q", out)
	}
}

// TestCorruptLog flips a byte of the log of a stopped node: it refuses to
// start and says how to go on, and the way that it says works.
func TestCorruptLog(t *testing.T) {
	c := startCluster(t, 3)
	ctx := testContext(t)
	for i := range 300 {
		must[string](t, "SET")(c.nodes[0].client().Set(ctx, fmt.Sprintf("k%d", i), strings.Repeat("v", 100), 0).Result())
	}
	n := c.others(c.leader())[0]
	n.kill()
	segments, err := filepath.Glob(filepath.Join(n.dir, "log", "*"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no log: %v", err)
	}
	flipped := false
	for _, path := range segments {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if at := strings.Index(string(content), "k150"); at >= 0 {
			content[at] ^= 0xff
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			flipped = true
		}
	}
	if !flipped {
		t.Fatal("the log does not hold what was written")
	}
	n.start()
	if code := n.exitCode(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	log := n.log()
	lines := strings.Split(strings.TrimSpace(log[strings.LastIndex(log, "---"):]), "\n")
	last := lines[len(lines)-1]
	for _, word := range []string{n.dir, "new"} {
		if !strings.Contains(last, word) {
			t.Errorf("the refusal does not say %q: %s", word, last)
		}
	}
	// The way out: an empty directory, and the same command.
	if err := os.Rename(n.dir, n.dir+".corrupt"); err != nil {
		t.Fatal(err)
	}
	n.start()
	n.waitReady()
	c.checkDigests()
}
