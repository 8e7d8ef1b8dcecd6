package models

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

var streamKind = kind{
	new: func() model { return &streamModel{streams: make(map[string]*stream)} },
	limits: map[string][]string{
		"stream-node-max-entries": {"1", "2", "3", "7", "100", "0"},
		"stream-node-max-bytes":   {"0", "40", "100", "4096"},
	},
	forms: []string{"stream"},
}

func TestStreams(t *testing.T) { testKind(t, streamKind) }
func FuzzStreams(f *testing.F) { fuzzKind(f, streamKind) }

// id is the ID of an entry.
type id struct{ ms, seq int64 }

var idMax = id{-1, -1} // in the order of numbers without a sign

func (i id) String() string { return fmt.Sprintf("%d-%d", uint64(i.ms), uint64(i.seq)) }

func (i id) compare(j id) int {
	return cmp.Or(cmp.Compare(uint64(i.ms), uint64(j.ms)), cmp.Compare(uint64(i.seq), uint64(j.seq)))
}

type streamEntry struct {
	id     id
	fields []string
}

func (e streamEntry) reply() any { return []any{e.id.String(), e.fields} }

// stream is what is known of a stream: Redis' numbers too, for XINFO.
type stream struct {
	entries    []streamEntry // in order
	last       id
	added      int64
	maxDeleted id
	first      id // of the first entry, as Redis keeps it
	groups     map[string]*group
}

// group is a consumer group.
type group struct {
	last      id
	read      int64 // -1: not known
	pending   []*pending
	consumers map[string]int64 // when each was seen
}

type pending struct {
	id       id
	consumer string
	at       int64
	count    int64
}

func (g *group) find(i id) (at int, found bool) {
	return slices.BinarySearchFunc(g.pending, i, func(p *pending, i id) int { return p.id.compare(i) })
}

// assign makes an entry pending for a consumer.
func (g *group) assign(p pending) {
	at, found := g.find(p.id)
	if found {
		*g.pending[at] = p
		return
	}
	g.pending = slices.Insert(g.pending, at, &p)
}

func (g *group) acknowledge(i id) bool {
	at, found := g.find(i)
	if found {
		g.pending = slices.Delete(g.pending, at, at+1)
	}
	return found
}

// of returns what is pending for a consumer.
func (g *group) of(consumer string) []*pending {
	var all []*pending
	for _, p := range g.pending {
		if p.consumer == consumer {
			all = append(all, p)
		}
	}
	return all
}

func (s *stream) find(i id) (at int, found bool) {
	return slices.BinarySearchFunc(s.entries, i, func(e streamEntry, i id) int { return e.id.compare(i) })
}

// between returns the entries from one ID to another.
func (s *stream) between(from, to id) []streamEntry {
	var all []streamEntry
	for _, e := range s.entries {
		if e.id.compare(from) >= 0 && e.id.compare(to) <= 0 {
			all = append(all, e)
		}
	}
	return all
}

func (s *stream) after(i id) []streamEntry {
	all := s.between(i, idMax)
	if len(all) > 0 && all[0].id == i {
		all = all[1:]
	}
	return all
}

// noteFirst keeps the first entry's ID up to date.
func (s *stream) noteFirst() {
	s.first = id{}
	if len(s.entries) > 0 {
		s.first = s.entries[0].id
	}
}

// hole reports whether an entry at or after i may be missing between others.
func (s *stream) hole(i id) bool {
	return len(s.entries) > 0 && s.maxDeleted != (id{}) && s.maxDeleted.compare(s.first) >= 0 && i.compare(s.maxDeleted) <= 0
}

// readAt is Redis' estimate of how many entries had been added when i was; -1 if
// it does not know.
func (s *stream) readAt(i id) int64 {
	switch {
	case s.added == 0:
		return 0
	case len(s.entries) == 0 && i.compare(s.last) <= 0, i == s.last:
		return s.added
	case i.compare(s.last) > 0, s.maxDeleted != (id{}) && s.maxDeleted.compare(s.first) >= 0:
		return -1
	case i.compare(s.first) < 0:
		return s.added - int64(len(s.entries))
	case i == s.first:
		return s.added - int64(len(s.entries)) + 1
	}
	return -1
}

// lag is Redis' estimate of how much a group has still to read; nil if it does not
// know.
func (s *stream) lag(g *group) any {
	if s.added == 0 {
		return 0
	}
	if g.read >= 0 && !s.hole(g.last) {
		return s.added - g.read
	}
	if read := s.readAt(g.last); read >= 0 {
		return s.added - read
	}
	return nil
}

// streamModel is all streams by key.
type streamModel struct{ streams map[string]*stream }

var (
	streamKeys = []string{"a", "b"}
	groupNames = []string{"g", "h"}
	noGroup    = fail("NOGROUP")
)

func (m *streamModel) step(w *walk) {
	steps := []func(*walk, string){
		m.add, m.add, m.add, m.add, m.add, m.addMany, m.trim, m.del, m.del, m.ranges, m.read, m.setID, m.create, m.groupSetID, m.groupOther,
		m.readGroup, m.readGroup, m.readGroup, m.history, m.ack, m.pending, m.pending, m.claim, m.claim, m.autoclaim, m.autoclaim, m.info, m.remove,
	}
	pick(&w.dice, steps...)(w, pick(&w.dice, streamKeys...))
}

func (m *streamModel) check(w *walk) {
	for _, key := range streamKeys {
		s := m.streams[key]
		if s == nil {
			w.want(0, "EXISTS", key)
			continue
		}
		w.want(replies(s.entries), "XRANGE", key, "-", "+")
		w.meet(key)
		m.compareFull(w, key, s)
	}
}

func replies(entries []streamEntry) []any {
	all := []any{}
	for _, e := range entries {
		all = append(all, e.reply())
	}
	return all
}

// compareFull compares all that XINFO STREAM FULL shows, but for the layout.
func (m *streamModel) compareFull(w *walk, key string, s *stream) {
	v := w.do("XINFO", "STREAM", key, "FULL", "COUNT", "0")
	got := make(map[string]string)
	for i := 0; i+1 < len(v.Elems); i += 2 {
		got[string(v.Elems[i].Text)] = shown(v.Elems[i+1])
	}
	var groups []any
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		g := s.groups[name]
		var all, consumers []any
		for _, p := range g.pending {
			all = append(all, []any{p.id.String(), p.consumer, p.at, p.count})
		}
		for _, consumer := range slices.Sorted(maps.Keys(g.consumers)) {
			var own []any
			for _, p := range g.of(consumer) {
				own = append(own, []any{p.id.String(), p.at, p.count})
			}
			consumers = append(consumers, []any{"name", consumer, "seen-time", g.consumers[consumer], "pel-count", len(own), "pending", own})
		}
		groups = append(groups, []any{
			"name", name, "last-delivered-id", g.last.String(), "entries-read", known(g.read), "lag", s.lag(g),
			"pel-count", len(all), "pending", all, "consumers", consumers,
		})
	}
	for name, want := range map[string]any{
		"length": len(s.entries), "last-generated-id": s.last.String(), "max-deleted-entry-id": s.maxDeleted.String(), "entries-added": s.added,
		"recorded-first-entry-id": s.first.String(), "entries": replies(s.entries), "groups": groups,
	} {
		if got[name] != show(want) {
			w.fail("%s is  %s\nnot %s", name, got[name], show(want))
		}
	}
}

func known(n int64) any {
	if n < 0 {
		return nil
	}
	return n
}

// someID draws the ID of an entry that is, was or will be there.
func (m *streamModel) someID(w *walk, key string) id {
	if s := m.streams[key]; s != nil && len(s.entries) > 0 && w.below(3) > 0 {
		return s.entries[w.below(len(s.entries))].id
	}
	return id{int64(w.below(80)), int64(w.below(3))}
}

// nextID draws an ID for XADD, and tells which it is; and if it is one to add.
func (m *streamModel) nextID(w *walk, last id) (text string, next id, larger bool) {
	switch w.below(4) {
	case 0:
		next = id{last.ms, last.seq + 1}
		if now := w.now; last.ms < now {
			next = id{now, 0}
		}
		if w.below(4) > 0 { // times are far from the IDs that others draw
			break
		}
		return "*", next, true
	case 1:
		next = id{last.ms + int64(w.between(-1, 2)), 0}
		if next.ms < 0 {
			next.ms = 0
		}
		text = fmt.Sprint(next.ms, "-*")
		if next.ms == last.ms {
			next.seq = last.seq + 1
		}
		return text, next, next.compare(last) > 0
	}
	next = id{last.ms + int64(w.below(3)), int64(w.below(5))}
	return next.String(), next, next.compare(last) > 0
}

func (m *streamModel) add(w *walk, key string) {
	s, args := m.streams[key], []string{"XADD", key}
	create := w.below(8) > 0
	if !create {
		args = append(args, "NOMKSTREAM")
	}
	trimming, limit := m.trimming(w, key)
	if w.below(3) > 0 {
		trimming, limit = nil, nil
	}
	var last id
	if s != nil {
		last = s.last
	}
	text, next, larger := m.nextID(w, last)
	fields := repeat(&w.dice, 3, w.text)
	fields = append(fields, fields...)
	args = append(append(append(args, trimming...), text), fields...)
	switch {
	case next == (id{}) && !strings.HasSuffix(text, "*"):
		w.want(fail("ERR The ID specified in XADD must be greater than 0-0"), args...)
		return
	case s == nil && !create:
		w.want(nil, args...)
		return
	case !larger:
		w.want(fail("ERR The ID specified in XADD is equal or smaller"), args...)
		return
	}
	if s == nil {
		s = &stream{groups: make(map[string]*group)}
		m.streams[key] = s
	}
	s.entries = append(s.entries, streamEntry{next, fields})
	s.last = next
	s.added++
	s.noteFirst()
	w.want(next.String(), args...)
	if limit != nil {
		limit(w, s, len(s.entries)-int(w.do("XLEN", key).Int))
	}
}

// addMany adds entries of one millisecond and, at times, gives all that a group has
// not read to a consumer.
func (m *streamModel) addMany(w *walk, key string) {
	s := m.streams[key]
	if s == nil || w.below(3) > 0 {
		return
	}
	for range w.between(10, 40) {
		s.last.seq++
		s.entries = append(s.entries, streamEntry{s.last, []string{"f", "v"}})
		s.added++
		w.want(s.last.String(), "XADD", key, fmt.Sprint(s.last.ms, "-*"), "f", "v")
	}
	s.noteFirst()
	if w.coin() {
		m.readGroup(w, key)
	}
}

// trimming draws how to trim, and returns what that must do, given how many
// entries have gone: of those in front all that must go or, by nodes, some.
func (m *streamModel) trimming(w *walk, key string) (args []string, limit func(w *walk, s *stream, gone int)) {
	byID, most, least := w.coin(), w.below(30), m.someID(w, key)
	args = []string{"MAXLEN"}
	bound := fmt.Sprint(most)
	if byID {
		args, bound = []string{"MINID"}, least.String()
	}
	sign := pick(&w.dice, "", "=", "~", "~")
	if sign != "" {
		args = append(args, sign)
	}
	args = append(args, bound)
	atMost := -1
	if sign == "~" && w.coin() {
		atMost = w.below(10)
		args = append(args, "LIMIT", fmt.Sprint(atMost))
	}
	return args, func(w *walk, s *stream, gone int) {
		want := 0
		for want < len(s.entries) && (byID && s.entries[want].id.compare(least) < 0 || !byID && len(s.entries)-want > most) {
			want++
		}
		if gone > want || gone < 0 || sign != "~" && gone != want || atMost > 0 && gone > atMost {
			w.fail("%d entries were trimmed of %d, by %s", gone, want, args)
		}
		s.entries = slices.Clone(s.entries[gone:])
		s.noteFirst()
	}
}

func (m *streamModel) trim(w *walk, key string) {
	args, limit := m.trimming(w, key)
	v := w.do(append([]string{"XTRIM", key}, args...)...)
	if s := m.streams[key]; s != nil {
		limit(w, s, int(v.Int))
	} else if shown(v) != "0" {
		w.fail("%s were trimmed of nothing", shown(v))
	}
}

func (m *streamModel) del(w *walk, key string) {
	s, args, n := m.streams[key], []string{"XDEL", key}, 0
	for range w.between(1, 3) {
		i := m.someID(w, key)
		args = append(args, i.String())
		if s == nil {
			continue
		}
		if at, found := s.find(i); found {
			n++
			s.entries = slices.Delete(s.entries, at, at+1)
			if s.maxDeleted.compare(i) < 0 {
				s.maxDeleted = i
			}
		}
	}
	if n > 0 {
		s.noteFirst()
	}
	w.want(n, args...)
}

// bound draws the end of a range.
func (m *streamModel) bound(w *walk, key string, upper bool) (text string, i id) {
	i = m.someID(w, key)
	switch w.below(5) {
	case 0:
		if w.coin() == upper {
			return "+", idMax
		}
		return "-", id{}
	case 1:
		if upper {
			return fmt.Sprint(i.ms), id{i.ms, -1}
		}
		return fmt.Sprint(i.ms), id{i.ms, 0}
	case 2:
		if upper && i != (id{}) {
			before := id{i.ms, i.seq - 1}
			if i.seq == 0 {
				before.ms--
			}
			return "(" + i.String(), before
		}
		if !upper {
			return "(" + i.String(), id{i.ms, i.seq + 1}
		}
	}
	return i.String(), i
}

func (m *streamModel) ranges(w *walk, key string) {
	fromText, from := m.bound(w, key, false)
	toText, to := m.bound(w, key, true)
	var found []streamEntry
	if s := m.streams[key]; s != nil {
		found = s.between(from, to)
	}
	args := []string{"XRANGE", key, fromText, toText}
	if w.coin() {
		slices.Reverse(found)
		args = []string{"XREVRANGE", key, toText, fromText}
	}
	args, found = counted(w, args, found)
	w.want(replies(found), args...)
}

// counted adds a COUNT, at times.
func counted[T any](w *walk, args []string, found []T) ([]string, []T) {
	if w.coin() {
		return args, found
	}
	n := w.between(1, 6)
	return append(args, "COUNT", fmt.Sprint(n)), found[:min(n, len(found))]
}

func (m *streamModel) read(w *walk, key string) {
	args, count := []string{"XREAD"}, 1000
	if w.coin() {
		count = w.between(1, 5)
		args = append(args, "COUNT", fmt.Sprint(count))
	}
	args = append(args, "STREAMS", key)
	other := pick(&w.dice, streamKeys...)
	starts := []id{m.someID(w, key), m.someID(w, other)}
	args = append(args, other, starts[0].String(), starts[1].String())
	var all []any
	for n, key := range []string{key, other} {
		if s := m.streams[key]; s != nil {
			if found := s.after(starts[n]); len(found) > 0 {
				all = append(all, []any{key, replies(found[:min(count, len(found))])})
			}
		}
	}
	var want any = all
	if len(all) == 0 {
		want = nil
	}
	w.want(want, args...)
}

func (m *streamModel) setID(w *walk, key string) {
	if w.below(3) > 0 {
		return
	}
	s, last, added, deleted := m.streams[key], m.someID(w, key), int64(-1), id{}
	if s != nil && w.coin() {
		last = id{s.last.ms + int64(w.below(3)), s.last.seq}
	}
	args := []string{"XSETID", key, last.String()}
	if w.coin() {
		added = int64(w.below(60))
		args = append(args, "ENTRIESADDED", fmt.Sprint(added))
	}
	if w.coin() {
		deleted = m.someID(w, key)
		args = append(args, "MAXDELETEDID", deleted.String())
	}
	switch {
	case deleted.compare(last) > 0:
		w.want(fail("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"), args...)
	case s == nil:
		w.want(fail("ERR no such key"), args...)
	case len(s.entries) > 0 && last.compare(s.entries[len(s.entries)-1].id) < 0:
		w.want(fail("ERR The ID specified in XSETID is smaller than the target stream top item"), args...)
	case len(s.entries) > 0 && added >= 0 && added < int64(len(s.entries)):
		w.want(fail("ERR The entries_added specified in XSETID is smaller than the target stream length"), args...)
	default:
		s.last = last
		if added >= 0 {
			s.added = added
		}
		if deleted != (id{}) {
			s.maxDeleted = deleted
		}
		w.want(ok, args...)
	}
}

// position draws where a group begins to read.
func (m *streamModel) position(w *walk, key string) (args []string, last id, read int64) {
	s := m.streams[key]
	last, read = m.someID(w, key), -1
	args = []string{last.String()}
	switch w.below(3) {
	case 0:
		args, last = []string{"$"}, id{}
		if s != nil {
			last = s.last
		}
	case 1:
		args, last = []string{"0"}, id{}
	}
	if w.below(4) == 0 {
		read = int64(w.below(20))
		args = append(args, "ENTRIESREAD", fmt.Sprint(read))
	}
	return args, last, read
}

func (m *streamModel) create(w *walk, key string) {
	s, name := m.streams[key], pick(&w.dice, groupNames...)
	position, last, read := m.position(w, key)
	args := append([]string{"XGROUP", "CREATE", key, name}, position...)
	mk := w.below(3) == 0
	if mk {
		args = append(args, "MKSTREAM")
	}
	switch {
	case s == nil && !mk:
		w.want(fail("ERR The XGROUP subcommand requires the key to exist"), args...)
		return
	case s == nil:
		s = &stream{groups: make(map[string]*group)}
		m.streams[key] = s
	case s.groups[name] != nil:
		w.want(fail("BUSYGROUP"), args...)
		return
	}
	s.groups[name] = &group{last: last, read: read, consumers: make(map[string]int64)}
	w.want(ok, args...)
}

// group draws a group that may be there.
func (m *streamModel) group(w *walk, key string) (s *stream, name string, g *group) {
	s, name = m.streams[key], pick(&w.dice, "g", "g", "h", "none")
	if s != nil {
		g = s.groups[name]
	}
	return s, name, g
}

func (m *streamModel) groupSetID(w *walk, key string) {
	s, name, g := m.group(w, key)
	position, last, read := m.position(w, key)
	args := append([]string{"XGROUP", "SETID", key, name}, position...)
	switch {
	case s == nil:
		w.want(fail("ERR The XGROUP subcommand requires"), args...)
	case g == nil:
		w.want(noGroup, args...)
	default:
		g.last, g.read = last, read
		w.want(ok, args...)
	}
}

func (m *streamModel) groupOther(w *walk, key string) {
	s, name, g := m.group(w, key)
	consumer := pick(&w.dice, "c", "d", "e")
	sub := pick(&w.dice, "CREATECONSUMER", "DELCONSUMER", "DESTROY")
	args := []string{"XGROUP", sub, key, name, consumer}
	if sub == "DESTROY" {
		args = args[:4]
	}
	switch {
	case s == nil:
		w.want(fail("ERR The XGROUP subcommand requires"), args...)
	case sub == "DESTROY":
		delete(s.groups, name)
		w.want(one(g != nil), args...)
	case g == nil:
		w.want(noGroup, args...)
	case sub == "CREATECONSUMER":
		_, there := g.consumers[consumer]
		if !there {
			g.consumers[consumer] = w.now
		}
		w.want(one(!there), args...)
	default:
		own := g.of(consumer)
		for _, p := range own {
			g.acknowledge(p.id)
		}
		delete(g.consumers, consumer)
		w.want(len(own), args...)
	}
}

func (m *streamModel) readGroup(w *walk, key string) {
	s, name, g := m.group(w, key)
	consumer := pick(&w.dice, "c", "d", "e")
	args, count, noAck := []string{"XREADGROUP", "GROUP", name, consumer}, 1000, w.below(5) == 0
	if w.coin() {
		count = w.between(1, 5)
		args = append(args, "COUNT", fmt.Sprint(count))
	}
	if noAck {
		args = append(args, "NOACK")
	}
	args = append(args, "STREAMS", key, ">")
	if g == nil {
		w.want(noGroup, args...)
		return
	}
	found := s.after(g.last)
	if len(found) == 0 {
		w.want(nil, args...)
		return
	}
	found = found[:min(count, len(found))]
	g.consumers[consumer] = w.now
	for _, e := range found {
		if g.read >= 0 && !s.hole(e.id) {
			g.read++
		} else if s.added > 0 {
			g.read = s.readAt(e.id)
		}
		g.last = e.id
		if !noAck {
			g.assign(pending{e.id, consumer, w.now, 1})
		}
	}
	w.want([]any{[]any{key, replies(found)}}, args...)
}

// history reads again what is pending.
func (m *streamModel) history(w *walk, key string) {
	s, name, g := m.group(w, key)
	consumer, start, count := pick(&w.dice, "c", "d", "e"), m.someID(w, key), 1000
	args := []string{"XREADGROUP", "GROUP", name, consumer}
	if w.coin() {
		count = w.between(1, 4)
		args = append(args, "COUNT", fmt.Sprint(count))
	}
	args = append(args, "STREAMS", key, start.String())
	if g == nil {
		w.want(noGroup, args...)
		return
	}
	g.consumers[consumer] = w.now
	all := []any{}
	for _, p := range g.of(consumer) {
		if p.id.compare(start) <= 0 || len(all) == count {
			continue
		}
		at, found := s.find(p.id)
		if !found {
			all = append(all, []any{p.id.String(), nil})
			continue
		}
		p.at = w.now
		p.count++
		all = append(all, s.entries[at].reply())
	}
	w.want([]any{[]any{key, all}}, args...)
}

// pendingID draws an ID that may be pending.
func (m *streamModel) pendingID(w *walk, key string, g *group) id {
	if g != nil && len(g.pending) > 0 && w.below(4) > 0 {
		return g.pending[w.below(len(g.pending))].id
	}
	return m.someID(w, key)
}

func (m *streamModel) ack(w *walk, key string) {
	_, name, g := m.group(w, key)
	args, n := []string{"XACK", key, name}, 0
	for range w.between(1, 3) {
		i := m.pendingID(w, key, g)
		args = append(args, i.String())
		if g != nil && g.acknowledge(i) {
			n++
		}
	}
	w.want(n, args...)
}

func (m *streamModel) pending(w *walk, key string) {
	_, name, g := m.group(w, key)
	args := []string{"XPENDING", key, name}
	if g == nil {
		w.want(noGroup, args...)
		return
	}
	if w.below(3) == 0 {
		m.pendingSummary(w, g, args)
		return
	}
	minIdle, consumer := int64(0), ""
	if w.coin() {
		minIdle = int64(pick(&w.dice, 0, 5, 1000, 100_000))
		args = append(args, "IDLE", fmt.Sprint(minIdle))
	}
	fromText, from := m.bound(w, key, false)
	toText, to := m.bound(w, key, true)
	count := pick(&w.dice, 0, 1, 3, 100)
	args = append(args, fromText, toText, fmt.Sprint(count))
	if w.coin() {
		consumer = pick(&w.dice, "c", "d", "nobody")
		args = append(args, consumer)
	}
	all := []any{}
	for _, p := range g.pending {
		idle := w.now - p.at
		if p.id.compare(from) < 0 || p.id.compare(to) > 0 || consumer != "" && p.consumer != consumer || idle < minIdle || len(all) == count {
			continue
		}
		all = append(all, []any{p.id.String(), p.consumer, max(0, idle), p.count})
	}
	w.want(all, args...)
}

func (m *streamModel) pendingSummary(w *walk, g *group, args []string) {
	if len(g.pending) == 0 {
		w.want([]any{0, nil, nil, nil}, args...)
		return
	}
	var consumers []any
	for _, name := range slices.Sorted(maps.Keys(g.consumers)) {
		if n := len(g.of(name)); n > 0 {
			consumers = append(consumers, []any{name, fmt.Sprint(n)})
		}
	}
	w.want([]any{len(g.pending), g.pending[0].id.String(), g.pending[len(g.pending)-1].id.String(), consumers}, args...)
}

func (m *streamModel) claim(w *walk, key string) {
	s, name, g := m.group(w, key)
	consumer, minIdle := pick(&w.dice, "c", "d", "e"), int64(pick(&w.dice, 0, 0, 5, 1000, 100_000))
	args := []string{"XCLAIM", key, name, consumer, fmt.Sprint(minIdle)}
	var ids []id
	for range w.between(1, 4) {
		ids = append(ids, m.pendingID(w, key, g))
		args = append(args, ids[len(ids)-1].String())
	}
	at, count, force, justID := w.now, int64(-1), w.coin(), w.below(3) == 0
	switch w.below(4) {
	case 0:
		idle := int64(w.between(0, 2000))
		at = w.now - idle
		args = append(args, "IDLE", fmt.Sprint(idle))
	case 1:
		at = w.now + int64(w.between(-1000, 1000))
		args = append(args, "TIME", fmt.Sprint(at))
		at = min(at, w.now)
	}
	if w.below(3) == 0 {
		count = int64(w.below(9))
		args = append(args, "RETRYCOUNT", fmt.Sprint(count))
	}
	if force {
		args = append(args, "FORCE")
	}
	if justID {
		args = append(args, "JUSTID")
	}
	if g == nil {
		w.want(noGroup, args...)
		return
	}
	if w.below(6) == 0 {
		last := m.someID(w, key)
		args = append(args, "LASTID", last.String())
		if g.last.compare(last) < 0 {
			g.last = last
		}
	}
	all := []any{}
	for _, i := range ids {
		entry, exists := s.find(i)
		if !exists {
			g.acknowledge(i)
			continue
		}
		p := pending{i, consumer, at, 1}
		if where, found := g.find(i); found {
			p.count = g.pending[where].count
			if w.now-g.pending[where].at < minIdle {
				continue
			}
		} else if !force {
			continue
		}
		switch {
		case count >= 0:
			p.count = count
		case !justID:
			p.count++
		}
		g.assign(p)
		g.consumers[consumer] = w.now
		all = append(all, claimed(s.entries[entry], justID))
	}
	w.want(all, args...)
}

func claimed(e streamEntry, justID bool) any {
	if justID {
		return e.id.String()
	}
	return e.reply()
}

func (m *streamModel) autoclaim(w *walk, key string) {
	s, name, g := m.group(w, key)
	consumer, minIdle, justID, count := pick(&w.dice, "c", "d", "e"), int64(pick(&w.dice, 0, 0, 5, 1000, 100_000)), w.below(3) == 0, 100
	text, from := m.bound(w, key, false)
	args := []string{"XAUTOCLAIM", key, name, consumer, fmt.Sprint(minIdle), text}
	if w.coin() {
		count = w.between(1, 4)
		args = append(args, "COUNT", fmt.Sprint(count))
	}
	if justID {
		args = append(args, "JUSTID")
	}
	if g == nil {
		w.want(noGroup, args...)
		return
	}
	next, looked := "0-0", 0
	all, dropped := []any{}, []any{}
	for _, p := range slices.Clone(g.pending) {
		if p.id.compare(from) < 0 {
			continue
		}
		// It looks at ten times as many as it may claim.
		if len(all)+len(dropped) == count || looked == 10*count {
			next = p.id.String()
			break
		}
		looked++
		at, exists := s.find(p.id)
		switch {
		case !exists:
			g.acknowledge(p.id)
			dropped = append(dropped, p.id.String())
		case w.now-p.at >= minIdle:
			p.consumer, p.at = consumer, w.now
			if !justID {
				p.count++
			}
			g.consumers[consumer] = w.now
			all = append(all, claimed(s.entries[at], justID))
		}
	}
	w.want([]any{next, all, dropped}, args...)
}

func (m *streamModel) info(w *walk, key string) {
	s, name, g := m.group(w, key)
	if s == nil {
		w.want(fail("ERR no such key"), "XINFO", pick(&w.dice, "STREAM", "GROUPS"), key)
		return
	}
	switch w.below(3) {
	case 0:
		m.compareFull(w, key, s)
	case 1:
		var all []any
		for _, name := range slices.Sorted(maps.Keys(s.groups)) {
			g := s.groups[name]
			all = append(all, []any{
				"name", name, "consumers", len(g.consumers), "pending", len(g.pending),
				"last-delivered-id", g.last.String(), "entries-read", known(g.read), "lag", s.lag(g),
			})
		}
		w.want(all, "XINFO", "GROUPS", key)
	case 2:
		if g == nil {
			w.want(noGroup, "XINFO", "CONSUMERS", key, name)
			return
		}
		var all []any
		for _, consumer := range slices.Sorted(maps.Keys(g.consumers)) {
			all = append(all, []any{"name", consumer, "pending", len(g.of(consumer)), "idle", w.now - g.consumers[consumer]})
		}
		w.want(all, "XINFO", "CONSUMERS", key, name)
	}
}

func (m *streamModel) remove(w *walk, key string) {
	if v := w.do("XLEN", key); v.Kind != reply.KindInt || w.below(8) > 0 {
		return
	}
	n := one(m.streams[key] != nil)
	delete(m.streams, key)
	w.want(n, "DEL", key)
}
