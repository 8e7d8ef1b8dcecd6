package commands

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/list"
)

const (
	sortCategories = command.NoGroup | command.CatSet | command.CatSortedSet | command.CatList | command.CatDangerous

	sortPatternNotes = "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort"
	sortStoreNotes   = "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array"
)

var sortRows = []call.Row{
	{Spec: command.Spec{Name: "sort", Group: command.Generic, Arity: -2, Flags: command.Write | command.DenyOOM, Categories: sortCategories, Keys: []command.KeySpec{
		command.Range(readKey, 1, 0, 1),
		{Flags: readKey, Notes: sortPatternNotes},
		{Flags: command.OW | command.Update, Notes: sortStoreNotes, Find: sortStoreKey},
	}}, Do: sortAny},
	{Spec: command.Spec{Name: "sort_ro", Group: command.Generic, Arity: -2, Flags: command.ReadOnly, Categories: sortCategories, Keys: []command.KeySpec{
		command.Range(readKey, 1, 0, 1),
		{Flags: readKey, Notes: sortPatternNotes},
	}}, Do: sortReadOnly},
}

// sortStoreKey returns where the key after STORE is, or 0. The last one counts.
func sortStoreKey(args [][]byte) int {
	at := 0
	for i := 2; i+1 < len(args); i++ {
		switch {
		case call.EqualFold(args[i], "LIMIT"):
			i += 2
		case call.EqualFold(args[i], "GET"), call.EqualFold(args[i], "BY"):
			i++
		case call.EqualFold(args[i], "STORE"):
			i++
			at = i
		}
	}
	return at
}

// sortAny implements SORT key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA]
// [STORE destination].
func sortAny(c *call.Call) { sortKey(c, true) }

// sortReadOnly implements SORT_RO, which is SORT without STORE.
func sortReadOnly(c *call.Call) { sortKey(c, false) }

// sortOptions are what follows the key of SORT.
type sortOptions struct {
	by            []byte   // nil: the elements themselves
	gets          [][]byte // none: the elements themselves
	store         []byte   // nil: the outcome is the reply
	offset, count int64    // negative count: all
	desc, alpha   bool
	asIs          bool // BY a pattern without a star: no order is asked for
}

// parse reads the options. It replies with an error itself.
func (o *sortOptions) parse(c *call.Call, mayStore bool) bool {
	o.count = -1
	for i := 2; i < len(c.Args); i++ {
		left := len(c.Args) - i - 1
		switch {
		case c.Is(i, "ASC"):
			o.desc = false
		case c.Is(i, "DESC"):
			o.desc = true
		case c.Is(i, "ALPHA"):
			o.alpha = true
		case c.Is(i, "LIMIT") && left >= 2:
			var ok bool
			if o.offset, ok = c.Int(i + 1); !ok {
				return false
			}
			if o.count, ok = c.Int(i + 2); !ok {
				return false
			}
			i += 2
		case c.Is(i, "STORE") && left >= 1 && mayStore:
			i++
			o.store = c.Args[i]
		case c.Is(i, "BY") && left >= 1:
			i++
			o.by = c.Args[i]
			o.asIs = o.asIs || bytes.IndexByte(o.by, '*') < 0
		case c.Is(i, "GET") && left >= 1:
			i++
			o.gets = append(o.gets, c.Args[i])
		default:
			c.Fail(reply.ErrSyntax)
			return false
		}
	}
	return true
}

// sortElement is an element with what it is ordered by.
type sortElement struct {
	text  []byte
	by    []byte // the text to compare when ordering by other keys; nil if there is none
	score float64
}

// sortKey sorts what the first argument holds. Where redis-server's order is that of its hash tables, it is here that of
// the set, which is the same on all nodes.
func sortKey(c *call.Call, mayStore bool) {
	var o sortOptions
	if !o.parse(c, mayStore) {
		return
	}
	e, found := c.Get(c.Args[1])
	c.LookedUp(c.Args[1], found)
	c.Reads = false // it is looked up once more for its elements
	if found && e.Type != keyspace.List && e.Type != keyspace.Set && e.Type != keyspace.Zset {
		c.Fail(reply.ErrWrongType)
		return
	}
	if c.Out.Discards() && o.store == nil {
		return // nobody hears it, and nothing changes
	}
	var elements []sortElement
	if found {
		elements = sortElements(c, e.Type)
	}
	if o.asIs && found && e.Type == keyspace.Set && (o.store != nil || c.InScript) {
		// A set has no order of its own: what scripts see and what is stored gets one.
		o.asIs, o.alpha, o.by = false, true, nil
	}
	from, to := o.limits(len(elements))
	switch {
	case !o.asIs:
		if !o.weigh(c, elements) {
			c.Fail("ERR One or more scores can't be converted into double")
			return
		}
		o.sort(elements, from, to)
	case o.desc && e.Type != keyspace.Set:
		slices.Reverse(elements)
	}
	o.give(c, elements[from:to])
}

// limits returns which of n elements LIMIT asks for.
func (o *sortOptions) limits(n int) (from, to int) {
	first := min(max(o.offset, 0), int64(n))
	limit := int64(n)
	if o.count >= 0 {
		limit = first + min(o.count, limit-first)
	}
	return int(first), int(limit)
}

// sort brings the elements in [from, to) to their places. redis-server leaves the
// others alone when it sorts by other keys, and then those of equal weight come
// in another order than in a whole sort. Without other keys it sorts all; that is the same
// unless different elements are of equal weight.
func (o *sortOptions) sort(elements []sortElement, from, to int) {
	if o.by == nil && o.hasTies(elements) {
		from, to = 0, len(elements)
	}
	sortPart(elements, from, to, o.compare)
}

// hasTies reports whether elements that differ may be of equal weight, if they are ordered by themselves.
func (o *sortOptions) hasTies(elements []sortElement) bool {
	return o.alpha && o.store == nil && slices.ContainsFunc(elements, func(e sortElement) bool { return bytes.IndexByte(e.text, 0) >= 0 })
}

// sortElements returns copies of the elements of the first argument, which holds a list, a set or a sorted set.
func sortElements(c *call.Call, t keyspace.Type) []sortElement {
	var elements []sortElement
	var texts []byte
	expect := func(n int) { elements = make([]sortElement, 0, n) }
	add := func(text []byte) {
		if len(text) > cap(texts)-len(texts) {
			texts = make([]byte, 0, max(min(2*cap(texts), 64<<10), 512, len(text)))
		}
		start := len(texts)
		texts = append(texts, text...)
		elements = append(elements, sortElement{text: texts[start:len(texts):len(texts)]})
	}
	key := c.Args[1]
	switch t {
	case keyspace.List:
		l, _ := openList(c, key)
		expect(l.Len())
		var digits [20]byte
		for at := l.At(0); at.Valid(); at.Next() {
			add(at.Text(digits[:]))
		}
	case keyspace.Set:
		s, _ := openSet(c, key)
		expect(s.Len())
		for member := range s.All() {
			add(member)
		}
	case keyspace.Zset:
		z, _ := openZset(c, key)
		expect(z.Len())
		for member := range z.Ascend(0) {
			add(member)
		}
	}
	return elements
}

// weigh finds what the elements are ordered by. It returns false if some of it should be a number and is not.
func (o *sortOptions) weigh(c *call.Call, elements []sortElement) bool {
	if o.alpha && o.by == nil {
		return true
	}
	for i := range elements {
		e := &elements[i]
		text, ok := e.text, true
		if o.by != nil {
			text, ok = sortLookUp(c, o.by, e.text)
		}
		switch {
		case !ok:
		case o.alpha:
			e.by = append([]byte{}, text...)
		default:
			if e.score, ok = sortScore(text); !ok {
				return false
			}
		}
	}
	return true
}

// sortScore reads a number as C's strtod does: spaces before it, and nothing at all, are allowed, a NUL is the end.
func sortScore(text []byte) (float64, bool) {
	if text = cString(text); len(text) == 0 {
		return 0, true
	}
	return call.ParseFloat(bytes.TrimLeft(text, " \t\n\v\f\r"))
}

// compare orders by number, then by text; or by text.
func (o *sortOptions) compare(a, b *sortElement) int {
	var order int
	switch {
	case !o.alpha:
		if order = cmp.Compare(a.score, b.score); order == 0 {
			order = bytes.Compare(a.text, b.text)
		}
	case o.by == nil:
		order = o.compareTexts(a.text, b.text)
	case a.by == nil || b.by == nil: // what is not there comes first
		order = cmp.Compare(presence(a.by), presence(b.by))
	default:
		order = o.compareTexts(a.by, b.by)
	}
	if o.desc {
		return -order
	}
	return order
}

// compareTexts compares as C strings, which end with a NUL, what is only replied
// with, and all bytes where the order is stored: as redis-server does.
func (o *sortOptions) compareTexts(a, b []byte) int {
	if o.store == nil {
		a, b = cString(a), cString(b)
	}
	return bytes.Compare(a, b)
}

// cString returns what of b is before the first NUL.
func cString(b []byte) []byte {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		return b[:end]
	}
	return b
}

func presence(b []byte) int {
	if b == nil {
		return 0
	}
	return 1
}

// sortLookUp returns what pattern means for an element: "#" the element itself; else the string at the key that is the
// pattern with the element for its star or, behind "->", a field of the hash there. It is valid until the next change.
func sortLookUp(c *call.Call, pattern, element []byte) ([]byte, bool) {
	if len(pattern) == 1 && pattern[0] == '#' {
		return element, true
	}
	before, after, ok := bytes.Cut(pattern, []byte{'*'})
	if !ok {
		return nil, false
	}
	name, field, isHash := bytes.Cut(after, []byte("->"))
	if isHash = isHash && len(field) > 0; !isHash {
		name = after
	}
	key := slices.Concat(before, element, name)
	e, found := c.Get(key)
	c.LookedUp(key, found)
	switch {
	case !found:
		return nil, false
	case isHash && e.Type != keyspace.Hash, !isHash && e.Type != keyspace.String:
		return nil, false
	case !isHash:
		return e.Packed, true
	}
	h, _ := openHash(c, key)
	return h.Get(field, nil)
}

// give replies with the elements, or what was to be got for them, or stores that.
func (o *sortOptions) give(c *call.Call, elements []sortElement) {
	if o.store != nil {
		var l list.List
		limits := list.Limits{ListpackSize: c.Settings.ListMaxListpackSize}
		l = list.Empty(limits)
		l = list.FromPacked(slices.Clone(l.Packed()), limits)
		for i := range elements {
			if len(o.gets) == 0 {
				l.PushBack(elements[i].text)
			}
			for _, pattern := range o.gets {
				text, _ := sortLookUp(c, pattern, elements[i].text)
				l.PushBack(text)
			}
		}
		replaceList(c, o.store, &l, "sortstore")
		return
	}
	mark := c.Out.Mark()
	c.Out.Array(len(elements) * max(len(o.gets), 1))
	for i := range elements {
		if len(o.gets) == 0 {
			c.Out.Bulk(elements[i].text)
		}
		for _, pattern := range o.gets {
			text, ok := sortLookUp(c, pattern, elements[i].text)
			if bulkOrNull(c.Out, text, ok); tooLong(c, mark) {
				return
			}
		}
	}
}

// replaceList puts l at key in the place of what was there, replies with the number of its elements, and tells of
// event. An empty one leaves no key.
func replaceList(c *call.Call, key []byte, l *list.List, event string) {
	_, existed := c.Get(key)
	switch {
	case l.Len() > 0:
		v := keyspace.Value{Type: keyspace.List, Enc: keyspace.Quicklist, Packed: l.Packed()}
		if long := l.Object(); long != nil {
			v.Object = keyspace.Box(long)
		}
		c.DB.Put(key, v, keyspace.NoExpiry)
		if !existed {
			c.Notify(call.EventNew, "new", key)
		}
		c.Notify(call.EventList, event, key)
	case existed:
		deleteKey(c, key)
	}
	c.Out.Int(int64(l.Len()))
}
