package resp

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// stir waits, and takes in nothing, until something new has come to the connection, it has
// ended, or its deadline for reading is over. Only an end is an error.
func (o *output) stir() error {
	sc, ok := o.socket.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	looked, ended := false, false
	err = raw.Read(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd)}}
		if n, err := unix.Poll(poll, 0); err == nil && n > 0 && poll[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0 {
			ended = true
			return true
		}
		// What is there already is no news: the runtime tells of what comes from now on.
		defer func() { looked = true }()
		return looked
	})
	switch {
	case ended:
		return io.ErrUnexpectedEOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	}
	return err
}
