package commands

import "slices"

// sortPart brings the elements of a sorted s in [from, to) to their places. The
// others stand before and behind them in no order.
//
// What compares equal stays as it was if all are wanted. If not, it comes to stand as
// it does in redis-server, which then sorts by J. L. Bentley and M. D. McIlroy's
// quicksort ("Engineering a Sort Function", 1993) and leaves the parts alone that
// nobody wants. An order that leads that astray is noticed, and sorted otherwise.
func sortPart[T any](s []T, from, to int, compare func(a, b *T) int) {
	p := partSorter[T]{compare: compare, from: from, to: to}
	if to-from < len(s) {
		p.sort(s, 0, partDepthMax)
		return
	}
	p.stable(s)
}

const (
	partInsertion = 7  // fewer elements are sorted by insertion
	partNinther   = 40 // of more, nine are looked at for one in the middle
	// partDepthMax is how often a part is parted: each time it should become half as
	// long, so this is enough for what fits into memory unless somebody aims at it.
	partDepthMax = 100
)

type partSorter[T any] struct {
	compare  func(a, b *T) int
	from, to int // elements that must come to their places
}

// wants reports whether some of the n elements from the at-th on are wanted.
func (p *partSorter[T]) wants(at, n int) bool { return at < p.to && at+n > p.from }

// stable sorts s. What compares equal stays as it was. It brings places in order first: elements are long.
func (p *partSorter[T]) stable(s []T) {
	places := make([]int, len(s))
	for i := range places {
		places[i] = i
	}
	slices.SortFunc(places, func(i, j int) int {
		if order := p.compare(&s[i], &s[j]); order != 0 {
			return order
		}
		return i - j
	})
	sorted := make([]T, len(s))
	for i, place := range places {
		sorted[i] = s[place]
	}
	copy(s, sorted)
}

// sort sorts a part, whose first element is the at-th of all.
func (p *partSorter[T]) sort(s []T, at, depth int) {
	for len(s) >= partInsertion {
		if depth--; depth < 0 {
			p.stable(s)
			return
		}
		less, greater := p.part(s)
		if less > 1 && p.wants(at, less) {
			p.sort(s[:less], at, depth)
		}
		at += len(s) - greater
		s = s[len(s)-greater:]
		if greater <= 1 || !p.wants(at, greater) {
			return
		}
	}
	p.insertion(s)
}

func (p *partSorter[T]) insertion(s []T) {
	for i := 1; i < len(s); i++ {
		for j := i; j > 0 && p.compare(&s[j-1], &s[j]) > 0; j-- {
			s[j-1], s[j] = s[j], s[j-1]
		}
	}
}

// part puts those less than one of the elements first and those greater last, and
// returns how many these are.
func (p *partSorter[T]) part(s []T) (less, greater int) {
	middle := p.middle(s)
	s[0], s[middle] = s[middle], s[0]
	// | equal | less | not looked at yet | greater | equal |
	//          a      b                 c           d
	a, b, c, d := 1, 1, len(s)-1, len(s)-1
	for {
		for b <= c {
			order := p.compare(&s[b], &s[0])
			if order > 0 {
				break
			}
			if order == 0 {
				s[a], s[b] = s[b], s[a]
				a++
			}
			b++
		}
		for b <= c {
			order := p.compare(&s[c], &s[0])
			if order < 0 {
				break
			}
			if order == 0 {
				s[c], s[d] = s[d], s[c]
				d--
			}
			c--
		}
		if b > c {
			break
		}
		s[b], s[c] = s[c], s[b]
		b++
		c--
	}
	less, greater = b-a, d-c
	swapEnds(s[:b], min(a, less))
	swapEnds(s[b:], min(greater, len(s)-1-d))
	return less, greater
}

// swapEnds exchanges the first n elements and the last n.
func swapEnds[T any](s []T, n int) {
	for i, tail := 0, s[len(s)-n:]; i < n; i++ {
		s[i], tail[i] = tail[i], s[i]
	}
}

// middle returns the place of an element that is likely to have a middle rank.
func (p *partSorter[T]) middle(s []T) int {
	n := len(s)
	low, middle, high := 0, n/2, n-1
	if n == partInsertion {
		return middle
	}
	if n > partNinther {
		d := n / 8
		low = p.median(s, low, low+d, low+2*d)
		middle = p.median(s, middle-d, middle, middle+d)
		high = p.median(s, high-2*d, high-d, high)
	}
	return p.median(s, low, middle, high)
}

// median returns which of three places holds the element of the middle rank.
func (p *partSorter[T]) median(s []T, a, b, c int) int {
	less := func(i, j int) bool { return p.compare(&s[i], &s[j]) < 0 }
	if less(a, b) {
		switch {
		case less(b, c):
			return b
		case less(a, c):
			return c
		}
		return a
	}
	switch {
	case less(c, b):
		return b
	case less(a, c):
		return a
	}
	return c
}
