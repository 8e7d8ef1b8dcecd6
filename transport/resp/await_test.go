package resp

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/transport/config"
)

// until asks again and again until the server answers as wanted: what another
// connection has caused comes in its own time.
func until(t *testing.T, c net.Conn, send, want string) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(patience))
	buf := make([]byte, 64<<10)
	for {
		_, _ = io.WriteString(c, send)
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("%q never led to %q: %v", send, want, err)
		}
		if strings.Contains(string(buf[:n]), want) {
			return
		}
	}
}

func blocked(t *testing.T, c net.Conn, n string) {
	t.Helper()
	until(t, c, "INFO clients\r\n", "blocked_clients:"+n+"\r\n")
}

// A command that waits is answered when it is served, and what follows it after that.
func TestWhatFollowsACommandThatWaits(t *testing.T) {
	s := serve(t, nil)
	a, b := dial(t, s), dial(t, s)
	_, _ = io.WriteString(a, "PING\r\nBLPOP k 0\r\nPING\r\nGET x\r\nBLPOP k 0\r\n")
	blocked(t, b, "1")
	exchange(t, b, "SET x 1\r\nRPUSH k v\r\n", "+OK\r\n:1\r\n", false)
	exchange(t, a, "ECHO e\r\n", "+PONG\r\n*2\r\n$1\r\nk\r\n$1\r\nv\r\n+PONG\r\n$1\r\n1\r\n", false)
	blocked(t, b, "1")
	exchange(t, b, "RPUSH k w\r\n", ":1\r\n", false)
	exchange(t, a, "QUIT\r\n", "*2\r\n$1\r\nk\r\n$1\r\nw\r\n$1\r\ne\r\n+OK\r\n", true)
	blocked(t, b, "0")
}

// Who goes while a command of his waits gets nothing: his element is another's.
func TestAClientThatGoesWhileItWaits(t *testing.T) {
	s := serve(t, nil)
	b := dial(t, s)
	for _, pipeline := range []string{"BLPOP k 0\r\n", "BLPOP k 0\r\nPING\r\n", "CLIENT REPLY SKIP\r\nBLPOP k 0\r\n"} {
		a := dial(t, s)
		_, _ = io.WriteString(a, pipeline)
		blocked(t, b, "1")
		a.Close()
		blocked(t, b, "0")
		exchange(t, b, "RPUSH k v\r\nRPOP k\r\n", ":1\r\n$1\r\nv\r\n", false)
	}
}

func TestAClientThatIsKilledWhileItWaits(t *testing.T) {
	s := serve(t, nil)
	a, b := dial(t, s), dial(t, s)
	_, _ = io.WriteString(a, "BLPOP k 0\r\nPING\r\n")
	blocked(t, b, "1")
	exchange(t, b, "CLIENT KILL TYPE normal\r\n", ":1\r\n", false)
	exchange(t, a, "", "", true)
	exchange(t, b, "RPUSH k v\r\n", ":1\r\n", false)
	until(t, b, "LLEN k\r\n", ":1\r\n")
}

func TestClientUnblock(t *testing.T) {
	s := serve(t, nil)
	a := dial(t, s)
	exchange(t, a, "CLIENT ID\r\n", ":1\r\n", false)
	b := dial(t, s)
	for _, c := range []struct{ reason, told string }{
		{"", "*-1\r\n"},
		{" timeout", "*-1\r\n"},
		{" ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"},
	} {
		_, _ = io.WriteString(a, "XREAD BLOCK 0 STREAMS s $\r\n")
		blocked(t, b, "1")
		exchange(t, b, "CLIENT UNBLOCK 1"+c.reason+"\r\n", ":1\r\n", false)
		exchange(t, a, "", c.told, false)
		exchange(t, b, "CLIENT UNBLOCK 1"+c.reason+"\r\n", ":0\r\n", false)
	}
	exchange(t, b, "CLIENT UNBLOCK 99\r\nCLIENT UNBLOCK x\r\nCLIENT UNBLOCK 1 WHY\r\n",
		":0\r\n-ERR value is not an integer or out of range\r\n-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n", false)
	_, _ = io.WriteString(a, "BLPOP k 0\r\n")
	blocked(t, b, "1")
	exchange(t, b, "MULTI\r\nRPUSH j 1\r\nCLIENT UNBLOCK 1\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n", false)
	exchange(t, a, "", "*-1\r\n", false)
}

// A client that waits is not idle.
func TestWhoWaitsIsNotClosedForIt(t *testing.T) {
	s := serve(t, []config.Pair{{Name: "timeout", Value: "1"}})
	a, idle := dial(t, s), dial(t, s)
	_, _ = io.WriteString(a, "BLPOP k 0\r\n")
	exchange(t, idle, ping, "+PONG\r\n", false)
	exchange(t, idle, "", "", true)
	exchange(t, dial(t, s), "RPUSH k v\r\n", ":1\r\n", false)
	exchange(t, a, "", "*2\r\n$1\r\nk\r\n$1\r\nv\r\n", false)
}

// What is sent behind a command that waits has the bound of any command.
func TestWhatIsSentWhileACommandWaitsIsBounded(t *testing.T) {
	s := serve(t, []config.Pair{{Name: "client-query-buffer-limit", Value: "1048576"}})
	a, b := dial(t, s), dial(t, s)
	_, _ = io.WriteString(a, "BLPOP k 0\r\n"+ping)
	blocked(t, b, "1")
	_ = a.SetDeadline(time.Now().Add(patience))
	go func() { _, _ = io.WriteString(a, strings.Repeat(ping, 2<<20/len(ping))) }()
	if _, err := io.ReadAll(a); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("it is not closed")
	}
	blocked(t, b, "0")
}

func TestWaitingOverTLS(t *testing.T) {
	cert, key, pool := certificate(t, t.TempDir())
	s := serve(t, []config.Pair{{Name: "tls-cert-file", Value: cert}, {Name: "tls-key-file", Value: key}, {Name: "tls-auth-clients", Value: "no"}},
		config.Listener{Name: "tls", Network: "tcp", Addrs: []string{"127.0.0.1:0"}, TLS: true})
	a, err := tls.Dial("tcp", s.Addrs()[1].Addr.String(), &tls.Config{RootCAs: pool, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b := dial(t, s)
	for range 3 {
		_, _ = io.WriteString(a, "BLPOP k 0\r\nPING\r\n")
		blocked(t, b, "1")
		exchange(t, b, "RPUSH k v\r\n", ":1\r\n", false)
		exchange(t, a, "", "*2\r\n$1\r\nk\r\n$1\r\nv\r\n+PONG\r\n", false)
	}
}

// A command that waits counts once it is answered, without the time that it waited.
func TestACommandThatWaitsInTheStatistics(t *testing.T) {
	s := serve(t, []config.Pair{{Name: "slowlog-log-slower-than", Value: "50000"}})
	a, b := dial(t, s), dial(t, s)
	_, _ = io.WriteString(a, "BLPOP k 0\r\n")
	blocked(t, b, "1")
	until(t, b, "CLIENT LIST\r\n", "flags=b")
	exchange(t, b, "BLPOP none 0.1\r\n", "*-1\r\n", false)
	until(t, b, "INFO commandstats\r\n", "cmdstat_blpop:calls=1,")
	exchange(t, b, "RPUSH k v\r\n", ":1\r\n", false)
	exchange(t, a, "", "*2\r\n$1\r\nk\r\n$1\r\nv\r\n", false)
	until(t, b, "INFO commandstats\r\n", "cmdstat_blpop:calls=2,")
	exchange(t, b, "SLOWLOG LEN\r\n", ":0\r\n", false)
}
