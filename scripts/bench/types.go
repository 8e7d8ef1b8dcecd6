package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The growth of commands with what their keys hold: one node beside one
// redis-server, one connection each, the commands in deep pipelines, so that
// what is measured is the command and not the way to it. Counted is the CPU time
// of the server, all its threads together: others on the machine matter little.

// parseSizes reads numbers of elements, which are bytes for strings.
func parseSizes(s string) (sizes []int, err error) {
	for _, word := range strings.Split(s, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no list of numbers of elements", s)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}

// wanted reports whether a command was asked for: by a part of its name, or several with | between.
func wanted(c typeCommand, only string) bool {
	return slices.ContainsFunc(strings.Split(only, "|"), func(part string) bool { return strings.Contains(c.name(), part) })
}

// runTime is how much of it a command is repeated for, for one figure.
const runTime = 20 * time.Millisecond

// The groups of the two servers.
const (
	unsynced = "redis, appendfsync no"
	single   = "quorate, one node"
)

// types measures the commands of all types and prints a line for each.
func types(o options) error {
	return withPair(o, func(pair *pair) error { return measureTypes(o, pair) })
}

func measureTypes(o options, pair *pair) error {
	sizes, err := parseSizes(o.sizes)
	if err != nil {
		return err
	}
	figures := make(map[string][]figure) // by command, one a size
	rows := slices.DeleteFunc(typeCommands(), func(c typeCommand) bool { return !wanted(c, o.only) })
	for _, n := range sizes {
		if err := pair.load(n); err != nil {
			return err
		}
		for _, c := range rows {
			f, err := pair.measure(c, n, o.rounds)
			if err != nil {
				return fmt.Errorf("%s at %d: %w", c.name(), n, err)
			}
			fmt.Fprintf(os.Stderr, "%s at %d: %s\n", c.name(), n, f)
			figures[c.name()] = append(figures[c.name()], f)
		}
	}
	printTypes(rows, sizes, figures)
	return nil
}

func printTypes(rows []typeCommand, sizes []int, figures map[string][]figure) {
	fmt.Print("| type | commands | O() |")
	for _, n := range sizes {
		fmt.Printf(" %d |", n)
	}
	fmt.Printf(" growth |\n|---|---|---|%s---|\n", strings.Repeat("---|", len(sizes)))
	for _, c := range rows {
		fs := figures[c.name()]
		fmt.Printf("| %s | %s | %s |", c.kind, c.label, c.order)
		for _, f := range fs {
			fmt.Printf(" %s |", f)
		}
		first, last := fs[0], fs[len(fs)-1]
		fmt.Printf(" %.1f, %.1f |\n", last.redis/first.redis, last.quorate/first.quorate)
	}
}

// figure is what a command takes on both sides, in microseconds.
type figure struct{ redis, quorate float64 }

func (f figure) String() string {
	return fmt.Sprintf("%.2f, %.2f: %.2f", f.redis, f.quorate, f.quorate/f.redis)
}

// withPair calls f with a redis-server and one node, both new, and ends them behind it.
func withPair(o options, f func(*pair) error) (err error) {
	b := &bench{binary: o.binary, port: o.port}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.startPair(); err != nil {
		return err
	}
	pair, err := b.connectPair()
	if err != nil {
		return err
	}
	defer func() { pair.redis.Close(); pair.quorate.Close() }()
	return f(pair)
}

// startPair starts a redis-server and one node. Both write a log, and sync it when
// the kernel likes.
func (b *bench) startPair() error {
	dir, err := os.MkdirTemp("", "quorate-bench-")
	if err != nil {
		return err
	}
	b.dir = dir
	if err := b.spawn(unsynced, b.port, "redis-server", "--port", strconv.Itoa(b.port), "--dir", dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "no"); err != nil {
		return err
	}
	err = b.spawn(single, b.port+1, b.binary, "server", "--port", strconv.Itoa(b.port+1), "--cluster-port", strconv.Itoa(b.port+2),
		"--dir", filepath.Join(dir, "node"), "--save", "", "--appendfsync", "no", "--loglevel", "warning")
	if err != nil {
		return err
	}
	return b.waitReady(b.port+1, 1)
}

// side is a connection to a server and the number of its process.
type side struct {
	*client
	pid int
}

// pair is both sides.
type pair struct{ redis, quorate side }

func (b *bench) connectPair() (*pair, error) {
	var p pair
	for i, to := range []*side{&p.redis, &p.quorate} {
		c, err := connect(b.servers[i].port)
		if err != nil {
			return nil, err
		}
		*to = side{c, b.servers[i].cmd.Process.Pid}
	}
	return &p, nil
}

// load gives both sides one key of each type with n elements, and n more keys.
func (p *pair) load(n int) error {
	for _, c := range []side{p.redis, p.quorate} {
		if err := c.run("FLUSHALL"); err != nil {
			return err
		}
		for _, f := range fillers {
			if err := c.fillUp(n, f); err != nil {
				return err
			}
		}
		r := rand.New(rand.NewPCG(1, 1))
		for _, line := range setUp {
			if err := c.run(lines(line, n, r)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// fillUp gives n elements to one key, many with each command.
func (c *client) fillUp(n int, f filler) error {
	var batch []string
	for from := 0; from < n; from += f.each {
		var line strings.Builder
		line.WriteString(f.command)
		for i := from; i < min(from+f.each, n); i++ {
			line.WriteByte(' ')
			line.WriteString(f.element(i))
		}
		batch = append(batch, line.String())
		if len(batch) == 20_000/f.each {
			if err := c.run(batch...); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return c.run(batch...)
}

// measure takes turns between the two sides and returns the medians.
func (p *pair) measure(c typeCommand, n, rounds int) (figure, error) {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	deep := 200
	if c.perElement {
		deep = min(max(1, 20_000/n), deep)
	}
	next := func() (commands []string) {
		for range deep {
			commands = append(commands, lines(c.commands, n, r)...)
		}
		return commands
	}
	var redis, quorate []float64
	for range rounds {
		for _, side := range []struct {
			side
			times *[]float64
		}{{p.redis, &redis}, {p.quorate, &quorate}} {
			us, err := side.timed(next)
			if err != nil {
				return figure{}, err
			}
			*side.times = append(*side.times, us)
		}
	}
	return figure{middle(redis), middle(quorate)}, nil
}

func middle(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// timed sends what next returns, again and again until it took runTime of the
// server, and returns what one command took in microseconds.
func (s side) timed(next func() []string) (float64, error) {
	var done int
	var spent time.Duration
	for spent < runTime {
		commands := next()
		request := encode(commands)
		before := s.cpu()
		if err := s.exchange(request, len(commands)); err != nil {
			return 0, err
		}
		spent += s.cpu() - before
		done += len(commands)
	}
	return float64(spent.Nanoseconds()) / 1e3 / float64(done), nil
}

// cpu returns the CPU time that all threads of the server have taken so far.
func (s side) cpu() (sum time.Duration) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.pid))
	for _, file := range threads {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has just ended
		}
		var ran int64
		if _, err := fmt.Sscan(string(text), &ran); err == nil {
			sum += time.Duration(ran)
		}
	}
	return sum
}

// run carries out commands whose words hold no spaces.
func (c *client) run(lines ...string) error { return c.exchange(encode(lines), len(lines)) }

func (c *client) exchange(request []byte, replies int) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	for range replies {
		if err := skipReply(c.r); err != nil {
			return err
		}
	}
	return nil
}

func encode(lines []string) []byte {
	var b []byte
	for _, line := range lines {
		words := strings.Fields(line)
		b = fmt.Appendf(b, "*%d\r\n", len(words))
		for _, w := range words {
			b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(w), w)
		}
	}
	return b
}

// skipReply reads a RESP2 reply. An error in it is an error.
func skipReply(r *bufio.Reader) error {
	for left := 1; left > 0; left-- {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		switch line[0] {
		case '-':
			return errors.New(strings.TrimSpace(string(line)))
		case '$', '*':
			n, err := strconv.Atoi(strings.TrimSpace(string(line[1:])))
			switch {
			case err != nil:
				return err
			case line[0] == '*':
				left += max(n, 0)
			case n >= 0:
				if _, err := io.CopyN(io.Discard, r, int64(n)+2); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
