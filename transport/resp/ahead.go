package resp

import (
	"errors"
	"os"
	"sync/atomic"
)

// ahead is a Source that can take in bytes before its Reader asks for them:
// those of a client that does not read its replies, and whose commands wait
// for that. A client that sends all of a pipeline before it reads would
// otherwise wait for us while we wait for it.
//
// Invariant: no chunk but the last has room, and none is empty.
type ahead struct {
	src    Source
	chunks [][]byte     // taken in and not asked for; of takeBuffer
	from   int          // how many bytes of the first have been asked for
	kept   atomic.Int64 // how many bytes there are, for anybody to know
	err    error        // that src gave behind them
}

// take reads from the source once, unless it has ended.
func (a *ahead) take() error {
	if a.err != nil {
		return a.err
	}
	last := len(a.chunks) - 1
	fresh := last < 0 || len(a.chunks[last]) == cap(a.chunks[last])
	if fresh {
		a.chunks = append(a.chunks, takeBuffer()[:0])
		last++
	}
	b := a.chunks[last]
	n, err := a.src.Read(b[len(b):cap(b)])
	a.chunks[last] = b[:len(b)+n]
	if fresh && n == 0 {
		giveBuffer(b)
		a.chunks[last], a.chunks = nil, a.chunks[:last]
	}
	a.kept.Add(int64(n))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		a.err = err
	}
	return a.err
}

// Read implements Source.
func (a *ahead) Read(p []byte) (int, error) {
	if len(a.chunks) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		return a.src.Read(p)
	}
	first := a.chunks[0]
	n := copy(p, first[a.from:])
	a.from += n
	a.kept.Add(int64(-n))
	if a.from == len(first) {
		giveBuffer(first)
		a.chunks[0], a.chunks, a.from = nil, a.chunks[1:], 0
		if len(a.chunks) == 0 {
			a.chunks = nil
		}
	}
	return n, nil
}

// ReadIdle implements Source.
func (a *ahead) ReadIdle(get func() []byte, put func([]byte)) ([]byte, int, error) {
	if len(a.chunks) == 0 && a.err == nil {
		return a.src.ReadIdle(get, put)
	}
	buf := get()
	n, err := a.Read(buf)
	return buf, n, err
}
