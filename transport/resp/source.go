package resp

import (
	"io"
	"net"
	"syscall"

	"github.com/quorate/quorate/transport/observe"
)

// rawSource reads from a socket. While it waits for the first byte of
// something new it holds no buffer.
type rawSource struct {
	raw      syscall.RawConn
	counters *observe.Counters

	// The read under way.
	buf  []byte
	n    int
	err  error
	get  func() []byte
	put  func([]byte)
	read func(fd uintptr) bool
	idle func(fd uintptr) bool
}

func newRawSource(raw syscall.RawConn, counters *observe.Counters) *rawSource {
	s := &rawSource{raw: raw, counters: counters}
	s.read = func(fd uintptr) bool { return s.try(fd) }
	s.idle = func(fd uintptr) bool {
		s.buf = s.get()
		if s.try(fd) {
			return true
		}
		s.put(s.buf)
		s.buf = nil
		return false
	}
	return s
}

// try reads without waiting; false means that there is nothing.
func (s *rawSource) try(fd uintptr) bool {
	for {
		s.n, s.err = syscall.Read(int(fd), s.buf)
		switch s.err {
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			return true
		}
	}
}

// result returns what the last read gave, in the manner of io.Reader.
func (s *rawSource) result(err error) (int, error) {
	n := max(s.n, 0)
	if err == nil {
		err = s.err
	}
	if n > 0 {
		s.counters.BytesIn.Add(uint64(n))
		s.counters.Reads.Add(1)
		return n, nil
	}
	if err == nil {
		err = io.EOF
	}
	return 0, err
}

// Read implements Source.
func (s *rawSource) Read(p []byte) (int, error) {
	s.buf, s.n, s.err = p, 0, nil
	err := s.raw.Read(s.read)
	s.buf = nil
	return s.result(err)
}

// ReadIdle implements Source.
func (s *rawSource) ReadIdle(get func() []byte, put func([]byte)) ([]byte, int, error) {
	s.get, s.put, s.n, s.err, s.buf = get, put, 0, nil, nil
	err := s.raw.Read(s.idle)
	buf := s.buf
	s.buf = nil
	n, err := s.result(err)
	return buf, n, err
}

// connSource reads from a connection that is no plain socket.
type connSource struct {
	conn     net.Conn
	counters *observe.Counters
}

// Read implements Source.
func (s *connSource) Read(p []byte) (int, error) {
	n, err := s.conn.Read(p)
	s.counters.BytesIn.Add(uint64(n))
	s.counters.Reads.Add(1)
	return n, err
}

// ReadIdle implements Source.
func (s *connSource) ReadIdle(get func() []byte, _ func([]byte)) ([]byte, int, error) {
	buf := get()
	n, err := s.Read(buf)
	return buf, n, err
}
