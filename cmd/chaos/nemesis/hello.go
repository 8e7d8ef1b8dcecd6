package nemesis

import (
	"encoding/binary"
	"errors"
	"io"
)

// The first bytes of a connection between nodes, as transport/peer writes them:
// a head of 9 bytes that ends with the body's length, then the body, of which
// only the third name, the node's id, matters here.
const (
	helloMagic   = "QRTM"
	helloHead    = 9
	helloRandom  = 32 + 16
	helloBodyMax = 2048
)

var errNoHello = errors.New("nemesis: a connection does not begin as one between nodes")

// readHello reads the first bytes of a connection and returns the id of the node
// that dialled, and the bytes.
func readHello(r io.Reader) (id string, raw []byte, err error) {
	raw = make([]byte, helloHead)
	if _, err := io.ReadFull(r, raw); err != nil {
		return "", nil, err
	}
	n := int(binary.BigEndian.Uint16(raw[helloHead-2:]))
	if string(raw[:len(helloMagic)]) != helloMagic || n > helloBodyMax || n < helloRandom {
		return "", nil, errNoHello
	}
	raw = append(raw, make([]byte, n)...)
	if _, err := io.ReadFull(r, raw[helloHead:]); err != nil {
		return "", nil, err
	}
	body := raw[helloHead+helloRandom:]
	for range 3 {
		if len(body) == 0 || len(body) < 1+int(body[0]) {
			return "", nil, errNoHello
		}
		id, body = string(body[1:1+body[0]]), body[1+body[0]:]
	}
	return id, raw, nil
}
