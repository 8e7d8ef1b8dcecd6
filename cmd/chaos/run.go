package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/quorate/quorate/cmd/chaos/client"
	"github.com/quorate/quorate/cmd/chaos/nemesis"
	"github.com/quorate/quorate/cmd/chaos/report"
	"github.com/quorate/quorate/cmd/chaos/side"
	"github.com/quorate/quorate/cmd/chaos/workload"
)

// pendingMax bounds the histories that wait for their check: clients wait
// beyond it, and memory is bounded however long a run is.
const pendingMax = 48

// session is a run.
type session struct {
	opts     *options
	out      io.Writer
	cluster  *nemesis.Cluster // nil if it is not ours
	nodes    []string
	began    time.Time
	board    *workload.Board
	clients  workload.Counters
	checker  *checker
	side     *side.Env
	ledgers  []*side.Ledger
	timeline timeline
	violated context.CancelFunc // ends the load after a violation

	mu         sync.Mutex
	violations []string // guarded by mu
	notes      []string // guarded by mu
}

// ledgerPatience bounds the final reads of all ledgers together. They have a time
// of their own: checks of histories that took long must not cost it.
const ledgerPatience = time.Minute

// violationsMax bounds what is kept of violations.
const violationsMax = 200

// run is the whole command. It returns the exit code.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	o, err := parse(args, errs)
	if errors.Is(err, flag.ErrHelp) {
		return exitPass
	}
	if err == nil {
		var s *session
		if s, err = open(o, out); err == nil {
			code := s.run(ctx)
			if err := s.close(); err != nil {
				fmt.Fprintln(errs, "chaos:", err)
			}
			return code
		}
	}
	fmt.Fprintln(errs, "chaos:", err)
	return exitUndecided
}

// open starts or finds the cluster.
func open(o *options, out io.Writer) (*session, error) {
	if o.seed == 0 {
		o.seed = rand.Uint64() >> 1
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return nil, fmt.Errorf("make the report's folder: %w", err)
	}
	s := &session{opts: o, out: out, nodes: o.endpoints}
	if len(s.nodes) > 0 {
		return s, nil
	}
	o.cluster.Dir = filepath.Join(o.out, "nodes")
	if err := os.RemoveAll(o.cluster.Dir); err != nil {
		return nil, fmt.Errorf("clear the last run's data: %w", err)
	}
	if err := os.MkdirAll(o.cluster.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the nodes' folder: %w", err)
	}
	log, err := os.Create(filepath.Join(o.out, "nemesis.log"))
	if err != nil {
		return nil, fmt.Errorf("nemesis' log: %w", err)
	}
	o.cluster.Log = log
	if s.cluster, err = nemesis.Start(o.cluster); err != nil {
		return nil, fmt.Errorf("start the cluster: %w", err)
	}
	s.nodes = s.cluster.Endpoints()
	return s, nil
}

func (s *session) close() error {
	if s.cluster == nil {
		return nil
	}
	return s.cluster.Stop()
}

// run loads the cluster, checks and reports.
func (s *session) run(ctx context.Context) int {
	o := s.opts
	fmt.Fprintf(s.out, "chaos: seed %d, mode %s, %d clients, %d nodes, %v\n", o.seed, o.mode, o.clients, len(s.nodes), o.duration)
	s.began = time.Now()
	prefix := fmt.Sprintf("chaos:%x:", o.seed&0xffffff)
	s.checker = newChecker(s, o.checks)
	kinds, clients := o.kinds, o.clients
	if len(kinds) == 0 {
		kinds, clients = workload.Kinds, 0
	}
	s.board = workload.NewBoard(workload.BoardOptions{
		Kinds: kinds, Slots: o.slots, Ops: o.ops, Life: 5 * time.Second, Pending: pendingMax, Prefix: prefix + "g",
		Rand: s.random(1), Done: s.checker.take,
	})
	env := &workload.Env{
		Board: s.board, Endpoints: s.nodes, Began: s.began, Counters: &s.clients,
		Unexpected: func(text string) { s.violation("unexpected reply: " + text) },
	}
	s.checker.env = env
	s.side = &side.Env{Endpoints: s.nodes, Began: s.began, Prefix: prefix, Violation: s.violation, Judged: s.checker.round, Keep: s.keep}

	loadCtx, stopLoad := context.WithTimeout(ctx, o.duration)
	defer stopLoad()
	s.violated = stopLoad
	var load sync.WaitGroup
	for i := range clients {
		c := &workload.Client{ID: i, Style: s.style(i), Env: env, Rand: s.random(100 + uint64(i))}
		load.Go(func() { c.Run(loadCtx) })
	}
	if o.side {
		s.beside(loadCtx, &load)
	}
	s.rounds(loadCtx, &load)
	load.Go(func() { s.timeline.watch(loadCtx, s) })
	if o.enough.operations > 0 {
		load.Go(func() { s.endWhenEnough(loadCtx, stopLoad) })
	}
	if o.faults {
		o.schedule.Seed = int64(o.seed)
		if err := nemesis.Run(loadCtx, s.cluster, o.schedule, s.timeline.event(s)); err != nil {
			s.violation("the cluster under faults: " + err.Error())
		}
		if o.schedule.Rounds > 0 {
			stopLoad()
		}
	}
	load.Wait()
	s.board.Close()
	end, cancel := context.WithTimeout(ctx, 10*time.Second+3*o.limit)
	defer cancel()
	if err := s.board.Wait(end); err != nil {
		s.checker.giveUp(err)
	}
	if o.side {
		final, cancel := context.WithTimeout(ctx, ledgerPatience)
		defer cancel()
		for _, l := range s.ledgers {
			l.Compare(final)
		}
	}
	return s.conclude()
}

// random returns the generator of one part of the run.
func (s *session) random(part uint64) *rand.Rand { return rand.New(rand.NewPCG(s.opts.seed, part)) }

// style gives the clients their manners, so that all kinds of them are about.
func (s *session) style(i int) workload.Style {
	st := workload.Style{Node: i % len(s.nodes), Depth: 1, RESP: 2 + i%2, Timeout: 15 * time.Second}
	st.Reads = s.opts.writers > 0 && i >= s.opts.writers
	switch i % 4 {
	case 1:
		st.Depth = 8
	case 2:
		st.Timeout, st.Roams = s.opts.timeouts, i%8 == 2
	case 3:
		st.Aware = i%8 == 3
	}
	if s.opts.mode == "gentle" {
		st.Think = 20 * time.Millisecond
	}
	return st
}

// beside starts the checks that need no search.
func (s *session) beside(ctx context.Context, load *sync.WaitGroup) {
	for node := range s.nodes {
		l := &side.Ledger{Env: s.side, Node: node, Number: node, Pace: time.Millisecond, Rand: s.random(1000 + uint64(node))}
		s.ledgers = append(s.ledgers, l)
		load.Go(func() { l.Run(ctx) })
		p := &side.Publisher{Env: s.side, Node: node, Pace: 5 * time.Millisecond}
		load.Go(func() { p.Run(ctx) })
		sub := &side.Subscriber{Env: s.side, Node: node}
		load.Go(func() { sub.Run(ctx) })
	}
}

// blockingAtATime is how many rounds of consumers that wait are played at a time.
const blockingAtATime = 2

// rounds starts the kinds that are played in rounds.
func (s *session) rounds(ctx context.Context, load *sync.WaitGroup) {
	if s.opts.rounds[side.BlockingKind] {
		for i := range blockingAtATime {
			b := &side.Blocking{Env: s.side, Number: i, Rand: s.random(2000 + uint64(i))}
			load.Go(func() { b.Run(ctx) })
		}
	}
	if s.opts.rounds[side.CachingKind] {
		c := &side.Caching{Env: s.side, Rand: s.random(3000), Pace: 3 * time.Millisecond}
		load.Go(func() { c.Run(ctx) })
	}
}

// keep writes a text into the report's folder and returns where it is.
func (s *session) keep(name, text string) string {
	path := filepath.Join(s.opts.out, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err.Error()
	}
	return path
}

// violation notes what must not be, and ends the load unless it shall go on.
func (s *session) violation(text string) {
	s.mu.Lock()
	if len(s.violations) < violationsMax {
		s.violations = append(s.violations, fmt.Sprintf("%.3fs: %s", time.Since(s.began).Seconds(), text))
	}
	s.mu.Unlock()
	fmt.Fprintln(s.out, "chaos: VIOLATION:", text)
	if !s.opts.goOn && s.violated != nil {
		s.violated()
	}
}

// failed reports whether there was a violation.
func (s *session) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.violations) > 0
}

func (s *session) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.notes) < violationsMax {
		s.notes = append(s.notes, fmt.Sprintf(format, args...))
	}
}

// conclude compares the nodes, judges and writes the report.
func (s *session) conclude() int {
	sum := &report.Summary{
		Seed: s.opts.seed, Mode: s.opts.mode, Nodes: len(s.nodes), Clients: s.opts.clients, Endpoints: s.nodes, Began: s.began.UTC(),
	}
	patience := 10 * time.Second
	if s.failed() && !s.opts.goOn {
		patience = time.Second // the verdict stands
	}
	sum.Digests = s.compareDigests(patience)
	s.judgeSide(sum)
	sum.Lasted = time.Since(s.began)
	sum.Open, sum.InDoubt = s.clients.Open.Load(), s.clients.InDoubt.Load()
	sum.Refused, sum.Redirected, sum.Broken = s.clients.Refused.Load(), s.clients.Redirected.Load(), s.clients.Broken.Load()
	s.checker.sum(sum)
	sum.Join()
	s.mu.Lock()
	sum.Violations, sum.Notes = s.violations, s.notes
	s.mu.Unlock()
	code := decide(sum, s.opts.wanted())
	if err := sum.Write(s.opts.out); err != nil {
		fmt.Fprintln(s.out, "chaos:", err)
	}
	for _, g := range sum.FaultGaps {
		fmt.Fprintf(s.out, "chaos: %s\n", g)
	}
	if s.opts.gaps {
		for _, line := range sum.GapTable() {
			fmt.Fprintln(s.out, line)
		}
	}
	fmt.Fprintln(s.out, sum.Line())
	return code
}

// compareDigests asks all nodes for their digests until they are equal.
func (s *session) compareDigests(within time.Duration) (digests []string) {
	deadline := time.Now().Add(within)
	for {
		digests = digests[:0]
		var failed error
		for _, addr := range s.nodes {
			d, err := digest(addr)
			if err != nil {
				failed = err
			}
			digests = append(digests, d)
		}
		equal := failed == nil
		for _, d := range digests {
			equal = equal && d == digests[0]
		}
		switch {
		case equal:
			return digests
		case time.Now().Before(deadline):
			time.Sleep(50 * time.Millisecond) // the nodes are asked again
			continue
		case failed != nil && len(s.opts.endpoints) > 0:
			s.note("digests were not compared: %v", failed)
		case failed != nil:
			s.violation(fmt.Sprintf("no digest within %v after the end: %v", within, failed))
		default:
			s.violation(fmt.Sprintf("digests differ: %v", digests))
		}
		return digests
	}
}

func digest(addr string) (string, error) {
	conn, err := client.Dial(addr, 2, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	v, err := conn.Do(10*time.Second, "DEBUG", "DIGEST")
	return string(v.Text), err
}
