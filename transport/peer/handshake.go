package peer

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"time"
)

// The wire form of a hello:
//
//	magic "QRTM" | version u8 | kind u8 | flags u8 | length u16 | body
//	body: nonce [32] | instance [16] | cluster name | cluster id | node id | CRC32C u32
//
// each name as a length byte and its bytes. Bytes of the body between them and
// the checksum belong to later versions and are ignored, but count in the proof.
// The oldest version has no checksum, and nothing in its place.
const (
	helloMagic   = "QRTM"
	helloVersion = 1
	helloHead    = len(helloMagic) + 5
	helloBodyMax = 2048
	proofSize    = sha256.Size

	flagSecret  = 1 << 0 // the sender has a cluster secret and demands proofs
	flagChecked = 1 << 1 // the hello ends in its checksum; without TLS, records with checksums follow (checked.go)
)

// refusal is a reason why a connection is not taken. It travels as one byte.
type refusal uint8

const (
	accepted refusal = iota
	refusedMalformed
	refusedVersion
	refusedClusterName
	refusedClusterID
	refusedSecretMissing
	refusedSecretWrong
	refusedSelf
	refusedDuplicate
	refusedKind
	refusedBusy
	refusals // their number
)

func (r refusal) String() string {
	switch r {
	case accepted:
		return "accepted"
	case refusedMalformed:
		return "malformed"
	case refusedVersion:
		return "version"
	case refusedClusterName:
		return "cluster-name"
	case refusedClusterID:
		return "cluster-id"
	case refusedSecretMissing:
		return "secret-missing"
	case refusedSecretWrong:
		return "secret-wrong"
	case refusedSelf:
		return "self"
	case refusedDuplicate:
		return "duplicate-node-id"
	case refusedKind:
		return "no-handler"
	case refusedBusy:
		return "busy"
	default:
		return fmt.Sprintf("refusal %d", uint8(r))
	}
}

// explain is the refusal as a sentence to an operator of either side.
func (r refusal) explain() string {
	switch r {
	case refusedMalformed:
		return "the other side does not speak this protocol, or one side speaks TLS and the other does not"
	case refusedVersion:
		return "the other side speaks another version of the node-to-node protocol"
	case refusedClusterName:
		return "the other side belongs to a cluster of another name"
	case refusedClusterID:
		return "the other side belongs to another cluster (its id differs)"
	case refusedSecretMissing:
		return "one side has a cluster secret and the other has none"
	case refusedSecretWrong:
		return "the cluster secrets differ"
	case refusedSelf:
		return ErrSelf.Error()
	case refusedDuplicate:
		return "another process uses the same node id: a data directory was copied"
	case refusedKind:
		return "the other side is not ready for this kind of connection"
	case refusedBusy:
		return "the other side has too many connections"
	default:
		return r.String()
	}
}

// RefusedError says that one side of a handshake refused the other.
type RefusedError struct {
	Reason string // short and stable, a key of Stats.Refused
	text   string
}

// Error returns the reason as a sentence.
func (e *RefusedError) Error() string { return e.text }

// ForeignCluster reports whether the two sides have the ids of different clusters.
func (e *RefusedError) ForeignCluster() bool { return e.Reason == refusedClusterID.String() }

// Is makes errors.Is(err, ErrSelf) true for a node that met itself.
func (e *RefusedError) Is(target error) bool {
	return target == ErrSelf && e.Reason == refusedSelf.String()
}

func (r refusal) err() error { return &RefusedError{Reason: r.String(), text: r.explain()} }

type hello struct {
	version  uint8
	kind     Kind
	flags    uint8
	nonce    [32]byte
	instance [16]byte
	name     string
	cluster  string
	node     string
}

func (h *hello) append(b []byte) []byte {
	start := len(b)
	b = append(b, helloMagic...)
	b = append(b, h.version, byte(h.kind), h.flags)
	n := len(h.nonce) + len(h.instance) + 3 + len(h.name) + len(h.cluster) + len(h.node) + crc32.Size
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	b = append(b, h.nonce[:]...)
	b = append(b, h.instance[:]...)
	for _, s := range []string{h.name, h.cluster, h.node} {
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

var errHello = errors.New("malformed hello")

// readHello reads one hello and returns it with its bytes.
func readHello(r io.Reader) (hello, []byte, error) {
	raw := make([]byte, helloHead, 256)
	if _, err := io.ReadFull(r, raw); err != nil {
		return hello{}, nil, err
	}
	if string(raw[:4]) != helloMagic {
		return hello{}, nil, errHello
	}
	h := hello{version: raw[4], kind: Kind(raw[5]), flags: raw[6]}
	n := int(binary.BigEndian.Uint16(raw[7:]))
	if n > helloBodyMax {
		return hello{}, nil, errHello
	}
	raw = append(raw, make([]byte, n)...)
	body := raw[helloHead:]
	if _, err := io.ReadFull(r, body); err != nil {
		return hello{}, nil, err
	}
	if len(body) < len(h.nonce)+len(h.instance) {
		return hello{}, nil, errHello
	}
	body = body[copy(h.nonce[:], body):]
	body = body[copy(h.instance[:], body):]
	for _, s := range []*string{&h.name, &h.cluster, &h.node} {
		if len(body) == 0 || len(body) < 1+int(body[0]) {
			return hello{}, nil, errHello
		}
		*s = string(body[1 : 1+body[0]])
		body = body[1+body[0]:]
	}
	if h.node == "" || (len(body) > 0 || h.flags&flagChecked != 0) && !endsInItsSum(raw) {
		return hello{}, nil, errHello
	}
	return h, raw, nil
}

func endsInItsSum(raw []byte) bool {
	end := len(raw) - crc32.Size
	return end >= 0 && binary.BigEndian.Uint32(raw[end:]) == crc32.Checksum(raw[:end], castagnoli)
}

func (p *Port) hello(k Kind) hello {
	h := hello{version: helloVersion, flags: flagChecked, kind: k, instance: p.instance, name: p.opts.ClusterName, cluster: p.ClusterID(), node: p.opts.NodeID}
	if p.key != nil {
		h.flags |= flagSecret
	}
	if _, err := rand.Read(h.nonce[:]); err != nil {
		panic(fmt.Sprintf("peer: no randomness: %v", err))
	}
	return h
}

// judge compares the far side's hello with ours.
func (p *Port) judge(far hello) refusal {
	switch own := p.ClusterID(); {
	case far.version != helloVersion:
		return refusedVersion
	case far.name != p.opts.ClusterName:
		return refusedClusterName
	case own != "" && far.cluster != "" && far.cluster != own:
		return refusedClusterID
	case (far.flags&flagSecret != 0) != (p.key != nil):
		return refusedSecretMissing
	case far.instance == p.instance:
		return refusedSelf
	case far.node == p.opts.NodeID:
		return refusedDuplicate
	default:
		return accepted
	}
}

func proofKey(secret []byte) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, "quorate peer handshake 1", sha256.Size)
	if err != nil {
		panic(fmt.Sprintf("peer: derive key: %v", err)) // only for absurd lengths
	}
	return key
}

// role separates the two sides' proofs, so that one can't be sent back as the other.
type role string

const (
	roleDialer   role = "dialer"
	roleAcceptor role = "acceptor"
)

// proof returns the side's proof over both hellos, or zeros without a secret.
func (p *Port) proof(r role, dialer, acceptor, binding []byte) []byte {
	if p.key == nil {
		return make([]byte, proofSize)
	}
	m := hmac.New(sha256.New, p.key)
	for _, part := range [][]byte{[]byte(r), dialer, acceptor, binding} {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(part)))
		m.Write(n[:])
		m.Write(part)
	}
	return m.Sum(nil)
}

// binding returns bytes that only the two ends of this very TLS connection know,
// nothing for plain TCP. The TLS handshake must be complete.
func binding(c net.Conn) ([]byte, error) {
	t, ok := c.(*tls.Conn)
	if !ok {
		return nil, nil
	}
	cs := t.ConnectionState()
	return cs.ExportKeyingMaterial("EXPORTER-quorate-peer-1", nil, 32)
}

// introduce is the dialer's side of the handshake.
func (p *Port) introduce(c net.Conn, k Kind) (net.Conn, Info, error) {
	own := p.hello(k)
	ownRaw := own.append(nil)
	if _, err := c.Write(ownRaw); err != nil {
		return nil, Info{}, err
	}
	if err := readVerdict(c); err != nil {
		return nil, Info{}, err
	}
	far, farRaw, err := readHello(c)
	if err != nil {
		return nil, Info{}, err
	}
	proof := make([]byte, proofSize)
	if _, err := io.ReadFull(c, proof); err != nil {
		return nil, Info{}, err
	}
	bind, err := binding(c)
	if err != nil {
		return nil, Info{}, err
	}
	verdict := p.judge(far)
	if verdict == accepted && !hmac.Equal(proof, p.proof(roleAcceptor, ownRaw, farRaw, bind)) {
		verdict = refusedSecretWrong
	}
	if verdict != accepted {
		c.Write([]byte{byte(verdict)})
		p.refused(verdict, c.RemoteAddr().String(), nil)
		return nil, Info{}, verdict.err()
	}
	if _, err := c.Write(append([]byte{byte(accepted)}, p.proof(roleDialer, ownRaw, farRaw, bind)...)); err != nil {
		return nil, Info{}, err
	}
	if err := readVerdict(c); err != nil {
		return nil, Info{}, err
	}
	return p.checked(c, far), Info{NodeID: far.node, ClusterID: far.cluster, Remote: c.RemoteAddr().String()}, nil
}

// readVerdict reads one byte: accepted, or why not.
func readVerdict(c net.Conn) error {
	var b [1]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return err
	}
	if r := refusal(b[0]); r != accepted {
		return r.err()
	}
	return nil
}

// admit is the acceptor's side of the handshake. It counts, logs and answers
// refusals itself.
func (p *Port) admit(c net.Conn) (net.Conn, Kind, Info, error) {
	remote := c.RemoteAddr().String()
	far, farRaw, err := readHello(c)
	if err != nil {
		if !errors.Is(err, io.EOF) { // a port scan or health probe says nothing
			p.refused(refusedMalformed, remote, err)
		}
		return nil, 0, Info{}, err
	}
	p.mu.Lock()
	handled := p.handlers[far.kind] != nil
	p.mu.Unlock()
	verdict := p.judge(far)
	if verdict == accepted && !handled {
		verdict = refusedKind
	}
	refuse := func(r refusal) (net.Conn, Kind, Info, error) {
		p.refused(r, remote, nil) // counted before the other side knows
		c.Write([]byte{byte(r)})
		return nil, 0, Info{}, r.err()
	}
	if verdict != accepted {
		return refuse(verdict)
	}
	bind, err := binding(c)
	if err != nil {
		return nil, 0, Info{}, err
	}
	own := p.hello(far.kind)
	ownRaw := own.append(nil)
	answer := append([]byte{byte(accepted)}, ownRaw...)
	answer = append(answer, p.proof(roleAcceptor, farRaw, ownRaw, bind)...)
	if _, err := c.Write(answer); err != nil {
		return nil, 0, Info{}, err
	}
	if err := readVerdict(c); err != nil { // the dialer's opinion of us
		var r *RefusedError
		if errors.As(err, &r) && r.Reason == refusedSecretWrong.String() {
			p.refused(refusedSecretWrong, remote, nil)
		}
		return nil, 0, Info{}, err
	}
	proof := make([]byte, proofSize)
	if _, err := io.ReadFull(c, proof); err != nil {
		return nil, 0, Info{}, err
	}
	if !hmac.Equal(proof, p.proof(roleDialer, farRaw, ownRaw, bind)) {
		return refuse(refusedSecretWrong)
	}
	if _, err := c.Write([]byte{byte(accepted)}); err != nil {
		return nil, 0, Info{}, err
	}
	return p.checked(c, far), far.kind, Info{NodeID: far.node, ClusterID: far.cluster, Remote: remote}, nil
}

// refused counts a refusal, and logs it at most once a second per reason:
// whoever knocks a thousand times must not fill the log.
func (p *Port) refused(r refusal, remote string, err error) {
	n := p.stats.refused[r].Add(1)
	if r == refusedKind || r == refusedSelf {
		return // ordinary while nodes start
	}
	now := time.Now().Unix()
	if last := p.stats.lastLog[r].Load(); now == last || !p.stats.lastLog[r].CompareAndSwap(last, now) {
		return
	}
	p.log.Warn("peer connection refused", "remote", remote, "reason", r.String(), "meaning", r.explain(), "total", n, "error", err)
}
