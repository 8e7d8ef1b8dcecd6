package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/cluster"
	"github.com/quorate/quorate/transport/config"
)

// lines hands over the messages that are logged.
type lines struct {
	slog.Handler
	seen chan<- string
}

func (l lines) Enabled(context.Context, slog.Level) bool { return true }

func (l lines) Handle(_ context.Context, r slog.Record) error {
	select {
	case l.seen <- r.Message:
	default: // nobody waits for so many
	}
	return nil
}

// freePort returns a port of the loopback interface that nobody uses now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// startNode runs a node in memory until the test ends, and returns its port
// when it is up.
func startNode(t *testing.T, directives ...string) (port string, conf *config.Config) {
	t.Helper()
	port = freePort(t)
	conf, err := config.Parse(append([]string{
		"--port", port, "--cluster-port", freePort(t), "--bind", "127.0.0.1", "--appendonly", "no", "--dir", t.TempDir(),
	}, directives...))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	seen, ended := make(chan string, 100), make(chan error, 1)
	go func() { ended <- serve(ctx, conf, slog.New(lines{slog.DiscardHandler, seen})) }()
	for up := false; !up; {
		select {
		case message := <-seen:
			up = message == "node is up"
		case err := <-ended:
			t.Fatalf("the node ended: %v", err)
		}
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the node ended with %v", err)
		}
	})
	return port, conf
}

func TestNodeAloneIsACluster(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	port, conf := startNode(t, "--pidfile", pid)
	if text, err := os.ReadFile(pid); err != nil || strings.TrimSpace(string(text)) != strconv.Itoa(os.Getpid()) {
		t.Errorf("pidfile: %q, %v", text, err)
	}
	var out bytes.Buffer
	if err := runHealth([]string{"--port", port}, &out); err != nil || out.String() != "ok\n" {
		t.Errorf("health: %q, %v", out.String(), err)
	}
	out.Reset()
	if err := runCluster([]string{"status", "--port", port, "--json"}, &out); err != nil {
		t.Fatal(err)
	}
	var r cluster.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || len(r.Members) != 1 || r.Members[0].Client != "127.0.0.1:"+port || r.Leader != r.Self {
		t.Errorf("status: %s, %v", out.Bytes(), err)
	}

	c, err := dialNode("127.0.0.1:"+port, "", testPatience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, step := range []struct{ command, want, err string }{
		{"SET k v", "OK", ""},
		{"GET k", "v", ""},
		{"CONFIG SET loglevel debug", "OK", ""},
		{"CONFIG SET appendonly no", "OK", ""},
		{"CONFIG SET appendonly yes", "", "ERR CONFIG SET failed (possibly related to argument 'appendonly') - " + errAtStart.Error()},
		{"CONFIG SET dir /", "", "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config"},
		{"CONFIG SET save 1", "", "ERR CONFIG SET failed (possibly related to argument 'save') - Invalid save parameters"},
		{"CONFIG SET proto-max-bulk-len 2mb", "OK", ""},
	} {
		v, err := c.do(strings.Fields(step.command)...)
		switch {
		case step.err == "" && (err != nil || string(v.Text) != step.want):
			t.Errorf("%s: got %q, %v", step.command, v.Text, err)
		case step.err != "" && (err == nil || err.Error() != step.err):
			t.Errorf("%s: got error %v", step.command, err)
		}
	}
	if n := conf.Int("proto-max-bulk-len"); n != 2<<20 {
		t.Errorf("the listener reads proto-max-bulk-len %d, want what the cluster has decided", n)
	}
}

func TestServeTellsWhatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for line, want := range map[string]string{
		"--cluster-port " + port:              "address already in use",
		"--port " + port:                      "listener default on 127.0.0.1:" + port,
		"--bootstrap-expect 3":                "bootstrap-expect needs join",
		"--pidfile /no/such/pid":              "pidfile:",
		"--tls-port 1":                        "TLS needs tls-cert-file",
		"--bind 0.0.0.0":                      "cluster-secret",
		"--admin-port " + port:                "admin: listen",
		"--unixsocket /no/such/dir/quorate.s": "listener unix on /no/such/dir/quorate.s",
	} {
		args := append([]string{
			"--port", freePort(t), "--cluster-port", freePort(t), "--bind", "127.0.0.1", "--appendonly", "no", "--dir", t.TempDir(),
		}, strings.Fields(line)...)
		conf, err := config.Parse(args)
		if err != nil {
			t.Fatal(err)
		}
		err = serve(context.Background(), conf, slog.New(slog.DiscardHandler))
		fails(t, err, want)
	}
}
