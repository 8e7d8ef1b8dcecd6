package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"
)

// A connection carries requests one way and, in the same order, answers the
// other. A request is its kind and its fields; an answer is a status byte and
// fields, or an error's text. Integers are big-endian and of fixed size, byte
// strings are preceded by their length.
const (
	kindAppend   byte = 1
	kindVote     byte = 2
	kindPreVote  byte = 3
	kindTimeout  byte = 4
	kindSnapshot byte = 5

	statusOK    byte = 0
	statusError byte = 1
)

// Limits. A message beyond them ends its connection.
const (
	maxNodeName   = 1 << 10 // bytes of a node id or address
	maxEntries    = 1 << 12 // entries of one AppendEntries
	maxEntry      = 1 << 30 // bytes of one entry's data
	maxExtensions = 1 << 20 // bytes of one entry's extensions
	maxConfig     = 1 << 20 // bytes of an encoded configuration
	maxError      = 1 << 10 // bytes of an error's text

	// readStep is how much memory an announced length may claim before the
	// bytes arrive.
	readStep = 1 << 20
)

var errMalformed = errors.New("wire: malformed message")

// encoder writes fields. Its writer keeps the first error until Flush.
type encoder struct {
	w *bufio.Writer
	b [8]byte
}

func (e *encoder) u8(v byte) { e.w.WriteByte(v) }

func (e *encoder) u32(v uint32) {
	binary.BigEndian.PutUint32(e.b[:4], v)
	e.w.Write(e.b[:4])
}

func (e *encoder) u64(v uint64) {
	binary.BigEndian.PutUint64(e.b[:], v)
	e.w.Write(e.b[:])
}

func (e *encoder) bytes(b []byte) {
	e.u32(uint32(len(b)))
	e.w.Write(b)
}

// decoder reads fields and keeps the first error; after it, fields are zero.
type decoder struct {
	r   *bufio.Reader
	err error
	b   [8]byte
}

func (d *decoder) fill(n int) []byte {
	if d.err == nil {
		_, d.err = io.ReadFull(d.r, d.b[:n])
	}
	if d.err != nil {
		clear(d.b[:])
		if errors.Is(d.err, io.EOF) {
			d.err = io.ErrUnexpectedEOF
		}
	}
	return d.b[:n]
}

func (d *decoder) u8() byte    { return d.fill(1)[0] }
func (d *decoder) u32() uint32 { return binary.BigEndian.Uint32(d.fill(4)) }
func (d *decoder) u64() uint64 { return binary.BigEndian.Uint64(d.fill(8)) }

func (d *decoder) flag() bool {
	switch d.u8() {
	case 0:
		return false
	case 1:
		return true
	default:
		d.fail("flag")
		return false
	}
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", errMalformed, what)
	}
}

// bytes reads a byte string of at most limit bytes into memory of its own, nil
// if empty. Long ones get their memory as they arrive.
func (d *decoder) bytes(limit int, what string) []byte {
	n := int(d.u32())
	if d.err == nil && n > limit {
		d.fail(fmt.Sprintf("%s of %d bytes", what, n))
	}
	if d.err != nil || n == 0 {
		return nil
	}
	b := make([]byte, min(n, readStep))
	for have := 0; ; {
		if _, d.err = io.ReadFull(d.r, b[have:]); d.err != nil {
			if errors.Is(d.err, io.EOF) {
				d.err = io.ErrUnexpectedEOF
			}
			return nil
		}
		if len(b) == n {
			return b
		}
		have = len(b)
		b = append(b, make([]byte, min(n-have, have))...)
	}
}

func (e *encoder) header(h raft.RPCHeader) {
	e.u8(byte(h.ProtocolVersion))
	e.bytes(h.ID)
	e.bytes(h.Addr)
}

func (d *decoder) header() raft.RPCHeader {
	return raft.RPCHeader{
		ProtocolVersion: raft.ProtocolVersion(d.u8()),
		ID:              d.bytes(maxNodeName, "node id"),
		Addr:            d.bytes(maxNodeName, "node address"),
	}
}

// The deprecated fields Leader and Candidate repeat the header's address, which
// raft prefers; they are not sent.

func (e *encoder) appendEntries(m *raft.AppendEntriesRequest) {
	e.u8(kindAppend)
	e.header(m.RPCHeader)
	e.u64(m.Term)
	e.u64(m.PrevLogEntry)
	e.u64(m.PrevLogTerm)
	e.u64(m.LeaderCommitIndex)
	e.u32(uint32(len(m.Entries)))
	for _, l := range m.Entries {
		e.entry(l)
	}
}

func (d *decoder) appendEntries() *raft.AppendEntriesRequest {
	m := &raft.AppendEntriesRequest{RPCHeader: d.header()}
	m.Term = d.u64()
	m.PrevLogEntry = d.u64()
	m.PrevLogTerm = d.u64()
	m.LeaderCommitIndex = d.u64()
	n := d.u32()
	if n > maxEntries {
		d.fail(fmt.Sprintf("%d entries", n))
	}
	for range n {
		l := d.entry()
		if d.err != nil {
			return m
		}
		m.Entries = append(m.Entries, l)
	}
	return m
}

func (e *encoder) entry(l *raft.Log) {
	e.u64(l.Index)
	e.u64(l.Term)
	e.u8(byte(l.Type))
	var at int64 // unix nanoseconds, 0 = unknown
	if !l.AppendedAt.IsZero() {
		at = l.AppendedAt.UnixNano()
	}
	e.u64(uint64(at))
	e.bytes(l.Extensions)
	e.bytes(l.Data)
}

func (d *decoder) entry() *raft.Log {
	l := &raft.Log{Index: d.u64(), Term: d.u64(), Type: raft.LogType(d.u8())}
	if at := int64(d.u64()); at != 0 {
		l.AppendedAt = time.Unix(0, at)
	}
	l.Extensions = d.bytes(maxExtensions, "extensions")
	l.Data = d.bytes(maxEntry, "entry")
	return l
}

// Bits of an AppendEntries answer.
const (
	bitSuccess   = 1 << 0
	bitNoBackoff = 1 << 1
	bitSteady    = 1 << 2 // raft was in follower state when it answered
)

func (e *encoder) appendResponse(m *raft.AppendEntriesResponse, steady bool) {
	var bits byte
	if m.Success {
		bits |= bitSuccess
	}
	if m.NoRetryBackoff {
		bits |= bitNoBackoff
	}
	if steady {
		bits |= bitSteady
	}
	e.u64(m.Term)
	e.u64(m.LastLog)
	e.u8(bits)
}

// appendResponse fills m only when the whole answer has arrived: raft's pipeline
// takes an answer it finds for granted.
func (d *decoder) appendResponse(m *raft.AppendEntriesResponse) (steady bool) {
	term, last, bits := d.u64(), d.u64(), d.u8()
	if bits >= bitSteady<<1 {
		d.fail("answer")
	}
	if d.err != nil {
		return false
	}
	m.Term, m.LastLog = term, last
	m.Success = bits&bitSuccess != 0
	m.NoRetryBackoff = bits&bitNoBackoff != 0
	return bits&bitSteady != 0
}

func (e *encoder) vote(m *raft.RequestVoteRequest) {
	e.u8(kindVote)
	e.header(m.RPCHeader)
	e.u64(m.Term)
	e.u64(m.LastLogIndex)
	e.u64(m.LastLogTerm)
	e.u8(flagByte(m.LeadershipTransfer))
}

func (d *decoder) vote() *raft.RequestVoteRequest {
	m := &raft.RequestVoteRequest{RPCHeader: d.header()}
	m.Term, m.LastLogIndex, m.LastLogTerm = d.u64(), d.u64(), d.u64()
	m.LeadershipTransfer = d.flag()
	return m
}

func (e *encoder) preVote(m *raft.RequestPreVoteRequest) {
	e.u8(kindPreVote)
	e.header(m.RPCHeader)
	e.u64(m.Term)
	e.u64(m.LastLogIndex)
	e.u64(m.LastLogTerm)
}

func (d *decoder) preVote() *raft.RequestPreVoteRequest {
	m := &raft.RequestPreVoteRequest{RPCHeader: d.header()}
	m.Term, m.LastLogIndex, m.LastLogTerm = d.u64(), d.u64(), d.u64()
	return m
}

// voteResponse serves votes and pre-votes.
func (e *encoder) voteResponse(term uint64, granted bool) {
	e.u64(term)
	e.u8(flagByte(granted))
}

func (d *decoder) voteResponse() (term uint64, granted bool) {
	term, granted = d.u64(), d.flag()
	return term, granted
}

// timeoutNow carries the term in which the sender leads beside raft's message.
func (e *encoder) timeoutNow(m *raft.TimeoutNowRequest, term uint64) {
	e.u8(kindTimeout)
	e.header(m.RPCHeader)
	e.u64(term)
}

func (d *decoder) timeoutNow() (*raft.TimeoutNowRequest, uint64) {
	m := &raft.TimeoutNowRequest{RPCHeader: d.header()}
	return m, d.u64()
}

// snapshot is followed by m.Size bytes of the snapshot itself.
func (e *encoder) snapshot(m *raft.InstallSnapshotRequest) {
	e.u8(kindSnapshot)
	e.header(m.RPCHeader)
	e.u8(byte(m.SnapshotVersion))
	e.u64(m.Term)
	e.u64(m.LastLogIndex)
	e.u64(m.LastLogTerm)
	e.u64(m.ConfigurationIndex)
	e.u64(uint64(m.Size))
	e.bytes(m.Peers)
	e.bytes(m.Configuration)
}

func (d *decoder) snapshot() *raft.InstallSnapshotRequest {
	m := &raft.InstallSnapshotRequest{RPCHeader: d.header()}
	m.SnapshotVersion = raft.SnapshotVersion(d.u8())
	m.Term, m.LastLogIndex, m.LastLogTerm = d.u64(), d.u64(), d.u64()
	m.ConfigurationIndex = d.u64()
	m.Size = int64(d.u64())
	if m.Size < 0 {
		d.fail("snapshot size")
	}
	m.Peers = d.bytes(maxConfig, "peers")
	m.Configuration = d.bytes(maxConfig, "configuration")
	return m
}

func (e *encoder) snapshotResponse(m *raft.InstallSnapshotResponse) {
	e.u64(m.Term)
	e.u8(flagByte(m.Success))
}

func (d *decoder) snapshotResponse(m *raft.InstallSnapshotResponse) {
	term, success := d.u64(), d.flag()
	if d.err == nil {
		m.Term, m.Success = term, success
	}
}

func flagByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// failure writes an error in place of an answer.
func (e *encoder) failure(err error) {
	text := err.Error()
	e.u8(statusError)
	e.bytes([]byte(text[:min(len(text), maxError)]))
}

// remoteError is an error that the far side answered with; the connection is
// still in step.
type remoteError struct{ text string }

func (e *remoteError) Error() string { return e.text }

// status reads the status of an answer: nil, a *remoteError, or why the
// connection is of no more use.
func (d *decoder) status() error {
	switch d.u8() {
	case statusOK:
		return d.err
	case statusError:
		text := d.bytes(maxError, "error text")
		if d.err != nil {
			return d.err
		}
		return &remoteError{text: string(text)}
	default:
		d.fail("status")
		return d.err
	}
}
