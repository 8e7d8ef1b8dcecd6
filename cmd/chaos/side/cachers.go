package side

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

// CachingKind is the name of the rounds of clients that keep copies, where kinds are
// chosen and counted. One is what one connection sees in a while.
const CachingKind = "caching"

// Manner is how a client has itself told of changes.
type Manner uint8

// The manners.
const (
	Tracking    Manner = iota // of the keys that it has read
	Broadcast                 // of all keys with a prefix
	OptIn                     // of the keys that it has read behind CLIENT CACHING YES
	Redirected                // by another connection of its own
	StaleReader               // of the keys that it has read; it asks for no fresh reads
	manners
)

func (m Manner) String() string {
	return [...]string{"default", "BCAST", "OPTIN", "REDIRECT", "default, stale reads"}[m]
}

// Keys of each writer, and what the names of all keys that are copied begin with.
const keysOfAuthor = 6

func (e *Env) copiedPrefix() string { return e.Prefix + "copied:" }

// Caching is writers, one for each node, and clients of all nodes that keep copies of
// what the writers write.
type Caching struct {
	Env  *Env
	Rand *rand.Rand
	Pace time.Duration // mean pause of each client
}

// Run lets them work until ctx ends.
func (c *Caching) Run(ctx context.Context) {
	nodes := len(c.Env.Endpoints)
	authors := make([]*Author, nodes)
	fork := func() *rand.Rand { return rand.New(rand.NewPCG(c.Rand.Uint64(), c.Rand.Uint64())) }
	for i := range authors {
		authors[i] = NewAuthor(i, keysOfAuthor, c.Env.copiedPrefix())
	}
	done := make(chan struct{})
	running := 0
	start := func(f func(context.Context)) {
		running++
		go func() {
			f(ctx)
			done <- struct{}{}
		}()
	}
	for i, a := range authors {
		w := &writer{author: a, rand: fork(), pace: c.Pace, line: line{env: c.Env, node: i, resp: 2, who: fmt.Sprintf("writer %d of copied keys", i)}}
		start(w.run)
	}
	for i := range max(int(manners), 2*nodes) {
		k := &cacher{env: c.Env, number: i, node: i % nodes, manner: Manner(i % int(manners)), authors: authors, rand: fork(), pace: c.Pace}
		start(k.run)
	}
	for range running {
		<-done
	}
}

// writer is the client of an author.
type writer struct {
	author *Author
	rand   *rand.Rand
	pace   time.Duration
	line   line
}

func (w *writer) run(ctx context.Context) {
	defer w.line.hangUp()
	for ctx.Err() == nil {
		if !w.line.connect(ctx) {
			continue
		}
		w.write()
		pause(ctx, time.Duration(w.rand.Int64N(int64(2*w.pace))))
	}
}

// write writes to a key, or to two at once.
func (w *writer) write() {
	places := w.rand.Perm(keysOfAuthor)[:1+w.rand.IntN(2)]
	v, keys := w.author.Begin(places...)
	value := w.author.Value(v)
	cmds := make([][]string, len(keys))
	for i, key := range keys {
		cmds[i] = []string{"SET", key, value}
	}
	began := w.line.env.now()
	var err error
	switch conn := w.line.conn; {
	case len(keys) == 1 && w.rand.IntN(4) > 0:
		_, err = conn.Do(ledgerTimeout, cmds[0]...)
	case len(keys) == 1:
		_, err = conn.Do(ledgerTimeout, "EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", "1", keys[0], value)
	case w.rand.IntN(2) == 0:
		_, err = conn.Do(ledgerTimeout, "MSET", keys[0], value, keys[1], value)
	default:
		_, err = transaction(conn, ledgerTimeout, cmds...)
	}
	outcome := Acked
	if err != nil {
		outcome = w.line.failed(err, began)
	}
	w.author.End(outcome, w.line.env.copiedPrefix(), places...)
}

// cacher is a client that keeps copies.
type cacher struct {
	env     *Env
	number  int
	node    int
	manner  Manner
	authors []*Author
	rand    *rand.Rand
	pace    time.Duration

	data, news *line // news is data's own unless the manner is Redirected
	copies     *Copies
	pings      int
	operations int
	failed     bool
	trace      []string // the last of what was read, for people
}

// spellLasts is about how long a round of a cacher is.
const spellLasts = 2 * time.Second

func (c *cacher) who() string {
	return fmt.Sprintf("client %d of node %d, which keeps copies (%v)", c.number, c.node+1, c.manner)
}

func (c *cacher) run(ctx context.Context) {
	c.data = &line{env: c.env, node: c.node, resp: 3, who: c.who()}
	c.news = c.data
	if c.manner == Redirected {
		c.data.resp = 2
		c.news = &line{env: c.env, node: c.node, resp: 3, who: c.who() + ", where it is told"}
	}
	defer c.hangUp()
	began := c.env.now()
	for ctx.Err() == nil {
		if c.copies == nil && !c.begin(ctx) {
			continue
		}
		if !c.step() {
			c.hangUp()
		}
		if c.env.now()-began > spellLasts {
			c.env.judged(CachingKind, Verdict{Operations: c.operations, Failed: c.failed})
			c.operations, c.failed, began = 0, false, c.env.now()
			if c.rand.IntN(4) == 0 {
				c.hangUp()
			}
		}
		pause(ctx, time.Duration(c.rand.Int64N(int64(2*c.pace))))
	}
	c.env.judged(CachingKind, Verdict{Operations: c.operations, Failed: c.failed})
}

// hangUp ends the connection, and with it all copies.
func (c *cacher) hangUp() {
	c.data.hangUp()
	c.news.hangUp()
	c.copies = nil
}

// begin connects and begins to track.
func (c *cacher) begin(ctx context.Context) bool {
	tracking := []string{"CLIENT", "TRACKING", "ON"}
	c.data.hello = nil
	switch c.manner {
	case Broadcast:
		tracking = append(tracking, "BCAST", "PREFIX", c.env.copiedPrefix())
	case OptIn:
		tracking = append(tracking, "OPTIN")
	case StaleReader:
		c.data.hello = append(c.data.hello, []string{"CLIENT", "CONSISTENCY", "stale"})
	case Redirected:
		if !c.news.connect(ctx) {
			return false
		}
		v, err := c.news.conn.Do(ledgerTimeout, "CLIENT", "ID")
		if err != nil {
			c.news.failed(err, c.env.now())
			c.hangUp()
			return false
		}
		tracking = append(tracking, "REDIRECT", strconv.FormatInt(v.Int, 10))
	}
	c.data.hello = append(c.data.hello, tracking)
	if !c.data.connect(ctx) {
		c.hangUp()
		return false
	}
	c.copies = NewCopies(c.authors)
	c.note("connected")
	return true
}

// note keeps a line of the trace.
func (c *cacher) note(format string, args ...any) {
	const kept = 400
	if len(c.trace) >= 2*kept {
		c.trace = append(c.trace[:0], c.trace[kept:]...)
	}
	c.trace = append(c.trace, fmt.Sprintf("%12.6f ", c.env.now().Seconds())+fmt.Sprintf(format, args...))
}

// step reads a few keys in one pipeline, and checks what that shows. It returns false
// if the connection has ended.
func (c *cacher) step() bool {
	var keys []string
	most := 3
	if c.manner == Redirected {
		most = 1 // what is told elsewhere of a reply that is on its way would be missed
	}
	for range 1 + c.rand.IntN(most) {
		keys = append(keys, c.authors[c.rand.IntN(len(c.authors))].Key(c.rand.IntN(keysOfAuthor)))
	}
	keep := c.rand.IntN(4) > 0
	acked := make([]int64, len(c.authors))
	for i, a := range c.authors {
		acked[i] = a.Acked()
	}
	conn, began := c.data.conn, c.env.now()
	opted := c.manner == OptIn && keep
	for _, key := range keys {
		if opted {
			conn.Append("CLIENT", "CACHING", "YES")
		}
		conn.Append("GET", key)
	}
	if err := conn.Flush(ledgerTimeout); err != nil {
		c.data.failed(err, began)
		return false
	}
	for _, key := range keys {
		if opted {
			if v, err := c.reply(c.data); err != nil || v.Kind == reply.KindError {
				c.refused(v, err, began)
				return false
			}
		}
		v, err := c.reply(c.data)
		if err != nil {
			c.refused(v, err, began)
			return false
		}
		if v.Kind == reply.KindError {
			c.refused(v, nil, began)
			continue
		}
		c.operations++
		if !c.took(key, &v, keep, acked) {
			return false
		}
	}
	return true
}

func (c *cacher) refused(v reply.Value, err error, began time.Duration) {
	if err == nil {
		err = reply.Error(v.Text)
	}
	c.data.failed(err, began)
}

// took takes a reply to GET and checks what it shows. It returns false if a connection
// has ended.
func (c *cacher) took(key string, v *reply.Value, keep bool, acked []int64) bool {
	c.note("read %s: %q, acknowledged before: %v", key, v.Text, acked)
	var fresh []Due
	if c.manner != StaleReader {
		for author, version := range acked {
			fresh = append(fresh, c.copies.Proven(author, version)...)
		}
	}
	if v.Kind != reply.KindNull {
		more, err := c.copies.Read(key, string(v.Text), keep)
		if err != nil {
			c.complain(err.Error())
		}
		fresh = append(fresh, more...)
	}
	if c.manner == Redirected && !c.ping() {
		return false
	}
	for _, wrong := range c.copies.Stale(fresh) {
		c.complain(wrong)
	}
	return true
}

func (c *cacher) complain(text string) {
	c.failed = true
	where := c.env.keep(fmt.Sprintf("copies-%d.txt", c.number), strings.Join(c.trace, "\n")+"\n")
	c.env.Violation(c.who() + where + ": " + text)
}

// ping makes sure that the messages of the other connection are here that were written
// before the reply that has just been read.
func (c *cacher) ping() bool {
	began := c.env.now()
	c.news.conn.Append("PING", strconv.Itoa(c.pings))
	err := c.news.conn.Flush(ledgerTimeout)
	var v reply.Value
	if err == nil {
		v, err = c.reply(c.news)
	}
	if err != nil {
		c.news.failed(err, began)
		return false
	}
	if string(v.Text) != strconv.Itoa(c.pings) {
		c.complain(fmt.Sprintf("PING %d was answered %q", c.pings, v.Text))
	}
	c.pings++
	return true
}

// reply reads the next reply of a connection, and heeds the messages before it.
func (c *cacher) reply(l *line) (reply.Value, error) {
	for {
		v, err := l.conn.Read(ledgerTimeout)
		if err != nil || v.Kind != reply.KindPush {
			return v, err
		}
		c.told(&v)
	}
}

// told takes a message.
func (c *cacher) told(v *reply.Value) {
	c.operations++
	if len(v.Elems) != 2 || string(v.Elems[0].Text) != "invalidate" {
		c.complain(fmt.Sprintf("it was told %v", v))
		return
	}
	if v.Elems[1].Kind == reply.KindNull {
		c.note("told to drop all")
		c.copies.DropAll()
		return
	}
	for i := range v.Elems[1].Elems {
		key := string(v.Elems[1].Elems[i].Text)
		c.note("told to drop %s", key)
		if !strings.HasPrefix(key, c.env.copiedPrefix()) {
			c.complain("it was told of " + key + ", which it has not read")
		}
		c.copies.Drop(key)
	}
}
