package wire

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// pipeline is raft's AppendPipeline to one follower: one connection on which
// messages follow each other without waiting for answers. Kicks and probes ride
// between raft's own messages; their answers stay here.
type pipeline struct {
	t    *Transport
	l    *link
	conn *rpcConn

	slots    chan struct{}          // one per unanswered message of raft's
	inFlight chan *flight           // in the order sent; has room for all that may be unanswered
	done     chan raft.AppendFuture // raft's, answered
	closing  chan struct{}
	once     sync.Once

	wmu  sync.Mutex // held to write a message and to queue its flight: their orders agree
	term uint64     // guarded by wmu; of raft's last message
	sent position   // guarded by wmu; last entry sent here, or known to the follower when the pipeline began
}

// flight is a message on its way; raft's own are the AppendFuture that raft asked for.
type flight struct {
	req   *raft.AppendEntriesRequest
	resp  *raft.AppendEntriesResponse
	stamp stamp
	extra bool // a kick or probe
	probe bool

	err  error         // set before done is closed
	done chan struct{} // nil for extras
}

// Error waits for the answer and returns why there is none.
func (f *flight) Error() error {
	<-f.done
	return f.err
}

// Start returns when the message was sent.
func (f *flight) Start() time.Time { return f.stamp.at }

// Request returns the message.
func (f *flight) Request() *raft.AppendEntriesRequest { return f.req }

// Response returns the answer, after Error returned nil.
func (f *flight) Response() *raft.AppendEntriesResponse { return f.resp }

// AppendEntriesPipeline opens a pipeline to a follower.
func (t *Transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	c, err := t.dial(id, target)
	if err != nil {
		return nil, err
	}
	p := &pipeline{
		t:        t,
		l:        t.link(id),
		conn:     c,
		slots:    make(chan struct{}, t.opts.MaxInFlight),
		inFlight: make(chan *flight, t.opts.MaxInFlight+maxExtras),
		done:     make(chan raft.AppendFuture, t.opts.MaxInFlight),
		closing:  make(chan struct{}),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		c.Close()
		return nil, ErrClosed
	}
	t.wg.Go(p.read)
	p.l.mu.Lock()
	p.l.pipe, p.l.extras, p.l.asked = p, 0, false
	p.l.mu.Unlock()
	return p, nil
}

// AppendEntries sends a message of raft's. It waits while MaxInFlight of them are
// unanswered.
func (p *pipeline) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	select {
	case p.slots <- struct{}{}:
	case <-p.closing:
		return nil, raft.ErrPipelineShutdown
	}
	args = p.t.tellDurable(args)
	f := &flight{req: args, resp: resp, done: make(chan struct{})}
	p.wmu.Lock()
	err := p.sendLocked(f)
	if err == nil {
		p.term = args.Term
		if last := lastOf(args); last.index > 0 {
			p.sent = last
		}
	}
	p.wmu.Unlock()
	if err != nil {
		p.Close()
		return nil, err
	}
	if p.l.promised(args) {
		p.l.signal() // somebody waits to be told of an entry that is only now on its way
	}
	return f, nil
}

// sendLocked stamps and writes a message and queues its flight.
func (p *pipeline) sendLocked(f *flight) error {
	select {
	case <-p.closing:
		return raft.ErrPipelineShutdown
	default:
	}
	if p.t.resigned.silent(f.req.Term) {
		return errResigned
	}
	f.stamp = p.t.stamp() // before the first byte can leave
	p.l.sending(raft.ServerAddress(p.conn.addr), f.req.Term, f.stamp.mark)
	p.conn.SetWriteDeadline(p.t.deadline(p.t.opts.IOTimeout))
	p.conn.enc.appendEntries(f.req)
	if err := p.conn.enc.w.Flush(); err != nil {
		return err
	}
	p.inFlight <- f // has room: slots and extras are both bounded
	return nil
}

// promised notes the commit index that the follower will know once it has
// handled a message just sent, and reports whether that falls short of what it
// should know.
func (l *link) promised(m *raft.AppendEntriesRequest) (short bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.enterLocked(m.Term) {
		return false
	}
	l.told = max(l.told, min(m.LeaderCommitIndex, lastOf(m).index))
	return l.want > l.told
}

// Consumer returns raft's answered messages, in order.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.done }

// Close closes the connection. Messages without an answer fail.
func (p *pipeline) Close() error {
	p.once.Do(func() {
		close(p.closing)
		p.t.drop(p.conn)
		p.l.mu.Lock()
		if p.l.pipe == p {
			// What was promised may not have arrived; raft's plain messages
			// and the link's own take over.
			p.l.pipe, p.l.extras, p.l.told, p.l.newest, p.l.asked = nil, 0, 0, 0, false
		}
		p.l.mu.Unlock()
		p.l.signal()
	})
	return nil
}

// kick sends the commit index that the follower should know, clamped to the last
// entry sent on this very pipeline.
func (p *pipeline) kick() {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	p.l.mu.Lock()
	current := p.l.pipe == p && p.l.term == p.term
	told, want := p.l.told, p.l.want
	p.l.mu.Unlock()
	if !current {
		return
	}
	m, due := p.t.kickFor(p.term, p.sent, told, want)
	if !due || !p.l.extra(p) {
		return
	}
	p.t.stats.kicks.Add(1)
	p.sendExtraLocked(&flight{req: m, extra: true})
	p.l.promised(m)
}

// ask sends a probe if reads wait for a message younger than those on their way.
func (p *pipeline) ask() {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	m, due := p.l.dueProbe()
	if !due {
		return
	}
	if !p.l.extra(p) {
		p.l.unask()
		return
	}
	p.t.stats.probes.Add(1)
	p.sendExtraLocked(&flight{req: m, extra: true, probe: true})
}

func (p *pipeline) sendExtraLocked(f *flight) {
	f.resp = new(raft.AppendEntriesResponse)
	if err := p.sendLocked(f); err != nil {
		p.Close()
	}
}

// extra takes room for a kick or probe on the follower's current pipeline.
func (l *link) extra(p *pipeline) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pipe != p || l.extras >= maxExtras {
		return false
	}
	l.extras++
	return true
}

func (l *link) unask() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = false
}

// read takes the answers, in the order of the messages.
func (p *pipeline) read() {
	defer p.Close()
	for {
		select {
		case f := <-p.inFlight:
			if !p.answer(f) {
				p.fail()
				return
			}
		case <-p.closing:
			p.fail()
			return
		}
	}
}

// answer reads the answer to f, and returns false if the pipeline is at its end.
func (p *pipeline) answer(f *flight) bool {
	p.conn.SetReadDeadline(p.t.deadline(p.t.opts.IOTimeout))
	d := &p.conn.dec
	f.err = d.status()
	if f.err == nil {
		steady := d.appendResponse(f.resp)
		f.err = d.err
		if f.err == nil {
			p.t.answered(p.l, f.req, f.resp, f.stamp, steady)
		}
	}
	p.deliver(f)
	return f.err == nil
}

// deliver gives an answered message to whom it belongs. raft looks at the
// response alone: one that was never filled says no success, which ends raft's
// use of the pipeline.
func (p *pipeline) deliver(f *flight) {
	if f.extra {
		p.l.extraDone(p, f.probe)
		return
	}
	close(f.done)
	<-p.slots
	select {
	case p.done <- f:
	case <-p.closing:
	}
}

// extraDone gives the room of a kick or probe back, and looks for more to send.
func (l *link) extraDone(p *pipeline, probe bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pipe != p {
		return
	}
	l.extras--
	if probe {
		l.asked = false
	}
	l.signal()
}

// fail ends what is unanswered when the pipeline is at its end.
func (p *pipeline) fail() {
	p.Close()
	// Nobody queues any more once the lock was had after Close.
	p.wmu.Lock()
	defer p.wmu.Unlock()
	for {
		select {
		case f := <-p.inFlight:
			f.err = raft.ErrPipelineShutdown
			if !f.extra {
				close(f.done)
			}
		default:
			return
		}
	}
}
