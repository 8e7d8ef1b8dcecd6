package resp

import (
	"bytes"
	"errors"
	"os"
	"sync/atomic"
)

// ahead is a Source that can take in bytes before its Reader asks for them:
// those of a client that does not read its replies, and whose commands wait
// for that. A client that sends all of a pipeline before it reads would
// otherwise wait for us while we wait for it.
type ahead struct {
	src  Source
	held bytes.Buffer // taken in and not asked for
	kept atomic.Int64 // how many bytes these are, for anybody to know
	err  error        // that src gave behind them
}

// take reads from the source once, unless it has ended.
func (a *ahead) take() error {
	if a.err != nil {
		return a.err
	}
	buf := takeBuffer()
	defer giveBuffer(buf)
	n, err := a.src.Read(buf)
	a.held.Write(buf[:n])
	a.kept.Store(int64(a.held.Len()))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		a.err = err
	}
	return a.err
}

// Read implements Source.
func (a *ahead) Read(p []byte) (int, error) {
	if a.held.Len() == 0 {
		if a.err != nil {
			return 0, a.err
		}
		return a.src.Read(p)
	}
	n, _ := a.held.Read(p)
	a.kept.Store(int64(a.held.Len()))
	if a.held.Len() == 0 {
		a.held = bytes.Buffer{} // its memory goes too
	}
	return n, nil
}

// ReadIdle implements Source.
func (a *ahead) ReadIdle(get func() []byte, put func([]byte)) ([]byte, int, error) {
	if a.held.Len() == 0 && a.err == nil {
		return a.src.ReadIdle(get, put)
	}
	buf := get()
	n, err := a.Read(buf)
	return buf, n, err
}
