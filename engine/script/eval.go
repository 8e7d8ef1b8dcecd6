package script

import (
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/lua"
	"github.com/quorate/quorate/engine/reply"
)

// Errors of EVAL and its kin.
const (
	errNegativeKeys reply.Error = "ERR Number of keys can't be negative"
	errTooManyKeys  reply.Error = "ERR Number of keys can't be greater than number of args"
	errWriteFlag    reply.Error = "ERR Can not execute a script with write flag using *_ro command."
	errCacheFull    reply.Error = "ERR the cache of loaded scripts is full: SCRIPT FLUSH empties it"
)

// keyCount parses the argument numkeys, or replies with an error: notInteger, if it is none.
func keyCount(c *call.Call, notInteger reply.Error) (int, bool) {
	n, ok := call.ParseInt(c.Args[2])
	switch {
	case !ok:
		c.Fail(notInteger)
	case n > int64(len(c.Args)-3):
		c.Fail(errTooManyKeys)
	case n < 0:
		c.Fail(errNegativeKeys)
	default:
		return int(n), true
	}
	return 0, false
}

func (e *Engine) eval(c *call.Call, readOnly bool) {
	keys, ok := keyCount(c, reply.ErrNotInteger)
	if !ok {
		return
	}
	var s *script
	var err error
	if readOnly || !c.MayWrite {
		s, err = e.passingScript(c, c.Args[1])
	} else {
		s, err = e.script(c, c.Args[1], false)
	}
	if err != nil {
		c.Fail(err.(reply.Error))
		return
	}
	e.run(c, s, keys, readOnly)
}

func (e *Engine) evalSHA(c *call.Call, readOnly bool) {
	if len(c.Args[1]) != 40 {
		c.Fail(reply.ErrNoScript)
		return
	}
	keys, ok := keyCount(c, reply.ErrNotInteger)
	if !ok {
		return
	}
	s := e.cache.find(c.Args[1])
	if s == nil {
		c.Fail(reply.ErrNoScript)
		return
	}
	e.run(c, s, keys, readOnly)
}

// script returns the script of that text, which joins the cache if it is new.
func (e *Engine) script(c *call.Call, text []byte, loaded bool) (*script, error) {
	s, ok := e.cache.byText[string(text)]
	if ok && (s.Loaded || !loaded) {
		return s, nil
	}
	if loaded && e.cache.loadedBytes+len(text) > loadedBytesMax {
		return nil, errCacheFull
	}
	if ok {
		c.Keyspace.Chain().Note(noteKept, 0, text, nil)
		e.cache.keep(s)
		return s, nil
	}
	body := string(text)
	s, err := compile(body, hexSHA(body), loaded, c.Semantic)
	if err != nil {
		return nil, err
	}
	kept := uint64(0)
	if loaded {
		kept = 1
	}
	c.Keyspace.Chain().Note(noteScript, kept, text, nil)
	e.cache.add(s)
	e.countNoWrites()
	return s, nil
}

// What the chain of changes is told of the cache. The numbers never change.
const (
	noteScript = 'S' // a script that is new
	noteKept   = 'K' // one that SCRIPT LOAD makes stay
	noteFlush  = 'X' // all gone
)

// passingScript returns the script of that text without changing the state.
func (e *Engine) passingScript(c *call.Call, text []byte) (*script, error) {
	if s, ok := e.cache.byText[string(text)]; ok {
		return s, nil
	}
	if s := e.passing.find(text); s != nil {
		return s, nil
	}
	body := string(text)
	s, err := compile(body, hexSHA(body), false, c.Semantic)
	if err != nil {
		return nil, err
	}
	e.passing.add(s)
	return s, nil
}

func (e *Engine) run(c *call.Call, s *script, keys int, readOnly bool) {
	if s.flags.has(declared) && !s.flags.has(noWrites) && readOnly {
		c.Fail(errWriteFlag)
		return
	}
	c.Become() // nothing: its commands do
	r := e.idle.Get().(*runner)
	r.run(c, s, keys, readOnly || s.flags.has(noWrites))
	e.idle.Put(r) // not after a panic: then the interpreter is in no known state
}

func (s *script) run(r *runner, keys, args [][]byte) ([]lua.Value, error) {
	r.vm.Begin(lua.Limits{})
	r.begin()
	r.vm.Globals().Set(keysName, r.list(keys))
	r.vm.Globals().Set(argvName, r.list(args))
	return r.vm.Run(s.chunk)
}

func (s *script) declares(f flags) bool { return s.flags.has(f) }

func (s *script) calledName() string { return s.sha }
