package command

import (
	"bytes"
	"errors"
	"strconv"
)

// KeyFlags tell what a command does to a key.
type KeyFlags uint16

// The flags of a key, named as COMMAND INFO shows them.
const (
	RO KeyFlags = 1 << iota
	RW
	OW
	RM
	Access
	Update
	Insert
	Delete
	NotKey
	Incomplete
	VariableFlags
)

var keyFlagNames = []string{
	"RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags",
}

// Names returns the names of the set flags in Redis' order.
func (f KeyFlags) Names() []string {
	var names []string
	for i, name := range keyFlagNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// KeySpec tells where in the arguments some of the keys are: where to begin,
// and how to find them from there.
type KeySpec struct {
	Flags KeyFlags

	// Index is the argument at which the keys begin. With a Keyword it is
	// where the search for it begins (negative: from the end, backwards), and
	// the keys begin after it. Zero: no rule says where, but Find may.
	Index   int
	Keyword string

	// Find, if it is set, returns the first key's position by code of its own,
	// or 0 if there is none.
	Find func(args [][]byte) int

	// Last is the last key's position counted from the first, negative from
	// the last argument; Step is the distance between keys; Limit n > 1 means
	// that only the first 1/n of the rest are keys (as in XREAD).
	Last, Step, Limit int

	// NumKeys means that the argument at Index counts the keys, which begin
	// FirstKey arguments later; Step is the distance between them.
	NumKeys  bool
	FirstKey int

	// Narrow, if it is set, returns what this very call does to the keys; Flags
	// then say what any call may do.
	Narrow func(args [][]byte) KeyFlags

	// Notes is shown by COMMAND INFO.
	Notes string
}

// One says that the first argument is a key.
func One(flags KeyFlags) []KeySpec { return []KeySpec{Range(flags, 1, 0, 1)} }

// All says that every argument is a key.
func All(flags KeyFlags) []KeySpec { return []KeySpec{Range(flags, 1, -1, 1)} }

// Range says that the keys begin at index and end at last, in steps.
func Range(flags KeyFlags, index, last, step int) KeySpec {
	return KeySpec{Flags: flags, Index: index, Last: last, Step: step}
}

// Counted says that the argument at index tells how many keys follow it.
func Counted(flags KeyFlags, index int) KeySpec {
	return KeySpec{Flags: flags, Index: index, NumKeys: true, FirstKey: 1, Step: 1}
}

// KeyPos is the position of a key in the arguments, and what is done to it.
type KeyPos struct {
	Index int
	Flags KeyFlags
}

// ErrKeys means that the arguments do not tell where the keys are.
var ErrKeys = errors.New("invalid arguments specified for command")

// AppendKeys appends the positions of the keys in args, whose first element
// is the command's name (for a subcommand, its container's).
func (s *Spec) AppendKeys(dst []KeyPos, args [][]byte) ([]KeyPos, error) {
	for i := range s.Keys {
		var err error
		if dst, err = s.Keys[i].appendKeys(dst, args); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (k *KeySpec) appendKeys(dst []KeyPos, args [][]byte) ([]KeyPos, error) {
	first, ok := k.begin(args)
	if !ok || k.Flags&NotKey != 0 {
		return dst, nil
	}
	if first >= len(args) {
		return dst, ErrKeys
	}
	last := first
	step := max(k.Step, 1)
	switch {
	case k.NumKeys:
		n, err := strconv.Atoi(string(args[first]))
		if err != nil || n < 0 || n > len(args) {
			return dst, ErrKeys
		}
		first += k.FirstKey
		last = first + (n-1)*step
	case k.Last < 0:
		last = len(args) + k.Last
		if k.Limit > 1 {
			last = first + (len(args)-first)/k.Limit - 1
		}
	default:
		last = first + k.Last
	}
	if last >= len(args) {
		return dst, ErrKeys
	}
	flags := k.Flags
	if k.Narrow != nil {
		flags = k.Narrow(args)
	}
	for i := first; i <= last; i += step {
		dst = append(dst, KeyPos{Index: i, Flags: flags})
	}
	return dst, nil
}

// begin returns where the search for keys begins, and false when there are
// none of this kind in args or no rule says where.
func (k *KeySpec) begin(args [][]byte) (int, bool) {
	if k.Find != nil {
		first := k.Find(args)
		return first, first > 0
	}
	if k.Keyword == "" {
		return k.Index, k.Index > 0
	}
	if k.Index < 0 {
		for i := len(args) + k.Index; i > 0; i-- {
			if bytes.EqualFold(args[i], []byte(k.Keyword)) {
				return i + 1, true
			}
		}
		return 0, false
	}
	for i := k.Index; i < len(args)-1; i++ {
		if bytes.EqualFold(args[i], []byte(k.Keyword)) {
			return i + 1, true
		}
	}
	return 0, false
}
