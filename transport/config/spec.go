package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Kind is how a directive's value is written.
type Kind uint8

// The kinds.
const (
	Text   Kind = iota // any text
	Bool               // yes or no
	Int                // a decimal integer
	Memory             // bytes, with an optional unit: 100, 64k, 64kb, 1gb
	Enum               // one word of a list
	Millis             // a time in milliseconds: 300, 300ms, 10s, 1m
)

// Flags tell what may be done with a directive.
type Flags uint16

// The flags.
const (
	// Immutable directives can be set at the start only.
	Immutable Flags = 1 << iota
	// Ignored directives are known and have no effect here: at the start they
	// cause a warning.
	Ignored
	// Protected directives can be set at runtime only when
	// enable-protected-configs allows it.
	Protected
	// Cluster directives change results, so they are the cluster's state: a
	// node's file gives the value with which a new cluster begins.
	Cluster
	// Many directives take any number of words.
	Many
	// Repeats directives may stand on several lines, whose values are joined.
	Repeats
	// Settled directives are Immutable ones that redis-server can change: the
	// value that they have may be set again.
	Settled
	// Hidden directives are shown by CONFIG GET only when named in full.
	Hidden
)

// Spec is a row of the table: all that is known about a directive.
type Spec struct {
	Name    string
	Alias   string // an older name, shown by CONFIG GET too; or ""
	Kind    Kind
	Flags   Flags
	Default string // in canonical form

	Min, Max int64    // for Int, Memory and Millis
	Words    []string // for Enum

	// check returns the canonical form of a Text value; nil takes any. Old is
	// the value now, for directives of which a part may be set.
	check func(old, value string) (string, error)
}

// Has reports whether the directive has all of the flags.
func (s *Spec) Has(f Flags) bool { return s.Flags&f == f }

var (
	errBool    = errors.New("argument must be 'yes' or 'no'")
	errInt     = errors.New("argument couldn't be parsed into an integer")
	errMemory  = errors.New("argument must be a memory value")
	errMillis  = errors.New("argument must be a time such as 300ms, 10s or 1m")
	errPercent = errors.New("argument must be a memory or percent value")
)

// canonical returns the form in which a value is kept and shown.
func (s *Spec) canonical(old, value string) (string, error) {
	switch s.Kind {
	case Bool:
		return canonicalBool(value)
	case Int:
		n, ok := parseInt(value)
		if !ok {
			return "", errInt
		}
		return s.inRange(n)
	case Memory:
		n, ok := ParseMemory(value)
		if !ok && beyondMemory(value) {
			return s.inRange(math.MinInt64) // no directive takes as much
		}
		if !ok {
			return "", errMemory
		}
		return s.inRange(n)
	case Millis:
		n, ok := parseMillis(value)
		if !ok {
			return "", errMillis
		}
		return s.inRange(n)
	case Enum:
		if s.Has(Many) {
			return s.canonicalWords(value)
		}
		return s.canonicalWord(value)
	}
	if s.check == nil {
		return value, nil
	}
	return s.check(old, value)
}

func (s *Spec) inRange(n int64) (string, error) {
	if n < s.Min || n > s.Max {
		return "", fmt.Errorf("argument must be between %d and %d inclusive", s.Min, s.Max)
	}
	return strconv.FormatInt(n, 10), nil
}

func (s *Spec) canonicalWord(value string) (string, error) {
	for _, word := range s.Words {
		if strings.EqualFold(word, value) {
			return word, nil
		}
	}
	return "", fmt.Errorf("argument(s) must be one of the following: %s", strings.Join(s.Words, ", "))
}

// errSaveOrNot is redis-server's answer to a shutdown that is to do both.
var errSaveOrNot = errors.New("shutdown options SAVE and NOSAVE can't be used simultaneously")

// canonicalWords returns some words of the list, in its order. The first one stands for
// none of the others, and goes without saying beside them.
func (s *Spec) canonicalWords(value string) (string, error) {
	given := strings.Fields(value)
	if len(given) == 0 {
		return s.canonicalWord(value)
	}
	for i, word := range given {
		var err error
		if given[i], err = s.canonicalWord(word); err != nil {
			return "", err
		}
	}
	var in []string
	for _, word := range s.Words[1:] {
		if slices.Contains(given, word) {
			in = append(in, word)
		}
	}
	switch {
	case len(in) == 0:
		return s.Words[0], nil
	case slices.Contains(in, "save") && slices.Contains(in, "nosave"):
		return "", errSaveOrNot
	}
	return strings.Join(in, " "), nil
}

func canonicalBool(value string) (string, error) {
	switch {
	case strings.EqualFold(value, "yes"):
		return "yes", nil
	case strings.EqualFold(value, "no"):
		return "no", nil
	}
	return "", errBool
}

// parseInt takes what redis-server takes: no sign but '-', no leading zeros,
// no spaces.
func parseInt(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == s
}

// ParseMemory returns the number of bytes that a text such as "100", "64kb"
// or "1g" means: k, m and g are powers of 1000, kb, mb and gb of 1024.
func ParseMemory(s string) (int64, bool) {
	digits := strings.TrimRight(s, "bBkKmMgG")
	var unit int64
	switch strings.ToLower(s[len(digits):]) {
	case "", "b":
		unit = 1
	case "k":
		unit = 1000
	case "kb":
		unit = 1 << 10
	case "m":
		unit = 1000 * 1000
	case "mb":
		unit = 1 << 20
	case "g":
		unit = 1000 * 1000 * 1000
	case "gb":
		unit = 1 << 30
	default:
		return 0, false
	}
	if digits == "" {
		return 0, s == ""
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || int64(n) > math.MaxInt64/unit {
		return 0, false
	}
	return int64(n) * unit, true
}

// beyondMemory reports whether s is a size, but one beyond 63 bits.
func beyondMemory(s string) bool {
	digits := strings.TrimRight(s, "bBkKmMgG")
	_, unit := ParseMemory("1" + s[len(digits):])
	return unit && digits != "" && strings.Trim(digits, "0123456789") == ""
}

func parseMillis(s string) (int64, bool) {
	digits := strings.TrimRight(s, "ms")
	unit := int64(1)
	switch s[len(digits):] {
	case "", "ms":
	case "s":
		unit = 1000
	case "m":
		unit = 60 * 1000
	default:
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || int64(n) > math.MaxInt64/unit {
		return 0, false
	}
	return int64(n) * unit, true
}

// hint tells how a value of this kind is written, for the errors of the file
// and the command line.
func (s *Spec) hint() string {
	switch s.Kind {
	case Memory:
		return " (bytes, or with a unit: 64kb, 100mb, 1gb)"
	case Int:
		return fmt.Sprintf(" (a whole number from %d to %d)", s.Min, s.Max)
	}
	return ""
}

// refusal is the reason, word for word redis-server's where it has one, for
// which a value or a rewrite is refused.
type refusal string

func (r refusal) Error() string { return string(r) }
