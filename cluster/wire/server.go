package wire

import (
	"bufio"
	"errors"
	"io"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

var (
	errVotesDelayed = errors.New("wire: this node has just started and does not vote yet")
	errOtherTerm    = errors.New("wire: TimeoutNow of another term")
	errNotHandled   = errors.New("wire: raft was busy for too long")
	errOutOfStep    = errors.New("wire: snapshot was not read")
	errImpostor     = errors.New("wire: message of another node than the connection's")
	errAnswerType   = errors.New("wire: raft gave no answer of the expected type")
)

// acceptLoop serves incoming connections until the streams close.
func (t *Transport) acceptLoop() {
	for {
		c, id, err := t.opts.Streams.Accept()
		if err != nil {
			select {
			case <-t.closing:
				return
			case <-time.After(10 * time.Millisecond):
				continue
			}
		}
		if t.keep(c) {
			t.wg.Go(func() { t.serve(c, id) })
		}
	}
}

// server is the answering end of a connection.
type server struct {
	t    *Transport
	conn net.Conn
	peer string // proved node id
	dec  decoder
	enc  encoder
}

// serve handles one message after the other: the order in which they were sent
// is the order in which raft sees them.
func (t *Transport) serve(c net.Conn, id string) {
	defer t.dropConn(c)
	s := &server{
		t: t, conn: c, peer: id,
		dec: decoder{r: bufio.NewReaderSize(c, 256<<10)},
		enc: encoder{w: bufio.NewWriterSize(c, 4<<10)},
	}
	for {
		kind, err := s.dec.r.ReadByte() // may be long in coming
		if err != nil {
			return
		}
		if err := s.handle(kind); err != nil {
			switch {
			case errors.Is(err, errMalformed):
				t.stats.malformed.Add(1)
				t.log.Warn("raft connection closed", "peer", id, "remote", c.RemoteAddr(), "error", err)
			case errors.Is(err, errImpostor):
				t.stats.impostors.Add(1)
				t.log.Warn("raft connection closed", "peer", id, "remote", c.RemoteAddr(), "error", err)
			}
			return
		}
	}
}

// handle reads the rest of one message, lets raft handle it and answers.
// An error ends the connection.
func (s *server) handle(kind byte) error {
	s.conn.SetReadDeadline(s.t.deadline(s.t.opts.IOTimeout))
	var answer func() // writes what follows a good status
	var err error
	switch kind {
	case kindAppend:
		answer, err = s.appendEntries()
	case kindVote:
		answer, err = s.vote()
	case kindPreVote:
		answer, err = s.preVote()
	case kindTimeout:
		answer, err = s.timeoutNow()
	case kindSnapshot:
		answer, err = s.snapshot()
	default:
		s.dec.fail("kind")
	}
	if s.dec.err != nil {
		return s.dec.err
	}
	if errors.Is(err, errImpostor) || errors.Is(err, ErrClosed) || errors.Is(err, errOutOfStep) {
		return err
	}
	s.conn.SetDeadline(s.t.deadline(s.t.opts.IOTimeout))
	if err != nil {
		s.enc.failure(err)
	} else {
		s.enc.u8(statusOK)
		answer()
	}
	if err := s.enc.w.Flush(); err != nil {
		return err
	}
	return s.conn.SetDeadline(time.Time{})
}

// ready reports whether a message was read in full and is of the node whose
// connection it came on.
func (s *server) ready(h raft.RPCHeader) error {
	if s.dec.err != nil {
		return s.dec.err
	}
	if string(h.ID) != s.peer {
		return errImpostor
	}
	if len(h.Addr) == 0 { // raft would forget its leader over it
		s.dec.fail("no address")
	}
	return s.dec.err
}

func (s *server) appendEntries() (func(), error) {
	m := s.dec.appendEntries()
	if err := s.ready(m.RPCHeader); err != nil {
		return nil, err
	}
	// raft commits up to the smaller of this index and its own last one. What
	// lies beyond the message's last entry is a tail that it did not verify.
	if last := lastOf(m).index; m.LeaderCommitIndex > last {
		m.LeaderCommitIndex = last
		s.t.stats.commitsClamped.Add(1)
	}
	patience := s.t.opts.IOTimeout
	if len(m.Entries) == 0 {
		patience = s.t.voteTimeout()
	}
	out, err := s.t.passTerms(m, patience)
	if err != nil {
		return nil, err
	}
	resp, ok := out.(*raft.AppendEntriesResponse)
	if !ok {
		return nil, errAnswerType
	}
	// Its leader counts this node for what it confirms. Entries of the time when
	// this node led itself may have been written, and not be durable yet. Raft has
	// handled the message: nobody else waits for this disk.
	if d := s.t.opts.Durable; d != nil && resp.Success {
		if err := d.WaitDurable(lastOf(m).index); err != nil {
			return nil, err
		}
	}
	steady := s.t.follows(m.Term)
	return func() { s.enc.appendResponse(resp, steady) }, nil
}

// passTerms hands a message without a body over, as one that may move raft's term.
func (t *Transport) passTerms(m any, patience time.Duration) (any, error) {
	t.terms.enter()
	defer t.terms.leave()
	return t.handOver(m, nil, patience)
}

// follows reports whether raft is a follower in term, at a moment within the
// call. A node that was told to take over and is a candidate answers
// AppendEntries of its term with success and remains a candidate: it may start
// another election at any moment, so its answers are no base for a lease. From
// there it becomes a follower within the term only by a later AppendEntries.
func (t *Transport) follows(term uint64) bool {
	n := t.node // attached: raft has just answered
	return n.CurrentTerm() == term && n.State() == raft.Follower && n.CurrentTerm() == term
}

func (s *server) vote() (func(), error) {
	m := s.dec.vote()
	out, err := s.ballot(m.RPCHeader, m)
	if err != nil {
		return nil, err
	}
	resp, ok := out.(*raft.RequestVoteResponse)
	if !ok {
		return nil, errAnswerType
	}
	return func() { s.enc.voteResponse(resp.Term, resp.Granted) }, nil
}

func (s *server) preVote() (func(), error) {
	m := s.dec.preVote()
	out, err := s.ballot(m.RPCHeader, m)
	if err != nil {
		return nil, err
	}
	resp, ok := out.(*raft.RequestPreVoteResponse)
	if !ok {
		return nil, errAnswerType
	}
	return func() { s.enc.voteResponse(resp.Term, resp.Granted) }, nil
}

// ballot hands a request for a vote or a pre-vote over, unless this node must not
// vote yet.
func (s *server) ballot(h raft.RPCHeader, m any) (any, error) {
	if err := s.ready(h); err != nil {
		return nil, err
	}
	if s.t.votesDelayed() {
		return nil, errVotesDelayed
	}
	return s.t.passTerms(m, s.t.voteTimeout())
}

// votesDelayed reports whether the node started so recently that it may have
// promised its leader, by an answer it no longer remembers, to stay away from
// elections.
func (t *Transport) votesDelayed() bool {
	if !t.opts.Now().Before(t.noVote) {
		return false
	}
	t.stats.votesDelayed.Add(1)
	return true
}

func (s *server) timeoutNow() (func(), error) {
	m, term := s.dec.timeoutNow()
	if err := s.ready(m.RPCHeader); err != nil {
		return nil, err
	}
	n, err := s.t.waitNode()
	if err != nil {
		return nil, err
	}
	// A delayed message would start an election that the leader of a later
	// term, whose leases go on, knows nothing of. No message that moves the term
	// is being handled while this gate is closed; what raft does by itself in
	// between is caught by RequestVote.
	s.t.terms.enterAlone()
	defer s.t.terms.leaveAlone()
	if current := n.CurrentTerm(); current != term {
		s.t.stats.timeoutNowDropped.Add(1)
		s.t.log.Warn("leadership transfer of another term dropped", "from", s.peer, "its-term", term, "term", current)
		return nil, errOtherTerm
	}
	s.t.transferTerm.Store(term)
	if _, err := s.t.handOver(m, nil, s.t.voteTimeout()); err != nil {
		return nil, err
	}
	return func() {}, nil
}

func (s *server) snapshot() (func(), error) {
	m := s.dec.snapshot()
	if err := s.ready(m.RPCHeader); err != nil {
		return nil, err
	}
	s.t.terms.enter()
	defer s.t.terms.leave()
	body := io.LimitReader(progressReader{s}, m.Size)
	if n, err := s.t.waitNode(); err != nil {
		return nil, err
	} else if n.CurrentTerm() == m.Term && n.CommitIndex() >= m.LastLogIndex {
		// Sent again, or long ago: raft would take the state back to it, under
		// reads that count on what was applied since.
		if _, err := io.Copy(io.Discard, body); err != nil {
			return nil, errOutOfStep
		}
		return func() { s.enc.snapshotResponse(&raft.InstallSnapshotResponse{Term: m.Term, Success: true}) }, nil
	}
	counted, end := s.t.receiving.Reader(body, m.Size)
	defer end()
	out, err := s.t.handOver(m, counted, s.t.opts.IOTimeout)
	if errors.Is(err, errNotHandled) {
		return nil, errOutOfStep
	}
	if err != nil {
		return nil, err
	}
	resp, ok := out.(*raft.InstallSnapshotResponse)
	if !ok {
		return nil, errAnswerType
	}
	return func() { s.enc.snapshotResponse(resp) }, nil
}

// progressReader moves the deadline with every read.
type progressReader struct{ s *server }

func (r progressReader) Read(p []byte) (int, error) {
	r.s.conn.SetReadDeadline(r.s.t.deadline(r.s.t.opts.IOTimeout))
	return r.s.dec.r.Read(p)
}

// waitNode waits until a node is attached.
func (t *Transport) waitNode() (Node, error) {
	select {
	case <-t.attached:
		return t.node, nil
	case <-t.closing:
		return nil, ErrClosed
	}
}

// handOver gives raft a message and waits for its answer. If raft does not take
// the message within patience, its sender has given up on it.
func (t *Transport) handOver(m any, body io.Reader, patience time.Duration) (any, error) {
	if _, err := t.waitNode(); err != nil {
		return nil, err
	}
	answer := make(chan raft.RPCResponse, 1)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case t.consume <- raft.RPC{Command: m, Reader: body, RespChan: answer}:
	case <-timer.C:
		return nil, errNotHandled
	case <-t.closing:
		return nil, ErrClosed
	}
	select {
	case r := <-answer:
		return r.Response, r.Error
	case <-t.closing:
		return nil, ErrClosed
	}
}
