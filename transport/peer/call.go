package peer

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Method serves one method of calls. ctx ends with the caller's deadline, with
// the connection and with the port, whose Close waits for the method to return.
// req is the method's to keep. An error reaches the caller as a RemoteError with the error's text.
type Method func(ctx context.Context, from Info, req []byte) ([]byte, error)

// RemoteError is an error that the far side's method returned: the call was made.
type RemoteError struct{ Text string }

// Error returns the far side's text.
func (e *RemoteError) Error() string { return e.Text }

// ErrNotSent marks calls of which no byte left this node: they had no effect.
var ErrNotSent = errors.New("peer: call not sent")

// Calls travel as
//
//	request  length u32 | id u64 | method u16 | timeout u32 | payload
//	reply    length u32 | id u64 | status u8                | payload or error text
//
// where length counts what follows it and timeout is in milliseconds, 0 = none.
const (
	requestHead = 4 + 8 + 2 + 4
	replyHead   = 4 + 8 + 1

	statusOK       = 0
	statusError    = 1
	statusNoMethod = 2

	writeTimeout = 10 * time.Second // for one frame into the socket
)

// HandleCall names the function that serves calls of a method. It runs on a
// goroutine per call, at most 128 at a time per connection; the rest wait.
func (p *Port) HandleCall(method uint16, serve Method) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.methods[method] = serve
}

// Call asks the node at addr and waits for its reply or the end of ctx. Calls to
// one address share a connection. Errors are *RemoteError (the method ran and
// says no), ErrNotSent (it did not run), or anything else: it may have run.
func (p *Port) Call(ctx context.Context, addr string, method uint16, req []byte) ([]byte, error) {
	if len(req) > p.opts.MaxFrame {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, ErrFrameTooLarge)
	}
	c, err := p.caller(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	p.stats.callsSent.Add(1)
	return c.call(ctx, method, req)
}

// PeerOf returns whom the shared call connection to addr reaches, dialling it if
// needed.
func (p *Port) PeerOf(ctx context.Context, addr string) (Info, error) {
	c, err := p.caller(ctx, addr)
	if err != nil {
		return Info{}, err
	}
	return c.info, nil
}

// endpoint is the place of the shared call connection to an address.
type endpoint struct {
	turn   chan struct{} // held while dialling, so that callers share one dial
	caller *caller       // guarded by Port.mu; nil or dead if there is none
}

// caller returns a live connection for calls to addr.
func (p *Port) caller(ctx context.Context, addr string) (*caller, error) {
	p.mu.Lock()
	e := p.endpoints[addr]
	if e == nil {
		p.makeRoomLocked()
		e = &endpoint{turn: make(chan struct{}, 1)}
		p.endpoints[addr] = e
	}
	c := e.caller
	p.mu.Unlock()
	if c != nil && c.alive() {
		return c, nil
	}
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closing:
		return nil, ErrClosed
	}
	p.mu.Lock()
	c = e.caller
	p.mu.Unlock()
	if c != nil && c.alive() {
		return c, nil // another caller dialled meanwhile
	}
	conn, info, err := p.Dial(ctx, addr, KindCall)
	if err != nil {
		return nil, err
	}
	c = &caller{conn: conn, info: info, limit: p.opts.MaxFrame, w: bufio.NewWriterSize(conn, 64<<10), pending: make(map[uint64]chan reply)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		conn.Close()
		return nil, ErrClosed
	}
	e.caller = c
	p.wg.Go(c.read) // ends with the connection, which the port closes
	return c, nil
}

// makeRoomLocked forgets endpoints whose connection is dead, or any one, when
// there are too many: addresses come and go with containers.
func (p *Port) makeRoomLocked() {
	if len(p.endpoints) < maxEndpoints {
		return
	}
	for addr, e := range p.endpoints {
		if e.caller == nil || !e.caller.alive() {
			delete(p.endpoints, addr)
		}
	}
	for addr, e := range p.endpoints {
		if len(p.endpoints) < maxEndpoints {
			return
		}
		delete(p.endpoints, addr)
		e.caller.conn.Close()
	}
}

type reply struct {
	status  byte
	payload []byte
}

// caller is the calling side of one connection.
type caller struct {
	conn  net.Conn
	info  Info
	limit int
	heard atomic.Uint64 // replies read; tells a slow method from a dead link

	wmu sync.Mutex
	w   *bufio.Writer // guarded by wmu

	mu      sync.Mutex
	pending map[uint64]chan reply // guarded by mu; nil once dead
	next    uint64                // guarded by mu
	err     error                 // guarded by mu; why it died
}

func (c *caller) alive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending != nil
}

// die closes the connection and fails what is pending.
func (c *caller) die(err error) {
	c.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == nil {
		return
	}
	c.err = err
	for _, ch := range c.pending {
		close(ch)
	}
	c.pending = nil
}

func (c *caller) call(ctx context.Context, method uint16, req []byte) ([]byte, error) {
	done := make(chan reply, 1)
	c.mu.Lock()
	if c.pending == nil {
		err := c.err
		c.mu.Unlock()
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	c.next++
	id := c.next
	c.pending[id] = done
	c.mu.Unlock()
	heard := c.heard.Load()

	if err := c.send(ctx, id, method, req); err != nil {
		c.die(err)
		return nil, err
	}
	select {
	case r, ok := <-done:
		if !ok {
			c.mu.Lock()
			defer c.mu.Unlock()
			return nil, fmt.Errorf("peer: call to %s broke off: %w", c.info.NodeID, c.err)
		}
		switch r.status {
		case statusOK:
			return r.payload, nil
		case statusNoMethod:
			return nil, fmt.Errorf("%w: %s does not serve method %d yet", ErrNotSent, c.info.NodeID, method)
		default:
			return nil, &RemoteError{Text: string(r.payload)}
		}
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.pending, id)
		c.mu.Unlock()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && c.heard.Load() == heard {
			// Not a byte came back in all that time: don't let the next call
			// wait on a link that may be dead.
			c.die(errors.New("no reply to any call"))
		}
		return nil, ctx.Err()
	}
}

func (c *caller) send(ctx context.Context, id uint64, method uint16, req []byte) error {
	var head [requestHead]byte
	binary.BigEndian.PutUint32(head[0:], uint32(requestHead-4+len(req)))
	binary.BigEndian.PutUint64(head[4:], id)
	binary.BigEndian.PutUint16(head[12:], method)
	if d, ok := ctx.Deadline(); ok {
		ms := max(time.Until(d).Milliseconds(), 1)
		binary.BigEndian.PutUint32(head[14:], uint32(min(ms, math.MaxUint32)))
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	c.w.Write(head[:])
	c.w.Write(req)
	return c.w.Flush() // a bufio.Writer keeps its first error
}

func (c *caller) read() {
	r := bufio.NewReaderSize(c.conn, 64<<10)
	for {
		id, body, err := readReply(r, c.limit)
		if err != nil {
			c.die(err)
			return
		}
		c.heard.Add(1)
		c.mu.Lock()
		done := c.pending[id]
		delete(c.pending, id)
		c.mu.Unlock()
		if done != nil {
			done <- body
		}
	}
}

func readReply(r io.Reader, limit int) (id uint64, body reply, err error) {
	var head [replyHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, reply{}, err
	}
	n := int(binary.BigEndian.Uint32(head[:])) - (replyHead - 4)
	if n < 0 {
		return 0, reply{}, errors.New("peer: malformed reply")
	}
	payload, err := readBody(r, n, limit)
	if err != nil {
		return 0, reply{}, err
	}
	return binary.BigEndian.Uint64(head[4:]), reply{status: head[12], payload: payload}, nil
}

type request struct {
	id      uint64
	method  uint16
	timeout time.Duration
	payload []byte
}

func readRequest(r io.Reader, limit int) (request, error) {
	var head [requestHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return request{}, err
	}
	n := int(binary.BigEndian.Uint32(head[:])) - (requestHead - 4)
	if n < 0 {
		return request{}, errors.New("peer: malformed request")
	}
	payload, err := readBody(r, n, limit)
	if err != nil {
		return request{}, err
	}
	return request{
		id:      binary.BigEndian.Uint64(head[4:]),
		method:  binary.BigEndian.Uint16(head[12:]),
		timeout: time.Duration(binary.BigEndian.Uint32(head[14:])) * time.Millisecond,
		payload: payload,
	}, nil
}

// serveCalls is the serving side of one connection.
func (p *Port) serveCalls(conn net.Conn, from Info) {
	ctx, cancel := context.WithCancel(p.ctx)
	var running sync.WaitGroup
	defer func() {
		conn.Close()
		cancel()
		running.Wait()
	}()
	var (
		r     = bufio.NewReaderSize(conn, 64<<10)
		w     = bufio.NewWriterSize(conn, 64<<10)
		wmu   sync.Mutex
		slots = make(chan struct{}, maxCallsConn)
	)
	for {
		req, err := readRequest(r, p.opts.MaxFrame)
		if err != nil {
			if errors.Is(err, ErrFrameTooLarge) {
				p.log.Warn("peer call refused", "from", from.NodeID, "remote", from.Remote, "error", err)
			}
			return
		}
		p.mu.Lock()
		serve := p.methods[req.method]
		p.mu.Unlock()
		slots <- struct{}{} // its holders end with ctx
		running.Go(func() {
			defer func() { <-slots }()
			status, payload := p.serveCall(ctx, serve, from, req)
			wmu.Lock()
			defer wmu.Unlock()
			if err := writeReply(conn, w, req.id, status, payload); err != nil {
				conn.Close()
			}
		})
	}
}

func (p *Port) serveCall(ctx context.Context, serve Method, from Info, req request) (status byte, payload []byte) {
	if serve == nil {
		return statusNoMethod, nil
	}
	if req.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, req.timeout)
		defer cancel()
	}
	p.stats.callsServed.Add(1)
	out, err := serve(ctx, from, req.payload)
	if err == nil && len(out) > p.opts.MaxFrame {
		err = ErrFrameTooLarge
	}
	if err != nil {
		text := err.Error()
		return statusError, []byte(text[:min(len(text), maxErrorText)])
	}
	return statusOK, out
}

func writeReply(conn net.Conn, w *bufio.Writer, id uint64, status byte, payload []byte) error {
	var head [replyHead]byte
	binary.BigEndian.PutUint32(head[0:], uint32(replyHead-4+len(payload)))
	binary.BigEndian.PutUint64(head[4:], id)
	head[12] = status
	conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Write(head[:])
	w.Write(payload)
	return w.Flush()
}
