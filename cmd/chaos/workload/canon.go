package workload

import (
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/engine/reply"
)

// canon writes a reply as package model does, whatever the protocol: "_" null,
// ":1" integer, "$a" text, "[a b]" aggregate, flattened.
func canon(name string, v *reply.Value) string {
	switch v.Kind {
	case reply.KindNull:
		return "_"
	case reply.KindInt:
		return ":" + strconv.FormatInt(v.Int, 10)
	case reply.KindError:
		return "!" + string(v.Text)
	case reply.KindArray, reply.KindMap, reply.KindSet:
		words := flatten(nil, v, name == "MGET")
		switch name {
		case "SMEMBERS":
			slices.Sort(words)
		case "HGETALL":
			words = sortPairs(words)
		}
		return "[" + strings.Join(words, " ") + "]"
	}
	return "$" + string(v.Text)
}

func flatten(words []string, v *reply.Value, marked bool) []string {
	for i := range v.Elems {
		e := &v.Elems[i]
		switch e.Kind {
		case reply.KindArray, reply.KindMap, reply.KindSet:
			words = flatten(words, e, marked)
			continue
		}
		word := canon("", e)
		if !marked {
			word = word[1:]
		}
		words = append(words, word)
	}
	return words
}

func sortPairs(words []string) []string {
	pairs := make([][2]string, len(words)/2)
	for i := range pairs {
		pairs[i] = [2]string{words[2*i], words[2*i+1]}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	sorted := words[:0]
	for _, p := range pairs {
		sorted = append(sorted, p[0], p[1])
	}
	return sorted
}
