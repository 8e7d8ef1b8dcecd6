package script

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/quorate/quorate/engine/lua"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/words"
)

// Limits of the libraries of functions. A library that would exceed one is refused.
const (
	librariesMax      = 10_000
	libraryBytesMax   = 64 << 20 // of the code of all
	functionsMax      = 1000     // of one library
	loadSteps         = 500_000  // the budget of FUNCTION LOAD
	loadBytes         = 8 << 20
	loadStepsAgain    = 4 * loadSteps // what was loaded once is loaded again, by a later release too
	loadBytesAgain    = 4 * loadBytes
	functionChunkName = "user_function"
)

// Errors of FUNCTION LOAD, as redis-server words them, and our own.
const (
	errNoMetadata    reply.Error = "ERR Missing library metadata"
	errBadMetadata   reply.Error = "ERR Invalid library metadata"
	errManyNames     reply.Error = "ERR Invalid metadata value, name argument was given multiple times"
	errNoLibraryName reply.Error = "ERR Library name was not given"
	errBadName       reply.Error = "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"
	errNoFunctions   reply.Error = "ERR No functions registered"
	errManyFunctions reply.Error = "ERR too many functions in the library"
	errShelfFull     reply.Error = "ERR there are too many libraries of functions, or too large ones: FUNCTION DELETE makes room"
)

// library is a library of functions. It never changes.
type library struct {
	name      string
	code      string
	chunk     *lua.Chunk
	functions []*function // by name
}

// function is a function of a library.
type function struct {
	library     *library
	name        string
	description string
	described   bool
	flags       flags
	index       int // in the order of registration
}

// shelf holds the libraries of a cluster.
//
// Invariant: functions holds those of all libraries, under their names in lower case.
type shelf struct {
	libraries map[string]*library
	functions map[string]*function
	bytes     int // of the libraries' code
	noWrites  int // functions that say that they do not write
}

func newShelf() *shelf {
	return &shelf{libraries: make(map[string]*library), functions: make(map[string]*function)}
}

func (s *shelf) clone() *shelf {
	return &shelf{libraries: maps.Clone(s.libraries), functions: maps.Clone(s.functions), bytes: s.bytes, noWrites: s.noWrites}
}

// sorted returns the libraries by name: the order of all that shows them.
func (s *shelf) sorted() []*library {
	return slices.SortedFunc(maps.Values(s.libraries), func(a, b *library) int { return strings.Compare(a.name, b.name) })
}

// codes returns the code of the libraries, by their names.
func (s *shelf) codes() []string {
	codes := make([]string, 0, len(s.libraries))
	for _, lib := range s.sorted() {
		codes = append(codes, lib.code)
	}
	return codes
}

func (s *shelf) find(name []byte) *function {
	if f, ok := s.functions[string(name)]; ok {
		return f
	}
	return s.functions[strings.ToLower(string(name))]
}

// add puts a library on the shelf, of whose name there is none.
func (s *shelf) add(lib *library) error {
	for _, f := range lib.functions {
		if s.functions[strings.ToLower(f.name)] != nil {
			return reply.Error("ERR Function " + f.name + " already exists")
		}
	}
	if len(s.libraries) >= librariesMax || s.bytes+len(lib.code) > libraryBytesMax {
		return errShelfFull
	}
	s.libraries[lib.name] = lib
	for _, f := range lib.functions {
		s.functions[strings.ToLower(f.name)] = f
		if f.flags.has(noWrites) {
			s.noWrites++
		}
	}
	s.bytes += len(lib.code)
	return nil
}

func (s *shelf) remove(lib *library) {
	delete(s.libraries, lib.name)
	for _, f := range lib.functions {
		delete(s.functions, strings.ToLower(f.name))
		if f.flags.has(noWrites) {
			s.noWrites--
		}
	}
	s.bytes -= len(lib.code)
}

// loadInto makes the code a library and puts it on the shelf. After an error the shelf is not to be used.
func (e *Engine) loadInto(s *shelf, code string, replace bool, l lua.Limits) (*library, error) {
	lib, err := parseLibrary(code)
	if err != nil {
		return nil, err
	}
	if old := s.libraries[lib.name]; old != nil {
		if !replace {
			return nil, reply.Error("ERR Library '" + lib.name + "' already exists")
		}
		s.remove(old)
	}
	if lib.chunk, err = lua.Compile(functionChunkName, code[strings.IndexByte(code, '\n'):]); err != nil {
		return nil, reply.Error("ERR Error compiling function: " + err.Error())
	}
	r := e.functionRunners.Get().(*runner)
	lib.functions, err = r.register(lib, l)
	e.functionRunners.Put(r)
	switch {
	case err != nil:
		return nil, err
	case len(lib.functions) == 0:
		return nil, errNoFunctions
	}
	return lib, s.add(lib)
}

// parseLibrary reads the first line of a library: #!lua name=NAME.
func parseLibrary(code string) (*library, error) {
	if !strings.HasPrefix(code, "#!") {
		return nil, errNoMetadata
	}
	end := strings.IndexAny(code, "\n\x00") // the line ends where C sees its end
	if end < 0 || code[end] == 0 {
		return nil, errBadMetadata
	}
	parts, ok := words.Split([]byte(code[:end]))
	if !ok {
		return nil, errBadMetadata
	}
	const nameIs = "name="
	lib, named := &library{code: code}, false
	for _, word := range parts[1:] {
		part := string(word)
		switch {
		case len(part) < len(nameIs) || !strings.EqualFold(part[:len(nameIs)], nameIs):
			return nil, reply.Error("ERR Invalid metadata value given: " + string(reply.CText(word)))
		case named:
			return nil, errManyNames
		}
		lib.name, named = part[len(nameIs):], true
	}
	switch engine := string(parts[0][2:]); {
	case !named:
		return nil, errNoLibraryName
	case !isName(lib.name):
		return nil, errBadName
	case !strings.EqualFold(engine, "lua"):
		return nil, reply.Error(fmt.Sprintf("ERR Engine '%s' not found", engine))
	}
	return lib, nil
}

// isName reports whether a library or a function may have that name.
func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && c != '_' {
			return false
		}
	}
	return s != ""
}
