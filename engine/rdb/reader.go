package rdb

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/quorate/quorate/engine/keyspace"
)

// Kind says what an [Item] is.
type Kind uint8

// The kinds of items.
const (
	// End is the end of the file: its checksum was right.
	End Kind = iota
	// Aux is a field beside the data: Name and Text.
	Aux
	// Function is a library of functions: its code is in Text.
	Function
	// Size tells how many keys will come of database DB: Keys. It is a hint.
	Size
	// Key is a key of database DB: Entry, without a version, and its Encoding.
	Key
	// Module is what the module Name has written: the value of the key Entry.Key of
	// database DB, or something beside the data, if that is nil. It is only given
	// after [Reader.ShowModules].
	Module
)

// Item is a piece of a file. It is valid until the next one is read, but for
// Entry.Object, which is its receiver's.
type Item struct {
	Kind
	Name  string
	Text  []byte
	DB    int
	Keys  int
	Entry keyspace.Entry

	// Bytes is what the item takes in the file.
	Bytes int64
	// Encoding tells how the value is written in the file: a string as OBJECT
	// ENCODING calls it, all others by the file's own type.
	Encoding string
}

// databaseMax bounds the numbers of databases.
const databaseMax = 1 << 20

// Reader reads one RDB file, of any origin. See the package comment for what it
// promises about files that are damaged or malicious.
type Reader struct {
	d       decoder
	item    Item
	db      int
	from    int64 // where the item that is read begins
	version int
	key     []byte
	empty   int
	modules bool
	summed  bool
}

// NewReader reads the head of a file. It takes more bytes from r than it needs.
func NewReader(r io.Reader) (*Reader, error) {
	f := &Reader{d: decoder{source: source{r: r, buf: make([]byte, 0, headBytes)}}}
	head := f.d.append(nil, uint64(headerBytes))
	if err := f.d.err; err != nil {
		return nil, fmt.Errorf("head: %w", err)
	}
	if string(head[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: it begins with %q", ErrCorrupt, head)
	}
	for _, digit := range head[len(magic):] {
		if digit < '0' || digit > '9' {
			return nil, fmt.Errorf("%w: it begins with %q", ErrCorrupt, head)
		}
		f.version = 10*f.version + int(digit-'0')
	}
	if f.version < 1 || f.version > versionMax {
		return nil, fmt.Errorf("%w: version %d; 1 to %d can be read", ErrUnsupported, f.version, versionMax)
	}
	return f, nil
}

// Build says how the keys that follow are built. It must be called before the
// first one is read.
func (f *Reader) Build(b Build) { f.d.build = b }

// Size tells how long the file is, if it is known: then long values get their
// memory at once. Without it memory doubles as they come.
func (f *Reader) Size(bytes int64) { f.d.size = bytes }

// ShowModules has Next give what modules have written as items, instead of
// skipping what is beside the data and failing at values.
func (f *Reader) ShowModules() { f.modules = true }

// Version returns the version of the file.
func (f *Reader) Version() int { return f.version }

// Checked tells, at the end, whether the file had a checksum.
func (f *Reader) Checked() bool { return f.summed }

// Offset returns how much of the file was read.
func (f *Reader) Offset() int64 { return f.d.offset() }

// Empty returns how many keys were left out because they held an empty
// collection, which some old versions of Redis have written.
func (f *Reader) Empty() int { return f.empty }

// Next reads the next item. After an error, or the end, it must not be called
// again.
func (f *Reader) Next() (*Item, error) {
	expireAt := keyspace.NoExpiry
	f.from = f.d.offset()
	for {
		op := f.d.byte()
		if f.d.err != nil {
			return nil, f.d.err
		}
		switch op {
		case opEOF:
			return f.end()
		case opSelectDB:
			f.selectDB()
			f.from = f.d.offset()
		case opResizeDB:
			keys := f.d.length()
			f.d.length() // those that expire
			f.item = Item{Kind: Size, DB: f.db, Keys: int(min(keys, math.MaxInt32))}
			return f.give("size of a database")
		case opSlotInfo:
			f.d.length()
			f.d.length()
			f.d.length()
		case opExpireMs:
			expireAt = f.expiry(int64(f.d.uint64()))
		case opExpireSeconds:
			expireAt = f.expiry(int64(int32(f.d.uint32())) * 1000)
		case opIdle:
			f.d.length()
		case opFreq:
			f.d.byte()
		case opModuleAux:
			if name := f.d.moduleAux(); f.modules {
				f.item = Item{Kind: Module, Name: name}
				return f.give("what a module has written")
			}
		case opAux:
			name := string(f.d.string(nil))
			f.item = Item{Kind: Aux, Name: name, Text: f.d.string(scratch(f.item.Text)[:0])}
			return f.give("field " + name)
		case opFunction:
			f.item = Item{Kind: Function, Text: f.d.string(nil)}
			return f.give("functions")
		case opFunctionPreGA:
			f.item = Item{Kind: Function, Text: f.d.oldFunction()}
			return f.give("functions")
		default:
			if item, err := f.readKey(op, expireAt); item != nil || err != nil {
				return item, err
			}
			expireAt = keyspace.NoExpiry
		}
	}
}

// give returns the item just read, or the error that came meanwhile.
func (f *Reader) give(what string) (*Item, error) {
	if f.d.err != nil {
		return nil, fmt.Errorf("%.64s: %w", what, f.d.err)
	}
	f.item.Bytes = f.d.offset() - f.from
	return &f.item, nil
}

func (f *Reader) selectDB() {
	db := f.d.length()
	if db > databaseMax {
		f.d.fail("database %d", db)
		return
	}
	f.db = int(db)
}

// expiry takes an expiry time. Before the epoch there is none that our keys could
// have; those keys are just as due at 0.
func (f *Reader) expiry(ms int64) int64 { return max(ms, 0) }

// readKey reads a key whose value has the given type. It returns nil for one that
// is left out.
func (f *Reader) readKey(valueType byte, expireAt int64) (*Item, error) {
	f.key = f.d.string(scratch(f.key)[:0])
	if valueType == typeModule2 && f.modules {
		return f.readModule(expireAt)
	}
	v, err := f.d.value(valueType)
	switch {
	case errors.Is(err, errEmpty):
		f.empty++
		f.d.err = nil
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("key %.64q: %w", f.key, err)
	}
	f.item = Item{Kind: Key, DB: f.db, Entry: keyspace.Entry{Key: f.key, Value: v, ExpireAt: expireAt}, Encoding: encodings[valueType]}
	if v.Type == keyspace.String {
		f.item.Encoding = v.Enc.String()
	}
	return f.give("key")
}

// readModule reads over a module's value.
func (f *Reader) readModule(expireAt int64) (*Item, error) {
	f.item = Item{Kind: Module, DB: f.db, Name: f.d.moduleID(), Entry: keyspace.Entry{Key: f.key, ExpireAt: expireAt}}
	f.d.skipModule()
	return f.give("a module's value")
}

// end checks the checksum; none was written where it is 0.
func (f *Reader) end() (*Item, error) {
	if f.version >= versionChecksum {
		want := f.d.sum()
		got := f.d.uint64()
		f.summed = got != 0
		switch {
		case f.d.err != nil:
			return nil, fmt.Errorf("checksum: %w", f.d.err)
		case got != 0 && got != want:
			return nil, fmt.Errorf("%w: checksum %#x, the data has %#x", ErrCorrupt, got, want)
		}
	}
	f.item = Item{Kind: End}
	return &f.item, nil
}
