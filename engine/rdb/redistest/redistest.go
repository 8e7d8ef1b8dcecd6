// Package redistest runs redis-server and redis-check-rdb on RDB files, for tests.
package redistest

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

const file = "dump.rdb"

// Server is a redis-server of the test's own. It ends with the test.
type Server struct {
	t      testing.TB
	dir    string
	socket string
	nc     net.Conn
	buf    []byte // received and not yet read
	output bytes.Buffer
}

// Start starts a redis-server that has loaded an RDB file, or is empty if that is
// nil. The test is skipped where there is none.
func Start(t testing.TB, rdb []byte, directives ...string) *Server {
	t.Helper()
	path := find(t, "redis-server")
	dir, err := os.MkdirTemp("", "redistest") // t.TempDir may be too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if rdb != nil {
		if err := os.WriteFile(filepath.Join(dir, file), rdb, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(dir, "redis.sock")
	s := &Server{t: t, dir: dir, socket: socket}
	args := append([]string{
		"--port", "0", "--unixsocket", socket, "--dir", dir, "--dbfilename", file, "--save", "",
		"--appendonly", "no", "--enable-debug-command", "yes", "--sanitize-dump-payload", "yes",
	}, directives...)
	proc := exec.Command(path, args...)
	proc.Stdout, proc.Stderr = &s.output, &s.output
	if err := proc.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = proc.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = proc.Process.Kill()
		<-ended
	})
	s.connect(socket, ended)
	return s
}

// Dial returns another connection, which ends with the test.
func (s *Server) Dial() net.Conn {
	s.t.Helper()
	nc, err := net.Dial("unix", s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// connect waits until the server has loaded its file.
func (s *Server) connect(socket string, ended <-chan struct{}) {
	s.t.Helper()
	for range 3000 {
		select {
		case <-ended:
			s.t.Fatalf("redis-server has ended: %s", s.output.Bytes())
		case <-time.After(10 * time.Millisecond): // another process: nothing to wait on
		}
		nc, err := net.Dial("unix", socket)
		if err != nil {
			continue
		}
		s.nc = nc
		if v := s.Do("PING"); v.Kind == reply.KindStatus {
			s.t.Cleanup(func() { _ = nc.Close() })
			return
		}
		_ = nc.Close()
	}
	s.t.Fatal("redis-server does not answer")
}

// Do executes a command and returns its reply.
func (s *Server) Do(args ...string) reply.Value {
	s.t.Helper()
	out := reply.NewWriter(reply.RESP2, nil)
	out.Array(len(args))
	for _, arg := range args {
		out.BulkString(arg)
	}
	if _, err := s.nc.Write(out.Bytes()); err != nil {
		s.t.Fatal(err)
	}
	for {
		v, rest, err := reply.Read(s.buf)
		if err == nil {
			s.buf = rest
			return v
		}
		if !errors.Is(err, reply.ErrIncomplete) {
			s.t.Fatal(err)
		}
		chunk := make([]byte, 64<<10)
		n, err := s.nc.Read(chunk)
		if err != nil {
			s.t.Fatalf("redis-server: %v", err)
		}
		s.buf = append(s.buf[:len(s.buf):len(s.buf)], chunk[:n]...)
	}
}

// Save returns the RDB file that the server writes.
func (s *Server) Save() []byte {
	s.t.Helper()
	if v := s.Do("SAVE"); v.Kind == reply.KindError {
		s.t.Fatalf("SAVE: %s", v.Text)
	}
	b, err := os.ReadFile(filepath.Join(s.dir, file))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// Check fails the test unless redis-check-rdb is content with the file.
func Check(t testing.TB, rdb []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(path, rdb, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(find(t, "redis-check-rdb"), path).CombinedOutput(); err != nil {
		t.Fatalf("redis-check-rdb: %v\n%s", err, out)
	}
}

func find(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s to compare with: %v", name, err)
	}
	return path
}
