package nemesis

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

// ask sends one command to a node on a connection of its own and returns the
// reply. An error reply is an error. All of it must be done within the time.
func ask(addr string, within time.Duration, args ...string) (reply.Value, error) {
	c, err := net.DialTimeout("tcp", addr, within)
	if err != nil {
		return reply.Value{}, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
		return reply.Value{}, err
	}
	request := []byte("*" + strconv.Itoa(len(args)) + "\r\n")
	for _, arg := range args {
		request = fmt.Appendf(request, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := c.Write(request); err != nil {
		return reply.Value{}, err
	}
	var unread []byte
	chunk := make([]byte, 16<<10)
	for {
		n, err := c.Read(chunk)
		if err != nil {
			return reply.Value{}, err
		}
		unread = append(unread, chunk[:n]...)
		v, _, err := reply.Read(unread)
		switch {
		case errors.Is(err, reply.ErrIncomplete):
		case err != nil:
			return reply.Value{}, err
		case v.Kind == reply.KindError:
			return v, reply.Error(v.Text)
		default:
			return v, nil
		}
	}
}
