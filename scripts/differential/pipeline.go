package main

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/scripts/differential/wire"
	"github.com/quorate/quorate/scripts/differential/workload"
)

// run carries out steps and returns the first difference, nil for none. While the
// servers are at work on a pipeline, the replies to the one before are judged.
func (d *duo) run(steps []workload.Step) (*difference, error) {
	unjudged := &pipeline{}
	for at := 0; at < len(steps); {
		p := &pipeline{steps: steps[at : at+together(steps[at:])], first: at}
		at += len(p.steps)
		if err := d.send(p); err != nil {
			return nil, err
		}
		diff, err := d.judgeAll(unjudged)
		if err = errors.Join(err, p.receive()); diff != nil || err != nil {
			return diff, err
		}
		unjudged = p
		if p.last().Settle == workload.Nothing {
			continue
		}
		if diff, err = d.judgeAll(p); diff == nil && err == nil {
			diff, err = d.settle(p.client, p.last(), p.got[len(p.got)-1], at-1)
		}
		if diff != nil || err != nil {
			return diff, err
		}
		unjudged = &pipeline{}
	}
	return d.judgeAll(unjudged)
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

// pipeline is steps of one client that are sent at once, or a wait.
type pipeline struct {
	client *client
	steps  []workload.Step
	first  int // the place of its first step among those that are run
	// before and got are the replies to the probe of each step and to itself, until
	// the client sends the pipeline after the next.
	before, got []rawPair
}

func (p *pipeline) last() *workload.Step { return &p.steps[len(p.steps)-1] }

// send puts a pipeline on its way, or waits.
func (d *duo) send(p *pipeline) error {
	if p.steps[0].Args == nil {
		time.Sleep(p.steps[0].Wait)
		return nil
	}
	p.client = d.clients[p.steps[0].Client]
	for _, conn := range []*wire.Conn{p.client.ours, p.client.redis} { // the cluster takes longer: it begins first
		for i := range p.steps {
			if p.steps[i].Probe != nil {
				conn.Put(p.steps[i].Probe...)
			}
			conn.Put(p.steps[i].Args...)
		}
		if err := conn.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// receive reads the replies.
func (p *pipeline) receive() (err error) {
	if p.client == nil {
		return nil
	}
	p.before, p.got = make([]rawPair, len(p.steps)), make([]rawPair, len(p.steps))
	for i := range p.steps {
		if s := &p.steps[i]; s.Probe != nil {
			if p.before[i], err = p.client.next(); err != nil {
				return fmt.Errorf("%q: %w", s.Probe, err)
			}
		}
		if p.got[i], err = p.client.next(); err != nil {
			return fmt.Errorf("%q: %w", p.steps[i].Args, err)
		}
	}
	return nil
}

// judgeAll judges the replies to a pipeline, in order, up to the first difference.
func (d *duo) judgeAll(p *pipeline) (*difference, error) {
	for i := range p.got {
		s := &p.steps[i]
		d.counts.note(s, p.got[i].redis)
		diff, err := d.judgeStep(p.client, s, p.got[i], p.before[i])
		if diff != nil {
			diff.step = p.first + i
		}
		if diff != nil || err != nil {
			return diff, err
		}
	}
	return nil, nil
}

func (d *duo) judgeStep(c *client, s *workload.Step, got, before rawPair) (*difference, error) {
	if s.Probe != nil {
		probe := &workload.Step{Args: s.Probe, Rule: s.ProbeRule}
		if diff, err := d.judge(c, probe, before, rawPair{}); diff != nil || err != nil {
			return diff, err
		}
	}
	return d.judge(c, s, got, before)
}

// unavailable returns an errUnavailable if a reply says so, else nil.
func unavailable(ours []byte) error {
	for _, prefix := range []string{"-CLUSTERDOWN", "-INDOUBT", "-TRYAGAIN", "-LOADING"} {
		if bytes.HasPrefix(ours, []byte(prefix)) {
			return fmt.Errorf("%w: %s", errUnavailable, bytes.TrimSpace(ours))
		}
	}
	return nil
}
