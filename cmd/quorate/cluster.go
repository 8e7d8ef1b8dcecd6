package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/quorate/quorate/cluster"
)

// runCluster carries out cluster status and cluster recover.
func runCluster(args []string, out io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "status":
			return runStatus(args[1:], out)
		case "recover":
			return runRecover(args[1:], out)
		}
	}
	return fmt.Errorf("cluster: there is quorate cluster status [--host H] [--port P] [--json], and %s", recoverUsage)
}

// runStatus shows a cluster as one of its nodes sees it.
func runStatus(args []string, out io.Writer) error {
	var t target
	set := flag.NewFlagSet("cluster status", flag.ContinueOnError)
	t.flags(set)
	asJSON := set.Bool("json", false, "print JSON")
	if err := parseFlags(set, args); err != nil {
		return err
	}
	c, err := dialNode(t.addr(), t.password, t.timeout)
	if err != nil {
		return fmt.Errorf("cluster status: %w", err)
	}
	defer c.Close()
	v, err := c.do("QUORATE", "STATUS")
	if err != nil {
		return fmt.Errorf("cluster status: %s: %w", t.addr(), err)
	}
	if *asJSON {
		_, err := fmt.Fprintln(out, string(v.Text))
		return err
	}
	var report cluster.Report
	if err := json.Unmarshal(v.Text, &report); err != nil {
		return fmt.Errorf("cluster status: %w", err)
	}
	return printReport(out, &report)
}

// printReport shows members as a table; this node's line has a star.
func printReport(out io.Writer, r *cluster.Report) error {
	fmt.Fprintf(out, "cluster %s, term %d, commit index %d\n\n", orNone(r.ClusterID), r.Term, r.Commit)
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "node\tclients\tpeers\trole\tonline\tapplied\tlag\tversion")
	for _, m := range r.Members {
		online, lag := "yes", fmt.Sprint(m.Lag)
		if !m.Online {
			online, lag = "no", "?"
		}
		role := m.Role
		if r.Semantic > 0 && !m.InService { // releases before do not say
			role += ", out of service"
		}
		self := ""
		if m.ID == r.Self {
			self = " *"
		}
		fmt.Fprintf(w, "%.8s%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", m.ID, self, orNone(m.Client), m.Addr, role, online, m.Applied, lag, orNone(m.Version))
	}
	return w.Flush()
}

// orNone keeps a column of the table from being empty.
func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
