package acl

import (
	"errors"
	"slices"
	"strings"
)

// reason is why a rule is refused, in redis-server's words, which begin with capitals.
type reason string

func (r reason) Error() string { return string(r) }

const (
	errUnknown    reason = "Unknown command or category name in ACL"
	errRuleSyntax reason = "Syntax error"
	errAllKeys    reason = "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
	errAllChans   reason = "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels"
	errNoPassword reason = "The password you are trying to remove from the user does not exist"
	errHash       reason = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
	errFirstArg   reason = "Allowing first-arg of a subcommand is not supported"
)

// ErrTooMany means that all users together would be larger than BytesMax.
var ErrTooMany = errors.New("too many users, or too many rules: together they may take 16 MiB")

// RuleError refuses a rule.
type RuleError struct {
	Rule string
	Err  error
}

func (e *RuleError) Error() string {
	return "Error in ACL SETUSER modifier '" + e.Rule + "': " + e.Err.Error()
}

func (e *RuleError) Unwrap() error { return e.Err }

// UnmatchedError means that a selector has no end.
type UnmatchedError struct{ Rule string }

func (e *UnmatchedError) Error() string {
	return "Unmatched parenthesis in acl selector starting at '" + e.Rule + "'."
}

// ValidName reports whether a user may have that name.
func ValidName(name string) bool { return !hasSpaces(name) }

func hasSpaces(s string) bool { return strings.ContainsAny(s, " \t\n\v\f\r\x00") }

// Merge puts selectors together that are spread over several arguments: "(+get",
// "~a)" is one rule.
func Merge(args []string) ([]string, error) {
	var rules []string
	var selector string
	first := -1
	for i, arg := range args {
		closes := strings.HasSuffix(arg, ")")
		switch {
		case strings.HasPrefix(arg, "(") && !closes:
			selector, first = arg, i
		case first >= 0:
			selector += " " + arg
			if closes {
				rules, first = append(rules, selector), -1
			}
		default:
			rules = append(rules, arg)
		}
	}
	if first >= 0 {
		return nil, &UnmatchedError{args[first]}
	}
	return rules, nil
}

// editor applies rules to a user that nobody else knows.
type editor struct {
	user      *User
	defaults  Defaults
	catalog   *Catalog // nil: any name of a command is taken
	passwords bool     // a rule on passwords was applied
}

func (e *editor) rule(rule string) error {
	u := e.user
	switch {
	case rule == "":
	case strings.EqualFold(rule, "on"):
		u.Flags = u.Flags&^Off | On
	case strings.EqualFold(rule, "off"):
		u.Flags = u.Flags&^On | Off
	case strings.EqualFold(rule, "skip-sanitize-payload"):
		u.Flags = u.Flags&^Sanitize | SkipSanitize
	case strings.EqualFold(rule, "sanitize-payload"):
		u.Flags = u.Flags&^SkipSanitize | Sanitize
	case strings.EqualFold(rule, "nopass"):
		u.Flags |= NoPass
		u.Passwords, e.passwords = nil, true
	case strings.EqualFold(rule, "resetpass"):
		u.Flags &^= NoPass
		u.Passwords, e.passwords = nil, true
	case strings.ContainsRune(">#<!", rune(rule[0])):
		return e.password(rule)
	case rule[0] == '(' && rule[len(rule)-1] == ')':
		return e.selector(rule[1 : len(rule)-1])
	case strings.EqualFold(rule, "clearselectors"):
		u.Selectors = u.Selectors[:1]
	case strings.EqualFold(rule, "reset"):
		fresh := newUser(u.Name, u.Born, e.defaults)
		fresh.Flags |= Sanitize
		*u, e.passwords = *fresh, true
	default:
		return e.grant(&u.Selectors[0], rule)
	}
	return nil
}

func (e *editor) password(rule string) error {
	u, hash := e.user, rule[1:]
	switch rule[0] {
	case '>', '<':
		hash = Hash([]byte(hash))
	default:
		if !isHash(hash) {
			return errHash
		}
	}
	e.passwords = true
	i := slices.Index(u.Passwords, hash)
	switch rule[0] {
	case '>', '#':
		if i < 0 {
			u.Passwords = append(u.Passwords, hash)
		}
		u.Flags &^= NoPass
	default:
		if i < 0 {
			return errNoPassword
		}
		u.Passwords = slices.Delete(u.Passwords, i, i+1)
	}
	return nil
}

// selector adds a selector with the given rules, of which white space is between.
func (e *editor) selector(text string) error {
	s := Selector{AllChannels: e.defaults.AllChannels}
	for _, rule := range strings.Fields(text) {
		if strings.HasSuffix(rule, ")") {
			return errRuleSyntax // where it is shown, it would end the selector
		}
		if err := e.grant(&s, rule); err != nil {
			return err
		}
	}
	e.user.Selectors = append(e.user.Selectors, s)
	return nil
}

// grant applies a rule on keys, channels or commands.
func (e *editor) grant(s *Selector, rule string) error {
	switch {
	case strings.EqualFold(rule, "allkeys"), rule == "~*":
		s.AllKeys, s.Keys = true, nil
	case strings.EqualFold(rule, "resetkeys"):
		s.AllKeys, s.Keys = false, nil
	case strings.EqualFold(rule, "allchannels"), rule == "&*":
		s.AllChannels, s.Channels = true, nil
	case strings.EqualFold(rule, "resetchannels"):
		s.AllChannels, s.Channels = false, nil
	case strings.EqualFold(rule, "allcommands"), strings.EqualFold(rule, "+@all"):
		s.AllCommands, s.Commands = true, nil
	case strings.EqualFold(rule, "nocommands"), strings.EqualFold(rule, "-@all"):
		s.AllCommands, s.Commands = false, nil
	case rule[0] == '~', rule[0] == '%':
		return s.key(rule)
	case rule[0] == '&':
		return s.channel(rule[1:])
	case rule[0] == '+', rule[0] == '-':
		if hasSpaces(rule) {
			return errRuleSyntax
		}
		if err := e.catalog.check(rule); err != nil {
			return err
		}
		s.command(rule)
	default:
		return errRuleSyntax
	}
	return nil
}

func (s *Selector) key(rule string) error {
	if s.AllKeys {
		return errAllKeys
	}
	allows, pattern := Read|Write, rule[1:]
	if rule[0] == '%' {
		var letters string
		letters, pattern, _ = strings.Cut(rule[1:], "~")
		allows = 0
		for _, c := range strings.ToUpper(letters) {
			switch {
			case c == 'R' && allows&Read == 0:
				allows |= Read
			case c == 'W' && allows&Write == 0:
				allows |= Write
			default:
				return errRuleSyntax
			}
		}
		if allows == 0 {
			return errRuleSyntax
		}
	}
	if hasSpaces(pattern) {
		return errRuleSyntax
	}
	i := slices.IndexFunc(s.Keys, func(k KeyPattern) bool { return k.Pattern == pattern })
	if i < 0 {
		i = len(s.Keys)
		s.Keys = append(s.Keys, KeyPattern{Pattern: pattern})
	}
	s.Keys[i].Allows |= allows
	if s.Keys[i] == (KeyPattern{Read | Write, "*"}) {
		s.AllKeys, s.Keys = true, nil // it is shown as such
	}
	return nil
}

func (s *Selector) channel(pattern string) error {
	switch {
	case s.AllChannels:
		return errAllChans
	case hasSpaces(pattern):
		return errRuleSyntax
	case !slices.Contains(s.Channels, pattern):
		s.Channels = append(s.Channels, pattern)
	}
	return nil
}

// command adds a rule on commands. A rule before it with the same target is void: each
// command follows the last rule that speaks of it.
func (s *Selector) command(rule string) {
	name, sub, isSub := strings.Cut(rule, "|")
	rule = strings.ToLower(name)
	if isSub {
		rule += "|" + sub // a first argument is shown as it was given
	}
	for i, old := range s.Commands {
		if !strings.EqualFold(old[1:], rule[1:]) {
			continue
		}
		if old[0] == rule[0] && onlyFirstArgs(s.Commands[i+1:]) {
			return // nothing since has changed what it says
		}
		s.Commands = slices.Delete(s.Commands, i, i+1)
		break
	}
	s.Commands = append(s.Commands, rule)
}

// onlyFirstArgs reports whether all rules allow a single word behind a command.
func onlyFirstArgs(rules []string) bool {
	return !slices.ContainsFunc(rules, func(rule string) bool { return rule[0] != '+' || !strings.Contains(rule, "|") })
}
