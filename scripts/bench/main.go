// Command bench measures a three-node cluster beside redis-server on this
// machine: the same load in turns, medians of the rounds, and the CPU time that
// all server processes took. It prints a Markdown table.
//
//	go run ./scripts/bench -quorate bin/quorate -rounds 5
//
// With -types it measures instead how the commands of each type grow with what
// their keys hold, on one node (types.go).
//
// redis-server and redis-benchmark must be installed. Ratios are worth more
// than figures: all processes share the machine.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
)

// options are what the command line says.
type options struct {
	binary   string // the quorate to measure
	rounds   int    // runs of each load against each target
	requests int    // of a run without pipeline
	port     int    // the first of those used
	only     string // a part of the names of the loads to run
	keys     int    // loaded for the memory figure; 0: none is taken
	types    bool   // measure commands by the size of what they work on instead
	sizes    string // numbers of elements for that
	held     int    // of the elements of the values that single commands are measured over instead; 0: none
}

func main() {
	var o options
	flag.StringVar(&o.binary, "quorate", "bin/quorate", "the binary to measure")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each load is run against each target")
	flag.IntVar(&o.requests, "n", 100000, "requests of a run without pipeline; deep runs take five times as many")
	flag.IntVar(&o.port, "port", 21001, "the first of the ports used, below 32768")
	flag.StringVar(&o.only, "only", "", "run loads whose name contains this; memory: the memory figure alone")
	flag.IntVar(&o.keys, "memory", 1_000_000, "keys loaded for the memory figure; 0 leaves it out")
	flag.BoolVar(&o.types, "types", false, "measure the commands of each type by the number of elements instead, on one node; -only takes several parts of names, a|b")
	flag.StringVar(&o.sizes, "sizes", "10,1000,1000000", "numbers of elements for -types")
	flag.IntVar(&o.held, "held", 0, "measure what single commands over values of so many elements take instead, on one node; -only names a type")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// load is one kind of traffic, and what it is compared with.
type load struct {
	name     string
	clients  int
	pipeline int
	test     string // of redis-benchmark
	against  string // the target that ratios are taken to
	targets  []string
}

const (
	fsyncing = "redis, appendfsync always"
	memoryDB = "redis, no persistence"
	leader   = "quorate leader"
	follower = "quorate follower"
)

func loads() []load {
	writes := []string{fsyncing, leader, follower}
	reads := []string{memoryDB, leader, follower}
	return []load{
		{name: "SET, 50 clients", clients: 50, pipeline: 1, test: "set", against: fsyncing, targets: writes},
		{name: "SET, 50 clients, 16 deep", clients: 50, pipeline: 16, test: "set", against: fsyncing, targets: writes},
		{name: "SET, 200 clients", clients: 200, pipeline: 1, test: "set", against: fsyncing, targets: writes},
		{name: "SET, 1 client", clients: 1, pipeline: 1, test: "set", against: fsyncing, targets: writes},
		{name: "GET, 50 clients", clients: 50, pipeline: 1, test: "get", against: memoryDB, targets: reads},
		{name: "GET, 50 clients, 16 deep", clients: 50, pipeline: 16, test: "get", against: memoryDB, targets: reads},
		{name: "INCR, 50 clients", clients: 50, pipeline: 1, test: "incr", against: fsyncing, targets: writes},
		{name: "LPUSH, 50 clients", clients: 50, pipeline: 1, test: "lpush", against: fsyncing, targets: writes},
		{name: "ZADD, 50 clients", clients: 50, pipeline: 1, test: "zadd", against: fsyncing, targets: writes},
		{name: "HSET, 50 clients", clients: 50, pipeline: 1, test: "hset", against: fsyncing, targets: writes},
	}
}

func run(o options) error {
	switch {
	case o.types:
		return types(o)
	case o.held > 0:
		return held(o)
	}
	if err := withServers(o, func(b *bench) error { return b.loads(o) }); err != nil {
		return err
	}
	if o.keys == 0 || !strings.Contains("memory", o.only) {
		return nil
	}
	// Servers that have held nothing yet: what was freed is not given back.
	return withServers(o, func(b *bench) error { return b.memory(o.keys) })
}

func withServers(o options, f func(*bench) error) (err error) {
	b := &bench{binary: o.binary, port: o.port}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.start(); err != nil {
		return err
	}
	return f(b)
}

// loads runs the loads and prints a line for each of their targets.
func (b *bench) loads(o options) error {
	fmt.Println("| load | target | requests/s | ratio | p50 ms | p99 ms | server CPU us/op |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, l := range loads() {
		if !strings.Contains(l.name, o.only) {
			continue
		}
		if err := b.measure(l, o.rounds, o.requests); err != nil {
			return err
		}
	}
	return nil
}

// fillRequests writes nearly all of the 100,000 keys that reads then ask for.
const fillRequests = 500_000

// measure runs a load in turns and prints the medians.
func (b *bench) measure(l load, rounds, requests int) error {
	if l.pipeline > 1 {
		requests *= 5
	}
	if l.clients == 1 {
		requests /= 20
	}
	if l.test == "get" {
		// Reads must find something: else they measure an empty table.
		fill := load{clients: 50, pipeline: 16, test: "set"}
		for _, name := range l.targets {
			if _, err := b.once(fill, name, fillRequests); err != nil {
				return err
			}
		}
	}
	results := make(map[string][]result)
	for range rounds {
		for _, name := range l.targets {
			r, err := b.once(l, name, requests)
			if err != nil {
				return err
			}
			results[name] = append(results[name], r)
		}
	}
	base := median(results[l.against], func(r result) float64 { return r.rate })
	for _, name := range l.targets {
		rs := results[name]
		rate := median(rs, func(r result) float64 { return r.rate })
		fmt.Printf("| %s | %s | %.0f | %.2f | %.2f | %.2f | %.1f |\n", l.name, name, rate, rate/base,
			median(rs, func(r result) float64 { return r.p50 }), median(rs, func(r result) float64 { return r.p99 }),
			median(rs, func(r result) float64 { return r.cpu }))
	}
	return nil
}

// median returns the middle one of a figure, the higher of two.
func median(rs []result, of func(result) float64) float64 {
	var values []float64
	for _, r := range rs {
		values = append(values, of(r))
	}
	slices.Sort(values)
	if len(values) == 0 {
		return 0
	}
	return values[len(values)/2]
}
