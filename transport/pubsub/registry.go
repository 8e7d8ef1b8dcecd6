package pubsub

import (
	"slices"
	"sync"

	"github.com/quorate/quorate/engine/glob"
	"github.com/quorate/quorate/engine/reply"
)

// Kind tells what a subscription's name is.
type Kind uint8

// The kinds.
const (
	Channel Kind = iota // a channel's name
	Pattern             // a glob over channels' names
	Shard               // the name of a sharded channel
	kinds
)

// Subscriber is told of messages.
type Subscriber interface {
	// Deliver takes a message. It must not block, and keeps nothing of m.
	Deliver(m *Message)
}

// Message is one message on its way to one kind of subscriber.
type Message struct {
	Kind    Kind
	Pattern string // of Kind Pattern
	Channel []byte
	Text    []byte

	resp2, resp3 []byte // encoded on first use
}

// Encoded returns m as clients of that protocol see it. Subscribers share the
// bytes, which are valid during Deliver.
func (m *Message) Encoded(proto reply.Proto) []byte {
	encoded := &m.resp2
	if proto == reply.RESP3 {
		encoded = &m.resp3
	}
	if *encoded == nil {
		w := reply.NewWriter(proto, make([]byte, 0, len(m.Channel)+len(m.Text)+len(m.Pattern)+64))
		m.write(w)
		*encoded = w.Bytes()
	}
	return *encoded
}

func (m *Message) write(w *reply.Writer) {
	switch m.Kind {
	case Pattern:
		w.Push(4)
		w.BulkString("pmessage")
		w.BulkString(m.Pattern)
	case Shard:
		w.Push(3)
		w.BulkString("smessage")
	default:
		w.Push(3)
		w.BulkString("message")
	}
	w.Bulk(m.Channel)
	w.Bulk(m.Text)
}

// Registry knows who of this node listens to what. It may be used by many
// goroutines.
type Registry struct {
	mu    sync.RWMutex
	names [kinds]map[string]*topic // guarded by mu; no topic is without subscribers
	// patterns are those of names[Pattern] in the order of their first
	// subscription: messages go out in that order. Guarded by mu.
	patterns []*topic
	watch    func(Interest) // guarded by mu
}

type topic struct {
	name string
	subs []Subscriber // in the order of subscription
}

// Interest tells how many subscribers of this node a name has now.
type Interest struct {
	Kind  Kind
	Name  string
	Count int
}

// NewRegistry returns a Registry without subscribers.
func NewRegistry() *Registry {
	r := &Registry{}
	for k := range r.names {
		r.names[k] = make(map[string]*topic)
	}
	return r
}

// Watch makes the registry call f at each change of a name's count, in the
// order of the changes, and returns the counts from which they go on. f must
// not block and not call the registry.
func (r *Registry) Watch(f func(Interest)) []Interest {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watch = f
	var all []Interest
	for kind := range kinds {
		for name, t := range r.names[kind] {
			all = append(all, Interest{kind, name, len(t.subs)})
		}
	}
	return all
}

// Subscribe adds a subscription. A subscriber asks once for each name.
func (r *Registry) Subscribe(sub Subscriber, kind Kind, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.names[kind][name]
	if t == nil {
		t = &topic{name: name}
		r.names[kind][name] = t
		if kind == Pattern {
			r.patterns = append(r.patterns, t)
		}
	}
	t.subs = append(t.subs, sub)
	r.changedLocked(kind, name, len(t.subs))
}

// Unsubscribe takes a subscription back.
func (r *Registry) Unsubscribe(sub Subscriber, kind Kind, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.names[kind][name]
	if t == nil {
		return
	}
	i := slices.Index(t.subs, sub)
	if i < 0 {
		return
	}
	t.subs = slices.Delete(t.subs, i, i+1)
	if len(t.subs) == 0 {
		delete(r.names[kind], name)
		if kind == Pattern {
			r.patterns = slices.DeleteFunc(r.patterns, func(p *topic) bool { return p == t })
		}
	}
	r.changedLocked(kind, name, len(t.subs))
}

func (r *Registry) changedLocked(kind Kind, name string, count int) {
	if r.watch != nil {
		r.watch(Interest{kind, name, count})
	}
}

// Publish delivers a message to the subscribers of this node and returns how
// many they are; who listens to a channel and a pattern counts twice. Of one
// caller, messages arrive in the order published.
func (r *Registry) Publish(channel, text []byte, sharded bool) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if sharded {
		return r.deliverLocked(&Message{Kind: Shard, Channel: channel, Text: text}, r.names[Shard][string(channel)])
	}
	n := 0
	if t := r.names[Channel][string(channel)]; t != nil {
		n = r.deliverLocked(&Message{Kind: Channel, Channel: channel, Text: text}, t)
	}
	for _, t := range r.patterns {
		if glob.Match(t.name, channel) {
			n += r.deliverLocked(&Message{Kind: Pattern, Pattern: t.name, Channel: channel, Text: text}, t)
		}
	}
	return n
}

func (r *Registry) deliverLocked(m *Message, t *topic) int {
	if t == nil {
		return 0
	}
	for _, sub := range t.subs {
		sub.Deliver(m)
	}
	return len(t.subs)
}

// Receivers returns how many subscribers of this node Publish would reach.
func (r *Registry) Receivers(channel []byte, sharded bool) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if sharded {
		return r.names[Shard][string(channel)].count()
	}
	n := r.names[Channel][string(channel)].count()
	for _, t := range r.patterns {
		if glob.Match(t.name, channel) {
			n += t.count()
		}
	}
	return n
}

func (t *topic) count() int {
	if t == nil {
		return 0
	}
	return len(t.subs)
}

// Names returns the names of that kind that have subscribers and match the
// glob, sorted; all if the glob is empty.
func (r *Registry) Names(kind Kind, match string) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []string
	for name := range r.names[kind] {
		if match == "" || glob.Match(match, name) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// Count returns how many subscribers of this node a name has.
func (r *Registry) Count(kind Kind, name string) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.names[kind][name].count()
}

// Len returns how many names of that kind have subscribers on this node.
func (r *Registry) Len(kind Kind) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.names[kind])
}
