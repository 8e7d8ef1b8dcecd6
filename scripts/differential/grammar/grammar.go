// Package grammar draws commands from descriptions of their arguments.
//
// A description is one line, much as Redis' documentation writes it:
//
//	SET string value [NX | XX] [GET] [EX ttl | PX pttl | KEEPTTL]
//	ZADD zset [NX | XX] [CH] (score member)...
//	ZUNION #(zset) [WEIGHTS =weight] [AGGREGATE (SUM | MIN | MAX)]
//
// A word that begins with a capital, or stands in single quotes, is sent as it
// is. Any other word names a kind of argument, which a Source draws. [a | b] is one of its alternatives or
// none, (a | b) is one of them, x... is x once or more, #x is a count followed by
// as many x, and =x is x as often as the last such count says. Options that stand
// side by side are drawn in any order.
package grammar

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Source draws an argument of a kind. It panics on a kind that it does not know.
type Source func(r *rand.Rand, kind string) []byte

// Command is a description that has been read.
type Command struct {
	Name  string // in lower case, container and subcommand joined by '|', as COMMAND LIST has it
	nodes []node
}

// Drawn is a command that was drawn.
type Drawn struct {
	Args [][]byte
	// Options are the words that were chosen where others, or none, could have been.
	Options []string
}

// node is a part of a description.
type node interface{ draw(d *drawing) }

// drawing is a command in the making.
type drawing struct {
	*rand.Rand
	source Source
	count  int // the last count of a #
	out    Drawn
}

type (
	word     struct{ text string } // as it stands
	argument struct{ kind string } // drawn by the source
	sequence []node
	choice   struct { // one of the alternatives, or none
		of       []sequence
		optional bool
	}
	repeat  struct{ of node } // once or more
	counted struct{ of node } // a count, and as many
	again   struct{ of node } // as many as the last count
)

// Draw draws one command.
func (c *Command) Draw(r *rand.Rand, source Source) Drawn {
	d := drawing{Rand: r, source: source}
	sequence(c.nodes).draw(&d)
	return d.out
}

func (w word) draw(d *drawing) { d.out.Args = append(d.out.Args, []byte(w.text)) }

func (a argument) draw(d *drawing) { d.out.Args = append(d.out.Args, d.source(d.Rand, a.kind)) }

// draw draws the parts in order, but shuffles runs of options now and then.
func (s sequence) draw(d *drawing) {
	for i := 0; i < len(s); {
		end := i
		for end < len(s) && isOption(s[end]) {
			end++
		}
		if end-i < 2 {
			s[i].draw(d)
			i++
			continue
		}
		options := s[i:end]
		if d.IntN(3) == 0 {
			for _, at := range d.Perm(len(options)) {
				options[at].draw(d)
			}
		} else {
			for _, o := range options {
				o.draw(d)
			}
		}
		i = end
	}
}

func isOption(n node) bool {
	c, ok := n.(choice)
	return ok && c.optional
}

func (c choice) draw(d *drawing) {
	if c.optional && d.IntN(3) > 0 {
		return
	}
	alternative := c.of[d.IntN(len(c.of))]
	if w, ok := alternative[0].(word); ok {
		d.out.Options = append(d.out.Options, w.text)
	} else if c.optional {
		d.out.Options = append(d.out.Options, "+")
	}
	alternative.draw(d)
}

// many is how often something is drawn: few times, but now and then so often
// that values outgrow their compact encodings.
func many(d *drawing) int {
	switch n := d.IntN(200); {
	case n == 0:
		return 100 + d.IntN(60)
	case n < 4:
		return 10 + d.IntN(20)
	case n < 120:
		return 1
	default:
		return 2 + n%3
	}
}

func (r repeat) draw(d *drawing) {
	for range many(d) {
		r.of.draw(d)
	}
}

func (c counted) draw(d *drawing) {
	d.count = 1 + d.IntN(3)
	d.out.Args = append(d.out.Args, strconv.AppendInt(nil, int64(d.count), 10))
	for range d.count {
		c.of.draw(d)
	}
}

func (a again) draw(d *drawing) {
	for range d.count {
		a.of.draw(d)
	}
}

// Parse reads a description. A container and its subcommand are joined by a bar:
// OBJECT|ENCODING any.
func Parse(text string) (*Command, error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	c := &Command{Name: strings.ToLower(name)}
	for _, part := range strings.Split(name, "|") {
		c.nodes = append(c.nodes, word{part})
	}
	p := parser{tokens: tokens(rest)}
	nodes, err := p.sequence()
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("%q is not expected", p.tokens[0])
	}
	if err != nil {
		return nil, fmt.Errorf("grammar: %s: %w", text, err)
	}
	c.nodes = append(c.nodes, nodes...)
	return c, nil
}

// tokens cuts a description into words, brackets and signs. What stands in single
// quotes is a word, quotes and all.
func tokens(text string) []string {
	return token.FindAllString(text, -1)
}

var token = regexp.MustCompile(`'[^']*'|\.\.\.|[][()|#=]|[A-Za-z0-9]+|\S`)

// parser reads tokens from the left.
type parser struct{ tokens []string }

func (p *parser) next() string {
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *parser) at(token string) bool { return len(p.tokens) > 0 && p.tokens[0] == token }

// sequence reads up to a bracket that closes, a bar, or the end.
func (p *parser) sequence() (sequence, error) {
	var s sequence
	for len(p.tokens) > 0 && !p.at("]") && !p.at(")") && !p.at("|") {
		n, err := p.node()
		if err != nil {
			return nil, err
		}
		s = append(s, n)
	}
	return s, nil
}

func (p *parser) node() (node, error) {
	n, err := p.plain()
	if err == nil && p.at("...") {
		p.next()
		n = repeat{n}
	}
	return n, err
}

func (p *parser) plain() (node, error) {
	if len(p.tokens) == 0 {
		return nil, errors.New("it ends too early")
	}
	switch t := p.next(); {
	case t == "[":
		return p.choice("]")
	case t == "(":
		return p.choice(")")
	case t == "#":
		n, err := p.plain()
		return counted{n}, err
	case t == "=":
		n, err := p.plain()
		return again{n}, err
	case unicode.IsUpper(rune(t[0])):
		return word{t}, nil
	case t[0] == '\'' && len(t) > 1:
		return word{t[1 : len(t)-1]}, nil
	case unicode.IsLower(rune(t[0])):
		return argument{t}, nil
	default:
		return nil, fmt.Errorf("%q is not expected", t)
	}
}

func (p *parser) choice(closing string) (node, error) {
	c := choice{optional: closing == "]"}
	for {
		s, err := p.sequence()
		if err != nil {
			return nil, err
		}
		if len(s) == 0 {
			return nil, errors.New("an alternative is empty")
		}
		c.of = append(c.of, s)
		switch {
		case p.at("|"):
			p.next()
		case p.at(closing):
			p.next()
			if len(c.of) == 1 && !c.optional {
				return s, nil
			}
			return c, nil
		default:
			return nil, fmt.Errorf("%q is missing", closing)
		}
	}
}
