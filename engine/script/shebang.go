package script

import (
	"fmt"
	"strings"

	"github.com/quorate/quorate/engine/lua"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/words"
)

// flags are what a script declares in its first line, #!lua flags=..., and a function when it is registered.
type flags uint8

const (
	noWrites flags = 1 << iota
	allowOOM
	allowStale
	noCluster
	allowCrossSlotKeys
	declared // there is such a line; without it a script may do anything
)

// flagNames are the flags that can be declared. Those after allow-oom ask for what every script has here.
var flagNames = []string{"no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"}

func flagOf(name string) (flags, bool) {
	for i, known := range flagNames {
		if name == known {
			return 1 << i, true
		}
	}
	return 0, false
}

func (f flags) has(flag flags) bool { return f&flag != 0 }

// names returns the declared flags in Redis' order.
func (f flags) names() []string {
	var names []string
	for i, name := range flagNames {
		if f.has(1 << i) {
			names = append(names, name)
		}
	}
	return names
}

const chunkName = "user_script"

const errShebang reply.Error = "ERR Invalid script shebang"

// compile checks the first line of a script, as a semantic version reads it, and compiles the rest.
func compile(text, sha string, loaded bool, v semantic.Version) (*script, error) {
	s := &script{Body: Body{Text: text, Loaded: loaded}, sha: sha}
	source := text
	if strings.HasPrefix(text, "#!") {
		end := strings.IndexByte(text, '\n')
		if end < 0 {
			return nil, errShebang
		}
		var err error
		if s.flags, err = parseShebang(text[:end], v); err != nil {
			return nil, err
		}
		source = text[end:] // the line end stays, so that lines count as written
	}
	chunk, err := lua.Compile(chunkName, source)
	if err != nil {
		return nil, reply.Error("ERR Error compiling script (new function): " + err.Error())
	}
	s.chunk = chunk
	return s, nil
}

// AnyNoWrites reports whether a script that EVALSHA finds, or a function, says of itself that it does not write. It may
// be called without the engine's lock.
func (e *Engine) AnyNoWrites() bool { return e.reads.Load() }

func (e *Engine) countNoWrites() { e.reads.Store(e.cache.noWrites+e.shelf.noWrites > 0) }

// DeclaresNoWrites reports whether args call, by EVAL, EVALSHA or FCALL, a script or a function that says of itself
// that it does not write.
func (e *Engine) DeclaresNoWrites(args [][]byte) bool {
	f, ok := e.declaredFlags(args)
	return ok && f.has(noWrites)
}

// DeniesOOM reports whether args call, by EVAL, EVALSHA or FCALL, a script or a function that says something of
// itself, but neither that it does not write nor that it may when memory is short.
func (e *Engine) DeniesOOM(args [][]byte) bool {
	f, ok := e.declaredFlags(args)
	return ok && !f.has(noWrites) && !f.has(allowOOM)
}

// declaredFlags returns what a script or a function says of itself; false if it says nothing, or there is none.
func (e *Engine) declaredFlags(args [][]byte) (flags, bool) {
	if len(args) < 2 {
		return 0, false
	}
	switch strings.ToLower(string(args[0])) {
	case "eval", "eval_ro":
		line, _, _ := strings.Cut(string(args[1]), "\n")
		if !strings.HasPrefix(line, "#!") {
			return 0, false
		}
		f, err := parseShebang(line, semantic.Max)
		return f, err == nil
	case "evalsha", "evalsha_ro":
		if s := e.cache.find(args[1]); s != nil {
			return s.flags, s.flags.has(declared)
		}
	case "fcall", "fcall_ro":
		if f := e.shelf.find(args[1]); f != nil {
			return f.flags, true
		}
	}
	return 0, false
}

// SaysNothing reports whether args call, by EVAL or EVALSHA, a script that says nothing of itself: what it does is seen
// when it does it.
func (e *Engine) SaysNothing(args [][]byte) bool {
	if len(args) < 2 {
		return false
	}
	switch strings.ToLower(string(args[0])) {
	case "eval":
		return !strings.HasPrefix(string(args[1]), "#!")
	case "evalsha":
		s := e.cache.find(args[1])
		return s == nil || !s.flags.has(declared)
	}
	return false
}

// parseShebang reads a first line. Its words may be quoted, since semantic.Conversation.
func parseShebang(line string, v semantic.Version) (flags, error) {
	f := declared
	var parts []string
	if v < semantic.Conversation {
		parts = strings.Fields(line)
	} else {
		if strings.IndexByte(line, 0) >= 0 { // a line of C ends there
			return f, errShebang
		}
		words, ok := words.Split([]byte(line))
		if !ok {
			return f, reply.Error("ERR Invalid engine in script shebang")
		}
		for _, word := range words {
			parts = append(parts, string(reply.CText(word)))
		}
	}
	if parts[0] != "#!lua" {
		return f, reply.Error("ERR Unexpected engine in script shebang: " + parts[0])
	}
	for _, part := range parts[1:] {
		list, ok := strings.CutPrefix(part, "flags=")
		if !ok {
			return f, reply.Error("ERR Unknown lua shebang option: " + part)
		}
		if list == "" {
			continue
		}
		for name := range strings.SplitSeq(list, ",") {
			flag, ok := flagOf(name)
			if !ok {
				return f, reply.Error(fmt.Sprintf("ERR Unexpected flag in script shebang: %s", name))
			}
			f |= flag
		}
	}
	return f, nil
}
