package resp

import (
	"bytes"
	"errors"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"github.com/quorate/quorate/engine/words"
)

const (
	// bufferLen is the size of a read buffer in bytes. A connection keeps its own
	// while it is used; of one that is idle Tend takes it away.
	bufferLen = 16 << 10
	// heldMax is how many connections keep a buffer while they wait: what more there
	// are take one when there is something to read.
	heldMax = 4096
	// bigBulk is the length from which a bulk that has not arrived as a whole
	// is read into memory of its own instead of the buffer.
	bigBulk = 32 << 10
	// bigStep is how much memory the first bytes of a big bulk get; later the
	// memory is at most bigGrowth times what has arrived.
	bigStep   = 64 << 10
	bigGrowth = 4
	// bigKept is up to which size that memory is kept for the next big bulk.
	bigKept = 1 << 20
	// lineMax is the longest inline command, and the longest line with a
	// number, in bytes.
	lineMax = 64 << 10
	// untrustedArgsMax and untrustedBulkMax bound what a client may send
	// before it has authenticated.
	untrustedArgsMax = 10
	untrustedBulkMax = 16 << 10
	// keptArgs is how much room for arguments a reader keeps between batches.
	keptArgs = 1024
	// batchArgsMax bounds how many arguments Next returns at once, beyond the
	// first command: what is behind them stays in the buffer.
	batchArgsMax = 16 << 10
)

// ProtocolError is a violation of the protocol: the client gets its text as
// an error reply and the connection ends.
type ProtocolError string

func (e ProtocolError) Error() string { return "Protocol error: " + string(e) }

// ErrQueryTooLarge tells that a command outgrew client-query-buffer-limit:
// the connection ends without a reply.
var ErrQueryTooLarge = errors.New("command exceeds client-query-buffer-limit")

// Limits bound what a Reader accepts.
type Limits struct {
	// Bulk is the longest argument in bytes (proto-max-bulk-len).
	Bulk int64
	// Query is the most that one command may take in bytes
	// (client-query-buffer-limit).
	Query int64
}

// Reader takes commands from a stream of bytes: arrays of bulk strings, and
// inline commands.
//
// Commands are slices of one buffer that is used again and again: nothing is
// copied but what is moved to the front when a command was cut by the end of
// the buffer. A big argument gets memory of its own, which grows as its bytes
// arrive: what is only announced costs nothing.
//
// Invariant: buf[start:used] are the bytes that belong to no command returned
// so far, and pos, within them, is where parsing goes on. refs[done:] are the
// arguments of the command that begins at start.
type Reader struct {
	src    Source
	limits func() Limits

	// mu is held by the connection's goroutine but for the time that it waits for
	// something new: then Tend may take away what lies idle.
	mu     sync.Mutex
	woken  func() []byte // wake, once and for all
	parked func([]byte)  // park

	buf              []byte
	start, pos, used int

	refs []ref    // arguments of the commands of this batch, then of the partial one
	ends []int    // for each whole command, the end of its arguments in refs
	own  [][]byte // arguments that lie outside buf
	done int      // == last of ends, or 0

	missing int64  // arguments that the partial command still lacks; 0: none has begun
	bulkLen int64  // length of the argument that comes next; -1: not known
	big     []byte // what has arrived of an argument outside buf; nil: none
	taken   int64  // bytes of the partial command outside buf
	spare   []byte // memory for the next big argument; nil: none
	spared  bool   // spare has been used since the last Tend

	query, free, complete atomic.Int64 // what Memory tells
	grown                 func()       // told that it has grown; may be nil

	args     [][]byte   // what Next returned
	commands [][][]byte // what Next returned
	err      error      // found behind whole commands: returned by the next Next
}

// ref is an argument: buf[start:start+n], or own[start] when n is negative.
type ref struct{ start, n int }

// Source is where bytes come from.
type Source interface {
	io.Reader
	// ReadIdle is Read for when nothing is buffered: it blocks without a
	// buffer, and takes one from get when there is something to read. What it
	// does not need it gives back to put. Buf is nil if it has none in the end.
	ReadIdle(get func() []byte, put func([]byte)) (buf []byte, n int, err error)
}

// NewReader returns a Reader of src. It asks for its limits at each command.
func NewReader(src Source, limits func() Limits) *Reader {
	r := &Reader{src: src, limits: limits, bulkLen: -1}
	r.woken, r.parked = r.wake, r.park
	r.mu.Lock()
	return r
}

var (
	buffers = sync.Pool{New: func() any { return new([bufferLen]byte) }}
	held    atomic.Int64 // buffers that Readers have
)

func takeBuffer() []byte { return buffers.Get().(*[bufferLen]byte)[:] }

func giveBuffer(b []byte) {
	if cap(b) == bufferLen {
		buffers.Put((*[bufferLen]byte)(b[:bufferLen]))
	}
}

// Next waits for a command and returns it, with those that came along whole.
// They are valid until the following call. Trusted tells that the client is
// authenticated; of one that is not, one short command is taken at a time.
//
// The error is a [ProtocolError], [ErrQueryTooLarge], or the source's. It is
// returned after the commands that came before it.
func (r *Reader) Next(trusted bool) ([][][]byte, error) {
	r.forget()
	if r.err != nil {
		return nil, r.err
	}
	limits := r.limits()
	for {
		err := r.parse(limits, trusted)
		r.tell()
		if len(r.ends) > 0 {
			r.err = err
			return r.batch(), nil
		}
		if err == nil {
			err = r.fill(limits)
		}
		if err != nil {
			r.err = err
			r.tell()
			return nil, err
		}
	}
}

// Memory tells what the reader holds, in bytes: what has come and is no argument yet,
// the room beyond that, and what arguments take, of a command of which something is
// still missing, outside of it. It may be called by any goroutine.
func (r *Reader) Memory() (query, free, complete int64) {
	return r.query.Load(), r.free.Load(), r.complete.Load()
}

// tell takes down what Memory tells, and has it known if that is more.
func (r *Reader) tell() {
	if r.note() && r.grown != nil {
		r.grown()
	}
}

// note takes down what Memory tells, and reports whether it is more than before.
func (r *Reader) note() (grown bool) {
	query := int64(r.used - r.pos + len(r.big))
	complete := r.taken + refBytes*int64(len(r.refs)-r.done)
	free := int64(cap(r.buf)+cap(r.big)+cap(r.spare)) - query
	before := r.query.Load() + r.free.Load() + r.complete.Load()
	for _, n := range [...]struct {
		shown *atomic.Int64
		is    int64
	}{{&r.query, query}, {&r.free, max(free, 0)}, {&r.complete, complete}} {
		if n.shown.Load() != n.is {
			n.shown.Store(n.is)
		}
	}
	return query+free+complete > before
}

// refBytes is what an argument takes beside its bytes.
const refBytes = 16

// Pending returns the number of bytes received that are no command yet.
func (r *Reader) Pending() int { return r.used - r.start + int(r.taken) + len(r.big) }

// Close gives the buffer back. The reader, and what it returned, must not be
// used any more.
func (r *Reader) Close() { r.drop() }

// take gives the reader a buffer of the usual size.
func (r *Reader) take() {
	r.buf = takeBuffer()
	held.Add(1)
}

// drop takes the reader's buffer away.
func (r *Reader) drop() {
	if r.buf == nil {
		return
	}
	giveBuffer(r.buf)
	r.buf = nil
	held.Add(-1)
}

// Tend takes away memory that the reader has and does not use: of an idle one all, else
// what was for big arguments, if none has come since the last Tend. It is called by
// others than the connection's goroutine.
func (r *Reader) Tend(idle bool) {
	if !r.mu.TryLock() {
		return // it is at work
	}
	defer r.mu.Unlock()
	if idle {
		r.drop()
	}
	if idle || !r.spared {
		r.spare = nil
	}
	r.spared = false
	r.tell()
}

// wake and park are what ReadIdle calls: the reader is idle between them.
func (r *Reader) wake() []byte {
	r.mu.Lock()
	if len(r.buf) != bufferLen {
		r.drop()
		r.take()
	}
	return r.buf
}

// park is called in the middle of a read of the socket, which whoever closes it waits
// for: nobody is told here, who might.
func (r *Reader) park([]byte) {
	if held.Load() > heldMax {
		r.drop()
	}
	r.note()
	r.mu.Unlock()
}

// forget drops the commands that the last Next returned, and shrinks what
// large ones have made large.
func (r *Reader) forget() {
	if r.done > 0 {
		if len(r.own) > 0 {
			r.keepBig()
		}
		partial := r.refs[r.done:]
		if cap(r.refs) > keptArgs && len(partial) == 0 {
			r.refs = nil
		} else {
			r.refs = r.refs[:copy(r.refs, partial)]
		}
		ownKept := 0
		for i := range r.refs {
			if r.refs[i].n < 0 {
				r.own[ownKept] = r.own[r.refs[i].start]
				r.refs[i].start = ownKept
				ownKept++
			}
		}
		clear(r.own[ownKept:])
		r.own = r.own[:ownKept]
		r.done = 0
		clear(r.args) // so that big arguments of the last batch are let go
	}
	if cap(r.args) > keptArgs {
		r.args, r.commands = nil, nil
	}
	if cap(r.own) > keptArgs && len(r.own) == 0 {
		r.own = nil
	}
	r.ends = r.ends[:0]
}

// keepBig keeps the largest memory of big arguments that are done with, for the next.
func (r *Reader) keepBig() {
	for _, ref := range r.refs[:r.done] {
		if ref.n >= 0 {
			continue
		}
		own := r.own[ref.start]
		if n := cap(own); n >= bigBulk && n <= bigKept && n > cap(r.spare) {
			r.spare, r.spared = own[:0], true
		}
	}
}

// batch turns the whole commands into slices.
func (r *Reader) batch() [][][]byte {
	if cap(r.args) < r.done {
		r.args = make([][]byte, 0, max(r.done, 16))
	}
	r.args, r.commands = r.args[:0], r.commands[:0]
	for _, ref := range r.refs[:r.done] {
		if ref.n < 0 {
			own := r.own[ref.start]
			r.args = append(r.args, own[:len(own):len(own)])
			continue
		}
		r.args = append(r.args, r.buf[ref.start:ref.start+ref.n:ref.start+ref.n])
	}
	first := 0
	for _, end := range r.ends {
		r.commands = append(r.commands, r.args[first:end:end])
		first = end
	}
	return r.commands
}

// parse takes all whole commands that are in the buffer.
func (r *Reader) parse(limits Limits, trusted bool) error {
	for {
		if r.missing == 0 {
			more, err := r.begin(trusted)
			if err != nil || !more {
				return err
			}
		}
		if r.missing > 0 {
			whole, err := r.arguments(limits, trusted)
			if err != nil || !whole {
				return err
			}
		}
		if len(r.refs) > r.done {
			r.done = len(r.refs)
			r.ends = append(r.ends, r.done)
			r.taken = 0
		}
		r.start = r.pos
		if len(r.ends) > 0 && (!trusted || len(r.refs) >= batchArgsMax) {
			return nil
		}
	}
}

// begin reads the head of a command: of an array, how many arguments it has;
// an inline command as a whole. It returns false when more bytes are needed.
func (r *Reader) begin(trusted bool) (bool, error) {
	if r.pos == r.used {
		return false, nil
	}
	if r.buf[r.pos] != '*' {
		return r.inline()
	}
	n, ok, err := r.number("too big mbulk count string", "invalid multibulk length")
	if err != nil || !ok {
		return false, err
	}
	if n > math.MaxInt32 {
		return false, ProtocolError("invalid multibulk length")
	}
	if n > untrustedArgsMax && !trusted {
		return false, ProtocolError("unauthenticated multibulk length")
	}
	r.missing = max(n, 0) // an array of none or fewer is no command
	return true, nil
}

// inline takes a line of words. An empty one is no command.
func (r *Reader) inline() (bool, error) {
	line := r.buf[r.pos:r.used]
	end := bytes.IndexByte(line, '\n')
	if end < 0 {
		if len(line) > lineMax {
			return false, ProtocolError("too big inline request")
		}
		return false, nil
	}
	if end > lineMax {
		return false, ProtocolError("too big inline request")
	}
	line = bytes.TrimSuffix(line[:end], []byte{'\r'})
	list, ok := words.Split(line)
	if !ok {
		return false, ProtocolError("unbalanced quotes in request")
	}
	for _, word := range list {
		r.refs = append(r.refs, ref{len(r.own), -1})
		r.own = append(r.own, word)
	}
	r.pos += end + 1
	return true, nil
}

// arguments takes those that the command still lacks. It returns false when
// more bytes are needed.
func (r *Reader) arguments(limits Limits, trusted bool) (bool, error) {
	for r.missing > 0 {
		if r.bulkLen < 0 {
			ok, err := r.bulkHead(limits, trusted)
			if err != nil || !ok {
				return false, err
			}
		}
		switch n := int(r.bulkLen); {
		case r.big != nil:
			if len(r.big) < n+2 {
				return false, nil
			}
			r.refs = append(r.refs, ref{len(r.own), -1})
			r.own = append(r.own, r.big[:n])
			r.taken += int64(n)
			r.big = nil
		case r.used-r.pos >= n+2:
			r.refs = append(r.refs, ref{r.pos, n})
			r.pos += n + 2
		case n >= bigBulk:
			r.beginBig(n)
			return false, nil
		default:
			return false, nil
		}
		r.bulkLen = -1
		r.missing--
	}
	return true, nil
}

// beginBig moves what has arrived of an argument into memory of its own.
func (r *Reader) beginBig(n int) {
	have := r.buf[r.pos:r.used]
	if cap(r.spare) >= n+2 {
		r.big, r.spare, r.spared = r.spare[:len(have)], nil, true
	} else {
		r.big = make([]byte, len(have), min(n+2, max(bigStep, len(have))))
	}
	copy(r.big, have)
	r.used = r.pos
}

func (r *Reader) bulkHead(limits Limits, trusted bool) (bool, error) {
	if r.pos == r.used {
		return false, nil
	}
	if c := r.buf[r.pos]; c != '$' {
		if bytes.IndexByte(r.buf[r.pos:r.used], '\r') < 0 {
			return false, r.lineTooLong("too big bulk count string")
		}
		return false, ProtocolError("expected '$', got '" + string([]byte{c}) + "'")
	}
	n, ok, err := r.number("too big bulk count string", "invalid bulk length")
	if err != nil || !ok {
		return false, err
	}
	if n < 0 || n > limits.Bulk {
		return false, ProtocolError("invalid bulk length")
	}
	if n > untrustedBulkMax && !trusted {
		return false, ProtocolError("unauthenticated bulk length")
	}
	r.bulkLen = n
	return true, nil
}

// number reads the line at pos: a type byte and a decimal number. It returns
// false when more bytes are needed.
func (r *Reader) number(tooLong, invalid ProtocolError) (int64, bool, error) {
	line := r.buf[r.pos:r.used]
	end := bytes.IndexByte(line, '\r')
	if end < 0 {
		return 0, false, r.lineTooLong(tooLong)
	}
	if end+1 == len(line) {
		return 0, false, nil
	}
	n, ok := parseNumber(line[1:end])
	if !ok {
		return 0, false, invalid
	}
	r.pos += end + 2
	return n, true, nil
}

func (r *Reader) lineTooLong(e ProtocolError) error {
	if r.used-r.pos > lineMax {
		return e
	}
	return nil
}

// parseNumber reads a decimal number with no sign but '-', no leading zeros
// and no spaces.
func parseNumber(b []byte) (int64, bool) {
	digits := b
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(b) > 1 {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	if n > math.MaxInt64 {
		return 0, false
	}
	if negative {
		return -int64(n), true
	}
	return int64(n), true
}

// fill reads once, into the buffer or the big argument.
func (r *Reader) fill(limits Limits) error {
	if int64(r.Pending()) > limits.Query {
		return ErrQueryTooLarge
	}
	if r.big != nil {
		return r.fillBig()
	}
	if r.used == r.start && r.missing == 0 {
		r.start, r.pos, r.used = 0, 0, 0
		r.mu.Unlock()
		buf, n, err := r.src.ReadIdle(r.woken, r.parked)
		if buf == nil { // it was idle to the end
			r.mu.Lock()
			return err
		}
		r.used = n
		return err
	}
	r.makeRoom()
	n, err := r.src.Read(r.buf[r.used:])
	r.used += n
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

func (r *Reader) fillBig() error {
	if len(r.big) == cap(r.big) {
		grown := make([]byte, len(r.big), min(int(r.bulkLen)+2, bigGrowth*len(r.big)))
		copy(grown, r.big)
		r.big = grown
	}
	// Memory that another argument has left may be larger: what lies behind this one is
	// not for here.
	n, err := r.src.Read(r.big[len(r.big):min(cap(r.big), int(r.bulkLen)+2)])
	r.big = r.big[:len(r.big)+n]
	if n > 0 {
		return nil
	}
	return err
}

// makeRoom moves the partial command to the front of the buffer, and changes
// the buffer for one of the size that is needed.
func (r *Reader) makeRoom() {
	partial := r.used - r.start
	size := bufferLen
	for size < partial+1 || r.bulkLen > 0 && size < r.pos-r.start+int(r.bulkLen)+2 {
		size *= 2
	}
	if size == len(r.buf) && r.start == 0 && r.used < size {
		return
	}
	from := r.buf
	if from == nil {
		held.Add(1)
	}
	if size != len(r.buf) {
		if size == bufferLen {
			r.buf = takeBuffer()
		} else {
			r.buf = make([]byte, size)
		}
	}
	copy(r.buf, from[r.start:r.used])
	if size != len(from) {
		giveBuffer(from)
	}
	for i := range r.refs {
		if r.refs[i].n >= 0 {
			r.refs[i].start -= r.start
		}
	}
	r.pos -= r.start
	r.start, r.used = 0, partial
}
