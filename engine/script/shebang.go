package script

import (
	"fmt"
	"strings"

	"github.com/quorate/quorate/engine/lua"
	"github.com/quorate/quorate/engine/reply"
)

// flags are what the first line of a script, #!lua flags=..., declares.
type flags struct {
	declared bool // there is such a line; without it a script may do anything
	noWrites bool
}

// Flags that a script may declare. The others than no-writes ask for what every script has here.
var flagNames = map[string]bool{
	"no-writes": true, "allow-oom": true, "allow-stale": true, "no-cluster": true, "allow-cross-slot-keys": true,
}

const chunkName = "user_script"

// compile checks the first line of a script and compiles the rest.
func compile(text, sha string, loaded bool) (*script, error) {
	s := &script{Body: Body{Text: text, Loaded: loaded}, sha: sha}
	source := text
	if strings.HasPrefix(text, "#!") {
		end := strings.IndexByte(text, '\n')
		if end < 0 {
			return nil, reply.Error("ERR Invalid script shebang")
		}
		var err error
		if s.flags, err = parseShebang(text[:end]); err != nil {
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

// DeclaresNoWrites reports whether args call a script by EVAL or EVALSHA whose first line says that it does not write.
func (e *Engine) DeclaresNoWrites(args [][]byte) bool {
	if len(args) < 2 {
		return false
	}
	switch strings.ToLower(string(args[0])) {
	case "eval":
		line, _, _ := strings.Cut(string(args[1]), "\n")
		if !strings.HasPrefix(line, "#!") {
			return false
		}
		f, err := parseShebang(line)
		return err == nil && f.noWrites
	case "evalsha":
		s := e.cache.find(args[1])
		return s != nil && s.flags.noWrites
	}
	return false
}

func parseShebang(line string) (flags, error) {
	f := flags{declared: true}
	parts := strings.Fields(line)
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
			if !flagNames[name] {
				return f, reply.Error(fmt.Sprintf("ERR Unexpected flag in script shebang: %s", name))
			}
			f.noWrites = f.noWrites || name == "no-writes"
		}
	}
	return f, nil
}
