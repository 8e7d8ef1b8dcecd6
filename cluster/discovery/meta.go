package discovery

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// maxMeta is memberlist's limit for what a node says of itself, in bytes.
const maxMeta = 512

// Flags of an encoded Meta.
const (
	flagFresh   = 1 << 0
	flagLeaving = 1 << 1
)

// metaVersion is the first byte of an encoded Meta.
const metaVersion = 1

// ErrMetaTooLarge says that a Meta has more than 512 bytes encoded.
var ErrMetaTooLarge = errors.New("discovery: what the node says of itself exceeds 512 bytes")

var errMeta = errors.New("discovery: malformed meta data")

// Meta is what a node says of itself. All of it must fit 512 bytes, with a
// length byte per string.
type Meta struct {
	ClusterID  string            // "" while the node belongs to no cluster
	PeerAddr   string            // advertised host:port of the node-to-node port
	ClientAddr string            // advertised host:port of the default client listener
	Fresh      bool              // the node has no state: it may take part in a bootstrap
	Attrs      map[string]string // whatever else: listeners' addresses, version

	// leaving is said just before goodbye: memberlist tells nobody whether a
	// node that is gone had left or failed.
	leaving bool
}

func (m Meta) append(b []byte) ([]byte, error) {
	var flags byte
	if m.Fresh {
		flags |= flagFresh
	}
	if m.leaving {
		flags |= flagLeaving
	}
	b = append(b, metaVersion, flags)
	fields := []string{m.ClusterID, m.PeerAddr, m.ClientAddr}
	for _, k := range slices.Sorted(maps.Keys(m.Attrs)) {
		fields = append(fields, k, m.Attrs[k])
	}
	for _, s := range fields {
		if len(s) > 255 {
			return nil, ErrMetaTooLarge
		}
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	if len(b) > maxMeta {
		return nil, ErrMetaTooLarge
	}
	return b, nil
}

func parseMeta(b []byte) (Meta, error) {
	if len(b) < 2 || b[0] != metaVersion || b[1] > flagFresh|flagLeaving {
		return Meta{}, errMeta
	}
	m := Meta{Fresh: b[1]&flagFresh != 0, leaving: b[1]&flagLeaving != 0}
	var fields []string
	for b = b[2:]; len(b) > 0; {
		n := int(b[0])
		if len(b) < 1+n {
			return Meta{}, errMeta
		}
		fields = append(fields, string(b[1:1+n]))
		b = b[1+n:]
	}
	if len(fields) < 3 || len(fields)%2 != 1 {
		return Meta{}, errMeta
	}
	m.ClusterID, m.PeerAddr, m.ClientAddr = fields[0], fields[1], fields[2]
	for i := 3; i < len(fields); i += 2 {
		if m.Attrs == nil {
			m.Attrs = make(map[string]string)
		}
		if _, twice := m.Attrs[fields[i]]; twice {
			return Meta{}, fmt.Errorf("%w: %q twice", errMeta, fields[i])
		}
		m.Attrs[fields[i]] = fields[i+1]
	}
	return m, nil
}
