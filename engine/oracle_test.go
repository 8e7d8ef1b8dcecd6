package engine

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/transcript"
)

// server returns a redis-server to compare with; it skips the test where that is not
// to be asked.
func server(t *testing.T) transcript.Target {
	if !transcript.Oracle() {
		t.Skip("needs redis-server: run with -oracle")
	}
	return transcript.Server(t, reply.RESP2)
}

func ask(target transcript.Target, line string) string {
	raw, _ := target.Do(bytes.Fields([]byte(line)))
	return string(raw)
}

// TestSettingsBesideOracle sets every number that decides on encodings to values
// around its limits.
func TestSettingsBesideOracle(t *testing.T) {
	srv, n := server(t), newNode()
	values := []string{
		"-9223372036854775809", "-2147483649", "-2147483648", "-6", "-5", "-1", "0", "1", "2147483647", "2147483648",
		"9223372036854775807", "9223372036854775808",
	}
	for name := range n.AllSettings() {
		if !strings.Contains(name, "listpack") && !strings.Contains(name, "intset") && !strings.Contains(name, "node") && !strings.Contains(name, "sparse") {
			continue
		}
		for _, value := range values {
			var err error
			n.Apply(func(s *Step) { err = s.Set([][]byte{[]byte(name), []byte(value)}) })
			want := ask(srv, "CONFIG SET "+name+" "+value)
			if (err == nil) != (want == "+OK\r\n") {
				t.Errorf("%s %s: %v, redis-server %q", name, value, err, want)
			}
		}
	}
}

var quicklistNodes = regexp.MustCompile(`ql_nodes:\d+`)

// TestListNodesBesideOracle grows lists at either end until they are some nodes
// long: DEBUG OBJECT tells the same of both all the way.
func TestListNodesBesideOracle(t *testing.T) {
	srv, n := server(t), newNode()
	for _, size := range []int{-6, -5, -4, -3, -2, -1, 0, 1, 2, 5, 128} {
		n.set(t, "list-max-listpack-size", strconv.Itoa(size))
		if err := srv.Config("list-max-listpack-size", strconv.Itoa(size)); err != nil {
			t.Fatal(err)
		}
		for _, push := range []string{"RPUSH", "LPUSH"} {
			for _, bytes := range []int{300, 700, 3000, 9000} {
				growList(t, n, srv, push, bytes)
			}
		}
	}
}

// growList pushes elements of so many bytes until the list has some nodes.
func growList(t *testing.T, n *node, srv transcript.Target, push string, bytes int) {
	t.Helper()
	args := []string{push, "k", strings.Repeat("v", bytes)}
	for got := ""; got != "ql_nodes:4"; {
		n.do(0, args...)
		ask(srv, strings.Join(args, " "))
		var told string
		n.View(n.now, 1, func(v *View) { told, _ = v.DebugObject(0, []byte("k")) })
		got = quicklistNodes.FindString(told)
		if want := quicklistNodes.FindString(ask(srv, "DEBUG OBJECT k")); got != want {
			t.Fatalf("list-max-listpack-size %s, %s of %d bytes: %s, redis-server %s",
				n.AllSettings()["list-max-listpack-size"], push, bytes, got, want)
		}
	}
	n.do(0, "DEL", "k")
	ask(srv, "DEL k")
}
