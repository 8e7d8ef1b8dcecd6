package keyspace

import "encoding/binary"

// A record is one key in its cell:
//
//	word      8 bytes  version<<9 | object<<8 | expires<<7 | encoding<<3 | type
//	klen      2        length of the key; longKey means that it follows as 4 bytes
//	vlen      2        length of the value
//	[klen32   4]
//	[expireAt 8]       only with the expires flag
//	key, value
//
// With the object flag the value is a 4-byte handle. All numbers are little endian. A free cell has typeFree in
// its word, and the number of the next free cell plus one above it.
type record []byte

const (
	headerBytes = 12
	handleBytes = 4
	longKey     = 1<<16 - 1

	// inlineMax is the length of the longest value that stands in its record. A longer one is a blob.
	inlineMax = 4096

	typeMask    = 1<<3 - 1
	encShift    = 3
	encMask     = 1<<4 - 1
	expiresFlag = 1 << 7
	objectFlag  = 1 << 8
	metaMask    = 1<<9 - 1
	versionBits = 9
)

func (r record) word() uint64        { return binary.LittleEndian.Uint64(r) }
func (r record) setWord(w uint64)    { binary.LittleEndian.PutUint64(r, w) }
func (r record) version() uint64     { return r.word() >> versionBits }
func (r record) setVersion(v uint64) { r.setWord(v<<versionBits | r.word()&metaMask) }

// parts are the offsets and lengths within a record.
type parts struct {
	word       uint64
	keyAt      int
	valueAt    int
	end        int
	hasExpiry  bool
	hasObject  bool
	expiryAtAt int // offset of expireAt, if hasExpiry
}

func (r record) parts() parts {
	w := r.word()
	p := parts{word: w, keyAt: headerBytes, hasExpiry: w&expiresFlag != 0, hasObject: w&objectFlag != 0}
	klen := int(binary.LittleEndian.Uint16(r[8:]))
	vlen := int(binary.LittleEndian.Uint16(r[10:]))
	if klen == longKey {
		klen = int(binary.LittleEndian.Uint32(r[12:]))
		p.keyAt += 4
	}
	if p.hasExpiry {
		p.expiryAtAt = p.keyAt
		p.keyAt += 8
	}
	p.valueAt = p.keyAt + klen
	p.end = p.valueAt + vlen
	return p
}

func (r record) key() []byte {
	at, n := headerBytes, int(binary.LittleEndian.Uint16(r[8:]))
	if n == longKey {
		n = int(binary.LittleEndian.Uint32(r[12:]))
		at += 4
	}
	if r.word()&expiresFlag != 0 {
		at += 8
	}
	return r[at : at+n : at+n]
}

func (r record) hasKey(key []byte) bool { return string(r.key()) == string(key) }

func (r record) expireAt() int64 {
	p := r.parts()
	if !p.hasExpiry {
		return NoExpiry
	}
	return int64(binary.LittleEndian.Uint64(r[p.expiryAtAt:]))
}

// handle returns the handle of a record whose value is an object, and 0 of others.
func (r record) handle() handle {
	p := r.parts()
	if !p.hasObject {
		return 0
	}
	return handle(binary.LittleEndian.Uint32(r[p.valueAt:]))
}

// content is what a record is made of.
type content struct {
	typ      Type
	enc      Encoding
	object   bool // value is a handle
	expireAt int64
	version  uint64
	key      []byte
	value    []byte
}

func (c *content) size() int {
	n := headerBytes + len(c.key) + len(c.value)
	if len(c.key) >= longKey {
		n += 4
	}
	if c.expireAt != NoExpiry {
		n += 8
	}
	return n
}

func (c *content) word() uint64 {
	w := c.version<<versionBits | uint64(c.enc)<<encShift | uint64(c.typ)
	if c.expireAt != NoExpiry {
		w |= expiresFlag
	}
	if c.object {
		w |= objectFlag
	}
	return w
}

// append appends the record to dst.
func (c *content) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, c.word())
	dst = binary.LittleEndian.AppendUint16(dst, uint16(min(len(c.key), longKey)))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(c.value)))
	if len(c.key) >= longKey {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(c.key)))
	}
	if c.expireAt != NoExpiry {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c.expireAt))
	}
	dst = append(dst, c.key...)
	return append(dst, c.value...)
}

// content returns what r is made of, aliasing it.
func (r record) content() content {
	p := r.parts()
	c := content{
		typ:      Type(p.word & typeMask),
		enc:      Encoding(p.word >> encShift & encMask),
		object:   p.hasObject,
		expireAt: NoExpiry,
		version:  p.word >> versionBits,
		key:      r[p.keyAt:p.valueAt:p.valueAt],
		value:    r[p.valueAt:p.end:p.end],
	}
	if p.hasExpiry {
		c.expireAt = int64(binary.LittleEndian.Uint64(r[p.expiryAtAt:]))
	}
	return c
}
