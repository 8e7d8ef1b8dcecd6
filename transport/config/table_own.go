package config

// ownTable holds the directives that redis-server does not have.
var ownTable = []Spec{
	// Where this node serves HTTP (health, metrics); 0 is off.
	integer("admin-port", 0, 65535, "0", Immutable|Hidden),
	// Who may take profiles there, which take time and show what is in memory.
	enum("admin-profiles", "local", Immutable|Hidden, "no", "yes", "local"),
	// The address, host:port or host, by which clients of the default
	// listener reach this node; empty: the address that they came to.
	text("advertise", "", Immutable|Hidden),
	// The number of fresh nodes that wait for each other to form a cluster; 0
	// and no join: this node alone is the cluster.
	integer("bootstrap-expect", 0, 9, "0", Immutable|Hidden),
	// How much of what a client sends is taken in while its commands wait for it to read
	// their replies, or for another client. The rest waits in the network.
	memory("client-pipeline-max", 1<<20, longMax, "33554432", Hidden),
	// The address, host:port or host, by which other nodes reach this one.
	text("cluster-advertise", "", Immutable|Hidden),
	// The addresses on which the node-to-node port listens; empty: those of bind.
	text("cluster-bind", "", Immutable|Hidden|Many),
	// Whether the leader puts a newer semantic version in force once all members
	// know it: auto, after the delay, or no. There is no way back after that.
	enum("cluster-version-raise", "auto", Hidden, "auto", "no"),
	{Name: "cluster-version-raise-delay", Kind: Millis, Min: 0, Max: 30 * 24 * 3_600_000, Default: "60000", Flags: Immutable | Hidden},
	checked("cluster-name", "quorate", Immutable|Hidden, canonicalName),
	text("cluster-secret", "", Immutable|Hidden),
	// Certificates of the node-to-node port when tls-cluster is on; empty:
	// those of tls-ca-cert-file, tls-cert-file and tls-key-file.
	text("cluster-tls-ca-cert-file", "", Immutable|Hidden),
	text("cluster-tls-cert-file", "", Immutable|Hidden),
	text("cluster-tls-key-file", "", Immutable|Hidden),
	// A node that has less free disk than this refuses writes and does not lead.
	memory("disk-low-water", 0, longMax, "67108864", Immutable|Hidden),
	// Deletes what is due, with the log's clock: DEBUG SET-ACTIVE-EXPIRE.
	boolean("debug-active-expire", "yes", Cluster|Protected|Hidden),
	// Lets scripts call what is kept from them: DEBUG SET-DISABLE-DENY-SCRIPTS.
	boolean("debug-disable-deny-scripts", "no", Cluster|Protected|Hidden),
	// Equal on all nodes: reads under a lease depend on it.
	{Name: "heartbeat-timeout", Kind: Millis, Min: 50, Max: 60_000, Default: "250", Flags: Immutable | Hidden},
	// The node-to-node addresses of other nodes, separated by commas.
	checked("join", "", Immutable|Hidden|Many, canonicalJoin),
	checked("listen", "", Immutable|Hidden|Many|Repeats, canonicalListen),
	enum("log-store", "own", Immutable|Hidden, "own", "boltdb"),
	// The bytes of log that are kept behind a snapshot for nodes that lag.
	memory("log-keep-bytes", 1<<20, longMax, "268435456", Immutable|Hidden),
	// The bytes of log after which a snapshot is taken.
	memory("log-snapshot-bytes", 1<<20, longMax, "268435456", Immutable|Hidden),
	memory("lua-bytes-max", 1<<20, intMax, "268435456", Cluster|Hidden),
	integer("lua-instructions-max", 1000, intMax, "20000000", Cluster|Hidden),
	memory("lua-result-max", 1<<10, intMax, "134217728", Cluster|Hidden),
	// How long a command waits for a leader before it is refused.
	{Name: "no-leader-wait", Kind: Millis, Min: 0, Max: 60_000, Default: "1500", Flags: Immutable | Hidden},
	enum("read-consistency", "linearizable", Hidden, "linearizable", "bounded", "stale"),
	boolean("read-lease", "yes", Immutable|Hidden),
	// How old a read of "bounded" consistency may be.
	{Name: "read-staleness-max", Kind: Millis, Min: 1, Max: 3_600_000, Default: "10000", Flags: Hidden},
	// What the default listener answers to keyed commands on a follower.
	enum("redirect", "auto", Immutable|Hidden, "auto", "always", "never"),
	// Commands that this node's clients call by another name, or by none: pairs of
	// names. CONFIG of redis-server does not show it either.
	checked("rename-command", "", Immutable|Hidden|Many|Repeats, canonicalRenames),
	// The name by which clients of Sentinel ask for the leader, and where they may
	// find a Sentinel beside the client port; 0 is off.
	checked("sentinel-master-name", "mymaster", Immutable|Hidden, canonicalName),
	integer("sentinel-port", 0, 65535, "0", Immutable|Hidden),
	// How long a node may be out of contact before its clients wait no longer.
	{Name: "retire-after", Kind: Millis, Min: 500, Max: 600_000, Default: "5000", Flags: Immutable | Hidden},
	// How long a write may stay unanswered before it is in doubt.
	{Name: "write-timeout", Kind: Millis, Min: 100, Max: 600_000, Default: "10000", Flags: Immutable | Hidden},
}

// refused directives are known, but to ignore them would not be safe.
var refused = map[string]string{
	"loadmodule": "modules are not supported; remove the line",
}
