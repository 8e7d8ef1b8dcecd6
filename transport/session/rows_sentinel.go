package session

import (
	"fmt"

	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/glob"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/pubsub"
)

// The face of Redis Sentinel. To its clients the leader is the master, the other
// members are its replicas, and every member is a Sentinel too: each knows who
// leads, and tells its subscribers of +switch-master when that changes. What a
// real Sentinel is configured with, a cluster decides by itself, so the
// subcommands that change it are refused.
//
// Addresses are those of the listener by which the client came. A client of
// sentinel-port is told the Sentinels' by that port and the data's by the default
// listener.

var sentinelRows = []row{
	containerRow("sentinel", command.Sentinel),
	sentinelRow("ckquorum", 3, sentinelCkquorum),
	sentinelRow("config", -4, sentinelRefused),
	sentinelRow("debug", -2, sentinelRefused),
	sentinelRow("failover", 3, sentinelFailover),
	sentinelRow("flushconfig", 2, sentinelRefused),
	sentinelRow("get-master-addr-by-name", 3, sentinelGetMasterAddr),
	{Spec: command.Spec{Name: "sentinel|help", Arity: 2, Flags: anytime, Group: command.Sentinel}, do: help("sentinel")},
	sentinelRow("info-cache", -3, sentinelRefused),
	sentinelRow("is-master-down-by-addr", 6, sentinelIsMasterDown),
	sentinelRow("master", 3, sentinelMaster),
	sentinelRow("masters", 2, sentinelMasters),
	sentinelRow("monitor", 6, sentinelRefused),
	sentinelRow("myid", 2, func(s *Session, r *request) { r.out.BulkString(s.topology().Self.ID) }),
	sentinelRow("pending-scripts", 2, func(_ *Session, r *request) { r.out.Array(0) }),
	sentinelRow("remove", 3, sentinelRefused),
	sentinelRow("replicas", 3, sentinelReplicas),
	sentinelRow("reset", 3, sentinelRefused),
	sentinelRow("sentinels", 3, sentinelSentinels),
	sentinelRow("set", -5, sentinelRefused),
	sentinelRow("simulate-failure", -3, sentinelRefused),
	sentinelRow("slaves", 3, sentinelReplicas),
}

func sentinelRow(name string, arity int, do func(*Session, *request)) row {
	return row{
		Spec: command.Spec{Name: "sentinel|" + name, Arity: arity, Flags: command.Admin | command.Stale, Group: command.Sentinel},
		do:   do, waits: name == "failover",
	}
}

const (
	errNoSuchMaster     reply.Error = "ERR No such master with that name"
	errSentinelDecides  reply.Error = "ERR the cluster's members, quorum and time-outs are those of the cluster itself: SENTINEL can only tell of them, and fail over"
	errQuorumOutOfReach reply.Error = "NOQUORUM %d usable Sentinels. Not enough available Sentinels to reach the specified quorum for this master. " +
		"Not enough available Sentinels to reach the majority and authorize a failover"
)

func sentinelRefused(_ *Session, r *request) { r.fail(errSentinelDecides) }

// switchMaster is the channel on which Sentinel tells of another master.
const switchMaster = "+switch-master"

// asSentinel reports whether the client came by sentinel-port.
func (s *Session) asSentinel() bool { return s.peer.Listener == config.SentinelListener }

// dataTopology is the cluster with the addresses where this client finds the data.
func (s *Session) dataTopology() Topology {
	if s.asSentinel() {
		return s.srv.opts.Cluster.Topology(s.srv.opts.Config.DataListener())
	}
	return s.topology()
}

func (s *Server) masterName() string { return s.opts.Config.String("sentinel-master-name") }

// monitored reports whether a client names the one master that there is, and
// refuses any other name.
func (s *Session) monitored(r *request) bool {
	if string(r.args[2]) == s.srv.masterName() {
		return true
	}
	r.fail(errNoSuchMaster)
	return false
}

func sentinelGetMasterAddr(s *Session, r *request) {
	if string(r.args[2]) != s.srv.masterName() {
		r.out.NullArray()
		return
	}
	t := s.dataTopology()
	m := t.owner()
	r.out.Array(2)
	r.out.BulkString(m.Host)
	r.out.BulkInt(int64(m.Port))
}

func sentinelMasters(s *Session, r *request) {
	r.out.Array(1)
	writeFields(r.out, s.masterFields())
}

func sentinelMaster(s *Session, r *request) {
	if s.monitored(r) {
		writeFields(r.out, s.masterFields())
	}
}

func sentinelReplicas(s *Session, r *request) {
	if !s.monitored(r) {
		return
	}
	t := s.dataTopology()
	replicas := t.replicas()
	r.out.Array(len(replicas))
	for _, m := range replicas {
		writeFields(r.out, s.replicaFields(&t, m))
	}
}

// sentinelSentinels replies with the other members: every one is a Sentinel.
func sentinelSentinels(s *Session, r *request) {
	if !s.monitored(r) {
		return
	}
	t := s.topology()
	var others []Member
	for _, m := range t.Members {
		if !m.Self {
			others = append(others, m)
		}
	}
	r.out.Array(len(others))
	for _, m := range others {
		fields := append(s.instanceFields(m.ID, m, "sentinel"),
			Field{"last-hello-message", "0"},
			Field{"voted-leader", "?"},
			Field{"voted-leader-epoch", "0"},
		)
		writeFields(r.out, fields)
	}
}

// instanceFields are what Sentinel tells of a master, a replica or a Sentinel
// alike. Members are watched by raft and gossip, not by pings, so their times are
// 0 while a member is heard of.
func (s *Session) instanceFields(name string, m Member, flags string) []Field {
	if !m.Online && !m.Self {
		flags = "s_down," + flags + ",disconnected"
	}
	return []Field{
		{"name", name},
		{"ip", m.Host},
		field("port", m.Port),
		{"runid", m.ID},
		{"flags", flags},
		{"link-pending-commands", "0"},
		{"link-refcount", "1"},
		{"last-ping-sent", "0"},
		{"last-ok-ping-reply", "0"},
		{"last-ping-reply", "0"},
		{"down-after-milliseconds", s.srv.opts.Config.String("heartbeat-timeout")},
	}
}

func (s *Session) masterFields() []Field {
	t := s.dataTopology()
	return append(s.instanceFields(s.srv.masterName(), t.owner(), "master"),
		Field{"info-refresh", "0"},
		Field{"role-reported", "master"},
		Field{"role-reported-time", "0"},
		field("config-epoch", t.Term),
		field("num-slaves", len(t.replicas())),
		field("num-other-sentinels", len(t.Members)-1),
		field("quorum", t.quorum()),
		Field{"failover-timeout", s.srv.opts.Config.String("write-timeout")},
		field("parallel-syncs", len(t.replicas())),
	)
}

func (s *Session) replicaFields(t *Topology, m Member) []Field {
	owner := t.owner()
	link := "ok"
	if !m.Online && !m.Self {
		link = "err"
	}
	return append(s.instanceFields(fmt.Sprintf("%s:%d", m.Host, m.Port), m, "slave"),
		Field{"info-refresh", "0"},
		Field{"role-reported", "slave"},
		Field{"role-reported-time", "0"},
		Field{"master-link-down-time", "0"},
		Field{"master-link-status", link},
		Field{"master-host", owner.Host},
		field("master-port", owner.Port),
		Field{"slave-priority", "100"},
		field("slave-repl-offset", m.Applied),
		Field{"replica-announced", "1"},
	)
}

func writeFields(out *reply.Writer, fields []Field) {
	out.Map(len(fields))
	for _, f := range fields {
		out.BulkString(f.Name)
		out.BulkString(f.Value)
	}
}

// quorum is how many voters make a majority.
func (t *Topology) quorum() int {
	voters := 0
	for _, m := range t.Members {
		if m.Voter {
			voters++
		}
	}
	return voters/2 + 1
}

// usable is how many voters are heard of.
func (t *Topology) usable() int {
	n := 0
	for _, m := range t.Members {
		if m.Voter && (m.Online || m.Self) {
			n++
		}
	}
	return n
}

func sentinelCkquorum(s *Session, r *request) {
	if !s.monitored(r) {
		return
	}
	t := s.topology()
	n := t.usable()
	if n < t.quorum() {
		r.fail(reply.Error(fmt.Sprintf(string(errQuorumOutOfReach), n)))
		return
	}
	r.out.Status(fmt.Sprintf("OK %d usable Sentinels. Quorum and failover authorization can be reached", n))
}

// sentinelIsMasterDown: SENTINEL IS-MASTER-DOWN-BY-ADDR ip port epoch runid. Nobody
// gets a vote from here: raft elects.
func sentinelIsMasterDown(s *Session, r *request) {
	t := s.dataTopology()
	down := int64(0)
	if m := t.owner(); m.isAt(r.args[2], r.args[3]) && !m.Online && !m.Self {
		down = 1
	}
	r.out.Array(3)
	r.out.Int(down)
	r.out.BulkString("*")
	r.out.Int(0)
}

// sentinelFailover hands leadership over, as FAILOVER does.
func sentinelFailover(s *Session, r *request) {
	if s.monitored(r) {
		s.transfer("", r)
	}
}

// infoSentinel is shown to clients of sentinel-port.
func infoSentinel(s *Server, by *Session) []Field {
	t := by.dataTopology()
	status, m := "ok", t.owner()
	if t.Leader.ID == "" {
		status = "odown"
	}
	return []Field{
		{"sentinel_masters", "1"},
		{"sentinel_tilt", "0"},
		{"sentinel_tilt_since_seconds", "-1"},
		{"sentinel_running_scripts", "0"},
		{"sentinel_scripts_queue_length", "0"},
		{"sentinel_simulate_failure_flags", "0"},
		{"master0", fmt.Sprintf("name=%s,status=%s,address=%s:%d,slaves=%d,sentinels=%d", s.masterName(), status, m.Host, m.Port, len(t.replicas()), len(t.Members))},
	}
}

// LeaderChanged tells subscribers of +switch-master when another node leads than
// they were told before. It returns false when the leader or its address is not
// known yet: the caller tries again.
func (s *Server) LeaderChanged() bool {
	t := s.opts.Cluster.Topology(s.opts.Config.DataListener())
	if t.Leader.ID == "" || t.Leader.Port == 0 {
		return false
	}
	s.mu.Lock()
	before := s.master
	s.master = t.Leader.ID
	s.mu.Unlock()
	if before != "" && before != t.Leader.ID {
		for _, session := range s.all() {
			session.tellSwitch(before)
		}
	}
	return true
}

// tellSwitch delivers +switch-master if the client listens. A pattern that matches
// it counts on sentinel-port only: elsewhere it was meant for the application's
// channels.
func (s *Session) tellSwitch(before string) {
	s.mu.Lock()
	var subs []*subscription
	var messages []*pubsub.Message
	if sub := s.subs.names[pubsub.Channel][switchMaster]; sub != nil {
		subs, messages = append(subs, sub), append(messages, &pubsub.Message{Kind: pubsub.Channel})
	}
	if s.asSentinel() {
		for pattern, sub := range s.subs.names[pubsub.Pattern] {
			if glob.Match(pattern, []byte(switchMaster)) {
				subs, messages = append(subs, sub), append(messages, &pubsub.Message{Kind: pubsub.Pattern, Pattern: pattern})
			}
		}
	}
	s.mu.Unlock()
	if len(subs) == 0 {
		return
	}
	t := s.dataTopology()
	was, known := t.member(before)
	if !known { // removed since
		was.Host = t.Leader.Host
	}
	text := fmt.Appendf(nil, "%s %s %d %s %d", s.srv.masterName(), was.Host, was.Port, t.Leader.Host, t.Leader.Port)
	for i, m := range messages {
		m.Channel, m.Text = []byte(switchMaster), text
		subs[i].Deliver(m)
	}
}
