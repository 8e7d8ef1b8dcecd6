package resp

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/observe"
	"github.com/quorate/quorate/transport/session"
)

const (
	// outputKept is the size in bytes up to which an output that is busy keeps a
	// buffer besides its own.
	outputKept = 32 << 10
	// homeMin and homeMax are the sizes in bytes between which the buffer is that an
	// output keeps.
	homeMin = 1 << 10
	homeMax = 16 << 10
)

// output is what one connection has to say to its client.
//
// Whoever writes appends to a buffer under the lock. Whoever sends takes the
// buffer away, unlocks, and writes it to the socket as far as that takes it
// without waiting; what is left goes to a goroutine of this connection alone,
// which waits for the client and ends when all is sent. So no client can hold
// up the apply, a publisher, or another client.
//
// Invariant: at most one party writes to the socket, the one that has set
// sending.
type output struct {
	conn     net.Conn        // what is written to; TLS when the listener has it
	socket   net.Conn        // the socket beneath
	raw      syscall.RawConn // of socket; nil with TLS, where any write may wait
	replier  *replier
	limits   *outputLimits
	counters *observe.Counters
	drainers *sync.WaitGroup // counts the goroutines that wait for slow clients

	queued  atomic.Bool   // is in the replier's list
	pending atomic.Int64  // bytes written and not sent
	beyond  atomic.Int64  // bytes of buffers besides home
	chunks  atomic.Int64  // how many of them hold what is not sent
	size    atomic.Int64  // of home
	most    atomic.Int64  // peak, for others
	class   atomic.Uint32 // a session.OutputClass

	mu        sync.Mutex
	w         reply.Writer // guarded by mu; what is to be sent next
	home      []byte       // guarded by mu; the buffer that is kept; nil before the first reply
	spare     []byte       // guarded by mu; another, empty one, or nil
	peak      int          // guarded by mu; the most that was sent at once since peakSince
	peakSince time.Time    // guarded by mu
	sending   bool         // guarded by mu
	unsent    int          // guarded by mu; bytes that the sender has taken
	taken     []byte       // guarded by mu; the buffer that the sender has taken
	dead      bool         // guarded by mu; nothing can be sent any more
	finishing bool         // guarded by mu; the last byte's sender closes done
	waiting   bool         // guarded by mu; the connection's goroutine is in AwaitRoom
	softSince time.Time    // guarded by mu; since when the soft limit is exceeded
	done      chan struct{}
	room      chan struct{} // one token when what AwaitRoom waits for has come
	feeding   bool          // guarded by mu; AwaitTaken was called
	look      chan struct{} // one token when AwaitTaken is to look again
	input     *ahead        // of the connection's goroutine
	worked    time.Time     // of the ticker; when tend last found it at work
	held      bool          // of the connection's goroutine; it was told that no more is read
	log       *slog.Logger
	reader    *Reader // of which Memory tells
	weigh     func()  // guarded by mu; told that buffers have grown; may be nil
	gone      func()  // guarded by mu; told that the client is cut; may be nil

	// For the raw write under way; owned by the sender.
	chunk    []byte
	chunkErr error
	writeRaw func(fd uintptr) bool
}

func newOutput(conn, socket net.Conn, s *Server) *output {
	o := &output{
		conn: conn, socket: socket, replier: s.replier, limits: &s.outputLimits, log: s.log,
		counters: s.counters, drainers: &s.wg, done: make(chan struct{}), room: make(chan struct{}, 1), look: make(chan struct{}, 1),
	}
	o.w.SetProto(reply.RESP2)
	if conn == socket {
		if sc, ok := socket.(syscall.Conn); ok {
			o.raw, _ = sc.SyscallConn() // without it a goroutine writes
		}
	}
	o.writeRaw = func(fd uintptr) bool {
		for len(o.chunk) > 0 {
			n, err := syscall.Write(int(fd), o.chunk)
			if err == syscall.EINTR {
				continue
			}
			if err != nil {
				o.chunkErr = err
				return true
			}
			o.chunk = o.chunk[n:]
		}
		return true
	}
	return o
}

// Begin implements session.Output.
func (o *output) Begin() *reply.Writer {
	o.mu.Lock()
	if o.home == nil {
		o.resizeLocked(homeMin)
	}
	return &o.w
}

// resizeLocked gives the output another buffer to keep. Nothing is written or being sent.
func (o *output) resizeLocked(size int) {
	o.home = make([]byte, 0, size)
	o.w.Reset(o.home)
	o.size.Store(int64(size))
}

// isHome reports whether b lies in the buffer that is kept.
func (o *output) isHome(b []byte) bool {
	return cap(b) > 0 && cap(b) == cap(o.home) && &b[:1][0] == &o.home[:1][0]
}

// End implements session.Output. An output past its limits is cut.
func (o *output) End() {
	size := o.w.Len() + o.unsent
	if o.dead {
		o.w.Reset(nil)
		size = 0
	}
	o.pending.Store(int64(size))
	grown := o.noteLocked()
	cut := !o.dead && o.overLocked(size, time.Now)
	weigh, gone := o.weigh, o.gone
	o.mu.Unlock()
	switch {
	case cut:
		o.cut(gone)
	case grown && weigh != nil:
		weigh()
	}
}

// tells sets who is told that buffers have grown, and that the client is cut. Others may
// write to the output already.
func (o *output) tells(weigh, gone func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.weigh, o.gone = weigh, gone
}

// noteLocked takes down what buffers there are besides home, and reports whether they
// take more than before.
func (o *output) noteLocked() (grown bool) {
	var bytes, chunks int64
	for _, b := range [...][]byte{o.w.Bytes(), o.taken, o.spare} {
		if cap(b) == 0 || o.isHome(b) {
			continue
		}
		bytes += int64(cap(b))
		if len(b) > 0 {
			chunks++
		}
	}
	if before := o.beyond.Load(); before != bytes {
		o.beyond.Store(bytes)
		grown = bytes > before
	}
	if o.chunks.Load() != chunks {
		o.chunks.Store(chunks)
	}
	return grown
}

// Memory implements session.Output.
func (o *output) Memory() session.Memory {
	m := session.Memory{
		Home: o.size.Load(), Peak: o.most.Load(),
		Beyond: o.beyond.Load(), Chunks: o.chunks.Load(),
	}
	m.Unread = o.pending.Load()
	if m.Beyond == 0 {
		m.InHome = m.Unread
	}
	if o.reader != nil {
		m.Query, m.QueryFree, m.Args = o.reader.Memory()
	}
	if o.input != nil {
		m.Query += o.input.kept.Load()
	}
	return m
}

// overLocked reports whether so many bytes are more than the client's class
// may leave unread.
func (o *output) overLocked(size int, now func() time.Time) bool {
	limit := o.limits.of(session.OutputClass(o.class.Load()))
	if limit.Hard > 0 && int64(size) >= limit.Hard {
		return true
	}
	if limit.Soft == 0 || int64(size) < limit.Soft {
		o.softSince = time.Time{}
		return false
	}
	if o.softSince.IsZero() {
		o.softSince = now()
		return false
	}
	return now().Sub(o.softSince) > limit.SoftFor
}

func (o *output) cut(gone func()) {
	o.counters.OutputBufferCuts.Add(1)
	if gone != nil {
		gone()
	}
	o.Kill()
}

// Send implements session.Output.
func (o *output) Send() { o.send() }

// SendSoon implements session.Output.
func (o *output) SendSoon() {
	if o.queued.CompareAndSwap(false, true) {
		o.replier.add(o)
	}
}

// Pending implements session.Output.
func (o *output) Pending() int { return int(o.pending.Load()) }

// SetClass implements session.Output.
func (o *output) SetClass(c session.OutputClass) { o.class.Store(uint32(c)) }

// Kill implements session.Output.
func (o *output) Kill() { _ = o.socket.Close() } // the connection's goroutine finds it closed

// send writes what is there, as far as that takes no waiting.
func (o *output) send() {
	o.mu.Lock()
	for o.w.Len() > 0 && !o.sending && !o.dead {
		taken := o.takeLocked()
		if o.raw == nil {
			o.drainers.Go(func() { o.drain(taken, taken) })
			break
		}
		o.mu.Unlock()
		rest, err := o.write(taken)
		o.mu.Lock()
		switch {
		case err != nil:
			o.failLocked()
		case len(rest) > 0:
			o.unsent = len(rest)
			o.pending.Store(int64(o.w.Len() + o.unsent))
			o.drainers.Go(func() { o.drain(taken, rest) })
		default:
			o.sentLocked(taken)
		}
		if len(rest) > 0 {
			break
		}
	}
	o.mu.Unlock()
}

// takeLocked takes the buffer for sending.
func (o *output) takeLocked() []byte {
	taken := o.w.Bytes()
	o.peak = max(o.peak, len(taken))
	switch {
	case o.spare != nil:
		o.w.Reset(o.spare)
		o.spare = nil
	case o.isHome(taken):
		o.w.Reset(nil)
	default:
		o.w.Reset(o.home)
	}
	o.sending, o.unsent, o.taken = true, len(taken), taken
	return taken
}

// write writes p to a plain socket and returns what that does not take now.
func (o *output) write(p []byte) (rest []byte, err error) {
	o.chunk, o.chunkErr = p, nil
	err = o.raw.Write(o.writeRaw)
	rest = o.chunk
	o.chunk = nil
	o.counters.BytesOut.Add(uint64(len(p) - len(rest)))
	o.counters.Writes.Add(1)
	switch {
	case err != nil:
		return nil, err
	case o.chunkErr != nil && !errors.Is(o.chunkErr, syscall.EAGAIN):
		return nil, o.chunkErr
	}
	return rest, nil
}

// drain waits for the client to take rest, and what comes meanwhile. buffer
// is where rest lies.
func (o *output) drain(buffer, rest []byte) {
	for {
		n, err := o.conn.Write(rest)
		o.counters.BytesOut.Add(uint64(n))
		o.counters.Writes.Add(1)
		o.mu.Lock()
		if err != nil {
			o.failLocked()
			o.mu.Unlock()
			return
		}
		o.sentLocked(buffer)
		if o.w.Len() == 0 || o.dead {
			o.mu.Unlock()
			return
		}
		buffer = o.takeLocked()
		rest = buffer
		o.mu.Unlock()
	}
}

func (o *output) sentLocked(buffer []byte) {
	o.sending, o.unsent, o.taken = false, 0, nil
	o.pending.Store(int64(o.w.Len()))
	switch {
	case o.isHome(buffer):
		if cap(o.w.Bytes()) == 0 {
			o.w.Reset(o.home)
		}
	case cap(buffer) <= outputKept && o.spare == nil:
		o.spare = buffer[:0]
	}
	o.noteLocked()
	if o.finishing && o.w.Len() == 0 {
		o.doneLocked()
	}
	o.wakeLocked()
}

func (o *output) failLocked() {
	o.sending, o.unsent, o.taken = false, 0, nil
	o.dieLocked()
	o.doneLocked()
	o.wakeLocked()
	o.Kill()
}

func (o *output) doneLocked() {
	select {
	case <-o.done:
	default:
		close(o.done)
	}
}

// finish sends what is left, waits for it up to the given time, and lets
// nothing more in.
func (o *output) finish(patience time.Duration) {
	o.send()
	o.mu.Lock()
	o.finishing = true
	if !o.sending && o.w.Len() == 0 {
		o.doneLocked()
	}
	o.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-o.done:
	case <-timer.C:
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dieLocked()
}

// dieLocked lets all go.
func (o *output) dieLocked() {
	o.dead = true
	o.w.Reset(nil)
	o.spare = nil
	o.pending.Store(0)
	o.noteLocked()
}

// tend gives back what an idle output holds, fits the buffer that it keeps to what is
// written, and enforces soft limits, which pass while nothing is written. It is called
// once a second at least, and passes over an output that is being written to: a read in
// place may take as long as a script does.
func (o *output) tend(now time.Time, fits *session.ReplyBuffers) {
	if !o.mu.TryLock() {
		o.worked = now
		return
	}
	if !o.sending && o.w.Len() == 0 && !o.dead && o.home != nil {
		o.spare = nil
		o.w.Reset(o.home)
		o.fitLocked(now, fits)
		o.noteLocked()
	}
	cut := !o.dead && o.overLocked(o.w.Len()+o.unsent, func() time.Time { return now })
	gone := o.gone
	o.mu.Unlock()
	if cut {
		o.cut(gone)
	}
}

// fitLocked doubles the buffer that is kept if that was full since the last look, and
// cuts it to what was used of it if that was less than a half.
func (o *output) fitLocked(now time.Time, fits *session.ReplyBuffers) {
	size := cap(o.home)
	if !fits.Fixed.Load() {
		switch {
		case o.peak >= size && size < homeMax:
			o.resizeLocked(min(2*size, homeMax))
			o.counters.ReplyBufferExpands.Add(1)
		case o.peak < size/2 && size > homeMin:
			o.resizeLocked(max(o.peak+1, homeMin))
			o.counters.ReplyBufferShrinks.Add(1)
		}
	}
	o.most.Store(int64(min(o.peak, cap(o.home))))
	if after := time.Duration(fits.PeakFor.Load()); after >= 0 && now.Sub(o.peakSince) >= after {
		o.peak, o.peakSince = 0, now
	}
}

// replier sends, on one goroutine, what others have written to outputs.
type replier struct {
	wake chan struct{} // one token when list is not empty

	mu     sync.Mutex
	list   []*output // guarded by mu; each once
	closed bool      // guarded by mu
}

func newReplier() *replier { return &replier{wake: make(chan struct{}, 1)} }

func (r *replier) add(o *output) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.list = append(r.list, o)
	if len(r.list) == 1 {
		select {
		case r.wake <- struct{}{}:
		default: // a token is there
		}
	}
}

func (r *replier) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	close(r.wake)
}

// run sends until close.
func (r *replier) run() {
	var list []*output
	for range r.wake {
		r.mu.Lock()
		list, r.list = r.list, list[:0]
		r.mu.Unlock()
		for i, o := range list {
			list[i] = nil
			o.queued.Store(false) // what is written from now on is a new errand
			o.send()
		}
	}
}

// outputLimits are client-output-buffer-limit, and what bounds the input of a
// client that does not read.
type outputLimits struct {
	classes  atomic.Pointer[[3]config.BufferLimit]
	input    *atomic.Pointer[Limits]
	pipeline atomic.Int64 // client-pipeline-max
}

func (l *outputLimits) query() int64 { return l.input.Load().Query }

func (l *outputLimits) of(c session.OutputClass) config.BufferLimit { return l.classes.Load()[c] }

var _ session.Output = (*output)(nil)
