package side

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Author is what one writer has written, in its order: version 1, 2 and so on, each to
// one key or two at once. No other one writes its keys, and after a write that was in
// doubt it never writes that key again. So a key holds the newest acknowledged version,
// or the one in doubt.
type Author struct {
	Number int

	mu       sync.Mutex
	versions []version // guarded by mu; [0] is no version
	keys     []string  // guarded by mu; by number
	live     []int     // guarded by mu; numbers of the keys that are written
	acked    int64     // guarded by mu; the newest version that was acknowledged
}

// version is one write.
type version struct {
	keys    [2]int32 // their numbers; -1: none
	known   bool     // what became of it
	outcome Outcome
}

// NewAuthor returns an author of so many keys whose names begin with prefix.
func NewAuthor(number, keys int, prefix string) *Author {
	a := &Author{Number: number, versions: make([]version, 1), live: make([]int, keys)}
	for i := range a.live {
		a.fresh(i, prefix)
	}
	return a
}

// fresh puts a new key in a place. a.mu is held, or a is new.
func (a *Author) fresh(place int, prefix string) {
	a.live[place] = len(a.keys)
	a.keys = append(a.keys, fmt.Sprintf("%s%d.%d", prefix, a.Number, len(a.keys)))
}

// Begin begins a write to keys in one or two places, and returns its version and the
// names of the keys.
func (a *Author) Begin(places ...int) (v int64, keys []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := version{keys: [2]int32{-1, -1}}
	for i, place := range places {
		w.keys[i] = int32(a.live[place])
		keys = append(keys, a.keys[a.live[place]])
	}
	a.versions = append(a.versions, w)
	return int64(len(a.versions) - 1), keys
}

// End tells what became of the newest write. Keys of one in doubt are written no more.
func (a *Author) End(o Outcome, prefix string, places ...int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	newest := len(a.versions) - 1
	a.versions[newest].known, a.versions[newest].outcome = true, o
	switch o {
	case Acked:
		a.acked = int64(newest)
	case Doubted:
		for _, place := range places {
			a.fresh(place, prefix)
		}
	}
}

// Acked returns the newest version that was acknowledged.
func (a *Author) Acked() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.acked
}

// Key returns the name of the key in a place.
func (a *Author) Key(place int) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.keys[a.live[place]]
}

// Due is a version of a key that must be known: older copies must be gone.
type Due struct {
	Key     string
	Version int64
}

// between calls f for the keys of what is known to be in force by to, if all up to from
// was known before: what was acknowledged, and to itself, which has been seen.
func (a *Author) between(from, to int64, seen bool, f func(Due)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for v := from + 1; v <= to; v++ {
		w := &a.versions[v]
		if (!w.known || w.outcome != Acked) && (!seen || v != to) {
			continue
		}
		for _, key := range w.keys {
			if key >= 0 {
				f(Due{a.keys[key], v})
			}
		}
	}
}

// wrote returns why a key can't hold a version.
func (a *Author) wrote(v int64, key string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v >= int64(len(a.versions)) {
		return fmt.Errorf("version %d of %s was never written", v, key)
	}
	w := &a.versions[v]
	if w.known && w.outcome == Refused {
		return fmt.Errorf("version %d of %s was answered with a definite error", v, key)
	}
	for _, k := range w.keys {
		if k >= 0 && a.keys[k] == key {
			return nil
		}
	}
	return fmt.Errorf("version %d was read of %s, to which it was not written", v, key)
}

// Value is what an author writes as a version.
func (a *Author) Value(v int64) string { return fmt.Sprintf("%d/%d", a.Number, v) }

// parseValue reads what Value has made.
func parseValue(text string) (author int, v int64, err error) {
	first, second, ok := strings.Cut(text, "/")
	if ok {
		author, err = strconv.Atoi(first)
	}
	if err == nil {
		v, err = strconv.ParseInt(second, 10, 64)
	}
	if err != nil || !ok {
		return 0, 0, fmt.Errorf("%q was never written", text)
	}
	return author, v, nil
}

// Copies is what a client keeps of what it has read on one connection, and what it
// knows. The rule: once the connection has read anything that shows that a write is in
// force (its own value, or one that its writer wrote later; or, by a linearizable read,
// anything, if the write had been acknowledged before that read was sent), no copy that
// is older than the write may be there any more, and nothing older may be read.
type Copies struct {
	authors []*Author
	known   []int64          // by author: all up to it has been looked at
	due     map[string]int64 // by key: the newest version known to be in force
	have    map[string]int64 // the copies
}

// NewCopies returns what a new connection has: nothing.
func NewCopies(authors []*Author) *Copies {
	return &Copies{authors: authors, known: make([]int64, len(authors)), due: make(map[string]int64), have: make(map[string]int64)}
}

// Has reports whether there is a copy of key.
func (c *Copies) Has(key string) bool { _, ok := c.have[key]; return ok }

// Drop removes the copy of key, as an invalidation says. DropAll removes all.
func (c *Copies) Drop(key string) { delete(c.have, key) }

// DropAll removes all copies.
func (c *Copies) DropAll() { clear(c.have) }

// Proven takes what a linearizable read proves: that author's versions up to v, which
// had been acknowledged before it, are in force. It returns what is due since.
func (c *Copies) Proven(author int, v int64) []Due {
	return c.learn(author, v, false)
}

// Read takes what a read of key gave and returns what is due since. The value becomes
// the copy if keep is set. An error is a value that must not be.
func (c *Copies) Read(key, text string, keep bool) ([]Due, error) {
	author, v, err := parseValue(text)
	if err != nil {
		return nil, err
	}
	if author < 0 || author >= len(c.authors) || v < 1 {
		return nil, fmt.Errorf("%q was never written", text)
	}
	if v < c.due[key] {
		return nil, fmt.Errorf("version %d of %s was read after version %d was in force", v, key, c.due[key])
	}
	if err := c.authors[author].wrote(v, key); err != nil {
		return nil, err
	}
	fresh := c.learn(author, v, true)
	c.due[key] = max(c.due[key], v)
	if keep {
		c.have[key] = v
	}
	return fresh, nil
}

// learn notes that an author's versions up to v are in force.
func (c *Copies) learn(author int, v int64, seen bool) (fresh []Due) {
	if v <= c.known[author] {
		return nil
	}
	c.authors[author].between(c.known[author], v, seen, func(d Due) {
		c.due[d.Key] = max(c.due[d.Key], d.Version)
		fresh = append(fresh, d)
	})
	c.known[author] = v
	return fresh
}

// Stale returns, of what became due, that of which an older copy is there.
func (c *Copies) Stale(fresh []Due) []string {
	var wrong []string
	for _, d := range fresh {
		if have, ok := c.have[d.Key]; ok && have < d.Version {
			wrong = append(wrong, fmt.Sprintf("the copy of %s is version %d, though version %d is in force", d.Key, have, d.Version))
		}
	}
	return wrong
}
