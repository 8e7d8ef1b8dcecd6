package acl

import (
	"math"
	"slices"
	"strings"

	"github.com/quorate/quorate/engine/command"
)

// Line returns the user as ACL LIST and files of users show it: "user", the name, and
// rules that make the same user.
func (c *Catalog) Line(u *User) string {
	words := []string{"user", u.Name}
	words = append(words, u.Flags.Names()...)
	for _, hash := range u.Passwords {
		words = append(words, "#"+hash)
	}
	for i := range u.Selectors {
		text := c.selectorText(&u.Selectors[i])
		if i > 0 {
			text = "(" + text + ")"
		}
		words = append(words, text)
	}
	return strings.Join(words, " ")
}

func (c *Catalog) selectorText(s *Selector) string {
	var words []string
	if keys := s.KeysText(); keys != "" {
		words = append(words, keys)
	}
	if !s.AllChannels {
		words = append(words, "resetchannels")
	}
	if channels := s.ChannelsText(); channels != "" {
		words = append(words, channels)
	}
	return strings.Join(append(words, c.CommandsText(s)), " ")
}

// KeysText returns the rules on keys, as ACL GETUSER shows them.
func (s *Selector) KeysText() string {
	if s.AllKeys {
		return "~*"
	}
	prefixes := map[Permission]string{Read | Write: "~", Read: "%R~", Write: "%W~"}
	var words []string
	for _, k := range s.Keys {
		words = append(words, prefixes[k.Allows]+k.Pattern)
	}
	return strings.Join(words, " ")
}

// ChannelsText returns the rules on channels, as ACL GETUSER shows them.
func (s *Selector) ChannelsText() string {
	if s.AllChannels {
		return "&*"
	}
	var words []string
	for _, pattern := range s.Channels {
		words = append(words, "&"+pattern)
	}
	return strings.Join(words, " ")
}

// CommandsText returns rules on commands that come to the same as the selector's. They
// begin with all commands or with none. Then come the categories that fit best, one
// after the other, as long as one has more commands that are to be changed than others;
// then single commands, for the rest.
func (c *Catalog) CommandsText(s *Selector) string {
	want := c.compile(s)
	have := c.newGrant(want.future)
	sign, base := "+", "-@all"
	if want.future {
		sign, base = "-", "+@all"
	}
	words := []string{base}
	add := func(rule string) {
		words = append(words, rule)
		c.apply(&have, rule)
	}
	left := grant{bits: slices.Clone(want.bits)} // what no category has dealt with yet
	var used command.Category
	for {
		name, category := c.bestCategory(left.bits, !want.future, used)
		if category == 0 {
			break
		}
		used |= category
		add(sign + "@" + name)
		c.apply(&left, inverse(sign)+"@"+name)
	}
	for _, id := range c.order() {
		if want.bits[id] != have.bits[id] {
			sign := "-"
			if want.bits[id] {
				sign = "+"
			}
			add(sign + c.specs[id].Name)
		}
		if !want.bits[id] {
			for _, first := range want.first[id] {
				words = append(words, "+"+c.specs[id].Name+"|"+first)
			}
		}
	}
	return strings.Join(words, " ")
}

func inverse(sign string) string {
	if sign == "+" {
		return "-"
	}
	return "+"
}

// bestCategory returns the category of which the most commands have the value, and the
// fewest have not.
func (c *Catalog) bestCategory(bits []bool, value bool, used command.Category) (name string, best command.Category) {
	fewest, most := math.MaxInt, 0
	for _, candidate := range command.AllCategories.Names() {
		category, _ := command.ParseCategory(candidate)
		if used&category != 0 {
			continue
		}
		same, other := 0, 0
		for i, cats := range c.cats {
			switch {
			case cats&category == 0:
			case bits[i] == value:
				same++
			default:
				other++
			}
		}
		if same > other && (other < fewest || other == fewest && same > most) {
			name, best, fewest, most = candidate, category, other, same
		}
	}
	return name, best
}

// order returns the commands, each container before its subcommands.
func (c *Catalog) order() []ID {
	var ids []ID
	for i, s := range c.specs {
		if s.Container() != "" {
			if _, ok := c.byName[s.Container()]; ok {
				continue
			}
		}
		ids = append(append(ids, ID(i)), c.subs[i]...)
	}
	return ids
}
