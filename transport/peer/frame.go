package peer

import (
	"errors"
	"fmt"
	"io"
)

// ErrFrameTooLarge says that a frame exceeds Options.MaxFrame.
var ErrFrameTooLarge = errors.New("peer: frame exceeds the limit")

// readStep is how much memory a frame's announced length may claim before any of
// its bytes has arrived.
const readStep = 1 << 20

// readBody reads n bytes. Large bodies get their memory as they arrive, so that
// an announced length alone costs nothing.
func readBody(r io.Reader, n, limit int) ([]byte, error) {
	if n > limit {
		return nil, fmt.Errorf("%w: %d of %d bytes", ErrFrameTooLarge, n, limit)
	}
	body := make([]byte, min(n, readStep))
	for have := 0; ; {
		if _, err := io.ReadFull(r, body[have:]); err != nil {
			return nil, noEOF(err)
		}
		if len(body) == n {
			return body, nil
		}
		have = len(body)
		body = append(body, make([]byte, min(n-have, have))...)
	}
}

// noEOF turns an end of stream inside a frame into an error that says so.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
