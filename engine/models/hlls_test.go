package models

import (
	"fmt"
	"math"
	"testing"

	"github.com/quorate/quorate/engine/types/hll"
)

var hllKind = kind{
	new:    func() model { return &hllModel{sketches: make(map[string]*sketch)} },
	limits: map[string][]string{"hll-sparse-max-bytes": {"0", "30", "100", "1000", "3000", "16000"}},
	forms:  []string{"raw", "sparse", "dense"},
	bytes:  5000, // to compare all registers takes its time
}

func TestHyperLogLogs(t *testing.T) { testKind(t, hllKind) }

// sketch is what was added to a key. It knows nothing of sparse and dense.
type sketch struct {
	elements  map[string]bool
	registers [16384]byte
}

// add takes an element in, and reports whether a register tells of it.
func (s *sketch) add(element string) bool {
	s.elements[element] = true
	at, rank := hll.Place([]byte(element))
	raised := rank > s.registers[at]
	s.registers[at] = max(s.registers[at], rank)
	return raised
}

// hllModel is all sketches by key.
type hllModel struct{ sketches map[string]*sketch }

var hllKeys = []string{"a", "b", "c"}

// open returns the sketch at a key, a new one if there is none.
func (m *hllModel) open(key string) (s *sketch, existed bool) {
	if s, existed = m.sketches[key]; !existed {
		s = &sketch{elements: make(map[string]bool)}
		m.sketches[key] = s
	}
	return s, existed
}

func (m *hllModel) check(w *walk) {
	for _, key := range hllKeys {
		s, found := m.sketches[key]
		w.want(one(found), "EXISTS", key)
		if !found {
			continue
		}
		w.meet(key)
		w.forms[string(w.do("PFDEBUG", "ENCODING", key).Text)] = true
		count := w.do("PFCOUNT", key).Int
		if n := float64(len(s.elements)); math.Abs(float64(count)-n) > 2+n/20 {
			w.fail("PFCOUNT %s is %d of %v", key, count, n)
		}
		// A copy shows its registers, and is dense by that.
		w.want(1, "COPY", key, "copy", "REPLACE")
		v := w.do("PFDEBUG", "GETREG", "copy")
		for i, want := range s.registers {
			if v.Elems[i].Int != int64(want) {
				w.fail("register %d of %s is %d, not %d", i, key, v.Elems[i].Int, want)
			}
		}
		w.want(count, "PFCOUNT", "copy")
		w.want(1, "DEL", "copy")
	}
}

func (m *hllModel) step(w *walk) {
	steps := []func(*walk, string){m.add, m.add, m.add, m.add, m.addMany, m.count, m.merge, m.merge, m.dense, m.remove}
	pick(&w.dice, steps...)(w, pick(&w.dice, hllKeys...))
}

func (m *hllModel) add(w *walk, key string) {
	m.addAll(w, key, repeat(&w.dice, 6, func() string { return fmt.Sprint(w.below(pick(&w.dice, 10, 200, 100_000))) }))
}

func (m *hllModel) addMany(w *walk, key string) {
	if w.below(3) > 0 {
		return
	}
	var elements []string
	from := w.below(2000)
	for i := range w.between(30, 250) {
		elements = append(elements, fmt.Sprint("many", from+i))
	}
	m.addAll(w, key, elements)
}

func (m *hllModel) addAll(w *walk, key string, elements []string) {
	s, existed := m.open(key)
	changed := !existed
	for _, e := range elements {
		changed = s.add(e) || changed
	}
	w.want(one(changed), append([]string{"PFADD", key}, elements...)...)
}

// count compares the count of several with that of one that holds all of them.
func (m *hllModel) count(w *walk, key string) {
	other := pick(&w.dice, hllKeys...)
	both := w.do("PFCOUNT", key, other, "none").Int
	w.want(ok, "PFMERGE", "both", key, other)
	w.want(both, "PFCOUNT", "both")
	w.want(1, "DEL", "both")
}

func (m *hllModel) merge(w *walk, key string) {
	sources := repeat(&w.dice, 3, func() string { return pick(&w.dice, "a", "b", "c", "none") })
	s, _ := m.open(key)
	for _, source := range sources {
		if from := m.sketches[source]; from != nil {
			for e := range from.elements {
				s.add(e)
			}
		}
	}
	w.want(ok, append([]string{"PFMERGE", key}, sources...)...)
}

func (m *hllModel) dense(w *walk, key string) {
	if _, found := m.sketches[key]; found && w.below(4) == 0 {
		w.do("PFDEBUG", "TODENSE", key)
		w.want(status("dense"), "PFDEBUG", "ENCODING", key)
	}
}

func (m *hllModel) remove(w *walk, key string) {
	if w.below(3) > 0 {
		return
	}
	_, found := m.sketches[key]
	delete(m.sketches, key)
	w.want(one(found), "DEL", key)
}
