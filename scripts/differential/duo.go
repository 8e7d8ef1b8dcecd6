package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/scripts/differential/compare"
	"github.com/quorate/quorate/scripts/differential/wire"
	"github.com/quorate/quorate/scripts/differential/workload"
)

// duo is a redis-server and a cluster that are given the same commands.
type duo struct {
	clients []*client
	redis   *wire.Conn   // for what is no client's
	nodes   []*wire.Conn // as well
	counts  *counts
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
	d := &duo{counts: newCounts()}
	var err error
	if d.redis, err = wire.Dial(redis); err != nil {
		return nil, err
	}
	for _, addr := range endpoints {
		node, err := wire.Dial(addr)
		if err != nil {
			return nil, err
		}
		d.nodes = append(d.nodes, node)
	}
	for _, proto := range protocols {
		for _, addr := range endpoints {
			c := &client{proto: proto}
			if c.redis, err = wire.Dial(redis); err != nil {
				return nil, err
			}
			if c.ours, err = wire.Dial(addr); err != nil {
				return nil, err
			}
			d.clients = append(d.clients, c)
		}
	}
	return d, nil
}

// errUnavailable means that the cluster did not serve for a moment: what both
// sides hold is no longer known to be the same.
var errUnavailable = errors.New("the cluster does not serve")

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

// run carries out steps and returns the first difference, nil for none.
func (d *duo) run(steps []workload.Step) (*difference, error) {
	for at := 0; at < len(steps); {
		n := together(steps[at:])
		diff, err := d.pipeline(steps[at : at+n])
		if diff != nil {
			diff.step += at
		}
		if diff != nil || err != nil {
			return diff, err
		}
		at += n
	}
	return nil, nil
}

// pipelineMax bounds the commands that are sent at once.
const pipelineMax = 500

// together is how many of the first steps can be sent at once: those of one
// client, up to one after which there is something to do.
func together(steps []workload.Step) int {
	for i := range steps {
		switch {
		case steps[i].Client != steps[0].Client, i == pipelineMax, i > 0 && steps[i].Args == nil:
			return i
		case steps[i].Settle != workload.Nothing, steps[i].Args == nil:
			return i + 1
		}
	}
	return len(steps)
}

// pipeline carries out steps of one client, sent at once.
func (d *duo) pipeline(steps []workload.Step) (*difference, error) {
	if steps[0].Args == nil {
		time.Sleep(steps[0].Wait)
		return nil, nil
	}
	c := d.clients[steps[0].Client]
	for i := range steps {
		if steps[i].Probe != nil {
			c.redis.Put(steps[i].Probe...)
			c.ours.Put(steps[i].Probe...)
		}
		c.redis.Put(steps[i].Args...)
		c.ours.Put(steps[i].Args...)
	}
	// The cluster takes longer: it begins first.
	if err := errors.Join(c.ours.Flush(), c.redis.Flush()); err != nil {
		return nil, err
	}
	var diff *difference
	var got rawPair
	for i := range steps {
		next, reply, err := d.step(c, &steps[i], diff != nil)
		if err != nil {
			return nil, err
		}
		if got = reply; next != nil {
			diff = next
			diff.step = i
		}
	}
	if last := &steps[len(steps)-1]; diff == nil && last.Settle != workload.Nothing {
		return d.settle(c, last, got, len(steps)-1)
	}
	return diff, nil
}

// step reads the replies to a step, and judges them unless they only need to be
// read.
func (d *duo) step(c *client, s *workload.Step, read bool) (diff *difference, got rawPair, err error) {
	var before rawPair
	if s.Probe != nil {
		if before, err = c.next(); err != nil {
			return nil, got, fmt.Errorf("%q: %w", s.Probe, err)
		}
	}
	if got, err = c.next(); err != nil {
		return nil, got, fmt.Errorf("%q: %w", s.Args, err)
	}
	d.counts.note(s, got.redis)
	if read {
		return nil, got, nil
	}
	if s.Probe != nil {
		probe := &workload.Step{Args: s.Probe, Rule: s.ProbeRule}
		if diff, err = d.judge(c, probe, before, rawPair{}); diff != nil || err != nil {
			return diff, got, err
		}
	}
	diff, err = d.judge(c, s, got, before)
	return diff, got, err
}

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
	for _, prefix := range []string{"-CLUSTERDOWN", "-INDOUBT", "-TRYAGAIN", "-LOADING"} {
		if bytes.HasPrefix(got.ours, []byte(prefix)) {
			return nil, fmt.Errorf("%w: %s", errUnavailable, bytes.TrimSpace(got.ours))
		}
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
