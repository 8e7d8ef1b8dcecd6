package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

// flags adds the flags of a target to a set.
func (t *target) flags(set *flag.FlagSet) {
	set.StringVar(&t.host, "host", "127.0.0.1", "the node's `address`")
	set.IntVar(&t.port, "port", 6379, "its client `port`")
	set.StringVar(&t.password, "password", os.Getenv("QUORATE_PASSWORD"), "its `password`, if it requires one (default $QUORATE_PASSWORD)")
	set.DurationVar(&t.timeout, "timeout", 3*time.Second, "how `long` to wait")
}

// parseFlags parses args of a subcommand, which takes no other arguments.
func parseFlags(set *flag.FlagSet, args []string) error {
	if err := set.Parse(args); err != nil {
		return exitCode(2)
	}
	if set.NArg() > 0 {
		return fmt.Errorf("%s: unexpected argument %q", set.Name(), set.Arg(0))
	}
	return nil
}

// runHealth succeeds when the node serves linearizable reads: it proves one
// fresh with a majority, or with the leader's lease. A learner does so as well
// as a voter: clients may use it. Who votes is for cluster status to say.
func runHealth(args []string, out io.Writer) error {
	var t target
	set := flag.NewFlagSet("health", flag.ContinueOnError)
	t.flags(set)
	if err := parseFlags(set, args); err != nil {
		return err
	}
	c, err := dialNode(t.addr(), t.password, t.timeout)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	defer c.Close()
	if _, err := c.do("CLIENT", "CONSISTENCY", "linearizable"); err != nil {
		return fmt.Errorf("health: %s: %w", t.addr(), err)
	}
	// It has no key: on a listener with "redirect always" it stays here.
	if _, err := c.do("DBSIZE"); err != nil {
		return fmt.Errorf("health: %s: %w", t.addr(), err)
	}
	_, err = fmt.Fprintln(out, "ok")
	return err
}
