package lua

import "fmt"

// Limits of the reference implementation.
const (
	maxLevels   = 200 // nested constructs
	maxLocals   = 200 // of a function
	maxUpvalues = 60  // of a function

	maxChain = 2000 // links of a.b.c... or terms of a+b+c...; the reference has no such limit
)

type parser struct {
	lexer
	fn     *function
	levels int
}

// parse reads a chunk. It panics with a *syntaxError.
func parse(chunk, src string) *function {
	p := &parser{lexer: lexer{chunk: chunk, src: src, line: 1}}
	p.fn = &function{vararg: true}
	p.next()
	p.fn.body = p.block()
	if p.kind != tokEOF {
		p.expected(tokEOF)
	}
	return p.fn
}

func (p *parser) expected(t token) { p.failHere(fmt.Sprintf("'%s' expected", t)) }

func (p *parser) accept(t token) bool {
	if p.kind != t {
		return false
	}
	p.next()
	return true
}

func (p *parser) expect(t token) {
	if !p.accept(t) {
		p.expected(t)
	}
}

// expectClose expects what ends the construct that open began at the line.
func (p *parser) expectClose(t, open token, line int) {
	if p.kind == t {
		p.next()
		return
	}
	if line == p.line {
		p.expected(t)
	}
	p.failHere(fmt.Sprintf("'%s' expected (to close '%s' at line %d)", t, open, line))
}

func (p *parser) name() string {
	if p.kind != tokName {
		p.expected(tokName)
	}
	s := p.text
	p.next()
	return s
}

// enter counts a level of nesting; the caller leaves it.
func (p *parser) enter() {
	if p.levels++; p.levels > maxLevels {
		p.fail("chunk has too many syntax levels")
	}
}

func (p *parser) leave() { p.levels-- }

// checkChain bounds how high a tree grows without nesting, as its height is stack when it runs.
func (p *parser) checkChain(n int) {
	if n > maxChain {
		p.fail("chunk has too many syntax levels")
	}
}

// declare brings a local variable into scope.
func (p *parser) declare(name string) *local {
	fn := p.fn
	if len(fn.active) >= maxLocals {
		p.failLimit(fn, maxLocals, "local variables")
	}
	v := &local{name: name, slot: len(fn.active)}
	fn.active = append(fn.active, v)
	fn.slots = max(fn.slots, len(fn.active))
	return v
}

func (p *parser) failLimit(fn *function, limit int, what string) {
	if fn.line == 0 {
		p.fail(fmt.Sprintf("main function has more than %d %s", limit, what))
	}
	p.fail(fmt.Sprintf("function at line %d has more than %d %s", fn.line, limit, what))
}

// resolve finds what a name means.
func (p *parser) resolve(name string) expr {
	if v := p.fn.lookup(name); v != nil {
		return &localExpr{v}
	}
	if i := p.upvalue(p.fn, name); i >= 0 {
		return &upvalExpr{i, name}
	}
	return &globalExpr{name, p.lastLine}
}

func (fn *function) lookup(name string) *local {
	for i := len(fn.active) - 1; i >= 0; i-- {
		if fn.active[i].name == name {
			return fn.active[i]
		}
	}
	return nil
}

// upvalue returns the index of the function's upvalue of that name, or -1 for a global.
func (p *parser) upvalue(fn *function, name string) int {
	if fn.parent == nil {
		return -1
	}
	c := capture{name: name, index: -1}
	if v := fn.parent.lookup(name); v != nil {
		v.captured = true
		c.from = v
	} else if c.index = p.upvalue(fn.parent, name); c.index < 0 {
		return -1
	}
	for i, old := range fn.captures {
		if old.from == c.from && old.index == c.index {
			return i
		}
	}
	if len(fn.captures) >= maxUpvalues {
		p.failLimit(fn, maxUpvalues, "upvalues")
	}
	fn.captures = append(fn.captures, c)
	return len(fn.captures) - 1
}

func (p *parser) blockEnds() bool {
	switch p.kind {
	case tokElse, tokElseif, tokEnd, tokEOF, tokUntil:
		return true
	}
	return false
}

// block parses statements in a scope of their own.
func (p *parser) block() block {
	scope := len(p.fn.active)
	body := p.statements()
	p.fn.active = p.fn.active[:scope]
	return body
}

func (p *parser) statements() block {
	body := block{line: p.line}
	p.enter()
	for last := false; !last && !p.blockEnds(); {
		var s stmt
		s, last = p.statement()
		p.accept(';')
		body.stmts = append(body.stmts, s)
	}
	p.leave()
	return body
}

// statement parses a statement; last tells that none may follow it.
func (p *parser) statement() (s stmt, last bool) {
	line := p.line
	switch p.kind {
	case tokIf:
		return p.ifStatement(line), false
	case tokWhile:
		p.next()
		cond := p.expression()
		p.expect(tokDo)
		body := p.loopBody()
		p.expectClose(tokEnd, tokWhile, line)
		return &whileStmt{cond, body}, false
	case tokDo:
		p.next()
		body := p.block()
		p.expectClose(tokEnd, tokDo, line)
		return &doStmt{body}, false
	case tokFor:
		return p.forStatement(line), false
	case tokRepeat:
		return p.repeatStatement(line), false
	case tokFunction:
		return p.functionStatement(line), false
	case tokLocal:
		p.next()
		if p.accept(tokFunction) {
			v := p.declare(p.name())
			return &localFunction{v, p.functionBody(false, p.line)}, false
		}
		return p.localStatement(), false
	case tokReturn:
		return p.returnStatement(), true
	case tokBreak:
		p.next()
		if p.fn.loops == 0 {
			p.failHere("no loop to break")
		}
		return &breakStmt{}, true
	}
	return p.expressionStatement(), false
}

func (p *parser) loopBody() block {
	p.fn.loops++
	body := p.block()
	p.fn.loops--
	return body
}

func (p *parser) ifStatement(line int) stmt {
	s := &ifStmt{}
	for p.kind == tokIf || p.kind == tokElseif {
		p.next()
		cond := p.expression()
		p.expect(tokThen)
		s.clauses = append(s.clauses, clause{cond, p.block()})
	}
	if p.accept(tokElse) {
		s.otherwise = p.block()
	}
	p.expectClose(tokEnd, tokIf, line)
	return s
}

func (p *parser) repeatStatement(line int) stmt {
	p.next()
	scope := len(p.fn.active)
	p.fn.loops++
	body := p.statements()
	p.fn.loops--
	p.expectClose(tokUntil, tokRepeat, line)
	cond := p.expression() // sees the body's locals
	p.fn.active = p.fn.active[:scope]
	return &repeatStmt{body, cond}
}

func (p *parser) forStatement(line int) stmt {
	p.next()
	scope := len(p.fn.active)
	name := p.name()
	var s stmt
	switch p.kind {
	case '=':
		s = p.numericFor(name, line)
	case ',', tokIn:
		s = p.genericFor(name, line)
	default:
		p.failHere("'=' or 'in' expected")
	}
	p.expectClose(tokEnd, tokFor, line)
	p.fn.active = p.fn.active[:scope]
	return s
}

func (p *parser) numericFor(name string, line int) stmt {
	p.next()
	s := &numericFor{line: line}
	s.start = p.expression()
	p.expect(',')
	s.limit = p.expression()
	if p.accept(',') {
		s.step = p.expression()
	}
	p.expect(tokDo)
	for range 3 { // the reference keeps its state in three hidden locals
		p.declare("(for state)")
	}
	s.v = p.declare(name)
	s.body = p.loopBody()
	return s
}

func (p *parser) genericFor(name string, line int) stmt {
	names := []string{name}
	for p.accept(',') {
		names = append(names, p.name())
	}
	p.expect(tokIn)
	s := &genericFor{line: p.line}
	s.vals = p.expressions()
	p.expect(tokDo)
	for range 3 {
		p.declare("(for state)")
	}
	for _, n := range names {
		s.vars = append(s.vars, p.declare(n))
	}
	s.body = p.loopBody()
	return s
}

func (p *parser) functionStatement(line int) stmt {
	p.next()
	target := p.resolve(p.name())
	method := false
	for p.kind == '.' || p.kind == ':' {
		method = p.kind == ':'
		p.next()
		line := p.line
		target = &indexExpr{target, &stringExpr{p.name()}, line}
		if method {
			break
		}
	}
	fn := p.functionBody(method, line)
	return &assignStmt{targets: []expr{target}, vals: []expr{fn}, line: line}
}

func (p *parser) localStatement() stmt {
	names := []string{p.name()}
	for p.accept(',') {
		names = append(names, p.name())
	}
	s := &localStmt{}
	if p.accept('=') {
		s.vals = p.expressions()
	}
	for _, n := range names { // in scope only now
		s.vars = append(s.vars, p.declare(n))
	}
	return s
}

func (p *parser) returnStatement() stmt {
	p.next()
	s := &returnStmt{}
	if !p.blockEnds() && p.kind != ';' {
		s.vals = p.expressions()
	}
	s.line = p.lastLine
	return s
}

func (p *parser) expressionStatement() stmt {
	e := p.primary()
	if call, ok := e.(*callExpr); ok && p.kind != '=' && p.kind != ',' {
		return &callStmt{call}
	}
	s := &assignStmt{targets: []expr{p.assignable(e)}}
	for p.accept(',') {
		s.targets = append(s.targets, p.assignable(p.primary()))
		if len(s.targets) > maxLevels {
			p.fail("chunk has too many syntax levels")
		}
	}
	p.expect('=')
	s.vals = p.expressions()
	s.line = p.lastLine
	return s
}

func (p *parser) assignable(e expr) expr {
	switch e.(type) {
	case *localExpr, *upvalExpr, *globalExpr, *indexExpr:
		return e
	}
	p.failHere("syntax error")
	return nil
}

func (p *parser) expressions() []expr {
	list := []expr{p.expression()}
	for p.accept(',') {
		list = append(list, p.expression())
	}
	return list
}

// priorities of binary operators; a right one below the left makes the operator right associative.
var priorities = map[token]struct{ left, right int }{
	'+': {6, 6}, '-': {6, 6}, '*': {7, 7}, '/': {7, 7}, '%': {7, 7}, '^': {10, 9}, tokConcat: {5, 4},
	tokNe: {3, 3}, tokEq: {3, 3}, '<': {3, 3}, tokLe: {3, 3}, '>': {3, 3}, tokGe: {3, 3}, tokAnd: {2, 2}, tokOr: {1, 1},
}

const unaryPriority = 8

func (p *parser) expression() expr { return p.subexpression(0) }

// subexpression parses operators that bind stronger than limit.
func (p *parser) subexpression(limit int) expr {
	p.enter()
	var left expr
	switch p.kind {
	case tokNot, '-', '#':
		op := p.kind
		p.next()
		operand := p.subexpression(unaryPriority)
		left = p.unary(op, operand)
	default:
		left = p.simple()
	}
	for n := 0; ; n++ {
		op := p.kind
		prio, ok := priorities[op]
		if !ok || prio.left <= limit {
			break
		}
		p.checkChain(n)
		p.next()
		right := p.subexpression(prio.right)
		left = p.binary(op, left, right)
	}
	p.leave()
	return left
}

func (p *parser) unary(op token, e expr) expr {
	if n, ok := e.(*numberExpr); ok && op == '-' && n.f == n.f {
		return &numberExpr{-n.f}
	}
	return &unaryExpr{op, e, p.lastLine}
}

func (p *parser) binary(op token, l, r expr) expr {
	if op == tokConcat {
		// a .. (b .. c) is one concatenation of three, unless written with parentheses.
		if c, ok := r.(*concatExpr); ok {
			return &concatExpr{append([]expr{l}, c.parts...), p.lastLine}
		}
		return &concatExpr{[]expr{l, r}, p.lastLine}
	}
	return &binaryExpr{op, l, r, p.lastLine}
}

func (p *parser) simple() expr {
	var e expr
	switch p.kind {
	case tokNumber:
		e = &numberExpr{p.num}
	case tokString:
		e = &stringExpr{p.text}
	case tokNil:
		e = &nilExpr{}
	case tokTrue:
		e = &boolExpr{true}
	case tokFalse:
		e = &boolExpr{false}
	case tokDots:
		if !p.fn.vararg {
			p.failHere("cannot use '...' outside a vararg function")
		}
		p.fn.needsArg = false
		e = &dotsExpr{}
	case '{':
		return p.table()
	case tokFunction:
		p.next()
		return p.functionBody(false, p.line)
	default:
		return p.primary()
	}
	p.next()
	return e
}

func (p *parser) primary() expr {
	e := p.prefix()
	for n := 0; ; n++ {
		p.checkChain(n)
		switch p.kind {
		case '.':
			p.next()
			line := p.line
			e = &indexExpr{e, &stringExpr{p.name()}, line}
		case '[':
			p.next()
			key := p.expression()
			e = &indexExpr{e, key, p.line}
			p.expect(']')
		case ':':
			p.next()
			name := p.name()
			e = p.call(e, name)
		case '(', '{', tokString:
			e = p.call(e, "")
		default:
			return e
		}
	}
}

func (p *parser) prefix() expr {
	switch p.kind {
	case tokName:
		return p.resolve(p.name())
	case '(':
		line := p.line
		p.next()
		e := p.expression()
		p.expectClose(')', '(', line)
		return &parenExpr{e} // one value, and no target of an assignment
	}
	p.failHere("unexpected symbol")
	return nil
}

func (p *parser) call(fn expr, method string) expr {
	c := &callExpr{fn: fn, name: method, line: p.line}
	switch p.kind {
	case '(':
		if p.line != p.lastLine {
			p.failHere("ambiguous syntax (function call x new statement)")
		}
		p.next()
		if p.kind != ')' {
			c.args = p.expressions()
		}
		p.expectClose(')', '(', c.line)
	case '{':
		c.args = []expr{p.table()}
	case tokString:
		c.args = []expr{&stringExpr{p.text}}
		p.next()
	default:
		p.failHere("function arguments expected")
	}
	return c
}

func (p *parser) table() expr {
	line := p.line
	p.expect('{')
	t := &tableExpr{line: line}
	for p.kind != '}' {
		var item tableItem
		switch {
		case p.kind == tokName && p.peek() == '=':
			item.key = &stringExpr{p.name()}
			p.next()
		case p.kind == '[':
			p.next()
			item.key = p.expression()
			p.expect(']')
			p.expect('=')
		}
		item.val = p.expression()
		t.items = append(t.items, item)
		if !p.accept(',') && !p.accept(';') {
			break
		}
	}
	p.expectClose('}', '{', line)
	return t
}

func (p *parser) functionBody(method bool, line int) *functionExpr {
	fn := &function{parent: p.fn, line: line}
	p.fn = fn
	p.expect('(')
	if method {
		fn.params = append(fn.params, p.declare("self"))
	}
	p.parameters(fn)
	p.expect(')')
	fn.body = p.statements()
	p.expectClose(tokEnd, tokFunction, line)
	p.fn = fn.parent
	return &functionExpr{fn}
}

func (p *parser) parameters(fn *function) {
	if p.kind == ')' {
		return
	}
	for {
		switch p.kind {
		case tokName:
			fn.params = append(fn.params, p.declare(p.name()))
		case tokDots:
			p.next()
			fn.vararg, fn.needsArg = true, true
			fn.arg = p.declare("arg")
			return
		default:
			p.failHere("<name> or '...' expected")
		}
		if !p.accept(',') {
			return
		}
	}
}
