package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/rdb/redistest"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/transcript"
	"github.com/quorate/quorate/engine/waiting"
)

// crowd are clients of one server, some of whom wait.
type crowd interface {
	// do has a client send a command, and tells who was answered, and how: the client,
	// unless it waits now, and those that waited. Times pass by "advance MS".
	do(client string, args [][]byte) string
}

const waitingFile = "testdata/waiting.txt"

// TestWhoIsServed runs scripts of several clients. -rewrite puts in what was answered,
// -oracle asks redis-server too.
func TestWhoIsServed(t *testing.T) {
	text, err := os.ReadFile(waitingFile)
	if err != nil {
		t.Fatal(err)
	}
	var rewritten []string
	for _, script := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		head, _, _ := strings.Cut(script, "\n----")
		name, _, _ := strings.Cut(strings.TrimPrefix(head, "# "), "\n")
		got := head + "\n----\n" + play(&room{engine: New(Options{}), now: 1_700_000_000_000}, head)
		rewritten = append(rewritten, got)
		if got != script && !transcript.Rewrite() {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, script)
		}
		if transcript.Oracle() && !strings.Contains(head, "(ours)") {
			o := &redisServer{t: t, admin: redistest.Start(t, nil), clients: make(map[string]*remote)}
			if want := head + "\n----\n" + play(o, head); got != want {
				t.Errorf("%s: got\n%s\nredis-server\n%s", name, got, want)
			}
		}
	}
	if transcript.Rewrite() {
		if err := os.WriteFile(waitingFile, []byte(strings.Join(rewritten, "\n\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// play carries out the lines of a script, and returns the answers.
func play(c crowd, script string) string {
	var out []string
	for line := range strings.Lines(script) {
		client, command, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || client == "#" {
			continue
		}
		if got := c.do(client, words(strings.Fields(command)...)); got != "" {
			out = append(out, got)
		}
	}
	return strings.Join(out, "\n")
}

// room is an engine with clients. It answers waiters.
type room struct {
	engine *Engine
	index  uint64
	now    int64
	dbs    map[string]int
	queued map[string][][][]byte
	waits  map[uint64]string // clients, by waiter

	out *reply.Writer
	got []string
}

func (r *room) Begin(*waiting.Waiter) (*reply.Writer, any) {
	r.out = reply.NewWriter(reply.RESP2, nil)
	return r.out, nil
}

func (r *room) End(w *waiting.Waiter, answered bool) {
	if answered {
		r.got = append(r.got, r.waits[w.ID]+" "+oneLine(r.out.Bytes()))
		delete(r.waits, w.ID)
	}
}

func oneLine(raw []byte) string {
	return strings.ReplaceAll(strings.TrimSuffix(string(raw), "\r\n"), "\r\n", " ")
}

func (r *room) do(client string, args [][]byte) string {
	if r.waits == nil {
		r.waits, r.dbs, r.queued = make(map[uint64]string), make(map[string]int), make(map[string][][][]byte)
	}
	r.index++
	r.got = nil
	out := reply.NewWriter(reply.RESP2, nil)
	r.engine.Apply(func(s *Step) {
		s.Entry(r.index, r.now)
		r.execute(s, client, args, out)
		s.Serve(r)
		s.ExpireWaiters(r)
	})
	if out.Len() > 0 {
		r.got = append([]string{client + " " + oneLine(out.Bytes())}, r.got...)
	}
	return sorted(client, r.got)
}

func (r *room) execute(s *Step, client string, args [][]byte, out *reply.Writer) {
	queued, inTx := r.queued[client]
	switch word := strings.ToUpper(string(args[0])); {
	case client == "advance":
		ms, _ := strconv.Atoi(string(args[0]))
		r.now += int64(ms)
		s.Entry(r.index, r.now)
		s.ExpireDue(100)
	case word == "SELECT":
		r.dbs[client], _ = strconv.Atoi(string(args[1]))
		out.OK()
	case word == "MULTI":
		r.queued[client] = [][][]byte{}
		out.OK()
	case word == "EXEC":
		delete(r.queued, client)
		out.Array(len(queued))
		for _, c := range queued {
			s.Do(r.dbs[client], c, true, out)
		}
	case inTx:
		r.queued[client] = append(queued, args)
		out.Status("QUEUED")
	case word == "LEAVE":
		for id, who := range r.waits {
			if who == string(args[1]) {
				s.Drop(id)
				delete(r.waits, id)
			}
		}
	case waits(r.engine, args):
		if id := s.DoOrWait(waiting.Owner{1}, call.As{}, r.dbs[client], args, out); id != 0 {
			r.waits[id] = client
		}
	default:
		s.Do(r.dbs[client], args, false, out)
	}
}

// redisServer is a redis-server with clients.
type redisServer struct {
	t       *testing.T
	admin   *redistest.Server
	clients map[string]*remote
	waiting []string // clients, first come first
}

// remote is a client of a redis-server.
type remote struct {
	conn   net.Conn
	id     string
	answer chan string // one for each command
}

func (s *redisServer) client(name string) *remote {
	if c := s.clients[name]; c != nil {
		return c
	}
	c := &remote{conn: s.admin.Dial(), answer: make(chan string)}
	s.clients[name] = c
	go c.receive()
	c.send(words("CLIENT", "ID"))
	c.id = strings.TrimPrefix(<-c.answer, ":")
	return c
}

func (c *remote) send(args [][]byte) {
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, arg := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	_, _ = c.conn.Write(b)
}

// receive reads replies until the connection ends.
func (c *remote) receive() {
	var raw []byte
	for in := bufio.NewReader(c.conn); ; {
		line, err := in.ReadBytes('\n')
		if err != nil {
			close(c.answer)
			return
		}
		raw = append(raw, line...)
		if _, _, err := reply.Read(raw); err == nil {
			c.answer <- oneLine(raw)
			raw = nil
		}
	}
}

// answered returns the answer to a client's command, unless it waits.
func (s *redisServer) answered(c *remote) (string, bool) {
	for {
		select {
		case text := <-c.answer:
			return text, true
		case <-time.After(time.Millisecond): // another process: nothing to wait on
		}
		line := string(s.admin.Do("CLIENT", "LIST", "ID", c.id).Text)
		_, flags, _ := strings.Cut(line, " flags=")
		if flags, _, _ = strings.Cut(flags, " "); strings.Contains(flags, "b") {
			return "", false
		}
	}
}

func (s *redisServer) do(client string, args [][]byte) string {
	var got []string
	switch {
	case client == "advance":
		ms, _ := strconv.Atoi(string(args[0]))
		time.Sleep(time.Duration(ms+50) * time.Millisecond) // it has a clock of its own
		s.admin.Do("PING")
	case bytes.EqualFold(args[0], []byte("LEAVE")):
		name := string(args[1])
		s.admin.Do("CLIENT", "KILL", "ID", s.clients[name].id)
		delete(s.clients, name)
		s.waiting = slices.DeleteFunc(s.waiting, func(n string) bool { return n == name })
	default:
		c := s.client(client)
		c.send(args)
		text, ok := s.answered(c)
		if !ok {
			s.waiting = append(s.waiting, client)
			return ""
		}
		got = append(got, client+" "+text)
	}
	for _, name := range slices.Clone(s.waiting) {
		if text, ok := s.answered(s.clients[name]); ok {
			got = append(got, name+" "+text)
			s.waiting = slices.DeleteFunc(s.waiting, func(n string) bool { return n == name })
		}
	}
	return sorted(client, got)
}

// sorted puts those that waited behind the client, in order of their names: in which
// order a server answers several can't be seen from outside.
func sorted(client string, answers []string) string {
	waited := answers
	if len(answers) > 0 && strings.HasPrefix(answers[0], client+" ") {
		waited = answers[1:]
	}
	slices.Sort(waited)
	return strings.Join(answers, "\n")
}

// waits reports whether a call may wait when there is nothing to give.
func waits(e *Engine, args [][]byte) bool {
	row, _, ok := e.table.Find(args)
	return ok && row.Waits != nil && row.Waits(args)
}
