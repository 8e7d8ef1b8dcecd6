package session

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
)

var clusterRows = []row{
	containerRow("cluster", command.Cluster),
	clusterRow("addslots", -3, clusterAdmin, slotsFixed),
	clusterRow("addslotsrange", -4, clusterAdmin, slotsFixed),
	clusterRow("bumpepoch", 2, clusterAdmin, clusterBumpEpoch, "nondeterministic_output"),
	clusterRow("count-failure-reports", 3, command.Admin|command.Stale, clusterReports, "nondeterministic_output"),
	clusterRow("countkeysinslot", 3, command.Stale, clusterCountKeys),
	clusterRow("delslots", -3, clusterAdmin, slotsFixed),
	clusterRow("delslotsrange", -4, clusterAdmin, slotsFixed),
	clusterRow("failover", -2, clusterAdmin, clusterFailover),
	clusterRow("flushslots", 2, clusterAdmin, slotsFixed),
	clusterRow("forget", 3, clusterAdmin, quorateForget),
	clusterRow("getkeysinslot", 4, command.Stale, clusterGetKeys, "nondeterministic_output"),
	clusterRow("help", 2, anytime, help("cluster")),
	clusterRow("info", 2, command.Stale, clusterInfo, "nondeterministic_output"),
	clusterRow("keyslot", 3, command.Stale, func(_ *Session, r *request) { r.out.Int(int64(Slot(r.args[2]))) }),
	clusterRow("links", 2, command.Stale, func(_ *Session, r *request) { r.out.Array(0) }, "nondeterministic_output"),
	clusterRow("meet", -4, clusterAdmin, membersJoin),
	clusterRow("myid", 2, command.Stale, func(s *Session, r *request) { r.out.BulkString(s.topology().Self.ID) }),
	clusterRow("nodes", 2, command.Stale, clusterNodes, "nondeterministic_output"),
	clusterRow("replicate", 3, clusterAdmin, membersFollow),
	clusterRow("reset", -2, command.Admin|command.Stale|command.NoScript, membersStay),
	clusterRow("replicas", 3, command.Admin|command.Stale, clusterReplicas, "nondeterministic_output"),
	clusterRow("saveconfig", 2, clusterAdmin, func(_ *Session, r *request) { r.out.OK() }), // it is saved with every change
	clusterRow("set-config-epoch", 3, clusterAdmin, clusterBumpEpoch),
	clusterRow("setslot", -4, clusterAdmin, slotsFixed),
	clusterRow("shards", 2, command.Stale, clusterShards, "nondeterministic_output"),
	clusterRow("slaves", 3, command.Admin|command.Stale, clusterReplicas, "nondeterministic_output"),
	clusterRow("slots", 2, command.Stale, clusterSlots, "nondeterministic_output"),
	{Spec: command.Spec{Name: "failover", Arity: -1, Flags: command.Admin | command.NoScript | command.Stale, Group: command.Server}, do: failover, waits: true},
}

// clusterAdmin are the flags of what changes a cluster.
const clusterAdmin = command.Admin | command.Stale | command.NoAsyncLoading

// What Redis Cluster has to be told, and this cluster sees to by itself.
const (
	errSlotsFixed    reply.Error = "ERR slots have no owners here: the leader writes all of them and every node has all keys"
	errMembersJoin   reply.Error = "ERR a node joins by its own configuration: start it with --join and addresses of the cluster"
	errMembersFollow reply.Error = "ERR every node follows the leader, which the nodes elect: CLUSTER FAILOVER here makes this one the leader"
	errMembersStay   reply.Error = "ERR a node leaves by CLUSTER FORGET, sent to another one, and starts anew with an empty dir"
	errEpochs        reply.Error = "ERR epochs are the terms of the nodes' elections, which no client sets"
)

func slotsFixed(_ *Session, r *request)       { r.fail(errSlotsFixed) }
func membersJoin(_ *Session, r *request)      { r.fail(errMembersJoin) }
func membersFollow(_ *Session, r *request)    { r.fail(errMembersFollow) }
func membersStay(_ *Session, r *request)      { r.fail(errMembersStay) }
func clusterBumpEpoch(_ *Session, r *request) { r.fail(errEpochs) }

// clusterReports: CLUSTER COUNT-FAILURE-REPORTS id. Nodes do not tell each other of failures:
// who is out of contact is what this node's own connection says, which is a report at most.
func clusterReports(s *Session, r *request) {
	t := s.topology()
	m, known := t.member(string(r.args[2]))
	if !known {
		r.fail(reply.Error("ERR Unknown node " + string(r.args[2])))
		return
	}
	n := int64(0)
	if !m.Online && !m.Self {
		n = 1
	}
	r.out.Int(n)
}

func clusterRow(name string, arity int, flags command.Flags, do func(*Session, *request), tips ...string) row {
	return row{
		Spec: command.Spec{Name: "cluster|" + name, Arity: arity, Flags: flags, Group: command.Cluster, Tips: tips},
		do:   do, waits: name == "failover" || name == "forget",
		looks: name == "countkeysinslot" || name == "getkeysinslot",
	}
}

func (s *Session) topology() Topology { return s.srv.opts.Cluster.Topology(s.peer.Listener) }

// owner returns the member that clients shall take for the owner of all
// slots: the leader, and while none is known this node, where commands wait
// for one.
func (t *Topology) owner() Member {
	if t.Leader.ID != "" {
		return t.Leader
	}
	return t.Self
}

// member returns the member of that id.
func (t *Topology) member(id string) (m Member, ok bool) {
	i := slices.IndexFunc(t.Members, func(m Member) bool { return m.ID == id })
	if i < 0 {
		return Member{}, false
	}
	return t.Members[i], true
}

// isAt reports whether clients reach the member at that address.
func (m *Member) isAt(host, port []byte) bool {
	return m.Host == string(host) && strconv.Itoa(m.Port) == string(port)
}

// replicas returns the members that are not the owner.
func (t *Topology) replicas() []Member {
	owner := t.owner().ID
	var others []Member
	for _, m := range t.Members {
		if m.ID != owner {
			others = append(others, m)
		}
	}
	return others
}

func clusterInfo(s *Session, r *request) {
	t := s.topology()
	state := "ok"
	if t.Leader.ID == "" {
		state = "fail"
	}
	var b strings.Builder
	for _, f := range []struct {
		name  string
		value any
	}{
		{"cluster_state", state},
		{"cluster_slots_assigned", slots},
		{"cluster_slots_ok", slots},
		{"cluster_slots_pfail", 0},
		{"cluster_slots_fail", 0},
		{"cluster_known_nodes", len(t.Members)},
		{"cluster_size", 1},
		{"cluster_current_epoch", t.Term},
		{"cluster_my_epoch", t.Term},
		{"cluster_stats_messages_sent", 0},
		{"cluster_stats_messages_received", 0},
		{"total_cluster_links_buffer_limit_exceeded", 0},
	} {
		fmt.Fprintf(&b, "%s:%v\r\n", f.name, f.value)
	}
	r.out.Verbatim("txt", b.String())
}

func clusterNodes(s *Session, r *request) {
	s.aware = true
	t := s.topology()
	var b strings.Builder
	for _, m := range t.Members {
		b.WriteString(t.line(m, s.srv.now()))
		b.WriteByte('\n')
	}
	r.out.Verbatim("txt", b.String())
}

// line describes a member as CLUSTER NODES does.
func (t *Topology) line(m Member, now time.Time) string {
	owner := t.owner().ID
	flags, master, ranges := "slave", owner, ""
	if m.ID == owner {
		flags, master, ranges = "master", "-", fmt.Sprintf(" 0-%d", slots-1)
	}
	if m.Self {
		flags = "myself," + flags
	}
	link := "connected"
	if !m.Online && !m.Self {
		flags += ",fail"
		link = "disconnected"
	}
	_, busPort, err := net.SplitHostPort(m.PeerAddr)
	if err != nil {
		busPort = "0"
	}
	return fmt.Sprintf("%s %s:%d@%s %s %s 0 %d %d %s%s", m.ID, m.Host, m.Port, busPort, flags, master, now.UnixMilli(), t.Term, link, ranges)
}

func clusterReplicas(s *Session, r *request) {
	t := s.topology()
	id := string(r.args[2])
	_, known := t.member(id)
	switch {
	case !known:
		r.fail(reply.Error("ERR Unknown node " + id))
		return
	case id != t.owner().ID:
		r.fail("ERR The specified node is not a master")
		return
	}
	others := t.replicas()
	r.out.Array(len(others))
	for _, m := range others {
		r.out.BulkString(t.line(m, s.srv.now()))
	}
}

// clusterSlots shows the leader as owner of all slots.
func clusterSlots(s *Session, r *request) {
	s.aware = true
	t := s.topology()
	nodes := append([]Member{t.owner()}, t.replicas()...)
	n := 0
	for i, m := range nodes {
		if i == 0 || m.Online {
			nodes[n] = m
			n++
		}
	}
	r.out.Array(1)
	r.out.Array(2 + n)
	r.out.Int(0)
	r.out.Int(slots - 1)
	for _, m := range nodes[:n] {
		r.out.Array(4)
		r.out.BulkString(m.Host)
		r.out.Int(int64(m.Port))
		r.out.BulkString(m.ID)
		r.out.Map(0)
	}
}

func clusterShards(s *Session, r *request) {
	s.aware = true
	t := s.topology()
	owner := t.owner()
	nodes := append([]Member{owner}, t.replicas()...)
	r.out.Array(1)
	r.out.Map(2)
	r.out.BulkString("slots")
	r.out.Array(2)
	r.out.Int(0)
	r.out.Int(slots - 1)
	r.out.BulkString("nodes")
	r.out.Array(len(nodes))
	for _, m := range nodes {
		role, health := "replica", "online"
		if m.ID == owner.ID {
			role = "master"
		}
		if !m.Online && !m.Self {
			health = "fail"
		}
		r.out.Map(7)
		r.out.BulkString("id")
		r.out.BulkString(m.ID)
		r.out.BulkString("port")
		r.out.Int(int64(m.Port))
		r.out.BulkString("ip")
		r.out.BulkString(m.Host)
		r.out.BulkString("endpoint")
		r.out.BulkString(m.Host)
		r.out.BulkString("role")
		r.out.BulkString(role)
		r.out.BulkString("replication-offset")
		r.out.Int(int64(t.Applied))
		r.out.BulkString("health")
		r.out.BulkString(health)
	}
}

func clusterCountKeys(s *Session, r *request) {
	slot, ok := call.ParseInt(r.args[2])
	switch {
	case !ok:
		r.fail(reply.ErrNotInteger)
		return
	case slot < 0 || slot >= slots:
		r.fail("ERR Invalid slot")
		return
	}
	n := 0
	s.srv.eachKey(func(key []byte) bool {
		if Slot(key) == int(slot) {
			n++
		}
		return true
	})
	r.out.Int(int64(n))
}

func clusterGetKeys(s *Session, r *request) {
	slot, ok1 := call.ParseInt(r.args[2])
	limit, ok2 := call.ParseInt(r.args[3])
	switch {
	case !ok1 || !ok2:
		r.fail(reply.ErrNotInteger)
		return
	case slot < 0 || slot >= slots || limit < 0:
		r.fail("ERR Invalid slot or number of keys")
		return
	}
	mark, n := r.out.Mark(), 0
	if limit > 0 {
		s.srv.eachKey(func(key []byte) bool {
			if Slot(key) == int(slot) {
				r.out.Bulk(key)
				n++
			}
			return int64(n) < limit
		})
	}
	r.out.EndArray(mark, n)
}

// eachKey calls f for the keys of database 0, in steps between which others
// may change them, until f returns false.
func (s *Server) eachKey(f func(key []byte) bool) {
	out := reply.NewWriter(reply.RESP2, nil)
	for cursor := []byte("0"); ; {
		out.Reset(out.Bytes())
		args := [][]byte{[]byte("scan"), cursor, []byte("count"), []byte("1000")}
		s.opts.Engine.View(s.now().UnixMilli(), 0, func(v *engine.View) { v.Do(0, args, false, out) })
		v, _, err := reply.Read(out.Bytes())
		if err != nil || len(v.Elems) != 2 {
			return
		}
		for _, key := range v.Elems[1].Elems {
			if !f(key.Text) {
				return
			}
		}
		cursor = append([]byte(nil), v.Elems[0].Text...)
		if string(cursor) == "0" {
			return
		}
	}
}

// transferPatience bounds how long a client waits for a transfer.
const transferPatience = 10 * time.Second

// clusterFailover: CLUSTER FAILOVER [FORCE|TAKEOVER] makes this node the
// leader.
func clusterFailover(s *Session, r *request) {
	t := s.topology()
	if t.Self.Leader {
		r.fail("ERR You should send CLUSTER FAILOVER to a replica")
		return
	}
	s.transfer(t.Self.ID, r)
}

// failoverOptions are the options of FAILOVER.
type failoverOptions struct {
	host, port []byte // nil: to any
	timed      bool
	forced     bool
	abort      bool
}

// parseFailover reads them. It replies with an error itself.
func parseFailover(r *request) (o failoverOptions, ok bool) {
	if len(r.args) == 2 && strings.EqualFold(string(r.args[1]), "abort") {
		return failoverOptions{abort: true}, true
	}
	for args := r.args[1:]; len(args) > 0; {
		switch option := strings.ToLower(string(args[0])); {
		case option == "timeout" && len(args) >= 2 && !o.timed:
			ms, isInt := call.ParseInt(args[1])
			switch {
			case !isInt:
				r.fail(reply.ErrNotInteger)
				return o, false
			case ms <= 0:
				r.fail("ERR FAILOVER timeout must be greater than 0")
				return o, false
			}
			o.timed, args = true, args[2:]
		case option == "to" && len(args) >= 3 && o.host == nil:
			if _, isInt := call.ParseInt(args[2]); !isInt {
				r.fail(reply.ErrNotInteger)
				return o, false
			}
			o.host, o.port, args = args[1], args[2], args[3:]
		case option == "force" && !o.forced:
			o.forced, args = true, args[1:]
		default:
			r.fail(reply.ErrSyntax)
			return o, false
		}
	}
	return o, true
}

// failover: FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT ms] hands
// leadership over. It takes much less than any time-out, or is given up; there is
// nothing to force, since a leader has what a majority has.
func failover(s *Session, r *request) {
	o, ok := parseFailover(r)
	t := s.topology()
	switch {
	case !ok:
		return
	case o.abort:
		r.fail("ERR No failover in progress.")
		return
	case !t.Self.Leader:
		r.fail("ERR FAILOVER is not valid when server is a replica.")
		return
	case len(t.Members) < 2:
		r.fail("ERR FAILOVER requires connected replicas.")
		return
	case o.forced && (!o.timed || o.host == nil):
		r.fail("ERR FAILOVER with force option requires both a timeout and target HOST and IP.")
		return
	}
	id := ""
	if o.host != nil {
		i := slices.IndexFunc(t.Members, func(m Member) bool { return m.isAt(o.host, o.port) && !m.Self })
		if i < 0 {
			r.fail("ERR FAILOVER target HOST and PORT is not a replica.")
			return
		}
		id = t.Members[i].ID
	}
	s.transfer(id, r)
}

func (s *Session) transfer(id string, r *request) {
	ctx, cancel := context.WithTimeout(s.srv.ctx, transferPatience)
	defer cancel()
	if err := s.srv.opts.Cluster.Transfer(ctx, id); err != nil {
		r.fail(reply.Error("ERR " + err.Error()))
		return
	}
	r.out.OK()
}
