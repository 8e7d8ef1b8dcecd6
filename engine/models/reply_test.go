package models

import (
	"fmt"
	"strings"

	"github.com/quorate/quorate/engine/reply"
)

// What a model expects of a command is an int or an int64, a string, a slice of
// such, nil, or one of these.
type (
	status string // a status reply
	fail   string // an error that begins so
)

const (
	ok        status = "OK"
	wrongType fail   = "WRONGTYPE"
)

// either is a reply that is as good as another.
type either []any

// show writes down what is expected as shown writes down a reply.
func show(want any) string {
	switch w := want.(type) {
	case nil:
		return "nil"
	case status:
		return "+" + string(w)
	case fail:
		return "-" + string(w)
	case string:
		return fmt.Sprintf("%q", w)
	case []string:
		return showAll(len(w), func(i int) string { return show(w[i]) })
	case []any:
		return showAll(len(w), func(i int) string { return show(w[i]) })
	}
	return fmt.Sprint(want)
}

func shown(v reply.Value) string {
	switch v.Kind {
	case reply.KindNull:
		return "nil"
	case reply.KindInt:
		return fmt.Sprint(v.Int)
	case reply.KindBulk:
		return fmt.Sprintf("%q", v.Text)
	case reply.KindStatus:
		return "+" + string(v.Text)
	case reply.KindError:
		return "-" + string(v.Text)
	}
	return showAll(len(v.Elems), func(i int) string { return shown(v.Elems[i]) })
}

func showAll(n int, at func(i int) string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = at(i)
	}
	return "[" + strings.Join(all, " ") + "]"
}

// meets reports whether a reply is what is expected.
func meets(v reply.Value, want any) bool {
	switch w := want.(type) {
	case fail:
		return v.Kind == reply.KindError && strings.HasPrefix(string(v.Text), string(w))
	case either:
		for _, one := range w {
			if meets(v, one) {
				return true
			}
		}
		return false
	}
	return shown(v) == show(want)
}

// texts returns the elements of an array of strings.
func texts(v reply.Value) []string {
	all := make([]string, len(v.Elems))
	for i := range all {
		all[i] = string(v.Elems[i].Text)
	}
	return all
}
