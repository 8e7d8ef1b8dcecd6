package session

import (
	"maps"
	"slices"

	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/pubsub"
)

const listening = command.PubSub | noScript

var pubsubRows = []row{
	{Spec: command.Spec{Name: "subscribe", Arity: -2, Flags: listening, Group: command.PubSubGroup}, do: subscribe(pubsub.Channel, "subscribe")},
	{Spec: command.Spec{Name: "psubscribe", Arity: -2, Flags: listening, Group: command.PubSubGroup}, do: subscribe(pubsub.Pattern, "psubscribe")},
	{Spec: command.Spec{Name: "ssubscribe", Arity: -2, Flags: listening, Group: command.PubSubGroup, Keys: command.All(command.NotKey)}, do: subscribe(pubsub.Shard, "ssubscribe")},
	{Spec: command.Spec{Name: "unsubscribe", Arity: -1, Flags: listening, Group: command.PubSubGroup}, do: unsubscribe(pubsub.Channel, "unsubscribe")},
	{Spec: command.Spec{Name: "punsubscribe", Arity: -1, Flags: listening, Group: command.PubSubGroup}, do: unsubscribe(pubsub.Pattern, "punsubscribe")},
	{Spec: command.Spec{Name: "sunsubscribe", Arity: -1, Flags: listening, Group: command.PubSubGroup, Keys: command.All(command.NotKey)}, do: unsubscribe(pubsub.Shard, "sunsubscribe")},
	{Spec: command.Spec{Name: "publish", Arity: 3, Flags: command.PubSub | anytime | command.Fast | command.MayReplicate, Group: command.PubSubGroup}, do: publish(false), sees: true},
	{Spec: command.Spec{Name: "spublish", Arity: 3, Flags: command.PubSub | anytime | command.Fast | command.MayReplicate, Group: command.PubSubGroup, Keys: command.One(command.NotKey)}, do: publish(true), sees: true},
	containerRow("pubsub", command.PubSubGroup),
	pubsubRow("channels", -2, command.PubSub|anytime, pubsubChannels(pubsub.Channel)),
	{Spec: command.Spec{Name: "pubsub|help", Arity: 2, Flags: anytime, Group: command.PubSubGroup, Categories: command.NoGroup}, do: help("pubsub")},
	pubsubRow("numpat", 2, command.PubSub|anytime, pubsubNumPat),
	pubsubRow("numsub", -2, command.PubSub|anytime, pubsubNumSub(pubsub.Channel)),
	pubsubRow("shardchannels", -2, command.PubSub|anytime, pubsubChannels(pubsub.Shard)),
	pubsubRow("shardnumsub", -2, command.PubSub|anytime, pubsubNumSub(pubsub.Shard)),
}

func pubsubRow(name string, arity int, flags command.Flags, do func(*Session, *request)) row {
	return row{Spec: command.Spec{Name: "pubsub|" + name, Arity: arity, Flags: flags, Group: command.PubSubGroup}, do: do}
}

// subscriberCommands are all that a RESP2 client with subscriptions may call:
// it could not tell other replies from messages.
var subscriberCommands = map[string]bool{
	"subscribe": true, "unsubscribe": true, "psubscribe": true, "punsubscribe": true,
	"ssubscribe": true, "sunsubscribe": true, "ping": true, "quit": true, "reset": true,
}

// subs are a session's subscriptions by kind and name.
type subs struct {
	names [3]map[string]*subscription
}

func (s *subs) len() int { return len(s.names[0]) + len(s.names[1]) + len(s.names[2]) }

// count is what the client is told: that of channels and patterns together,
// or that of shard channels.
func (s *subs) count(kind pubsub.Kind) int {
	if kind == pubsub.Shard {
		return len(s.names[pubsub.Shard])
	}
	return len(s.names[pubsub.Channel]) + len(s.names[pubsub.Pattern])
}

// subscription is one name that a session listens to.
type subscription struct {
	session *Session
	// confirmed: the client has been told. What is published before that is
	// not for it. Guarded by the session's output.
	confirmed bool
}

// Deliver implements pubsub.Subscriber.
func (sub *subscription) Deliver(m *pubsub.Message) {
	w := sub.session.out.Begin()
	if sub.confirmed {
		w.Raw(m.Encoded(w.Proto()))
	}
	sub.session.out.End()
	sub.session.out.SendSoon()
}

var _ pubsub.Subscriber = (*subscription)(nil)

// subscribe registers all names before it confirms the first, so that all
// nodes are waited for once. What is published between the two is dropped:
// the client has not been told that it would get it.
func subscribe(kind pubsub.Kind, verb string) func(*Session, *request) {
	return func(s *Session, r *request) {
		confirmations := make([]confirmation, 0, len(r.args)-1)
		registered := false
		for _, arg := range r.args[1:] {
			name := string(arg)
			sub := s.addSubscription(kind, name)
			if sub != nil {
				registered = true
				s.afterwards(r, func() { s.srv.opts.Registry.Subscribe(sub, kind, name) })
			}
			confirmations = append(confirmations, confirmation{sub, name, s.subs.count(kind)})
		}
		s.classify()
		if registered {
			s.afterwards(r, func() { s.srv.opts.Cluster.SubscriptionsKnown(s.srv.ctx) })
		}
		if r.inTx { // the output is locked, and in r.out's hands
			confirm(r.out, verb, confirmations)
			return
		}
		s.told(func(w *reply.Writer) { confirm(w, verb, confirmations) })
	}
}

// told writes what is told of subscriptions. As with messages, a client that
// wants no replies gets it nevertheless.
func (s *Session) told(f func(*reply.Writer)) {
	w := s.out.Begin()
	defer s.out.End()
	w.SetProto(s.proto)
	f(w)
}

// confirmation tells the client of a subscription, which is nil if there had
// been one before.
type confirmation struct {
	sub   *subscription
	name  string
	count int
}

// confirm writes confirmations. The output is locked: whatever is published
// from now on is delivered, behind them.
func confirm(out *reply.Writer, verb string, all []confirmation) {
	for _, c := range all {
		writeSubscription(out, verb, c.name, c.count)
		if c.sub != nil {
			c.sub.confirmed = true
		}
	}
}

// addSubscription returns a new subscription, or nil if there is one.
func (s *Session) addSubscription(kind pubsub.Kind, name string) *subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subs.names[kind] == nil {
		s.subs.names[kind] = make(map[string]*subscription)
	}
	if s.subs.names[kind][name] != nil {
		return nil
	}
	s.lists.subscriptions.Add(subscriptionBytes + int64(len(name)))
	sub := &subscription{session: s}
	s.subs.names[kind][name] = sub
	return sub
}

// removeSubscription forgets a subscription and returns it; nil if there was
// none. The registry is still to be told.
func (s *Session) removeSubscription(kind pubsub.Kind, name string) *subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subs.names[kind][name]
	if sub != nil {
		s.lists.subscriptions.Add(-subscriptionBytes - int64(len(name)))
	}
	delete(s.subs.names[kind], name)
	return sub
}

func unsubscribe(kind pubsub.Kind, verb string) func(*Session, *request) {
	return func(s *Session, r *request) {
		var names []string
		var left []int // how many there were when each was gone
		removed := false
		for _, arg := range r.args[1:] {
			names = append(names, string(arg))
		}
		if len(names) == 0 {
			names = slices.Sorted(maps.Keys(s.subs.names[kind]))
		}
		for _, name := range names {
			if sub := s.removeSubscription(kind, name); sub != nil {
				removed = true
				s.afterwards(r, func() { s.srv.opts.Registry.Unsubscribe(sub, kind, name) })
			}
			left = append(left, s.subs.count(kind))
		}
		s.classify()
		if removed { // who is told that it listens no more is not counted any more
			s.afterwards(r, func() { s.srv.opts.Cluster.SubscriptionsKnown(s.srv.ctx) })
		}
		write := func(w *reply.Writer) {
			for i, name := range names {
				writeSubscription(w, verb, name, left[i])
			}
			if len(names) == 0 {
				w.Push(3)
				w.BulkString(verb)
				w.Null()
				w.Int(int64(s.subs.count(kind)))
			}
		}
		if r.inTx {
			write(r.out)
			return
		}
		s.told(write)
	}
}

// afterwards calls f now, or inside a transaction when its output is no longer
// locked: the registry's lock comes before that of an output.
func (s *Session) afterwards(r *request, f func()) {
	if r.inTx {
		s.deferred = append(s.deferred, f)
		return
	}
	f()
}

func writeSubscription(out *reply.Writer, verb, name string, count int) {
	out.Push(3)
	out.BulkString(verb)
	out.BulkString(name)
	out.Int(int64(count))
}

// classify tells the output which limits apply now.
func (s *Session) classify() {
	if s.subs.len() > 0 {
		s.out.SetClass(ClassPubSub)
		return
	}
	s.out.SetClass(ClassNormal)
}

// dropSubscriptions ends all subscriptions without a word.
func (s *Session) dropSubscriptions() {
	for kind := range s.subs.names {
		for _, name := range slices.Collect(maps.Keys(s.subs.names[kind])) {
			sub := s.removeSubscription(pubsub.Kind(kind), name)
			s.srv.opts.Registry.Unsubscribe(sub, pubsub.Kind(kind), name)
		}
	}
}

func publish(sharded bool) func(*Session, *request) {
	return func(s *Session, r *request) {
		r.out.Int(int64(s.srv.opts.Cluster.Publish(r.args[1], r.args[2], sharded)))
	}
}

// remote returns what other nodes' clients listen to, of one kind.
func (s *Session) remote(kind pubsub.Kind) map[string]int {
	remote := s.srv.opts.Cluster.RemoteSubscribers()
	switch kind {
	case pubsub.Pattern:
		return remote.Patterns
	case pubsub.Shard:
		return remote.Shards
	}
	return remote.Channels
}

func pubsubChannels(kind pubsub.Kind) func(*Session, *request) {
	return func(s *Session, r *request) {
		if len(r.args) > 3 {
			r.fail(reply.SubcommandSyntax("PUBSUB", r.args[1]))
			return
		}
		pattern := ""
		if len(r.args) == 3 {
			pattern = string(r.args[2])
		}
		names := s.srv.opts.Registry.Names(kind, pattern)
		for name := range s.remote(kind) {
			if matchesAll(pattern, name) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		names = slices.Compact(names)
		r.out.Array(len(names))
		for _, name := range names {
			r.out.BulkString(name)
		}
	}
}

func pubsubNumSub(kind pubsub.Kind) func(*Session, *request) {
	return func(s *Session, r *request) {
		remote := s.remote(kind)
		r.out.Array(2 * (len(r.args) - 2))
		for _, arg := range r.args[2:] {
			r.out.Bulk(arg)
			r.out.Int(int64(s.srv.opts.Registry.Count(kind, string(arg)) + remote[string(arg)]))
		}
	}
}

// pubsubNumPat counts the different patterns of all nodes.
func pubsubNumPat(s *Session, r *request) {
	patterns := make(map[string]bool)
	for _, name := range s.srv.opts.Registry.Names(pubsub.Pattern, "") {
		patterns[name] = true
	}
	for name := range s.remote(pubsub.Pattern) {
		patterns[name] = true
	}
	r.out.Int(int64(len(patterns)))
}
