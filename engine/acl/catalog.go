package acl

import (
	"slices"
	"strings"

	"github.com/quorate/quorate/engine/command"
)

// ID is the place of a command in a catalog.
type ID int

// Catalog is the commands that a release knows, for rules to speak of.
type Catalog struct {
	specs  []*command.Spec // sorted by name
	byName map[string]ID
	subs   [][]ID // of a container
	cats   []command.Category
}

// NewCatalog returns a catalog of commands and subcommands.
func NewCatalog(specs []*command.Spec) *Catalog {
	c := &Catalog{specs: slices.Clone(specs), byName: make(map[string]ID, len(specs))}
	slices.SortFunc(c.specs, func(a, b *command.Spec) int { return strings.Compare(a.Name, b.Name) })
	for i, s := range c.specs {
		c.byName[s.Name] = ID(i)
		c.cats = append(c.cats, s.AllCategories())
	}
	c.subs = make([][]ID, len(c.specs))
	for i, s := range c.specs {
		if parent, ok := c.byName[s.Container()]; ok {
			c.subs[parent] = append(c.subs[parent], ID(i))
		}
	}
	return c
}

// ID returns the place of the command of that name.
func (c *Catalog) ID(name string) (ID, bool) {
	id, ok := c.byName[name]
	return id, ok
}

func (c *Catalog) lookup(name string) (ID, bool) { return c.ID(strings.ToLower(name)) }

// In returns the names of a category's commands and subcommands, sorted.
func (c *Catalog) In(category command.Category) []string {
	var names []string
	for i, s := range c.specs {
		if c.cats[i]&category != 0 {
			names = append(names, s.Name)
		}
	}
	return names
}

// Check refuses rules that speak of commands which the catalog does not know.
func (c *Catalog) Check(rules []string) error {
	for _, rule := range rules {
		parts := []string{rule}
		if strings.HasPrefix(rule, "(") && strings.HasSuffix(rule, ")") {
			parts = strings.Fields(rule[1 : len(rule)-1])
		}
		for _, part := range parts {
			bare := strings.EqualFold(part, "+@all") || strings.EqualFold(part, "-@all")
			if bare || part == "" || part[0] != '+' && part[0] != '-' {
				continue
			}
			if err := c.check(part); err != nil {
				return &RuleError{Rule: rule, Err: err}
			}
		}
	}
	return nil
}

// check refuses a rule on commands of which the catalog does not know the target.
func (c *Catalog) check(rule string) error {
	if c == nil {
		return nil
	}
	target := rule[1:]
	if name, ok := strings.CutPrefix(target, "@"); ok {
		if _, known := command.ParseCategory(strings.ToLower(name)); !known {
			return errUnknown
		}
		return nil
	}
	bar := strings.LastIndexByte(target, '|')
	if bar < 0 || rule[0] == '-' {
		if _, ok := c.lookup(target); !ok {
			return errUnknown
		}
		return nil
	}
	id, ok := c.lookup(target[:bar])
	switch {
	case !ok:
		return errUnknown
	case c.specs[id].Container() != "":
		return errFirstArg
	case target[bar+1:] == "":
		return errRuleSyntax
	case len(c.subs[id]) == 0:
		return nil // the first argument is not checked
	}
	if _, ok := c.lookup(target); !ok {
		return errUnknown
	}
	return nil
}

// grant is a selector's rules on commands, command by command.
type grant struct {
	bits []bool // by ID
	// all: no command is denied, those of later releases neither, so that bits need
	// no look. future: it began from all.
	all, future bool
	first       map[ID][]string // what may follow commands that are denied
}

func (c *Catalog) newGrant(all bool) grant {
	g := grant{bits: make([]bool, len(c.specs)), all: all, future: all}
	if all {
		for i := range g.bits {
			g.bits[i] = true
		}
	}
	return g
}

// compile looks up what a selector's rules comprise. Targets that the catalog does not
// know concern commands that nobody here can call.
func (c *Catalog) compile(s *Selector) grant {
	g := c.newGrant(s.AllCommands)
	for _, rule := range s.Commands {
		c.apply(&g, rule)
	}
	return g
}

func (c *Catalog) apply(g *grant, rule string) {
	allow, target := rule[0] == '+', rule[1:]
	if name, ok := strings.CutPrefix(target, "@"); ok {
		category, known := command.ParseCategory(name)
		for i, cats := range c.cats {
			if known && cats&category != 0 {
				c.set(g, ID(i), allow)
			}
		}
		return
	}
	if id, ok := c.lookup(target); ok {
		c.set(g, id, allow)
		return
	}
	name, first, isFirst := strings.Cut(target, "|")
	id, ok := c.lookup(name)
	if !ok || !isFirst || !allow || len(c.subs[id]) > 0 {
		return
	}
	if g.first == nil {
		g.first = make(map[ID][]string)
	}
	g.first[id] = append(g.first[id], first)
}

// set allows or denies a command and its subcommands.
func (c *Catalog) set(g *grant, id ID, allow bool) {
	g.bits[id] = allow
	delete(g.first, id)
	for _, sub := range c.subs[id] {
		g.bits[sub] = allow
	}
	g.all = g.all && allow
}
