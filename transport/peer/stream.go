package peer

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Bounds and timing of streams.
const (
	DefaultQueueBytes = 64 << 20 // bytes waiting to be written on one stream

	pingInterval = time.Second      // a sender shows this often that it lives
	stallTimeout = 10 * time.Second // silence of either side that ends a stream
)

var (
	// ErrQueueFull says that a frame was not taken because the receiver is
	// too slow. The stream lives on, without the frame.
	ErrQueueFull = errors.New("peer: stream queue is full")
	// ErrNoTopic says that the far side does not take streams of the topic (yet).
	ErrNoTopic = errors.New("peer: the other side does not take this stream yet")
	// ErrStreamStalled says that the receiver has not read for ten seconds.
	ErrStreamStalled = errors.New("peer: receiver of the stream stalled")
)

// A stream's bytes: the sender opens with
//
//	topic u16 | length u32 | opening
//
// and the receiver answers with one byte, streamTaken or streamRefused. Then
// frames flow one way, each a length u32 and its bytes; a length of pingMark has
// no bytes and is answered by one pong byte.
const (
	frameHead     = 4
	pingMark      = ^uint32(0)
	streamTaken   = 1
	streamRefused = 2
	pong          = 3
)

// Stream is the sending end of an ordered one-way stream of frames. What was
// sent arrives in order and without gaps, or the stream is done: then frames not
// yet read by the receiver may be lost, and which ones is not known here.
type Stream struct {
	conn  net.Conn
	info  Info
	port  *Port
	limit int // bytes queued

	wake chan struct{} // cap 1: the queue is not empty
	done chan struct{} // closed with the stream

	mu     sync.Mutex
	queue  [][]byte  // guarded by mu
	bytes  int       // guarded by mu; of frames not yet written
	err    error     // guarded by mu; why the stream is done
	closed bool      // guarded by mu
	heard  time.Time // guarded by mu; when the receiver last answered
}

// StreamOptions configure OpenStream.
type StreamOptions struct {
	Opening    []byte // told to the receiver before it gets frames; at most 64 KiB
	QueueBytes int    // 0 = DefaultQueueBytes; one frame is always taken by an empty queue
}

const openingMax = 64 << 10

// OpenStream opens a stream of a topic to the node at addr, on a connection of its own.
// It returns when the far side has taken it. Close the stream to free it.
func (p *Port) OpenStream(ctx context.Context, addr string, topic uint16, o StreamOptions) (*Stream, error) {
	if len(o.Opening) > openingMax {
		return nil, ErrFrameTooLarge
	}
	if o.QueueBytes == 0 {
		o.QueueBytes = DefaultQueueBytes
	}
	conn, info, err := p.Dial(ctx, addr, KindStream)
	if err != nil {
		return nil, err
	}
	if err := openStream(ctx, conn, p.opts.HandshakeTimeout, topic, o.Opening); err != nil {
		conn.Close()
		return nil, fmt.Errorf("peer: open stream %d to %s: %w", topic, info.NodeID, err)
	}
	s := &Stream{
		conn: conn, info: info, port: p, limit: o.QueueBytes,
		wake: make(chan struct{}, 1), done: make(chan struct{}), heard: time.Now(),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		conn.Close()
		return nil, ErrClosed
	}
	p.wg.Go(s.write)
	p.wg.Go(s.listen)
	return s, nil
}

func openStream(ctx context.Context, conn net.Conn, timeout time.Duration, topic uint16, opening []byte) error {
	deadline := time.Now().Add(timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	conn.SetDeadline(deadline)
	head := binary.BigEndian.AppendUint16(nil, topic)
	head = binary.BigEndian.AppendUint32(head, uint32(len(opening)))
	if _, err := conn.Write(append(head, opening...)); err != nil {
		return err
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return err
	}
	if answer[0] != streamTaken {
		return ErrNoTopic
	}
	return conn.SetDeadline(time.Time{})
}

// Send queues a frame behind those sent before. It never waits. The stream owns
// the frame's bytes from here on. Errors: ErrQueueFull (only this frame is
// refused), ErrFrameTooLarge, or why the stream is done.
func (s *Stream) Send(frame []byte) error {
	if len(frame) > s.port.opts.MaxFrame {
		return ErrFrameTooLarge
	}
	s.mu.Lock()
	if s.closed {
		defer s.mu.Unlock()
		return s.err
	}
	if s.bytes > 0 && s.bytes+len(frame) > s.limit {
		s.mu.Unlock()
		s.port.stats.framesShed.Add(1)
		return ErrQueueFull
	}
	s.queue = append(s.queue, frame)
	s.bytes += len(frame) + frameHead
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// Peer returns who receives the stream.
func (s *Stream) Peer() Info { return s.info }

// Done is closed when the stream is done, by either side or by an error.
func (s *Stream) Done() <-chan struct{} { return s.done }

// Err returns why the stream is done, nil while it is not.
func (s *Stream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close ends the stream at once; frames still queued are dropped.
func (s *Stream) Close() error {
	s.end(ErrClosed)
	return nil
}

func (s *Stream) end(err error) {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		s.err = err
		s.queue = nil
		close(s.done)
	}
	s.mu.Unlock()
	s.conn.Close()
}

// write is the goroutine that owns the sending half of the connection.
func (s *Stream) write() {
	w := bufio.NewWriterSize(s.conn, 64<<10)
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	var spare [][]byte
	for {
		select {
		case <-s.done:
			return
		case <-s.wake:
			s.mu.Lock()
			batch := s.queue
			s.queue = spare[:0]
			s.mu.Unlock()
			s.conn.SetWriteDeadline(time.Now().Add(stallTimeout))
			written := 0
			for i, f := range batch {
				writeFrame(w, f)
				written += len(f) + frameHead
				batch[i] = nil
			}
			s.port.stats.framesSent.Add(uint64(len(batch)))
			spare = batch
			s.mu.Lock()
			s.bytes -= written
			s.mu.Unlock()
		case now := <-tick.C:
			s.mu.Lock()
			silent := now.Sub(s.heard)
			s.mu.Unlock()
			if silent > stallTimeout {
				s.end(ErrStreamStalled)
				return
			}
			s.conn.SetWriteDeadline(time.Now().Add(stallTimeout))
			w.Write(binary.BigEndian.AppendUint32(nil, pingMark))
		}
		if err := w.Flush(); err != nil {
			s.end(fmt.Errorf("peer: stream to %s: %w", s.info.NodeID, err))
			return
		}
	}
}

func writeFrame(w *bufio.Writer, f []byte) {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(f)))
	w.Write(n[:])
	w.Write(f)
}

// listen notes the receiver's signs of life and its end.
func (s *Stream) listen() {
	var b [64]byte
	for {
		_, err := s.conn.Read(b[:])
		if err != nil {
			s.end(fmt.Errorf("peer: stream to %s: %w", s.info.NodeID, noEOF(err)))
			return
		}
		s.mu.Lock()
		s.heard = time.Now()
		s.mu.Unlock()
	}
}

// HandleStream names the function that takes streams of a topic. It runs on a
// goroutine per stream; when it returns, the stream ends and the sender sees it.
func (p *Port) HandleStream(topic uint16, take func(*Incoming)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.topics[topic] = take
}

// Incoming is the receiving end of a stream. One goroutine may use it.
type Incoming struct {
	Opening []byte // what the sender said when it opened the stream

	conn net.Conn
	info Info
	port *Port
	r    *bufio.Reader
}

// Peer returns who sends the stream.
func (in *Incoming) Peer() Info { return in.info }

// Close ends the stream; its sender is told. A Next that waits fails.
func (in *Incoming) Close() error { return in.conn.Close() }

// Next waits for the next frame; the caller owns it. A sender that is silent or
// not read for ten seconds is given up: work that takes longer does not belong
// between two calls.
func (in *Incoming) Next() ([]byte, error) {
	for {
		in.conn.SetReadDeadline(time.Now().Add(stallTimeout))
		var head [4]byte
		if _, err := io.ReadFull(in.r, head[:]); err != nil {
			return nil, err
		}
		n := binary.BigEndian.Uint32(head[:])
		if n != pingMark {
			in.port.stats.framesRead.Add(1)
			return readBody(in.r, int(n), in.port.opts.MaxFrame)
		}
		in.conn.SetWriteDeadline(time.Now().Add(stallTimeout))
		if _, err := in.conn.Write([]byte{pong}); err != nil {
			return nil, err
		}
	}
}

// serveStream takes an accepted stream to the function of its topic.
func (p *Port) serveStream(conn net.Conn, from Info) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(p.opts.HandshakeTimeout))
	r := bufio.NewReaderSize(conn, 64<<10)
	var head [6]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return
	}
	opening, err := readBody(r, int(binary.BigEndian.Uint32(head[2:])), openingMax)
	if err != nil {
		return
	}
	p.mu.Lock()
	take := p.topics[binary.BigEndian.Uint16(head[:])]
	p.mu.Unlock()
	if take == nil {
		conn.Write([]byte{streamRefused})
		return
	}
	if _, err := conn.Write([]byte{streamTaken}); err != nil {
		return
	}
	conn.SetDeadline(time.Time{})
	take(&Incoming{Opening: opening, conn: conn, info: from, port: p, r: r})
}
