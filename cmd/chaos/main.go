// Command chaos drives clients against a cluster, makes trouble for it, and
// checks that whatever the clients saw is what a correct store would have told
// them. It ends with 0 if so, 1 if not, 2 if that could not be decided.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/quorate/quorate/cmd/chaos/nemesis"
	"github.com/quorate/quorate/cmd/chaos/side"
	"github.com/quorate/quorate/cmd/chaos/workload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are what the command line asks for.
type options struct {
	endpoints []string // of a running cluster; empty: an own one
	cluster   nemesis.Options
	schedule  nemesis.Schedule
	faults    bool

	mode     string
	seed     uint64
	duration time.Duration
	clients  int
	writers  int
	slots    int
	ops      int
	kinds    []*workload.Kind // of histories; none: no clients for them
	rounds   map[string]bool  // kinds of rounds that are played beside them
	checks   int
	limit    time.Duration // of one history's check
	out      string
	goOn     bool // after a violation
	side     bool
	timeouts time.Duration // of the impatient clients
	enough   enough
	open     int    // of a hundred histories, that may stay undecided
	faultLog string // of somebody else's faults
	gaps     bool   // print the table of write gaps
}

// parse reads the command line.
func parse(args []string, errs io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.SetOutput(errs)
	endpoints := f.String("endpoints", "", "host:port,... of a running cluster; empty: run an own one, with faults")
	f.StringVar(&o.cluster.Binary, "quorate", "bin/quorate", "the binary of an own cluster's nodes")
	f.StringVar(&o.cluster.OtherBinary, "other", "", "another release's binary, for the upgrade faults")
	f.IntVar(&o.cluster.Nodes, "nodes", 3, "nodes of an own cluster")
	f.IntVar(&o.cluster.FirstPort, "port", 21000, "the first port of an own cluster")
	f.StringVar(&o.cluster.Network, "network", nemesis.Loopback, "of an own cluster: loopback, netns or proxy")
	f.StringVar(&o.cluster.Disk, "disk", "", "of an own cluster: tmpfs or ext4; empty: plain folders")
	nodeArgs := f.String("args", "", "further directives of an own cluster's nodes, separated by blanks")
	families := f.String("faults", "", "names of faults or of their groups, separated by commas; all: every one; default by mode")
	every := f.Duration("every", 2*time.Second, "pause between faults")
	lasts := f.Duration("lasts", 1500*time.Millisecond, "how long a fault lasts")
	rounds := f.Int("rounds", 0, "end the load when each fault has come so often; 0: at the end of its duration")
	f.Int64Var(&o.enough.operations, "enough-operations", 0, "end the load when so many operations are checked, and enough faults have come; undecided if they are not within the duration; 0: don't")
	f.IntVar(&o.enough.faults, "enough-faults", 0, "see -enough-operations")
	f.BoolVar(&o.gaps, "gaps", false, "print the table of write gaps and what is aimed at")
	f.StringVar(&o.mode, "mode", "faulty", "gentle: many keys, pauses, no faults; hot: few keys, full rate, no faults; faulty: hot, with faults, which somebody else makes if endpoints are given")
	f.Uint64Var(&o.seed, "seed", 0, "of all choices; 0: by chance, and told")
	f.DurationVar(&o.duration, "duration", 30*time.Second, "of the load")
	f.IntVar(&o.clients, "clients", 12, "clients whose histories are checked")
	f.IntVar(&o.writers, "writers", 0, "how many of them write, 0: all; few outcomes stay unknown where few write")
	f.IntVar(&o.slots, "groups", 0, "groups of keys at a time; default by mode")
	f.IntVar(&o.ops, "ops", 800, "operations a history")
	kinds := f.String("kinds", "", "kinds of histories ("+kindNames()+"), separated by commas; empty: all")
	f.IntVar(&o.checks, "checkers", 1, "histories that are checked at a time")
	f.DurationVar(&o.limit, "limit", 20*time.Second, "of the time to check one history")
	f.IntVar(&o.open, "undecided", 0, "how many of a hundred histories may stay undecided and the run passes all the same")
	f.StringVar(&o.faultLog, "fault-log", "", "with -endpoints: a file in which whoever makes the faults writes them, a line each time: UNIXSECONDS begin NODE NAME, NODE from 1, or UNIXSECONDS end; without it clients' refusals are not judged")
	f.StringVar(&o.out, "out", "bin/chaos-run", "the folder of the report, of failing histories, and of an own cluster's data")
	f.BoolVar(&o.goOn, "go-on", false, "go on after a violation")
	f.BoolVar(&o.side, "side", true, "ledgers, published messages and causal reads beside the histories")
	f.DurationVar(&o.timeouts, "impatience", 400*time.Millisecond, "how long the impatient quarter of the clients waits for a reply")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	o.endpoints = words(*endpoints)
	o.cluster.Args = strings.Fields(*nodeArgs)
	o.schedule = nemesis.Schedule{Families: words(*families), Every: *every, Lasts: *lasts, Rounds: *rounds}
	return o, o.complete(*kinds)
}

// complete checks the options and fills in what depends on others.
func (o *options) complete(kinds string) error {
	switch o.mode {
	case "gentle", "hot":
	case "faulty":
		o.faults = len(o.endpoints) == 0
		if o.faults && o.faultLog != "" {
			return fmt.Errorf("a fault log is for the faults of somebody else, with -endpoints")
		}
	default:
		return fmt.Errorf("mode %q is none of gentle, hot, faulty", o.mode)
	}
	if o.slots == 0 {
		o.slots = 3
		if o.mode == "gentle" {
			o.slots = 12
		}
	}
	if o.clients < 1 || o.slots < 1 || o.ops < 1 || o.checks < 1 {
		return fmt.Errorf("clients, groups, ops and checkers must be 1 or more")
	}
	switch all := o.schedule.Families; {
	case len(all) == 0:
		o.schedule.Families = []string{"process"}
	case slices.Equal(all, []string{"all"}):
		o.schedule.Families = nil // as package nemesis says it
	}
	return o.chooseKinds(kinds)
}

// wanted is what the run must have done to pass.
func (o *options) wanted() wanted {
	return wanted{faults: o.faults || o.faultLog != "", enough: o.enough, open: o.open}
}

// roundKinds are the kinds that are played in rounds and need no search.
var roundKinds = []string{side.BlockingKind, side.CachingKind}

// kindNames returns the names of all kinds there are.
func kindNames() string {
	var names []string
	for _, k := range workload.Kinds {
		names = append(names, k.Name)
	}
	return strings.Join(append(names, roundKinds...), ", ")
}

func (o *options) chooseKinds(names string) error {
	o.rounds = make(map[string]bool)
	if names == "" {
		o.kinds = workload.Kinds
		for _, name := range roundKinds {
			o.rounds[name] = true
		}
		return nil
	}
	for _, name := range words(names) {
		if slices.Contains(roundKinds, name) {
			o.rounds[name] = true
			continue
		}
		at := slices.IndexFunc(workload.Kinds, func(k *workload.Kind) bool { return k.Name == name })
		if at < 0 {
			return fmt.Errorf("there is no kind %q: there are %s", name, kindNames())
		}
		o.kinds = append(o.kinds, workload.Kinds[at])
	}
	return nil
}

func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}
