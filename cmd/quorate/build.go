package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/cluster"
	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/admin"
	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/pubsub"
	"github.com/quorate/quorate/transport/resp"
	"github.com/quorate/quorate/transport/session"
)

// node holds the parts of a running server.
type node struct {
	conf *config.Config
	log  *slog.Logger
	stop context.CancelCauseFunc

	registry *pubsub.Registry
	remote   *remoteMessages
	engine   *engine.Engine
	cluster  *cluster.Node
	sessions *session.Server

	leaderChanged chan struct{} // of one place: a leader to look at
}

// errShutdown is the cause of an end that a client asked for.
var errShutdown = errors.New("SHUTDOWN")

// openCluster opens this process as a member of its cluster.
func (n *node) openCluster() (*cluster.Node, error) {
	o, err := clusterOptions(n.conf)
	if err != nil {
		return nil, err
	}
	o.Engine, o.Log = n.engine, n.log
	o.Receive, o.Applied = n.remote.receive, n.remote.applied
	o.WatchInterest = watchInterest(n.registry)
	o.Exit = n.exit
	o.LeaderChanged = n.noteLeader
	o.Host.Wall = wall
	// Cluster-wide settings of the file are what a new cluster begins with; in
	// force is what the engine has, until the log says otherwise.
	n.adopt(n.engine.AllSettings())
	return cluster.Open(o)
}

// exit ends the process at once: its memory or its files can't be trusted, so
// nothing of them must be answered or written any more.
func (n *node) exit(err error) {
	n.log.Error("this node stops: it can't be sure of its state", "error", err)
	fmt.Fprintln(os.Stderr, "quorate: fatal:", err)
	os.Exit(1)
}

func (n *node) shutdown(save bool) {
	if save {
		if err := n.cluster.Snapshot(); err != nil {
			n.log.Error("snapshot before shutdown failed", "error", err)
		}
	}
	n.stop(errShutdown)
}

// noteLeader wakes followLeader.
func (n *node) noteLeader() {
	select {
	case n.leaderChanged <- struct{}{}:
	default:
	}
}

// leaderAddressWait is the pause before a new leader, or its address, which gossip
// brings, is looked for again.
const leaderAddressWait = 20 * time.Millisecond

// followLeader tells clients of Sentinel of each change of leader, until ctx ends.
func (n *node) followLeader(ctx context.Context, view *sessionCluster) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.leaderChanged:
		}
		view.forget()
		if !n.sessions.LeaderChanged() {
			time.AfterFunc(leaderAddressWait, n.noteLeader)
		}
	}
}

// receivers returns how many subscribers of the cluster get a message.
func (n *node) receivers(channel []byte, sharded bool) int {
	return n.registry.Receivers(channel, sharded) + n.cluster.Receivers(channel, sharded)
}

// publish delivers to this node's subscribers what a transaction, a script or
// an event of a key published; the other nodes do the same for theirs.
func (n *node) publish(m engine.Message) { n.registry.Publish(m.Channel, m.Text, m.Sharded) }

// clusterOptions translates the configuration.
func clusterOptions(conf *config.Config) (cluster.Options, error) {
	policy, err := raftlog.ParsePolicy(conf.String("appendfsync"))
	if err != nil {
		return cluster.Options{}, err
	}
	points, err := savePoints(conf.String("save"))
	if err != nil {
		return cluster.Options{}, err
	}
	bind, advertise, err := clusterAddrs(conf)
	if err != nil {
		return cluster.Options{}, err
	}
	tlsConf, err := clusterTLS(conf)
	if err != nil {
		return cluster.Options{}, err
	}
	if n := conf.Int("databases"); n != engine.Databases {
		return cluster.Options{}, fmt.Errorf("databases %d: a cluster has %d; remove the line", n, engine.Databases)
	}
	o := cluster.Options{
		Dir: filepath.Clean(conf.String("dir")), Memory: !conf.Bool("appendonly"), LogStore: conf.String("log-store"),
		Sync: policy, SnapshotName: conf.String("dbfilename"), SavePoints: points,
		LogKeepBytes: conf.Int("log-keep-bytes"), LogSnapshotBytes: conf.Int("log-snapshot-bytes"),
		DiskLowWater: uint64(conf.Int("disk-low-water")),
		Bind:         bind, Advertise: advertise, Name: conf.String("cluster-name"),
		TLS: tlsConf, BootstrapExpect: int(conf.Int("bootstrap-expect")), Listeners: listeners(conf),
		HeartbeatTimeout: time.Duration(conf.Int("heartbeat-timeout")) * time.Millisecond,
		HoldVersion:      conf.String("cluster-version-raise") == "no",
		RaiseAfter:       time.Duration(conf.Int("cluster-version-raise-delay")) * time.Millisecond,
		WriteTimeout:     time.Duration(conf.Int("write-timeout")) * time.Millisecond,
		NoLeaderWait:     max(time.Duration(conf.Int("no-leader-wait"))*time.Millisecond, time.Millisecond),
		RetireAfter:      time.Duration(conf.Int("retire-after")) * time.Millisecond,
		ReadLease:        conf.Bool("read-lease"),
	}
	o.Settings = clusterSettings(conf)
	if secret := conf.String("cluster-secret"); secret != "" {
		o.Secret = []byte(secret)
	}
	if join := conf.String("join"); join != "" {
		o.Join = strings.FieldsFunc(join, func(r rune) bool { return r == ',' || r == ' ' })
	}
	return o, nil
}

// clusterSettings returns the cluster-wide settings that the configuration
// gives: a new cluster begins with its first leader's.
func clusterSettings(conf *config.Config) [][]byte {
	var pairs [][]byte
	for _, p := range conf.Get("?*") { // "*" alone leaves out what redis-server does not have
		spec, ok := config.Lookup(p.Name)
		if ok && spec.Has(config.Cluster) && spec.Name == p.Name && conf.Given(p.Name) {
			pairs = append(pairs, []byte(p.Name), []byte(p.Value))
		}
	}
	return pairs
}

// adopt takes the cluster-wide settings in force into this node's
// configuration, for those who read them there.
func (n *node) adopt(settings map[string]string) {
	var pairs []config.Pair
	for name, value := range settings {
		pairs = append(pairs, config.Pair{Name: name, Value: value})
	}
	n.conf.Adopt(pairs)
}

// clusterAddrs returns where the node-to-node port listens, and how others
// reach it.
func clusterAddrs(conf *config.Config) (bind, advertise string, err error) {
	port := conf.Int("cluster-port")
	if port == 0 {
		port = conf.Int("port") + clusterPortOffset
	}
	if port <= 0 || port > 65535 {
		return "", "", fmt.Errorf("cluster-port: %d is no port: set cluster-port, or a port below %d", port, 65536-clusterPortOffset)
	}
	host := "127.0.0.1"
	hosts := strings.Fields(conf.String("cluster-bind"))
	if len(hosts) == 0 && conf.Given("bind") {
		hosts = strings.Fields(conf.String("bind"))
	}
	if len(hosts) > 0 {
		host = strings.TrimPrefix(hosts[0], "-")
	}
	if host == "*" {
		host = "0.0.0.0"
	}
	text := strconv.FormatInt(port, 10)
	advertise = conf.String("cluster-advertise")
	if advertise != "" {
		if _, _, err := net.SplitHostPort(advertise); err != nil {
			advertise = net.JoinHostPort(advertise, text)
		}
	}
	return net.JoinHostPort(host, text), advertise, nil
}

// listeners returns the addresses at which clients are told to reach this
// node, by the listener's name. An empty host is that of the node-to-node port.
func listeners(conf *config.Config) map[string]string {
	all := make(map[string]string)
	for _, l := range conf.Listeners() {
		if l.Network != "tcp" || len(l.Addrs) == 0 {
			continue
		}
		all[l.Name] = advertised(l.Advertise, l.Addrs[0])
	}
	return all
}

// advertised completes an advertised address by the one that is listened on.
func advertised(advertise, listen string) string {
	host, port, err := net.SplitHostPort(strings.TrimPrefix(listen, "-"))
	if err != nil {
		return advertise
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "" // every address of the machine is none that could be told
	}
	if advertise == "" {
		return net.JoinHostPort(host, port)
	}
	if h, p, err := net.SplitHostPort(advertise); err == nil {
		if h == "" {
			h = host
		}
		return net.JoinHostPort(h, p)
	}
	return net.JoinHostPort(advertise, port)
}

// savePoints reads the value of save: seconds and changes alternate.
func savePoints(text string) ([]cluster.SavePoint, error) {
	words := strings.Fields(text)
	if len(words)%2 != 0 {
		return nil, fmt.Errorf("save %q: it is pairs of seconds and changes", text)
	}
	var points []cluster.SavePoint
	for i := 0; i < len(words); i += 2 {
		seconds, err1 := strconv.Atoi(words[i])
		changes, err2 := strconv.ParseUint(words[i+1], 10, 63)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("save %q: %w", text, err)
		}
		points = append(points, cluster.SavePoint{After: time.Duration(seconds) * time.Second, Changes: changes})
	}
	return points, nil
}

// errAtStart refuses a change that would take no effect before the next start.
var errAtStart = errors.New("it takes effect only when the node is started with it")

// bind makes directives that CONFIG SET may change take effect, or refuses the
// change where redis-server could make it and this node can't.
func (n *node) bind() {
	n.conf.OnSet("save", func(value string) error {
		points, err := savePoints(value)
		if err == nil {
			n.cluster.SetSavePoints(points)
		}
		return err
	})
	n.conf.OnSet("appendfsync", func(value string) error {
		policy, err := raftlog.ParsePolicy(value)
		if err == nil {
			n.cluster.SetSync(policy)
		}
		return err
	})
	n.conf.OnSet("cluster-version-raise", func(value string) error {
		n.cluster.HoldVersion(value == "no")
		return nil
	})
	for _, name := range []string{"appendonly", "dbfilename"} {
		started := n.conf.String(name)
		n.conf.OnSet(name, func(value string) error {
			if value != started {
				return errAtStart
			}
			return nil
		})
	}
}

// followListeners makes CONFIG SET of where clients connect take effect, here and in
// what clients of the other nodes are told. The node-to-node port stays.
func (n *node) followListeners(front *resp.Server, view *sessionCluster) {
	for name, refusal := range map[string]error{"bind": errBind, "port": errPort, "tls-port": errPort} {
		n.conf.OnSet(name, func(string) error {
			if err := front.Relisten(n.conf.Listeners()); err != nil {
				n.log.Error("clients can't connect where CONFIG SET says", "directive", name, "error", err)
				if errors.Is(err, resp.ErrTLS) {
					return errTLS
				}
				return refusal
			}
			n.cluster.SetListeners(listeners(n.conf))
			view.forget()
			return nil
		})
	}
	// Clients were served before anybody listened to what they set.
	if err := front.Relisten(n.conf.Listeners()); err != nil {
		n.log.Error("clients can't connect where CONFIG SET says", "error", err)
	}
}

// What redis-server says of listeners that can't be opened.
const (
	errBind reply.Error = "Failed to bind to specified addresses."
	errPort reply.Error = "Unable to listen on this port. Check server logs."
	errTLS  reply.Error = "Unable to update TLS configuration. Check server logs."
)

var adminProfiles = map[string]admin.Profiles{"local": admin.ProfilesLocal, "yes": admin.ProfilesAll, "no": admin.ProfilesNone}

// listenAdmin serves health and metrics over HTTP; nil if admin-port is 0.
func (n *node) listenAdmin() (*admin.Server, error) {
	port := n.conf.Int("admin-port")
	if port == 0 {
		return nil, nil
	}
	host := "127.0.0.1"
	if hosts := strings.Fields(n.conf.String("bind")); n.conf.Given("bind") && len(hosts) > 0 {
		host = strings.TrimPrefix(hosts[0], "-")
	}
	if host == "*" {
		host = "0.0.0.0"
	}
	return admin.Listen(admin.Options{
		Addr: net.JoinHostPort(host, strconv.FormatInt(port, 10)), Ready: n.cluster.Barrier,
		Profiles: adminProfiles[n.conf.String("admin-profiles")],
		Status:   func() []byte { return statusJSON(n.cluster) }, Info: func() string { return n.sessions.Info() }, Log: n.log,
	})
}
