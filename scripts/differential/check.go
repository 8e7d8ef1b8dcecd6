package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/scripts/differential/compare"
	"github.com/quorate/quorate/scripts/differential/wire"
)

// databases are those that commands are drawn for; scratch is another.
var databases = []string{"0", "1", "2", "15"}

const scratch = "14"

// check compares the whole state of redis-server and of every node, and loads
// what each side dumps into the other. All that is asked of a server at once
// goes in one pipeline, and the servers work side by side: a check must not cost
// more than the thousand commands before it.
func (d *duo) check() (*difference, error) {
	digests, err := d.digests()
	if err != nil {
		return nil, err
	}
	same := len(slices.Compact(slices.Clone(digests))) == 1
	state, err := d.sameContents()
	switch {
	case err != nil:
		return nil, err
	case state != "":
		return &difference{state: state}, nil
	case !same:
		return d.differing(digests)
	}
	return nil, nil
}

// digests returns what DEBUG DIGEST says at redis-server and at each node.
func (d *duo) digests() ([]string, error) {
	servers := append([]*wire.Conn{d.redis}, d.nodes...)
	replies, err := atOnce(servers, func(int) []question { return []question{{"DEBUG", "DIGEST"}} })
	if err != nil {
		return nil, err
	}
	digests := make([]string, len(replies))
	for i, r := range replies {
		digests[i] = string(r[0].Text)
	}
	return digests, nil
}

// place is where a value is.
type place struct{ db, key string }

// held is a value in the forms that are compared.
type held struct {
	dump   []byte
	expiry int64 // Unix time in ms; -1: none
	digest string
	stream reply.Value // all of it, for digests do not know of groups; of streams alone
}

// sameContents tells a value that redis-server and the first node do not both
// have, or that is another when loaded from the other's dump; "" for none.
func (d *duo) sameContents() (string, error) {
	sides := []*wire.Conn{d.redis, d.nodes[0]}
	all, err := contents(sides)
	if err != nil {
		return "", err
	}
	if state := compareSides(all[0], all[1]); state != "" {
		return state, nil
	}
	loaded, state, err := exchange(sides, all)
	if err != nil || state != "" {
		return state, err
	}
	for i, way := range []int{1, 0} { // what side i loaded is the other's
		for _, p := range sorted(all[way]) {
			want, got := all[way][p], loaded[i][p]
			if want.same(got) {
				continue
			}
			again, err := reloaded(sides[way], want)
			if err != nil {
				return "", err
			}
			if again.same(got) {
				continue // no value that outlives loading: -0 in a sorted set that becomes compact
			}
			return fmt.Sprintf("db %s: %q of %s, loaded at %s:\n%s", p.db, p.key, sides[way].Addr, sides[i].Addr, apart(want, got)), nil
		}
	}
	return "", nil
}

// same reports whether values are the same. When they end is not looked at.
func (h *held) same(other *held) bool {
	a := &compare.Answers{Got: compare.Pair{Redis: h.stream, Ours: other.stream}}
	return h.digest == other.digest && compare.Same(compare.StreamTimes, a)
}

// apart shows how two values differ.
func apart(a, b *held) string {
	if a.digest != b.digest {
		return fmt.Sprintf("digest %s, not %s; dump %q", b.digest, a.digest, a.dump)
	}
	return fmt.Sprintf("%s\nnot\n%s", shown(b.stream), shown(a.stream))
}

// compareSides tells what differs between the contents of two servers.
func compareSides(redis, ours map[place]*held) string {
	var lines []string
	for _, p := range sorted(redis) {
		a, b := redis[p], ours[p]
		switch {
		case b == nil:
			lines = append(lines, fmt.Sprintf("db %s: %q: redis-server has it, the cluster does not", p.db, p.key))
		case !a.same(b):
			lines = append(lines, fmt.Sprintf("db %s: %q: in the cluster\n%s", p.db, p.key, apart(a, b)))
		case (a.expiry < 0) != (b.expiry < 0), max(a.expiry-b.expiry, b.expiry-a.expiry) > expiryApartMs:
			lines = append(lines, fmt.Sprintf("db %s: %q: ends at %d in redis-server, at %d in the cluster", p.db, p.key, a.expiry, b.expiry))
		}
	}
	for _, p := range sorted(ours) {
		if redis[p] == nil {
			lines = append(lines, fmt.Sprintf("db %s: %q: the cluster has it, redis-server does not", p.db, p.key))
		}
	}
	return strings.Join(lines, "\n")
}

// expiryApartMs is how far apart the ends of a key may lie, for what is relative
// is so to each server's now.
const expiryApartMs = 5000

func sorted(all map[place]*held) []place {
	return slices.SortedFunc(maps.Keys(all), func(a, b place) int {
		return strings.Compare(a.db+" "+a.key, b.db+" "+b.key)
	})
}

// differing finds the node by whose keys digests differ.
func (d *duo) differing(digests []string) (*difference, error) {
	for i, node := range d.nodes[1:] {
		all, err := contents([]*wire.Conn{d.redis, node})
		if err != nil {
			return nil, err
		}
		if state := compareSides(all[0], all[1]); state != "" {
			return &difference{state: fmt.Sprintf("at node %d:\n%s", i+1, state)}, nil
		}
	}
	again, err := d.digests()
	if err != nil {
		return nil, err
	}
	return &difference{state: fmt.Sprintf("DEBUG DIGEST differs, though no key does: redis-server and the nodes say\n%s\nand asked again\n%s",
		strings.Join(digests, "\n"), strings.Join(again, "\n"))}, nil
}
