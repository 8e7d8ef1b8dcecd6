package reply

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Kind is the first byte of a reply on the wire.
type Kind byte

// The kinds of replies.
const (
	KindStatus    Kind = '+'
	KindError     Kind = '-'
	KindInt       Kind = ':'
	KindBulk      Kind = '$'
	KindArray     Kind = '*'
	KindNull      Kind = '_' // RESP2's null bulk and null array come as this kind too
	KindMap       Kind = '%'
	KindSet       Kind = '~'
	KindPush      Kind = '>'
	kindAttribute Kind = '|'
	KindDouble    Kind = ','
	KindBool      Kind = '#'
	KindBigNumber Kind = '('
	KindVerbatim  Kind = '='
	KindBlobError Kind = '!'
)

// Value is one reply, taken apart.
type Value struct {
	Kind  Kind
	Int   int64   // of KindInt; 1 or 0 of KindBool
	Text  []byte  // of textual kinds; digits as sent of KindDouble and KindBigNumber; of KindVerbatim with its "txt:" prefix
	Elems []Value // of aggregates; a map's keys and values alternate
	Array bool    // of KindNull: it was RESP2's null array
}

// ErrIncomplete means that the bytes end before the reply does.
var ErrIncomplete = errors.New("reply: incomplete")

const depthMax = 128

// Read takes the first reply off b and returns what follows it. Text fields
// alias b. It returns ErrIncomplete when more bytes are needed, and another
// error when they can't help.
func Read(b []byte) (Value, []byte, error) { return read(b, 0) }

func read(b []byte, depth int) (Value, []byte, error) {
	if depth > depthMax {
		return Value{}, nil, errors.New("reply: nested too deep")
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return Value{}, nil, ErrIncomplete
	}
	if end < 2 || b[end-1] != '\r' {
		return Value{}, nil, fmt.Errorf("reply: line does not end in CR LF: %q", b[:end+1])
	}
	v, line, rest := Value{Kind: Kind(b[0])}, b[1:end-1], b[end+1:]
	switch v.Kind {
	case KindStatus, KindError, KindDouble, KindBigNumber:
		v.Text = line
		return v, rest, nil
	case KindNull:
		return v, rest, nil
	case KindBool:
		if len(line) == 1 && line[0] == 't' {
			v.Int = 1
		}
		return v, rest, nil
	case KindInt:
		n, err := strconv.ParseInt(string(line), 10, 64)
		v.Int = n
		return v, rest, err
	case KindBulk, KindVerbatim, KindBlobError:
		return readBlob(v, line, rest)
	case KindArray, KindMap, KindSet, KindPush:
		return readAggregate(v, line, rest, depth)
	case kindAttribute: // what it says of the reply that follows is dropped
		_, rest, err := readAggregate(v, line, rest, depth)
		if err != nil {
			return Value{}, nil, err
		}
		return read(rest, depth+1)
	}
	return Value{}, nil, fmt.Errorf("reply: unknown kind %q", b[0])
}

func readBlob(v Value, line, rest []byte) (Value, []byte, error) {
	n, err := strconv.Atoi(string(line))
	if err != nil || n < -1 {
		return Value{}, nil, fmt.Errorf("reply: bad length %q", line)
	}
	if n == -1 {
		return Value{Kind: KindNull}, rest, nil
	}
	if len(rest) < n+2 {
		return Value{}, nil, ErrIncomplete
	}
	v.Text = rest[:n]
	return v, rest[n+2:], nil
}

func readAggregate(v Value, line, rest []byte, depth int) (Value, []byte, error) {
	n, err := strconv.Atoi(string(line))
	if err != nil || n < -1 {
		return Value{}, nil, fmt.Errorf("reply: bad length %q", line)
	}
	if n == -1 {
		return Value{Kind: KindNull, Array: true}, rest, nil
	}
	if v.Kind == KindMap || v.Kind == kindAttribute {
		n *= 2
	}
	for range n {
		var elem Value
		if elem, rest, err = read(rest, depth+1); err != nil {
			return Value{}, nil, err
		}
		v.Elems = append(v.Elems, elem)
	}
	return v, rest, nil
}
