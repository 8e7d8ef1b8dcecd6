package keyspace

import "github.com/quorate/quorate/engine/types/chain"

// Type is the kind of a value, as TYPE tells it.
type Type uint8

// The types of values. The numbers are stored in records and never change.
const (
	String Type = iota
	List
	Set
	Zset
	Hash
	Stream
	typeFree Type = 7 // marks a free cell of a slab
)

var typeNames = [...]string{"string", "list", "set", "zset", "hash", "stream"}

// String returns the name as TYPE tells it.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "unknown"
}

// Encoding is the form of a value, as OBJECT ENCODING tells it.
type Encoding uint8

// The encodings of values. The numbers are stored in records and never change.
const (
	Raw Encoding = iota
	Int
	Embstr
	Listpack
	Intset
	Hashtable
	Skiplist
	Quicklist
	StreamEncoding
	ListpackEx // a listpack with expiry times
)

var encodingNames = [...]string{"raw", "int", "embstr", "listpack", "intset", "hashtable", "skiplist", "quicklist", "stream", "listpackex"}

// String returns the name as OBJECT ENCODING tells it.
func (e Encoding) String() string {
	if int(e) < len(encodingNames) {
		return encodingNames[e]
	}
	return "unknown"
}

// An Object is a value too large for the packed form. It belongs to one key; [DB.Move] gives it to another.
type Object interface {
	// Freeze returns the object's present content as an object that later changes of the receiver do not
	// touch. It is called under the write lock, or under the read lock by the one goroutine that writes a
	// snapshot, with readers of the receiver beside it. What it returns is read without any lock, and is
	// not changed unless Freeze is called on it too: only then does it own what it changes.
	Freeze() Object

	// MemBytes returns the memory the object holds, in bytes, in constant time.
	MemBytes() int

	// Join tells the object the chain of the keyspace that it belongs to from now on: it mixes every change in
	// place into it.
	Join(c *chain.Chain)

	// Mix mixes all that the object holds into c.
	Mix(c *chain.Chain)
}

// Clone returns a copy of o that is changed independently of it.
func Clone(o Object) Object {
	c := o.Freeze()
	c.Freeze()
	return c
}

// A Value is what a key holds: Packed bytes, or an Object when that is not nil.
type Value struct {
	Type Type
	Enc  Encoding

	// Given tells that Packed's memory comes with it, when a value is handed in: a long one is kept, not copied.
	Given bool

	// Packed is the value's flat form. In what the keyspace returns, it aliases the keyspace's memory: it is
	// read-only and good until the next change other than Evict of another key. What is handed in is copied, and
	// may be such an alias.
	Packed []byte

	Object Object
}

// NoExpiry is the expiry time of a key that does not expire.
const NoExpiry int64 = -1

// An Entry is a key with its value. Key and Packed alias the keyspace's memory until the next change.
type Entry struct {
	Key []byte
	Value
	ExpireAt int64  // in ms since the Unix epoch, or NoExpiry
	Version  uint64 // the mutation counter at the key's last change
}

// Expired tells whether the key is due at now, or all fields of the hash that it holds.
func (e *Entry) Expired(now int64) bool { return e.keyDue(now) || e.hollow(now) }

// keyDue tells whether the key's own time has come.
func (e *Entry) keyDue(now int64) bool { return e.ExpireAt != NoExpiry && e.ExpireAt <= now }

// Loss is what was deleted because it was due.
type Loss uint8

// The losses.
const (
	Nothing      Loss = iota
	KeyDue            // a key with all that it held
	FieldsDue         // fields of a hash, not all
	AllFieldsDue      // the last fields of a hash, and so its key
)
