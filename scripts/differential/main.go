// Differential gives the same random commands to redis-server and to a cluster
// of three nodes, and compares the replies and the state.
//
//	differential -quorate bin/quorate -duration 60s
//	differential -seed 7 -commands 1000000 -only zadd,zrange
//	differential -redis 127.0.0.1:6379 -endpoints 127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003
//
// Without addresses it starts servers of its own. What is found is made as short
// as it can be and printed as a script for engine/commands/testdata, with
// redis-server's replies. Both servers given must be empty and must allow DEBUG.
//
// An epoch begins with a flush and with CONFIG SET of every setting that encodings hang
// on, on both sides. One during which the cluster did not serve is given up; before the
// next begins, every node must have executed something again for each of its clients:
// what it called in doubt could still be applied otherwise, behind the flush, and both
// sides would differ for the rest of the epoch. With a difference it is told whether
// CONFIG GET, too, shows another setting than was set.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/quorate/quorate/scripts/differential/wire"
	"github.com/quorate/quorate/scripts/differential/workload"
)

// options are the flags.
type options struct {
	seed      uint64
	duration  time.Duration
	commands  int
	only      string
	endpoints string
	redis     string
	quorate   string
	logs      string
	port      int
	failures  int
}

func main() {
	var o options
	flag.Uint64Var(&o.seed, "seed", 0, "of the first epoch; 0: from the time")
	flag.DurationVar(&o.duration, "duration", time.Minute, "how long, unless -commands is reached before")
	flag.IntVar(&o.commands, "commands", 0, "how many; 0: no limit")
	flag.StringVar(&o.only, "only", "", "commands to draw, with commas between; all when empty")
	flag.StringVar(&o.redis, "redis", "", "address of a redis-server 7.0; empty: one is started")
	flag.StringVar(&o.endpoints, "endpoints", "", "addresses of nodes, with commas between; empty: three are started")
	flag.StringVar(&o.quorate, "quorate", "bin/quorate", "binary of the nodes that are started")
	flag.StringVar(&o.logs, "logs", "bin/differential-logs", "directory for the logs of what is started")
	flag.IntVar(&o.port, "port", 23000, "the first of the ports of what is started")
	flag.IntVar(&o.failures, "failures", 1, "differences after which it ends")
	flag.Parse()
	if err := run(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "differential:", err)
		os.Exit(1)
	}
}

func run(o options, out io.Writer) error {
	if (o.redis == "") != (o.endpoints == "") {
		return errors.New("-redis and -endpoints go together")
	}
	if o.redis == "" {
		s, err := startServers(o.quorate, o.port, o.logs)
		if err != nil {
			return err
		}
		defer s.stop()
		err = fuzzed(o, s.redis, s.endpoints, out)
		if err != nil {
			fmt.Fprint(out, s.obituary())
		}
		return err
	}
	return fuzzed(o, o.redis, strings.Split(o.endpoints, ","), out)
}

// fuzzed runs against servers that are up.
func fuzzed(o options, redis string, endpoints []string, out io.Writer) error {
	d, err := newDuo(redis, endpoints)
	if err != nil {
		return err
	}
	f := &fuzz{options: o, duo: d, out: out, end: time.Now().Add(o.duration), stop: make(chan os.Signal, 1)}
	signal.Notify(f.stop, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(f.stop)
	if f.options.seed == 0 {
		f.options.seed = uint64(time.Now().Unix())
	}
	return f.run()
}

// fuzz is a run.
type fuzz struct {
	options
	duo      *duo
	out      io.Writer
	end      time.Time
	stop     chan os.Signal // ends it as -duration does
	stopped  bool
	has      map[string]bool // commands of both sides
	payloads map[string][][]byte
	found    int // differences
	outages  int // epochs that ended because the cluster did not serve
}

// An epoch begins with nothing. Its length bounds what must be shrunk.
const (
	epochSteps = 5000
	checkSteps = 1000
	outagesMax = 20
)

func (f *fuzz) run() error {
	if err := f.prepare(); err != nil {
		return err
	}
	begun := time.Now()
	told := begun
	for seed := f.seed; !f.over(); seed++ {
		if time.Since(told) > progressEvery {
			told = time.Now()
			f.progress(seed, begun)
		}
		err := f.epoch(seed)
		if errors.Is(err, errUnavailable) && f.outages < outagesMax {
			f.outages++
			fmt.Fprintf(f.out, "seed %d: given up: %v\n", seed, err)
			if err = f.duo.afresh(); err == nil {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	fmt.Fprintf(f.out, "seeds from %d, %v, %.0f commands a second\n", f.seed, time.Since(begun).Round(time.Second), f.rate(begun))
	f.duo.counts.print(f.out, f.drawable())
	if f.found > 0 {
		return fmt.Errorf("%d differences", f.found)
	}
	fmt.Fprintln(f.out, "no unexplained difference")
	return nil
}

// progressEvery is how often a line tells how far it is.
const progressEvery = time.Minute

func (f *fuzz) progress(seed uint64, begun time.Time) {
	fmt.Fprintf(f.out, "%v: seed %d, %d commands, %.0f a second, %v left\n",
		time.Since(begun).Round(time.Second), seed, f.duo.counts.commands, f.rate(begun), time.Until(f.end).Round(time.Second))
}

func (f *fuzz) rate(begun time.Time) float64 {
	return float64(f.duo.counts.commands) / time.Since(begun).Seconds()
}

func (f *fuzz) over() bool {
	select {
	case <-f.stop:
		f.stopped = true
	default:
	}
	return f.stopped || time.Now().After(f.end) || (f.options.commands > 0 && f.duo.counts.commands >= f.options.commands) || f.found >= f.failures
}

// prepare asks which commands both sides have, and makes payloads for RESTORE.
func (f *fuzz) prepare() error {
	if err := f.duo.reset(nil); err != nil {
		return err
	}
	var err error
	if f.has, err = commandsOf(f.duo.redis); err != nil {
		return err
	}
	ours, err := commandsOf(f.duo.nodes[0])
	if err != nil {
		return err
	}
	for name := range f.has {
		if !ours[name] {
			delete(f.has, name)
		}
	}
	f.payloads, err = makePayloads(f.duo.redis)
	return err
}

// commandsOf returns the names of a server's commands and subcommands.
func commandsOf(conn *wire.Conn) (map[string]bool, error) {
	v, err := conn.Ask("COMMAND", "LIST")
	if err != nil {
		return nil, err
	}
	has := make(map[string]bool)
	for _, e := range v.Elems {
		has[string(e.Text)] = true
	}
	return has, nil
}

// dumped are commands that make values of each kind and encoding, under keys
// named as package workload names them.
var dumped = []string{
	"SET s hello", "SET s " + strings.Repeat("x", 300), "SET n 12", "RPUSH l a 1 b", "RPUSH l " + strings.Repeat("long ", 500), "RPUSH i 3 1 2",
	"SADD u 1 2 3", "SADD t a b", "HSET h m1 v m2 2", "HSET h m1 " + strings.Repeat("y", 100), "ZADD z 1 m1 2.5 m2",
	"ZADD z 3 " + strings.Repeat("z", 100), "XADD x 1-1 a b",
}

// makePayloads has redis-server dump them.
func makePayloads(conn *wire.Conn) (map[string][][]byte, error) {
	payloads := make(map[string][][]byte)
	for _, command := range dumped {
		words := strings.Fields(command)
		if _, err := conn.Ask(words...); err != nil {
			return nil, err
		}
		key := words[1]
		v, err := conn.Ask("DUMP", key)
		if err != nil {
			return nil, err
		}
		payloads[key] = append(payloads[key], slices.Clone(v.Text))
		if _, err := conn.Ask("DEL", key); err != nil {
			return nil, err
		}
	}
	return payloads, nil
}

func (f *fuzz) workload(seed uint64) (*workload.Workload, error) {
	o := workload.Options{
		Seed: seed, Clients: len(f.duo.clients), Payloads: f.payloads,
		Has: func(name string) bool { return f.has[name] },
	}
	if f.only != "" {
		o.Only = strings.Split(f.only, ",")
	}
	return workload.New(o)
}

// drawable returns the commands that could have been drawn.
func (f *fuzz) drawable() []string {
	w, err := f.workload(f.seed)
	if err != nil {
		return nil
	}
	return w.Names()
}

// epoch carries out the steps of a seed.
func (f *fuzz) epoch(seed uint64) error {
	w, err := f.workload(seed)
	if err != nil {
		return err
	}
	settings := w.Settings()
	if err := f.duo.reset(settings); err != nil {
		return err
	}
	var done []workload.Step
	for checked := 0; len(done) < epochSteps && !f.over(); {
		steps := w.Next()
		diff, err := f.duo.run(steps)
		if err != nil {
			return err
		}
		if diff != nil {
			return f.differ(seed, settings, append(done, steps[:diff.step+1]...), diff)
		}
		if done = append(done, steps...); len(done)-checked < checkSteps {
			continue
		}
		checked = len(done)
		if diff, err = f.duo.check(); err != nil {
			return err
		}
		if diff != nil {
			return f.differ(seed, settings, done, diff)
		}
	}
	return nil
}
