package lua

import "strings"

// matcher matches Lua patterns by backtracking, as the reference does, but pays a step for every place
// it tries: a pattern whose cost explodes ends with the budget and not with the day.
type matcher struct {
	vm      *VM
	src     string
	pat     string
	depth   int
	level   int // captures begun
	capture [maxCaptures]capturedPart
}

type capturedPart struct{ start, len int }

const (
	maxCaptures   = 32
	maxMatchDepth = 10000 // nested attempts; the reference would run out of stack somewhere

	capUnfinished = -1
	capPosition   = -2
)

// begin sets a matcher up. A pattern ends at its first zero byte, as the reference's are C strings.
func (m *matcher) begin(vm *VM, src, pat string) {
	if i := strings.IndexByte(pat, 0); i >= 0 {
		pat = pat[:i]
	}
	m.vm, m.src, m.pat, m.depth, m.level = vm, src, pat, 0, 0
}

// try matches the pattern from p on at s, and returns where the match ends or -1.
func (m *matcher) try(s, p int) int {
	m.level, m.depth = 0, 0
	return m.match(s, p)
}

func (m *matcher) match(s, p int) int {
	if m.depth++; m.depth > maxMatchDepth {
		m.vm.Fail("pattern too complex")
	}
	defer func() { m.depth-- }()
	for {
		m.vm.Charge(1)
		if p == len(m.pat) {
			return s
		}
		switch m.pat[p] {
		case '(':
			if p+1 < len(m.pat) && m.pat[p+1] == ')' {
				return m.startCapture(s, p+2, capPosition)
			}
			return m.startCapture(s, p+1, capUnfinished)
		case ')':
			return m.endCapture(s, p+1)
		case '$':
			if p+1 == len(m.pat) {
				if s == len(m.src) {
					return s
				}
				return -1
			}
		case '%':
			if next, end, special := m.escape(s, p); special {
				if next < 0 {
					return -1
				}
				s, p = next, end
				continue
			}
		}
		end := m.classEnd(p)
		suffix := byte(0)
		if end < len(m.pat) {
			suffix = m.pat[end]
		}
		switch suffix {
		case '?':
			if s < len(m.src) && m.single(m.src[s], p, end) {
				if r := m.match(s+1, end+1); r >= 0 {
					return r
				}
			}
			p = end + 1
		case '*':
			return m.maxExpand(s, p, end)
		case '+':
			if s < len(m.src) && m.single(m.src[s], p, end) {
				return m.maxExpand(s+1, p, end)
			}
			return -1
		case '-':
			return m.minExpand(s, p, end)
		default:
			if s >= len(m.src) || !m.single(m.src[s], p, end) {
				return -1
			}
			s, p = s+1, end
		}
	}
}

// escape handles %b, %f and back references at p. It returns where the match goes on in the source, -1
// if it does not, and in the pattern.
func (m *matcher) escape(s, p int) (next, end int, special bool) {
	if p+1 == len(m.pat) {
		return 0, 0, false
	}
	switch c := m.pat[p+1]; {
	case c == 'b':
		return m.balance(s, p+2), p + 4, true
	case c == 'f':
		p += 2
		if p >= len(m.pat) || m.pat[p] != '[' {
			m.vm.Fail("missing '[' after '%%f' in pattern")
		}
		end = m.classEnd(p)
		var before, here byte
		if s > 0 {
			before = m.src[s-1]
		}
		if s < len(m.src) {
			here = m.src[s]
		}
		if m.set(before, p, end-1) || !m.set(here, p, end-1) {
			return -1, 0, true
		}
		return s, end, true
	case isDigit(c):
		return m.backReference(s, c), p + 2, true
	}
	return 0, 0, false
}

func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.pat) {
		m.vm.Fail("unbalanced pattern")
	}
	opening, closing := m.pat[p], m.pat[p+1]
	if s >= len(m.src) || m.src[s] != opening {
		return -1
	}
	open := 1
	for i := s + 1; i < len(m.src); i++ {
		switch m.src[i] {
		case closing:
			if open--; open == 0 {
				m.vm.Charge(i - s)
				return i + 1
			}
		case opening:
			open++
		}
	}
	m.vm.Charge(len(m.src) - s)
	return -1
}

func (m *matcher) backReference(s int, c byte) int {
	i := int(c) - '1'
	if i < 0 || i >= m.level || m.capture[i].len == capUnfinished {
		m.vm.Fail("invalid capture index")
	}
	cp := m.capture[i]
	if cp.len == capPosition { // the reference compares a length of -2, which is too long for any source
		return -1
	}
	if len(m.src)-s >= cp.len && m.src[cp.start:cp.start+cp.len] == m.src[s:s+cp.len] {
		m.vm.Charge(cp.len >> 3)
		return s + cp.len
	}
	return -1
}

func (m *matcher) startCapture(s, p, what int) int {
	if m.level >= maxCaptures {
		m.vm.Fail("too many captures")
	}
	m.capture[m.level] = capturedPart{s, what}
	m.level++
	r := m.match(s, p)
	if r < 0 {
		m.level--
	}
	return r
}

func (m *matcher) endCapture(s, p int) int {
	for i := m.level - 1; i >= 0; i-- {
		if m.capture[i].len != capUnfinished {
			continue
		}
		m.capture[i].len = s - m.capture[i].start
		r := m.match(s, p)
		if r < 0 {
			m.capture[i].len = capUnfinished
		}
		return r
	}
	m.vm.Fail("invalid pattern capture")
	return -1
}

func (m *matcher) maxExpand(s, p, end int) int {
	n := 0
	for s+n < len(m.src) && m.single(m.src[s+n], p, end) {
		n++
	}
	m.vm.Charge(n)
	for ; n >= 0; n-- {
		if r := m.match(s+n, end+1); r >= 0 {
			return r
		}
	}
	return -1
}

func (m *matcher) minExpand(s, p, end int) int {
	for {
		if r := m.match(s, end+1); r >= 0 {
			return r
		}
		if s >= len(m.src) || !m.single(m.src[s], p, end) {
			return -1
		}
		s++
	}
}

// classEnd returns where the single-character class at p ends.
func (m *matcher) classEnd(p int) int {
	c := m.pat[p]
	p++
	switch c {
	case '%':
		if p == len(m.pat) {
			m.vm.Fail("malformed pattern (ends with '%%')")
		}
		return p + 1
	case '[':
		if p < len(m.pat) && m.pat[p] == '^' {
			p++
		}
		for {
			if p >= len(m.pat) {
				m.vm.Fail("malformed pattern (missing ']')")
			}
			c := m.pat[p]
			p++
			if c == '%' && p < len(m.pat) {
				p++
			}
			if p < len(m.pat) && m.pat[p] == ']' {
				return p + 1
			}
		}
	}
	return p
}

// single reports whether c is in the class that lies at pat[p:end].
func (m *matcher) single(c byte, p, end int) bool {
	switch m.pat[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.pat[p+1])
	case '[':
		return m.set(c, p, end-1)
	}
	return m.pat[p] == c
}

// set reports whether c is in the set that begins with [ at p and ends with ] at end.
func (m *matcher) set(c byte, p, end int) bool {
	in := true
	p++
	if m.pat[p] == '^' {
		in = false
		p++
	}
	m.vm.steps -= int64((end - p) >> 3)
	for ; p < end; p++ {
		switch {
		case m.pat[p] == '%':
			p++
			if inClass(c, m.pat[p]) {
				return in
			}
		case p+2 < end && m.pat[p+1] == '-':
			if m.pat[p] <= c && c <= m.pat[p+2] {
				return in
			}
			p += 2
		case m.pat[p] == c:
			return in
		}
	}
	return !in
}

// inClass reports whether c is of the class that a letter after % names; other characters stand for
// themselves.
func inClass(c, class byte) bool {
	var in bool
	switch class | 32 {
	case 'a':
		in = isAlpha(c)
	case 'c':
		in = c < 32 || c == 127
	case 'd':
		in = isDigit(c)
	case 'l':
		in = 'a' <= c && c <= 'z'
	case 'p':
		in = isPunct(c)
	case 's':
		in = isSpace(c)
	case 'u':
		in = 'A' <= c && c <= 'Z'
	case 'w':
		in = isAlpha(c) || isDigit(c)
	case 'x':
		in = isHex(c)
	case 'z':
		in = c == 0
	default:
		return class == c
	}
	if !isAlpha(class) {
		return class == c
	}
	return in == (class&32 != 0)
}

func isPunct(c byte) bool { return 32 < c && c < 127 && !isAlpha(c) && !isDigit(c) }

// get returns capture i of a match at src[s:e]; without captures the first is the whole match.
func (m *matcher) get(i, s, e int) Value {
	if i >= m.level {
		if i != 0 {
			m.vm.Fail("invalid capture index")
		}
		return m.vm.NewString(m.src[s:e])
	}
	switch cp := m.capture[i]; cp.len {
	case capUnfinished:
		m.vm.Fail("unfinished capture")
		return Value{}
	case capPosition:
		return Num(float64(cp.start + 1))
	default:
		return m.vm.NewString(m.src[cp.start : cp.start+cp.len])
	}
}

// appendCaptures appends all captures, or the whole match if whole is set and there are none.
func (m *matcher) appendCaptures(dst []Value, s, e int, whole bool) []Value {
	n := m.level
	if n == 0 && whole {
		n = 1
	}
	for i := range n {
		dst = append(dst, m.get(i, s, e))
	}
	return dst
}
