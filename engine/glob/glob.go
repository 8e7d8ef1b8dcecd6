// Package glob matches bytes against a pattern as Redis 7.0 does.
//
//	?       one byte
//	*       any bytes, also none
//	[abc]   one byte of the class; [a-z] a range, [^a] one outside the class
//	\x      x itself, also inside a class
//
// Its corners are Redis' too: a class that is not closed ends with the pattern,
// "[^" is any byte, range bounds may stand in either order and compare as signed
// bytes, and an empty string is matched by the empty pattern only, not by "*".
package glob

// Text is what can be a pattern or be matched.
type Text interface{ ~string | ~[]byte }

// Match reports whether the whole of s matches pattern. Time is at most
// proportional to len(pattern) * len(s), whatever the number of stars.
func Match[P, S Text](pattern P, s S) bool {
	return match(pattern, s, false)
}

// MatchFold is [Match] with the ASCII letters' case ignored, except, as in Redis,
// for a letter escaped inside a class.
func MatchFold[P, S Text](pattern P, s S) bool {
	return match(pattern, s, true)
}

// match goes through both texts once and returns to the last star only: an
// earlier star need not take more, since what follows it, up to the last, has
// matched at its leftmost place.
func match[P, S Text](pattern P, s S, fold bool) bool {
	if len(s) == 0 {
		return len(pattern) == 0
	}
	star, retry := -1, 0 // pattern after the last star; where in s it was last tried
	p, i := 0, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			for p < len(pattern) && pattern[p] == '*' {
				p++
			}
			if p == len(pattern) {
				return true
			}
			star, retry = p, i
			continue
		}
		if p < len(pattern) {
			if next, ok := matchByte(pattern, p, s[i], fold); ok {
				p, i = next, i+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		retry++
		p, i = star, retry
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchByte matches c against the one-byte item at p, which is no star, and
// returns the place after the item.
func matchByte[P Text](pattern P, p int, c byte, fold bool) (next int, ok bool) {
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		return matchClass(pattern, p+1, c, fold)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return p + 1, same(pattern[p], c, fold)
}

// matchClass matches c against the class whose first byte is at p.
func matchClass[P Text](pattern P, p int, c byte, fold bool) (next int, ok bool) {
	negated := p < len(pattern) && pattern[p] == '^'
	if negated {
		p++
	}
	for ; p < len(pattern) && pattern[p] != ']'; p++ {
		left := len(pattern) - p
		switch {
		case pattern[p] == '\\' && left >= 2:
			p++
			ok = ok || pattern[p] == c
		case left >= 3 && pattern[p+1] == '-':
			ok = ok || inRange(pattern[p], pattern[p+2], c, fold)
			p += 2
		default:
			ok = ok || same(pattern[p], c, fold)
		}
	}
	return min(p+1, len(pattern)), ok != negated
}

// inRange compares as signed bytes, and sorts the bounds before it folds them.
func inRange(from, to, c byte, fold bool) bool {
	if int8(from) > int8(to) {
		from, to = to, from
	}
	if fold {
		from, to, c = lower(from), lower(to), lower(c)
	}
	return int8(from) <= int8(c) && int8(c) <= int8(to)
}

func same(a, b byte, fold bool) bool {
	return a == b || fold && lower(a) == lower(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
