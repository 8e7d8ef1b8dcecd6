package side

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/quorate/quorate/cmd/chaos/client"
	"github.com/quorate/quorate/engine/reply"
)

// Missed is messages that a connected subscriber did not get.
type Missed struct {
	Publisher, Subscriber int           // nodes
	From, To              time.Duration // since the run began: the messages before and after came then
	Count                 int64
}

// Publisher publishes numbered messages through one node. Before each it
// increments a counter, and tells what it saw.
type Publisher struct {
	Env  *Env
	Node int
	Pace time.Duration
}

func (e *Env) channel(node int) string { return fmt.Sprintf("%snews:%d", e.Prefix, node) }

func (e *Env) causalKey(node int) string { return fmt.Sprintf("%sseen:%d", e.Prefix, node) }

// Run publishes until ctx ends.
func (p *Publisher) Run(ctx context.Context) {
	for life := int64(1); ctx.Err() == nil; life++ {
		p.live(ctx, life)
		pause(ctx, 50*time.Millisecond)
	}
}

// live publishes on one connection until it fails. A message whose fate is not
// known ends the life, so that numbers have no holes that mean nothing.
func (p *Publisher) live(ctx context.Context, life int64) {
	conn, err := client.Dial(p.Env.Endpoints[p.Node], 2, time.Second)
	if err != nil {
		return
	}
	defer conn.Close()
	for number := int64(1); ctx.Err() == nil; number++ {
		v, err := conn.Do(ledgerTimeout, "INCR", p.Env.causalKey(p.Node))
		if err != nil {
			return
		}
		if _, err = conn.Do(ledgerTimeout, "PUBLISH", p.Env.channel(p.Node), fmt.Sprintf("%d %d %d", life, number, v.Int)); err != nil {
			return
		}
		p.Env.publishedSoFar(p.Node, life, number)
		pause(ctx, p.Pace)
	}
}

// publishedSoFar notes that a message of a node's publisher was acknowledged.
func (e *Env) publishedSoFar(node int, life, number int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.published) <= node {
		e.published = append(e.published, make(map[int64]int64))
	}
	e.published[node][life] = number
}

// lastPublished returns the last acknowledged message of a life, 0 for none.
func (e *Env) lastPublished(node int, life int64) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if node >= len(e.published) {
		return 0
	}
	return e.published[node][life]
}

// Subscriber hears all publishers on one node, and reads on that node what
// they had seen, on a connection that asks for no fresh reads: the message
// alone must have brought the node so far.
type Subscriber struct {
	Env  *Env
	Node int
}

// Run listens until ctx ends.
func (s *Subscriber) Run(ctx context.Context) {
	for ctx.Err() == nil {
		s.listen(ctx)
		pause(ctx, 50*time.Millisecond)
	}
}

func (s *Subscriber) listen(ctx context.Context) {
	conn, err := client.Dial(s.Env.Endpoints[s.Node], 2, time.Second)
	if err != nil {
		return
	}
	defer conn.Close()
	reader, err := client.Dial(s.Env.Endpoints[s.Node], 2, time.Second)
	if err != nil {
		return
	}
	defer reader.Close()
	if _, err := reader.Do(ledgerTimeout, "CLIENT", "CONSISTENCY", "stale"); err != nil {
		return
	}
	channels := []string{"SUBSCRIBE"}
	publishers := make(map[string]int)
	for node := range s.Env.Endpoints {
		channels = append(channels, s.Env.channel(node))
		publishers[s.Env.channel(node)] = node
	}
	conn.Append(channels...)
	if conn.Flush(ledgerTimeout) != nil {
		return
	}
	stop := context.AfterFunc(ctx, conn.Close)
	defer stop()
	type heard struct {
		Received
		at time.Duration
	}
	all := make([]heard, len(s.Env.Endpoints))
	for n := 0; ; n++ {
		v, err := conn.Read(time.Hour)
		if err != nil {
			return
		}
		if len(v.Elems) != 3 || string(v.Elems[0].Text) != "message" {
			continue
		}
		publisher := publishers[string(v.Elems[1].Text)]
		var m Message
		if _, err := fmt.Sscan(string(v.Elems[2].Text), &m.Life, &m.Number, &m.Saw); err != nil {
			s.complain(publisher, fmt.Errorf("message %q", v.Elems[2].Text))
			continue
		}
		h := &all[publisher]
		missing, err := h.Take(m, func(life int64) int64 { return s.Env.lastPublished(publisher, life) })
		now := s.Env.now()
		if err != nil {
			s.complain(publisher, err)
		}
		if missing > 0 {
			note(s.Env, &s.Env.missed, Missed{Publisher: publisher, Subscriber: s.Node, From: h.at, To: now, Count: missing})
		}
		h.at = now
		s.Env.mu.Lock()
		s.Env.messages++
		s.Env.mu.Unlock()
		if n%4 == 0 && !s.read(reader, publisher, m) {
			return
		}
	}
}

func (s *Subscriber) complain(publisher int, err error) {
	s.Env.Violation(fmt.Sprintf("messages of node %d to node %d: %v", publisher+1, s.Node+1, err))
}

// read reads what the publisher had seen; false if the node does not answer.
func (s *Subscriber) read(conn *client.Conn, publisher int, m Message) bool {
	v, err := conn.Do(ledgerTimeout, "GET", s.Env.causalKey(publisher))
	if err != nil {
		var refused reply.Error
		return errors.As(err, &refused)
	}
	got, _ := strconv.ParseInt(string(v.Text), 10, 64)
	if err := CheckCausal(m, got); err != nil {
		s.complain(publisher, err)
	}
	s.Env.mu.Lock()
	s.Env.causal++
	s.Env.mu.Unlock()
	return true
}
