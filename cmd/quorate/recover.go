package main

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"text/tabwriter"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster"
	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/transport/config"
)

const recoverUsage = "quorate cluster recover (--inspect | --confirm NODE-ID) [file.conf] [--directive value ...]: " +
	"make a cluster of one out of a stopped node whose cluster has lost its majority for good. " +
	"File and directives are those that the node is started with. See docs/operating/lost.md first"

// runRecover looks at what a stopped node has, or makes a cluster of one out
// of it.
func runRecover(args []string, out io.Writer) error {
	id, rest, err := recoverArgs(args)
	if err != nil {
		return err
	}
	conf, err := config.Parse(rest)
	if err != nil {
		return err
	}
	o, err := clusterOptions(conf)
	if err != nil {
		return err
	}
	o.Log = slog.New(slog.DiscardHandler)
	if id == "" {
		s, err := cluster.Inspect(o)
		if err != nil {
			return fmt.Errorf("cluster recover: %w", err)
		}
		return printSurvivor(out, &s)
	}
	o.Engine = engine.New(engine.Options{})
	s, err := cluster.Recover(o, id)
	if err != nil {
		return fmt.Errorf("cluster recover: %w", err)
	}
	_, err = fmt.Fprintf(out, "node %s is now the one member of cluster %s, with everything up to entry %d of term %d.\n"+
		"Start it by its usual command. Start all other nodes with empty directories: never again with what they had.\n",
		s.ID, s.ClusterID, s.LastIndex, s.LastTerm)
	return err
}

// recoverArgs takes recover's own flags out of args. An empty id stands for
// --inspect.
func recoverArgs(args []string) (id string, rest []string, err error) {
	rest = slices.Clone(args)
	inspect := slices.Index(rest, "--inspect")
	if inspect >= 0 {
		rest = slices.Delete(rest, inspect, inspect+1)
	}
	confirm := slices.Index(rest, "--confirm")
	if confirm >= 0 && confirm+1 < len(rest) {
		id = rest[confirm+1]
		rest = slices.Delete(rest, confirm, confirm+2)
	}
	if (inspect >= 0) == (id != "") {
		return "", nil, fmt.Errorf("%s", recoverUsage)
	}
	return id, rest, nil
}

// printSurvivor tells what a node has, and what a recovery from it would mean.
func printSurvivor(out io.Writer, s *cluster.Survivor) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "node\t%s\n", s.ID)
	fmt.Fprintf(w, "cluster\t%s\n", s.ClusterID)
	fmt.Fprintf(w, "last entry\tterm %d, index %d\n", s.LastTerm, s.LastIndex)
	fmt.Fprintf(w, "newest snapshot\tindex %d\n", s.Snapshot)
	fmt.Fprintf(w, "latest term\t%d\n", s.Term)
	voters := 0
	for _, m := range s.Members {
		if m.Suffrage == raft.Voter {
			voters++
		}
		fmt.Fprintf(w, "member\t%s  %s  %s\n", m.ID, m.Address, m.Suffrage)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, `
Recover only if no %d of the %d voters can ever come back with their disks. Of several survivors take the one whose last entry has the highest term,
and of those the highest index. Then:

  lost     every write behind term %d, index %d, acknowledged or not
  kept     every write up to it, also those that were never acknowledged
  others   come in anew, with empty directories: a node that comes back with its old one must not be started

To go on: quorate cluster recover --confirm %s, with the same file and directives
`, voters/2+1, voters, s.LastTerm, s.LastIndex, s.ID)
	return err
}
