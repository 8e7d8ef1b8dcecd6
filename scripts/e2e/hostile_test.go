//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// What a client may send to do harm, to a process of its own: one row for each of the project's list, which
// docs/operating/hostile.md repeats with the tests that look closer. After each row another client is served at once and
// the process has not grown.

const (
	hostileGrowth = 64 << 20               // of resident memory, over all rows
	hostilePing   = 100 * time.Millisecond // a PING afterwards; the best of a few, for the machine may be busy
	hostileTime   = 5 * time.Second        // of a row; a stall takes minutes
	hostileWait   = 20 * time.Second
)

// hostileRow is what is sent and how the reply must begin.
type hostileRow struct {
	name   string
	send   string
	want   string // "" for nothing
	closed bool   // the connection ends behind it
}

// command returns a command as a client sends it.
func command(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

func random(n int, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// all returns one row for each of several commands that are answered alike.
func all(name, want string, commands ...[]string) (rows []hostileRow) {
	for _, c := range commands {
		rows = append(rows, hostileRow{fmt.Sprintf("%s: %.60q", name, c), command(c...), want, false})
	}
	return rows
}

func script(text string) []string { return []string{"EVAL", text, "0"} }

// hostileRows are the rows, in the order of the list.
func hostileRows() []hostileRow {
	const ping, protocol = "*1\r\n$4\r\nPING\r\n", "-ERR Protocol error"
	stars := strings.Repeat("*", 20_000)
	return slices.Concat(
		[]hostileRow{
			{"bulk of 2^63-1", "*1\r\n$9223372036854775807\r\n", protocol, true},
			{"bulk of 2^64", "*1\r\n$18446744073709551616\r\n", protocol, true},
			{"bulk of -2", "*1\r\n$-2\r\n", protocol, true},
			{"bulk of 512 MB and one byte", "*1\r\n$536870913\r\n", protocol, true},
			{"512 MB declared, nothing sent", "*2\r\n$4\r\nECHO\r\n$536870912\r\n", "", false},
			{"multibulk of 2^31", "*2147483648\r\n", protocol, true},
			{"multibulk of 1e30", "*1e30\r\n", protocol, true},
			{"multibulk with a space", "* 1\r\n", protocol, true},
			{"multibulk with a plus", "*+1\r\n", protocol, true},
			{"empty arrays, then PING", "*0\r\n*-1\r\n" + ping, "+PONG\r\n", false},
			{"inline over 64 KiB", strings.Repeat("x", 70<<10), protocol, true},
			{"unbalanced quotes", "SET \"a\r\n", protocol, true},
			{"nested array", "*1\r\n*1\r\n$4\r\nPING\r\n", protocol, true},
			{"HTTP POST", "POST / HTTP/1.1\r\nContent-Length: 20\r\n\r\nSET evil 1\r\n", "", true},
			{"HTTP Host", "Host: here\r\nSET evil 1\r\n", "", true},
			{"nothing of HTTP ran", command("EXISTS", "evil"), ":0\r\n", false},
			{"half a command, then the end", "*3\r\n$3\r\nSET\r\n$4\r\nevil", "", false},
			{"half a command is none", command("EXISTS", "evil"), ":0\r\n", false},
			{"NULs", strings.Repeat("\x00", 1<<20) + "\r\n", protocol, true},
			{"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "", false},
			{"HELLO 99", command("HELLO", "99"), "-NOPROTO", false},
			{"name with a newline", command("CLIENT", "SETNAME", "a\nb"), "-ERR", false},
			{"command name with CR LF", "*1\r\n$6\r\nfo\r\nba\r\n", "-ERR unknown command 'fo  ba'", false},
		},
		all("past the limit", "-ERR", []string{"SETRANGE", "s", "536870912", "x"}, []string{"SETBIT", "s", "4294967296", "1"}, []string{"BITFIELD", "s", "SET", "u8", "4294967296", "1"},
			[]string{"SETRANGE", "s", "9223372036854775807", "x"}),
		all("overflow", "-ERR", []string{"INCR", "top"}, []string{"DECRBY", "s0", "-9223372036854775808"}, []string{"HINCRBYFLOAT", "h", "f", "nan"}, []string{"HINCRBYFLOAT", "h", "f", "inf"},
			[]string{"INCRBYFLOAT", "top", "inf"}),
		all("count of -2^63", "-ERR", []string{"SRANDMEMBER", "set", "-9223372036854775808"}, []string{"HRANDFIELD", "h", "-9223372036854775808"}, []string{"ZRANDMEMBER", "z", "-9223372036854775808"}),
		all("count of -1e9", "-ERR", []string{"SRANDMEMBER", "set", "-1000000000"}, []string{"HRANDFIELD", "h", "-1000000000"}, []string{"ZRANDMEMBER", "z", "-1000000000"}),
		all("LCS of 64K and 64K", "-ERR", []string{"LCS", "text", "text2"}),
		all("20,000 stars", "*", []string{"KEYS", stars + "b"}, []string{"PSUBSCRIBE", stars + "b"}),
		all("RESTORE", "-ERR", []string{"RESTORE", "r", "0", "garbage"}, []string{"RESTORE", "r", "0", ""}, []string{"RESTORE", "r", "0", "\x01\x81\x7f\xff\xff\xff\xff\xff\xff\xff\x0a\x00" + strings.Repeat("x", 8)}),
		all("last ID", "$", []string{"XADD", "full", "18446744073709551615-18446744073709551615", "a", "1"}),
		all("behind the last ID", "-ERR", []string{"XADD", "full", "*", "a", "1"}),
		all("time-out", "-ERR", []string{"BLPOP", "l", "nan"}, []string{"BLPOP", "l", "-1"}, []string{"BLPOP", "l", "1e308"}),
		all("forbidden", "-", []string{"CONFIG", "SET", "dir", "/tmp"}, []string{"MODULE", "LOAD", "/tmp/x.so"}, []string{"DEBUG", "SEGFAULT"}, []string{"SELECT", "1000000000"}),
		[]hostileRow{{"random bytes", random(1<<20, 1), "", false}, {"more random bytes", "*" + random(1<<20, 2), "", true}},
	)
}

// hostileScripts are the rows that are scripts.
func hostileScripts() []hostileRow {
	return slices.Concat(
		all("Lua", "-", script("return os.getenv('HOME')"), script("return io.open('/etc/passwd')"), script("return require('os')"), script("return loadstring(string.dump(function() end))()"), script("x = 1")),
		all("Lua without end", "-", script("return string.rep('x', 2^30)"), script("while true do end"), script("local function f() return 1 + f() end return f()"),
			script("local t = {} for i = 1, 1e9 do t[i] = i end"), script("return string.find(string.rep('a', 30), string.rep('a?', 30) .. string.rep('a', 30) .. 'b')"),
			script("local t = {} for i = 1, 1e9 do t[#t + 1] = string.rep('x', 1e6) .. i end")),
		all("reply without end", "*1\r\n", script("local t = {} t[1] = t return t")),
		all("bomb", "-", script("return cjson.decode(string.rep('[', 1000000))"), script("return cmsgpack.unpack(string.rep('\\145', 1000000))"), script("local t = {} t.t = t return cjson.encode(t)"),
			script("return cmsgpack.unpack('\\221\\255\\255\\255\\255')")),
	)
}

// TestHostile sends all rows, and what takes several connections.
func TestHostile(t *testing.T) {
	n := newNode(t, 1)
	n.args = slices.DeleteFunc(n.args, func(arg string) bool { return arg == "--enable-debug-command" || arg == "yes" })
	n.args = append(n.args, "--client-output-buffer-limit", "pubsub 1mb 0 0")
	n.start()
	n.waitReady()
	h := &hostileNode{testNode: n, witness: n.dial()}
	for _, line := range []string{
		"SET s abc", "SET s0 0", "SET top 9223372036854775807", "RPUSH l a b c", "SADD set a b c", "HSET h f 1", "ZADD z 1 a 2 b",
		"SET text " + strings.Repeat("ab", 1<<15), "SET text2 " + strings.Repeat("ba", 1<<15),
	} {
		h.ask(h.witness, command(strings.Fields(line)...))
	}
	h.warm()
	h.send(t, hostileRows())
	for _, part := range []struct {
		name string
		do   func()
	}{
		{"a million arguments announced on 20 connections", h.millions},
		{"512 MB announced on 20 connections", h.announced},
		{"one byte at a time", h.byteByByte},
		{"a subscriber that does not read", h.slowSubscriber},
		{"the node-to-node port", h.clusterPort},
		{"replies that nobody reads", h.unread},
	} {
		t.Run(part.name, func(t *testing.T) {
			h.t = t
			part.do()
			h.check()
		})
	}
}

// TestHostileScripts sends scripts, which may take the memory that lua-bytes-max gives them, and as much again until the
// garbage collector has been there. It is 256 MB without a configuration.
func TestHostileScripts(t *testing.T) {
	n := newNode(t, 1)
	n.args = append(n.args, "--lua-bytes-max", "16777216")
	n.start()
	n.waitReady()
	h := &hostileNode{testNode: n, witness: n.dial()}
	h.warm()
	h.send(t, hostileScripts())
}

// TestHostileStrangers: what a client may send that has not told its password.
func TestHostileStrangers(t *testing.T) {
	n := newNode(t, 1)
	n.args = append(n.args, "--requirepass", "secret")
	n.start()
	conn := n.dial()
	eventually(t, hostileWait, "a node with a password", func() error {
		if got := n.ask(conn, command("PING")); !strings.HasPrefix(got, "-NOAUTH") {
			return fmt.Errorf("PING: %q", got)
		}
		return nil
	})
	h := &hostileNode{testNode: n, witness: conn, pong: "-NOAUTH"}
	h.warm()
	h.expect(n.dial(), hostileRow{"more than 10 arguments", "*11\r\n", "-ERR Protocol error: unauthenticated multibulk length", true})
	h.check()
	h.expect(n.dial(), hostileRow{"a bulk above 16 KiB", "*2\r\n$4\r\nAUTH\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length", true})
	h.check()
	h.unread()
	h.check()
}

// hostileNode is a node that is attacked.
type hostileNode struct {
	*testNode
	witness net.Conn // another client
	before  int64    // resident memory in the beginning, bytes
	pong    string   // of PING; "" is +PONG
}

// warm sends what any client sends until the garbage collector has run: a new process lets its heap grow to 67 MB before
// that, whatever comes. Growth counts from then on.
func (h *hostileNode) warm() {
	h.t.Helper()
	const times, commands = 40, 5_000
	text := strings.Repeat("x", 400)
	r := bufio.NewReader(h.witness)
	for range times {
		_ = h.witness.SetDeadline(time.Now().Add(hostileWait))
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = io.WriteString(h.witness, strings.Repeat(command("SET", "s", text), commands))
		}()
		for range commands {
			if _, err := r.ReadString('\n'); err != nil {
				h.t.Fatal(err)
			}
		}
		<-sent
	}
	h.ask(h.witness, command("SET", "s", "abc"))
	h.before = h.rss()
}

func (h *hostileNode) send(t *testing.T, rows []hostileRow) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			h.t = t
			begun := time.Now()
			conn := h.dial()
			h.expect(conn, row)
			if took := time.Since(begun); took > hostileTime {
				t.Errorf("%v", took)
			}
			conn.Close()
			h.check()
		})
	}
}

func (n *testNode) dial() net.Conn {
	n.t.Helper()
	var conn net.Conn
	eventually(n.t, hostileWait, "a connection", func() (err error) {
		conn, err = net.Dial("tcp", n.addr())
		return err
	})
	n.t.Cleanup(func() { conn.Close() })
	return conn
}

// ask sends something and returns what comes first.
func (n *testNode) ask(conn net.Conn, send string) string {
	n.t.Helper()
	_ = conn.SetDeadline(time.Now().Add(hostileWait))
	if _, err := io.WriteString(conn, send); err != nil {
		n.t.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	got, err := conn.Read(buf)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(buf[:got])
}

// rss returns the resident memory of the process in bytes.
func (n *testNode) rss() int64 {
	n.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", n.cmd.Process.Pid))
	if err != nil {
		n.t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		n.t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}

// expect sends a row and reads its reply.
func (h *hostileNode) expect(conn net.Conn, row hostileRow) {
	h.t.Helper()
	_ = conn.SetDeadline(time.Now().Add(hostileWait))
	sent := make(chan struct{})
	go func() { // a node that closes may stop reading
		defer close(sent)
		_, _ = io.WriteString(conn, row.send)
	}()
	defer func() { <-sent }()
	var got []byte
	buf := make([]byte, 64<<10)
	for row.closed || len(got) < len(row.want) {
		read, err := conn.Read(buf)
		if got = append(got, buf[:read]...); err == nil {
			continue
		}
		if netErr, ok := err.(net.Error); ok && netErr.Timeout() || !row.closed {
			h.t.Errorf("after %.200q: %v", got, err)
		}
		break
	}
	if !bytes.HasPrefix(got, []byte(row.want)) || row.closed && row.want == "" && len(got) > 0 && got[0] != '-' {
		h.t.Errorf("got %.200q, want %q", got, row.want)
	}
}

// check tells whether another client is served at once, and whether the process has grown.
func (h *hostileNode) check() {
	h.t.Helper()
	want := h.pong
	if want == "" {
		want = "+PONG"
	}
	const tries = 5
	var best time.Duration
	for i := range tries {
		begun := time.Now()
		if got := h.ask(h.witness, command("PING")); !strings.HasPrefix(got, want) {
			h.t.Fatalf("PING: %q", got)
		}
		if took := time.Since(begun); i == 0 || took < best {
			best = took
		}
		if best <= hostilePing {
			break
		}
	}
	if best > hostilePing {
		h.t.Errorf("PING took %v", best)
	}
	if grown := h.rss() - h.before; grown > hostileGrowth {
		h.t.Errorf("the process has grown by %d MB", grown>>20)
	}
}

// millions announces many arguments on many connections.
func (h *hostileNode) millions() {
	for range 20 {
		h.expect(h.dial(), hostileRow{send: "*1000000\r\n$4\r\nMSET\r\n"})
	}
}

func (h *hostileNode) announced() {
	for range 20 {
		h.expect(h.dial(), hostileRow{send: "*2\r\n$4\r\nECHO\r\n$536870912\r\nabc"})
	}
}

func (h *hostileNode) byteByByte() {
	conn := h.dial()
	for _, b := range []byte(command("ECHO", "slow")) {
		if _, err := conn.Write([]byte{b}); err != nil {
			h.t.Fatal(err)
		}
	}
	h.expect(conn, hostileRow{want: "$4\r\nslow\r\n"})
}

// slowSubscriber is cut at its limit; another one gets all messages.
func (h *hostileNode) slowSubscriber() {
	slow, good, publisher := h.dial(), h.dial(), h.dial()
	for _, conn := range []net.Conn{slow, good} {
		h.expect(conn, hostileRow{send: command("SUBSCRIBE", "news"), want: "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"})
	}
	text := strings.Repeat("m", 100<<10)
	message := command("message", "news", text)
	r := bufio.NewReader(good)
	for i := 0; ; i++ {
		if i == 1000 {
			h.t.Fatal("100 MB unread, and the subscriber is still there")
		}
		receivers := h.ask(publisher, command("PUBLISH", "news", text))
		got := make([]byte, len(message))
		_ = good.SetDeadline(time.Now().Add(hostileWait))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != message {
			h.t.Fatalf("message %d: %.100q, %v", i, got, err)
		}
		if receivers == ":1\r\n" {
			break
		}
	}
	_ = slow.SetDeadline(time.Now().Add(hostileWait))
	if _, err := io.Copy(io.Discard, slow); os.IsTimeout(err) {
		h.t.Error("the slow subscriber was not disconnected")
	}
}

// clusterPort takes nothing but nodes of its cluster.
func (h *hostileNode) clusterPort() {
	for i, send := range []string{
		random(64<<10, 3), "\xff\xff\xff\xff\xff\xff\xff\xff", strings.Repeat("\x00", 64<<10), "GET / HTTP/1.1\r\nHost: x\r\n\r\n", command("PING"),
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random(1000, 4),
	} {
		for first := range 4 { // the first byte tells what the connection is for
			conn, err := net.Dial("tcp", h.clusterAddr())
			if err != nil {
				h.t.Fatal(err)
			}
			h.t.Cleanup(func() { conn.Close() })
			_ = conn.SetDeadline(time.Now().Add(hostileWait))
			if first > 0 {
				send = string([]byte{byte(first)}) + send
			}
			go func() { _, _ = io.WriteString(conn, send) }()
			if _, err := io.Copy(io.Discard, conn); os.IsTimeout(err) {
				h.t.Errorf("garbage %d, %d: the connection stays", i, first)
			}
		}
	}
	gossip, err := net.Dial("udp", h.clusterAddr())
	if err != nil {
		h.t.Fatal(err)
	}
	defer gossip.Close()
	for i := range uint64(200) {
		_, _ = io.WriteString(gossip, random(1400, 10+i)) // a packet that is refused is one that did no harm
	}
}

// unread sends commands whose replies it does not read, until it can send no more: they wait, up to client-pipeline-max.
func (h *hostileNode) unread() {
	conn := h.dial()
	_ = conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(conn, strings.Repeat(command("ECHO", "a reply that nobody reads"), 4<<20))
}
