package peer

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net"
	"sync"
	"time"
)

// A connection without TLS carries records, each with a checksum. TCP's own sum
// lets one garbled segment in 65536 pass, and a network that garbles has many:
// one bit of raft's messages turned over can be a vote that nobody gave, an
// acknowledgement of what is not on disk, or an entry that stops the node that
// stored it. A record is
//
//	length u32 | CRC32C of the bytes u32 | CRC32C of both u32 | bytes
//
// so that nobody waits for bytes that a garbled length promises.
// A connection on which a record does not match ends: its sender sends again what
// counts, on another one.
const (
	recordHead = 12
	recordMax  = 64 << 10
)

// ErrGarbled says that bytes were changed between two nodes.
var ErrGarbled = errors.New("peer: bytes were changed on the way")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkedConn is a connection of records. A Read that fails for its deadline
// loses nothing.
type checkedConn struct {
	net.Conn
	garbled func(remote string) // is told of a record that does not match

	writing sync.Mutex
	out     []byte // guarded by writing; a record

	in     []byte // what was read
	unread int    // in in: where the next record begins
	plain  []byte // of in: bytes of the last record that were not taken yet
	err    error  // ErrGarbled, for good
}

// Write sends b as records.
func (c *checkedConn) Write(b []byte) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for len(b) > 0 {
		part := b[:min(len(b), recordMax)]
		c.out = binary.BigEndian.AppendUint32(c.out[:0], uint32(len(part)))
		c.out = binary.BigEndian.AppendUint32(c.out, crc32.Checksum(part, castagnoli))
		c.out = binary.BigEndian.AppendUint32(c.out, crc32.Checksum(c.out, castagnoli))
		c.out = append(c.out, part...)
		sent, err := c.Conn.Write(c.out)
		if err != nil {
			return n + max(0, sent-recordHead), err
		}
		n += len(part)
		b = b[len(part):]
	}
	return n, nil
}

// Read takes bytes of whole records that match their checksums.
func (c *checkedConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(c.plain) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.plain)
	c.plain = c.plain[n:]
	return n, nil
}

// next takes the next record from what was read, or reads more.
func (c *checkedConn) next() error {
	if c.err != nil {
		return c.err
	}
	got := c.in[c.unread:]
	need := recordHead
	if len(got) >= recordHead {
		length := binary.BigEndian.Uint32(got)
		if binary.BigEndian.Uint32(got[8:]) != crc32.Checksum(got[:8], castagnoli) || length == 0 || length > recordMax {
			return c.refuse()
		}
		need += int(length)
	}
	if len(got) < need {
		return c.more(need)
	}
	bytes := got[recordHead:need]
	if binary.BigEndian.Uint32(got[4:]) != crc32.Checksum(bytes, castagnoli) {
		return c.refuse()
	}
	c.plain = bytes
	c.unread += need
	return nil
}

func (c *checkedConn) refuse() error {
	c.err = ErrGarbled
	c.garbled(c.RemoteAddr().String())
	return c.err
}

// more reads at least a byte of a record that needs so many.
func (c *checkedConn) more(need int) error {
	const least = 16 << 10
	left := copy(c.in, c.in[c.unread:])
	if size := max(need, least); cap(c.in) < size {
		bigger := make([]byte, left, size)
		copy(bigger, c.in[:left])
		c.in = bigger
	}
	c.in, c.unread = c.in[:left], 0
	n, err := c.Conn.Read(c.in[left:cap(c.in)])
	c.in = c.in[:left+n]
	if n > 0 {
		return nil
	}
	return err
}

// checked makes a connection one of records, unless TLS has its own or the far
// side, of an older version, knows none.
func (p *Port) checked(c net.Conn, far hello) net.Conn {
	if p.opts.TLS != nil || far.flags&flagChecked == 0 {
		return c
	}
	return &checkedConn{Conn: c, garbled: p.sawGarbled}
}

// sawGarbled counts and logs, at most once a second, that a network is not to be
// relied on.
func (p *Port) sawGarbled(remote string) {
	n := p.stats.garbled.Add(1)
	now := time.Now().Unix()
	if last := p.stats.garbledLog.Load(); now == last || !p.stats.garbledLog.CompareAndSwap(last, now) {
		return
	}
	p.log.Warn("bytes were changed on their way between nodes; the connection is closed and made anew", "remote", remote, "total", n)
}
