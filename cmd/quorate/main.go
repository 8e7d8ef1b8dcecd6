// Command quorate is a Redis-compatible store that does not lose writes.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/quorate/quorate/cluster"
	"github.com/quorate/quorate/transport/session"
)

// subcommand is one thing that the binary does. It returns the error that the
// user should read, or an exitCode.
type subcommand struct {
	name, summary string
	run           func(args []string, out io.Writer) error
}

func subcommands() []subcommand {
	return []subcommand{
		{"server", "run a node: server [file.conf] [--directive value ...]", runServer},
		{"demo", "run a cluster on this machine: demo [--nodes 3] [--port 6379] [--dir D] [--restart]", runDemo},
		{"health", "exit 0 when a node serves linearizable reads: health [--host H] [--port P]", runHealth},
		{"cluster", "look at a cluster, or recover one from a lost majority: cluster status [--host H] [--port P] [--json], cluster recover", runCluster},
		{"inspect", "tell what is in an RDB file: inspect rdb [--json] [--biggest 10] FILE", runInspect},
		{"version", "print the version", runVersion},
	}
}

func main() {
	err := dispatch(os.Args[1:], os.Stdout)
	var code exitCode
	switch {
	case errors.As(err, &code):
		os.Exit(int(code))
	case err != nil:
		fmt.Fprintln(os.Stderr, "quorate:", err)
		os.Exit(1)
	}
}

// exitCode ends the process without a further word.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func dispatch(args []string, out io.Writer) error {
	if len(args) == 0 {
		usage(os.Stderr)
		return exitCode(1)
	}
	switch args[0] {
	case "help", "-h", "--help":
		usage(out)
		return nil
	case "-v", "--version":
		return runVersion(nil, out)
	}
	for _, sub := range subcommands() {
		if sub.name == args[0] {
			return sub.run(args[1:], out)
		}
	}
	return fmt.Errorf("%q is no subcommand; see quorate help", args[0])
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "quorate: a Redis-compatible store that does not lose writes")
	fmt.Fprintln(w)
	for _, sub := range subcommands() {
		fmt.Fprintf(w, "  %-9s %s\n", sub.name, sub.summary)
	}
}

func runVersion(_ []string, out io.Writer) error {
	_, err := fmt.Fprintf(out, "quorate %s (speaks the protocol and commands of redis %s)\n", cluster.Version, session.RedisVersion)
	return err
}
