package simulation

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strings"
)

// check says whether one sequential Redis could have told the clients what they
// were told. Every kind of key has operations whose replies tell their place in
// the order, so that no search is needed: an append tells how long the value is,
// INCR how often it was done.
func (h *history) check(final map[string]string) {
	byKey := make(map[string][]*record)
	var keys []string
	for _, r := range h.records {
		if byKey[r.key] == nil {
			keys = append(keys, r.key)
		}
		byKey[r.key] = append(byKey[r.key], r)
	}
	for _, key := range keys {
		switch kind, _, _ := strings.Cut(key, ":"); kind {
		case "a", "l", "p", "w":
			h.checkSequence(key, byKey[key], final[key])
		case "c":
			h.checkCounter(key, byKey[key], final[key])
		case "s":
			h.checkSet(key, byKey[key], final[key])
		case "q":
			h.checkQueue(key, byKey[key], final[key])
		case "e", "v":
			h.checkTight(key, byKey[key], final[key])
		case "t":
			h.checkExpiry(key, byKey[key])
		}
	}
}

// checkSequence checks a value to which tokens were appended.
func (h *history) checkSequence(key string, rs []*record, final string) {
	fail := h.world.fail
	adds := make(map[string]*record)
	for _, r := range rs {
		if r.kind == "add" {
			adds[r.token] = r
		}
	}
	n := int64(len(final) / tokenLen)
	sums := make([]uint64, n+1)     // of the first i tokens
	latest := make([]int64, n+1)    // the latest invocation among them
	place := make(map[string]int64) // from 1
	sum := fnv.New64a()
	sums[0] = sum.Sum64()
	for i := int64(1); i <= n; i++ {
		token := final[(i-1)*tokenLen : i*tokenLen]
		r := adds[token]
		switch {
		case r == nil:
			fail("%s holds %q, which nobody appended", key, token)
			return
		case place[token] != 0:
			fail("%s was applied twice, at %d and %d", r, place[token], i)
		case r.outcome == refused:
			fail("%s was applied although its client was told that it was not", r)
		case latest[i-1] > r.returned:
			fail("%s took effect after something that was begun after its end", r)
		}
		place[token] = i
		sum.Write([]byte(token))
		sums[i], latest[i] = sum.Sum64(), max(latest[i-1], r.invoked)
	}
	var completed []*record // that took effect
	for _, r := range rs {
		if r.outcome != done {
			continue
		}
		if r.kind == "add" {
			if place[r.token] != r.number {
				fail("%s is at place %d", r, place[r.token])
				continue
			}
			completed = append(completed, r)
		} else {
			switch {
			case r.number > n || sums[r.number] != r.sum:
				fail("%s saw a value that never was", r)
				continue
			case latest[r.number] > r.returned:
				fail("%s saw what was begun after its end", r)
			}
			completed = append(completed, r)
		}
	}
	h.checkReads(rs, completed)
}

// checkReads checks that reads see whatever had been told before they began, by
// a write's reply or another read's.
func (h *history) checkReads(rs, completed []*record) {
	slices.SortFunc(completed, func(a, b *record) int { return cmp.Compare(a.returned, b.returned) })
	longest := make([]*record, len(completed)) // of completed[:i+1]
	for i, r := range completed {
		longest[i] = r
		if i > 0 && longest[i-1].number >= r.number {
			longest[i] = longest[i-1]
		}
	}
	for _, r := range rs {
		if r.kind != "read" || r.outcome != done {
			continue
		}
		i, _ := slices.BinarySearchFunc(completed, r.invoked, func(c *record, at int64) int { return cmp.Compare(c.returned, at) })
		if i > 0 && longest[i-1].number > r.number {
			h.world.fail("stale read: %s, after %s", r, longest[i-1])
			return
		}
	}
}

// checkCounter checks a key to which only INCR was done.
func (h *history) checkCounter(key string, rs []*record, final string) {
	total := int64(0)
	for _, digit := range final {
		total = total*10 + int64(digit-'0')
	}
	var told []*record
	doubts := int64(0)
	for _, r := range rs {
		switch r.outcome {
		case done:
			told = append(told, r)
		case doubt:
			doubts++
		}
	}
	slices.SortStableFunc(told, func(a, b *record) int { return cmp.Compare(a.number, b.number) })
	last, latest := int64(0), int64(0)
	for _, r := range told {
		switch {
		case r.number == last:
			h.world.fail("%s gave a number twice: %s", key, r)
		case latest > r.returned:
			h.world.fail("%s counted after something that was begun after its end", r)
		}
		last, latest = r.number, max(latest, r.invoked)
	}
	if known := int64(len(told)); total < last || total < known || total > known+doubts {
		h.world.fail("%s is %d in the end: %d were confirmed, the last as %d, and %d were in doubt", key, total, known, last, doubts)
	}
}

// checkSet checks a set whose members are added once and popped at random.
func (h *history) checkSet(key string, rs []*record, final string) {
	fail := h.world.fail
	adds, pops := make(map[string]*record), make(map[string]*record)
	left := make(map[string]bool)
	for i := 0; i+tokenLen <= len(final); i += tokenLen {
		left[final[i:i+tokenLen]] = true
	}
	doubts, missing := 0, 0
	for _, r := range rs {
		if r.kind == "sadd" {
			adds[r.token] = r
		}
	}
	for _, r := range rs {
		if r.kind != "spop" || r.outcome == refused {
			continue
		}
		if r.outcome == doubt {
			doubts++
			continue
		}
		if r.token == "" {
			continue
		}
		switch added := adds[r.token]; {
		case pops[r.token] != nil:
			fail("popped twice: %s, %s", pops[r.token], r)
		case added == nil || added.outcome == refused || added.invoked > r.returned:
			fail("popped without having been added: %s", r)
		case left[r.token]:
			fail("popped and still there: %s", r)
		}
		pops[r.token] = r
	}
	for _, r := range rs {
		switch {
		case r.kind != "sadd":
		case r.outcome == refused && left[r.token]:
			fail("%s was applied although its client was told that it was not", r)
		case r.outcome == done && pops[r.token] == nil && !left[r.token]:
			missing++
		}
	}
	if missing > doubts {
		fail("%s: %d members are gone, and only %d SPOPs are in doubt", key, missing, doubts)
	}
}

// checkExpiry checks that a key is there until its time, and never comes back.
func (h *history) checkExpiry(key string, rs []*record) {
	var put, gone *record
	for _, r := range rs {
		switch {
		case r.kind == "put":
			put = r
		case r.outcome != done || put.outcome == refused:
		case r.token != "" && gone != nil && gone.returned < r.invoked:
			h.world.fail("%s is back: gone in %s, there in %s", key, gone, r)
		case r.token != "":
		case put.outcome == done && r.invoked > put.returned && r.until.Milliseconds() < put.from.Milliseconds()+put.number:
			h.world.fail("%s is gone too early: %s, %s", key, put, r)
		default:
			if r.invoked > put.returned && (gone == nil || r.returned < gone.returned) {
				gone = r
			}
		}
	}
}
