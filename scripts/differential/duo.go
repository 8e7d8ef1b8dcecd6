package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/scripts/differential/compare"
	"github.com/quorate/quorate/scripts/differential/wire"
	"github.com/quorate/quorate/scripts/differential/workload"
)

// duo is a redis-server and a cluster that are given the same commands.
type duo struct {
	addr      string // of redis-server
	endpoints []string
	clients   []*client
	redis     *wire.Conn   // for what is no client's
	nodes     []*wire.Conn // as well
	counts    *counts
}

// client is a conversation with redis-server, and the same one with a node.
type client struct {
	redis, ours *wire.Conn
	proto       string
	queued      []queued // the commands of its open transaction
}

type queued struct {
	rule compare.Rule
	args [][]byte
}

// protocols are spoken by two clients on every node.
var protocols = []string{"2", "3"}

func newDuo(redis string, endpoints []string) (*duo, error) {
	d := &duo{addr: redis, endpoints: endpoints, counts: newCounts()}
	return d, d.dial()
}

// dial connects to all servers; connections that there are, which may have replies
// to come, are closed.
func (d *duo) dial() (err error) {
	for _, conn := range d.connections() {
		_ = conn.Close() // nothing is wanted of it any more
	}
	d.nodes, d.clients = nil, nil
	if d.redis, err = wire.Dial(d.addr); err != nil {
		return err
	}
	for _, addr := range d.endpoints {
		node, err := wire.Dial(addr)
		if err != nil {
			return err
		}
		d.nodes = append(d.nodes, node)
	}
	for _, proto := range protocols {
		for _, addr := range d.endpoints {
			c := &client{proto: proto}
			if c.redis, err = wire.Dial(d.addr); err != nil {
				return err
			}
			if c.ours, err = wire.Dial(addr); err != nil {
				return err
			}
			d.clients = append(d.clients, c)
		}
	}
	return nil
}

func (d *duo) connections() []*wire.Conn {
	if d.redis == nil {
		return nil
	}
	all := append([]*wire.Conn{d.redis}, d.nodes...)
	for _, c := range d.clients {
		all = append(all, c.redis, c.ours)
	}
	return all
}

// errUnavailable means that the cluster did not serve for a moment: what both
// sides hold is no longer known to be the same.
var errUnavailable = errors.New("the cluster does not serve")

// afresh is dial after the cluster did not serve. It waits until what was in doubt is settled, or a command of an epoch
// that was given up, sent through a node that was behind, could still be applied behind the FLUSHALL through another
// node with which the next epoch begins.
func (d *duo) afresh() error {
	for _, c := range d.clients {
		if err := settled(c.ours); err != nil {
			return err
		}
	}
	if err := settled(d.nodes[0]); err != nil { // its settings were set through it
		return err
	}
	return d.dial()
}

// doubtTries bounds how often it is asked whether the doubt is over; every try may take as long as a write does.
const doubtTries = 30

// settled waits until a node executes what comes through a connection, of whose pipeline there may be replies to come:
// it does so when everything is settled that it had called in doubt.
func settled(conn *wire.Conn) error {
	for i := range doubtTries {
		token, end := fmt.Sprint("settled:", i), fmt.Sprint("end:", i)
		conn.Put(wire.Words("RESET")...) // of a transaction
		conn.Put(wire.Words("EVAL", "return ARGV[1]", "0", token)...)
		conn.Put(wire.Words("ECHO", end)...)
		if err := conn.Flush(); err != nil {
			return err
		}
		executed := false
		for {
			raw, err := conn.Next()
			if err != nil {
				return err
			}
			executed = executed || bytes.Contains(raw, []byte(token))
			if bytes.Contains(raw, []byte(end)) {
				break
			}
		}
		if executed {
			return nil
		}
	}
	return fmt.Errorf("%s: what is in doubt is not settled", conn.Addr)
}

// otherSettings tells which servers have other settings than those of the epoch, "" for none.
func (d *duo) otherSettings(settings [][2]string) (string, error) {
	var lines []string
	for _, conn := range append([]*wire.Conn{d.redis}, d.nodes...) {
		for _, s := range settings {
			v, err := conn.Ask("CONFIG", "GET", s[0])
			if err != nil {
				return "", err
			}
			if len(v.Elems) != 2 || string(v.Elems[1].Text) != s[1] {
				lines = append(lines, fmt.Sprintf("%s at %s is %s, not %s\n", s[0], conn.Addr, shown(v), s[1]))
			}
		}
	}
	return strings.Join(lines, ""), nil
}

// reset brings both sides to the same beginning.
func (d *duo) reset(settings [][2]string) error {
	for _, c := range d.clients {
		c.queued = nil
		for _, conn := range []*wire.Conn{c.redis, c.ours} {
			conn.Put(wire.Words("RESET")...)
			conn.Put(wire.Words("HELLO", c.proto)...)
			if err := answers(conn, 2); err != nil {
				return err
			}
		}
	}
	for _, conn := range []*wire.Conn{d.redis, d.nodes[0]} {
		conn.Put(wire.Words("SELECT", "0")...)
		conn.Put(wire.Words("FLUSHALL")...)
		conn.Put(wire.Words("SCRIPT", "FLUSH")...)
		for _, s := range settings {
			conn.Put(wire.Words("CONFIG", "SET", s[0], s[1])...)
		}
		if err := answers(conn, 3+len(settings)); err != nil {
			return err
		}
	}
	return nil
}

// answers sends the pipeline and reads n replies, none of which may be an error.
func answers(conn *wire.Conn, n int) error {
	if err := conn.Flush(); err != nil {
		return err
	}
	for range n {
		raw, err := conn.Next()
		if err != nil {
			return err
		}
		if err := unavailable(raw); err != nil {
			return err
		}
		if raw[0] == '-' {
			return fmt.Errorf("%s: %s", conn.Addr, bytes.TrimSpace(raw))
		}
	}
	return nil
}

// difference is what the two sides did not agree on.
type difference struct {
	step  int // after which, or at which, of the steps that were given
	pair  compare.Pair
	known *known // why it is no fault
	state string // instead of replies: what of the state differs
}

func (d *difference) String() string {
	if d.state != "" {
		return d.state + "\n"
	}
	return fmt.Sprintf("redis-server:\n%s\nquorate:\n%s\n", indent(shown(d.pair.Redis)), indent(shown(d.pair.Ours)))
}

func indent(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") }

// rawPair is a reply of each side, as sent.
type rawPair struct{ redis, ours []byte }

func (c *client) next() (p rawPair, err error) {
	if p.ours, err = c.ours.Next(); err != nil {
		return p, err
	}
	p.redis, err = c.redis.Next()
	return p, err
}

func (p rawPair) values() (compare.Pair, error) {
	if p.redis == nil {
		return compare.Pair{}, nil
	}
	redis, _, err := reply.Read(p.redis)
	ours, _, err2 := reply.Read(p.ours)
	return compare.Pair{Redis: redis, Ours: ours}, errors.Join(err, err2)
}

// judge compares the replies to a step.
func (d *duo) judge(c *client, s *workload.Step, got, before rawPair) (*difference, error) {
	rule := c.follow(s, got.redis)
	if bytes.Equal(got.redis, got.ours) {
		return nil, nil
	}
	if err := unavailable(got.ours); err != nil {
		return nil, err
	}
	if s.Settle == workload.DropTheKey {
		return nil, nil // what came of it is looked at when it is settled
	}
	pair, err := got.values()
	if err != nil {
		return nil, err
	}
	var parted *known
	a := &compare.Answers{Args: s.Answered(), Got: pair, Excuse: func(a *compare.Answers) bool {
		why := explain(a)
		if why == nil {
			return false
		}
		d.counts.known[why]++
		if why.diverges {
			parted = why
		}
		return true
	}}
	if a.Before, err = before.values(); err != nil {
		return nil, err
	}
	if compare.Same(rule, a) && parted == nil {
		return nil, nil
	}
	return &difference{pair: pair, known: parted}, nil
}

// follow keeps the books of transactions, and returns the rule for the replies
// to a step: EXEC's is made of those of what it carries out.
func (c *client) follow(s *workload.Step, redis []byte) compare.Rule {
	if bytes.Equal(redis, []byte("+QUEUED\r\n")) {
		c.queued = append(c.queued, queued{s.Rule, s.Answered()})
		return nil
	}
	if len(s.Args) != 1 {
		return s.Rule
	}
	switch name := strings.ToUpper(string(s.Args[0])); name {
	case "MULTI", "DISCARD", "EXEC":
		all := c.queued
		if redis[0] != '-' || name == "EXEC" {
			c.queued = nil
		}
		if name != "EXEC" {
			return nil
		}
		var rules []compare.Rule
		var args [][][]byte
		for _, q := range all {
			rules, args = append(rules, q.rule), append(args, q.args)
		}
		return compare.Each(rules, args)
	}
	return s.Rule
}
