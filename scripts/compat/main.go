// Command compat runs Redis' own test suite against quorate, judges its results
// by a list of what is known, and writes docs/compatibility.md.
//
//	compat suite -suite DIR [-on node,leader,follower,redis-server] [FILE ...]
//	compat doc [-check]
//
// The suite is that of Redis 7.0.15; redis-suite.sh fetches it and is the way to
// call this. Run from the module's root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// What is kept in the repository.
const (
	listFile     = "scripts/compat/suite.tsv"   // tests that fail or are not run, and why
	resultsFile  = "scripts/compat/results.tsv" // figures of the last whole runs
	commandsFile = "scripts/compat/commands.tsv"
	templateFile = "scripts/compat/compatibility.md.tmpl"
	docFile      = "docs/compatibility.md"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "suite" {
		return suiteCommand(ctx, args[1:])
	}
	switch strings.Join(args, " ") {
	case "doc":
		return writeDoc()
	case "doc -check":
		return checkDoc()
	}
	return errors.New("say suite or doc")
}

// suiteCommand runs the suite on each stage in turn.
func suiteCommand(ctx context.Context, args []string) error {
	r := runner{out: os.Stdout}
	flags := flag.NewFlagSet("suite", flag.ContinueOnError)
	flags.StringVar(&r.suite, "suite", "", "the unpacked source of Redis")
	flags.StringVar(&r.quorate, "quorate", "bin/quorate", "the binary")
	flags.StringVar(&r.logs, "logs", "", "where the suite's output and the servers' logs go (default a temporary folder)")
	flags.IntVar(&r.port, "port", 7361, "the first of the ports used, some hundreds")
	flags.IntVar(&r.jobs, "jobs", 1, "how many files run at once, each against servers of its own")
	flags.IntVar(&r.stall, "stall", 240, "the seconds after which a test counts as hung")
	on := flags.String("on", "leader,follower", "what the suite runs against: node, leader, follower, started (servers that it starts itself) or redis-server")
	record := flags.Bool("record", false, "keep the figures for docs/compatibility.md")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := r.prepare(ctx, flags.Args()); err != nil {
		return err
	}
	failed := false
	for name := range strings.SplitSeq(*on, ",") {
		st, ok := stages[name]
		if !ok {
			return fmt.Errorf("there is no stage %q", name)
		}
		results, err := r.stage(ctx, st)
		if err != nil {
			return err
		}
		if *record {
			if err := recordResults(name, results); err != nil {
				return err
			}
		}
		failed = !report(r.out, name, results) || failed
	}
	fmt.Fprintln(r.out, "logs in", r.logs)
	if failed {
		return errors.New("the suite's results are not those of " + listFile)
	}
	return nil
}
