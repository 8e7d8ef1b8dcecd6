package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
)

// ErrUnavailable is what a fault's Begin returns where it can't be had.
var ErrUnavailable = errors.New("not available here")

func unavailable(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnavailable, fmt.Sprintf(format, args...))
}

// Fault is one kind of trouble. Its name is group/kind, as in process/kill-all.
type Fault interface {
	Name() string
	// Begin begins the trouble. r decides what is left open: which node, how
	// much.
	Begin(ctx context.Context, c *Cluster, r *rand.Rand) (Injected, error)
}

// Injected is trouble that has begun.
type Injected interface {
	// Describe says what was done to whom.
	Describe() string
	// Heal undoes it. It does not wait until the cluster has recovered.
	Heal(ctx context.Context) error
}

// begin begins a fault, as Fault's Begin does.
type begin = func(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error)

// kind is a Fault made of a function.
type kind struct {
	name  string
	begin begin
}

func (k kind) Name() string { return k.name }

func (k kind) Begin(ctx context.Context, c *Cluster, r *rand.Rand) (Injected, error) {
	i, err := k.begin(ctx, c, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.name, err)
	}
	return i, nil
}

// injected is the Injected of all kinds.
type injected struct {
	node   int    // whose clients may feel it, or Everybody, or Nobody
	role   string // of that node: leader or follower, if that is known
	text   string
	serve  []*node // who must serve while the trouble lasts
	doomed []*node // whose process may end of it
	heal   func(ctx context.Context) error
}

// What stands in the place of a node's number.
const (
	Everybody = -1 // any node's clients may feel it
	Nobody    = -2 // no client may feel it
)

func (i *injected) Describe() string { return i.text }

func (i *injected) Heal(ctx context.Context) error {
	if i.heal == nil {
		return nil
	}
	return i.heal(ctx)
}

// Families returns all faults there are.
func Families() []Fault {
	var all []Fault
	for _, group := range [][]kind{processFaults, memberFaults, netFaults, proxyFaults, diskFaults, fileFaults, clockFaults, upgradeFaults} {
		for _, k := range group {
			all = append(all, k)
		}
	}
	return all
}

// choose returns the faults that names name: each by its full name or by its
// group. No names: all.
func choose(names []string) ([]Fault, error) {
	all := Families()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []Fault
	for _, name := range names {
		found := false
		for _, f := range all {
			group, _, _ := strings.Cut(f.Name(), "/")
			if f.Name() == name || group == name {
				chosen = append(chosen, f)
				found = true
			}
		}
		if !found {
			return nil, fmt.Errorf("nemesis: there is no fault %q", name)
		}
	}
	return chosen, nil
}

// pick returns one of the nodes.
func pick(r *rand.Rand, nodes []*node) *node { return nodes[r.IntN(len(nodes))] }
