package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine/glob"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/transport/peer"
)

// Publish and subscribe between nodes. Each node tells all others for which
// channels and patterns it has subscribers, and how many; a message goes only
// where someone listens. It carries how far its publisher can have seen the log
// applied, so that whoever gets it and then reads sees at least what the publisher saw.

// Interest says how many subscribers of a node a name has. Kind is 0 for a
// channel, 1 for a pattern, 2 for a sharded channel, 3 for all messages, which count
// nobody: they are for servers that follow the node.
type Interest struct {
	Kind  uint8
	Name  string
	Count int
}

// Remote is a message of another node. Numbers count a sender's messages for
// one receiver within its life; Connection rises with each new stream.
type Remote struct {
	Node                                   string
	Incarnation, Connection, Number, After uint64
	Channel, Text                          []byte
	Sharded                                bool
}

const (
	kindChannel = 0
	kindPattern = 1
	kindShard   = 2
	kindAll     = 3

	// changesMax is the number of changes of interest that are kept for nodes
	// that are behind; one that is further behind is told everything.
	changesMax = 4096
	// retellEvery is how often a node is asked whether it still knows.
	retellEvery = time.Second
)

// publisher keeps what this node's subscribers want, what other nodes' want,
// and the streams to them.
type publisher struct {
	node *Node

	mu      sync.Mutex
	own     map[Interest]int           // guarded by mu; counts, by kind and name (Count 0)
	version uint64                     // guarded by mu; of own; counts changes
	changes []Interest                 // guarded by mu; the newest changes, the last made own's version
	links   map[raft.ServerID]*pubLink // guarded by mu
	changed chan struct{}              // guarded by mu; closed and replaced when version or an ack moves
	numbers uint64                     // guarded by mu; connections made
}

// pubLink is what this node shares with one other.
type pubLink struct {
	acked       uint64 // version of own interest that it knows
	incarnation uint64 // of what it told; 0: nothing yet
	version     uint64
	wants       map[Interest]int // by kind and name
	patterns    int              // how many of wants are patterns
	all         bool             // it wants all messages
	stream      *peer.Stream
	number      uint64
	running     bool // a goroutine tells it of changes
}

func newPublisher(n *Node) *publisher {
	return &publisher{node: n, own: make(map[Interest]int), links: make(map[raft.ServerID]*pubLink), changed: make(chan struct{})}
}

func (p *publisher) serve() {
	p.node.port.HandleCall(callInterest, p.serveInterest)
	p.node.port.HandleStream(topicPublish, p.takeMessages)
}

// run starts one teller for each member.
func (p *publisher) run(ctx context.Context) {
	if p.node.opts.WatchInterest != nil {
		for _, in := range p.node.opts.WatchInterest(p.note) {
			p.note(in)
		}
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		for _, s := range p.node.members.servers() {
			if s.ID == p.node.id() {
				continue
			}
			p.mu.Lock()
			link := p.linkLocked(s.ID)
			start := !link.running
			link.running = true
			p.mu.Unlock()
			if start {
				p.node.wg.Go(func() {
					p.tell(ctx, s.ID)
					p.drop(s.ID)
				})
			}
		}
		select {
		case <-ctx.Done():
			p.closeStreams()
			return
		case <-tick.C:
		}
	}
}

func (p *publisher) closeStreams() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, link := range p.links {
		if link.stream != nil {
			link.stream.Close()
		}
	}
}

// drop forgets a node that is no member any more.
func (p *publisher) drop(id raft.ServerID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if link := p.links[id]; link.stream != nil {
		link.stream.Close()
	}
	delete(p.links, id)
	p.signalLocked()
}

func (p *publisher) linkLocked(id raft.ServerID) *pubLink {
	link := p.links[id]
	if link == nil {
		link = &pubLink{wants: make(map[Interest]int)}
		p.links[id] = link
	}
	return link
}

// note takes a change of what this node's subscribers want.
func (p *publisher) note(in Interest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := Interest{Kind: in.Kind, Name: in.Name}
	if in.Count == 0 {
		delete(p.own, key)
	} else {
		p.own[key] = in.Count
	}
	p.version++
	p.changes = append(p.changes, in)
	if len(p.changes) > 2*changesMax {
		p.changes = append([]Interest(nil), p.changes[changesMax:]...)
	}
	p.signalLocked()
}

func (p *publisher) signalLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// telling is what a node tells another of its interest: all of it, or the
// changes from one version to another.
type telling struct {
	Incarnation uint64
	From, To    uint64
	All         bool
	Interest    []Interest
}

func (p *publisher) telling(link *pubLink, all bool) (telling, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := telling{Incarnation: p.node.firstIncarnation, From: link.acked, To: p.version}
	if oldest := p.version - uint64(len(p.changes)); all || link.acked < oldest {
		t.All = true
		for key, count := range p.own {
			key.Count = count
			t.Interest = append(t.Interest, key)
		}
		return t, p.changed
	}
	t.Interest = append(t.Interest, p.changes[len(p.changes)-int(p.version-link.acked):]...)
	return t, p.changed
}

// tell keeps one node informed until ctx ends or it is no member any more.
func (p *publisher) tell(ctx context.Context, id raft.ServerID) {
	p.mu.Lock()
	link := p.links[id]
	p.mu.Unlock()
	all := true
	for p.node.members.has(id) {
		t, changed := p.telling(link, all)
		call, cancel := context.WithTimeout(ctx, time.Second)
		_, err := p.node.port.Call(call, p.node.addrOf(id), callInterest, t.append(nil))
		cancel()
		var refused *peer.RemoteError
		switch {
		case err == nil:
			all = false
			p.mu.Lock()
			moved := link.acked != t.To
			link.acked = t.To
			if moved {
				p.signalLocked()
				changed = p.changed
			}
			behind := link.acked != p.version
			p.mu.Unlock()
			if behind {
				continue
			}
		case errors.As(err, &refused):
			again := !all
			all = true
			if again {
				continue
			}
		}
		pause := retellEvery
		if err != nil {
			pause, changed = pollEvery/2, nil
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-time.After(pause):
		}
	}
}

// SubscriptionsKnown waits until every member that can be reached knows what
// this node's subscribers want now: from then on they miss nothing.
func (n *Node) SubscriptionsKnown(ctx context.Context) {
	p := n.pubsub
	p.mu.Lock()
	version := p.version
	for {
		behind := false
		for id, link := range p.links {
			if link.running && link.acked < version {
				if _, online := n.members.peer(id); online {
					behind = true
				}
			}
		}
		changed := p.changed
		p.mu.Unlock()
		if !behind {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		p.mu.Lock()
	}
}

var errTellAll = errors.New("tell everything")

// serveInterest takes what another node tells. It answers when this node's
// messages have a way there.
func (p *publisher) serveInterest(ctx context.Context, from peer.Info, req []byte) ([]byte, error) {
	t, err := decodeTelling(req)
	if err != nil {
		return nil, err
	}
	id := raft.ServerID(from.NodeID)
	p.mu.Lock()
	link := p.linkLocked(id)
	if !t.All && (t.Incarnation != link.incarnation || t.From != link.version) {
		p.mu.Unlock()
		return nil, errTellAll
	}
	listens := len(t.Interest) > 0 || len(link.wants) > 0 || link.all
	p.mu.Unlock()
	if listens { // also when it only asks whether this node still knows: a stream may have broken
		if err := p.ensureStream(ctx, id); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.All {
		link.wants, link.patterns, link.all = make(map[Interest]int, len(t.Interest)), 0, false
	} else if t.Incarnation != link.incarnation || t.From != link.version {
		return nil, errTellAll
	}
	link.incarnation, link.version = t.Incarnation, t.To
	for _, in := range t.Interest {
		link.want(in)
	}
	return nil, nil
}

func (l *pubLink) want(in Interest) {
	if in.Kind == kindAll {
		l.all = in.Count > 0
		return
	}
	key := Interest{Kind: in.Kind, Name: in.Name}
	_, had := l.wants[key]
	if in.Count == 0 {
		delete(l.wants, key)
	} else {
		l.wants[key] = in.Count
	}
	if _, has := l.wants[key]; in.Kind == kindPattern && has != had {
		if has {
			l.patterns++
		} else {
			l.patterns--
		}
	}
}

// alive reports whether messages have a way to the link's node.
func (l *pubLink) alive() bool { return l.stream != nil && l.stream.Err() == nil }

// receivers returns how many subscribers of the link's node get a message.
func (l *pubLink) receivers(channel []byte, sharded bool) int {
	if sharded {
		return l.wants[Interest{Kind: kindShard, Name: string(channel)}]
	}
	n := l.wants[Interest{Kind: kindChannel, Name: string(channel)}]
	if l.patterns == 0 {
		return n
	}
	for key, count := range l.wants {
		if key.Kind == kindPattern && glob.Match([]byte(key.Name), channel) {
			n += count
		}
	}
	return n
}

// ensureStream opens the stream of messages to a node if there is none.
func (p *publisher) ensureStream(ctx context.Context, id raft.ServerID) error {
	p.mu.Lock()
	link := p.linkLocked(id)
	if link.alive() {
		p.mu.Unlock()
		return nil
	}
	p.numbers++
	connection := p.numbers
	p.mu.Unlock()
	opening := binary.AppendUvarint(nil, p.node.firstIncarnation)
	opening = binary.AppendUvarint(opening, connection)
	stream, err := p.node.port.OpenStream(ctx, p.node.addrOf(id), topicPublish, peer.StreamOptions{Opening: opening})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if link.alive() || stream.Peer().NodeID != string(id) {
		stream.Close() // another call was faster, or another node lives there now
		return nil
	}
	link.stream = stream
	return nil
}

// Receivers returns how many subscribers of the other nodes would get a
// message, as far as this node knows.
func (n *Node) Receivers(channel []byte, sharded bool) int {
	p := n.pubsub
	p.mu.Lock()
	defer p.mu.Unlock()
	total := 0
	for _, link := range p.links {
		if link.alive() {
			total += link.receivers(channel, sharded)
		}
	}
	return total
}

// Publish sends a message to the other nodes that have subscribers for it, and
// returns how many those are.
func (n *Node) Publish(channel, text []byte, sharded bool) int {
	p := n.pubsub
	p.mu.Lock()
	defer p.mu.Unlock()
	total := 0
	for _, link := range p.links {
		count := link.receivers(channel, sharded)
		if count == 0 && !link.all || link.stream == nil {
			continue
		}
		link.number++
		if link.stream.Send(appendMessage(link.number, n.shown.Load(), channel, text, sharded)) == nil {
			total += count
		}
	}
	return total
}

// HearAll has the other nodes send this one all that their clients publish, or no more
// than its subscribers want. Members that don't know of it, of older releases, are not
// asked: it comes with [semantic.Conversation].
func (n *Node) HearAll(wanted bool) {
	all := Interest{Kind: kindAll}
	wanted = wanted && n.fsm.Semantic() >= semantic.Conversation
	p := n.pubsub
	p.mu.Lock()
	is := p.own[all] > 0
	p.mu.Unlock()
	if is != wanted {
		if wanted {
			all.Count = 1
		}
		p.note(all)
	}
}

// RemoteInterest returns what the subscribers of other nodes want, added up.
func (n *Node) RemoteInterest() []Interest {
	p := n.pubsub
	p.mu.Lock()
	defer p.mu.Unlock()
	sums := make(map[Interest]int)
	for _, link := range p.links {
		if !link.alive() {
			continue
		}
		for key, count := range link.wants {
			sums[key] += count
		}
	}
	all := make([]Interest, 0, len(sums))
	for key, count := range sums {
		key.Count = count
		all = append(all, key)
	}
	return all
}

// takeMessages serves the stream of another node's messages.
func (p *publisher) takeMessages(in *peer.Incoming) {
	incarnation, size := binary.Uvarint(in.Opening)
	if size <= 0 {
		return
	}
	connection, _ := binary.Uvarint(in.Opening[size:])
	for {
		frame, err := in.Next()
		if err != nil {
			return
		}
		r, err := decodeMessage(frame)
		if err != nil {
			p.node.opts.Log.Error("messages of a node are malformed", "from", in.Peer().NodeID)
			return
		}
		r.Node, r.Incarnation, r.Connection = in.Peer().NodeID, incarnation, connection
		p.node.opts.Receive(r)
		p.node.catchUp.to(r.After)
	}
}
