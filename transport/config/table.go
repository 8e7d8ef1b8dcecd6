package config

import "math"

const (
	intMax  = math.MaxInt32
	longMax = math.MaxInt64
)

func boolean(name, def string, flags Flags) Spec {
	return Spec{Name: name, Kind: Bool, Default: def, Flags: flags}
}

func integer(name string, least, most int64, def string, flags Flags) Spec {
	return Spec{Name: name, Kind: Int, Min: least, Max: most, Default: def, Flags: flags}
}

func memory(name string, least, most int64, def string, flags Flags) Spec {
	return Spec{Name: name, Kind: Memory, Min: least, Max: most, Default: def, Flags: flags}
}

func enum(name, def string, flags Flags, words ...string) Spec {
	return Spec{Name: name, Kind: Enum, Default: def, Flags: flags, Words: words}
}

func text(name, def string, flags Flags) Spec {
	return Spec{Name: name, Kind: Text, Default: def, Flags: flags}
}

func checked(name, def string, flags Flags, check func(old, value string) (string, error)) Spec {
	return Spec{Name: name, Kind: Text, Default: def, Flags: flags, check: check}
}

// old gives a row its older name.
func old(alias string, s Spec) Spec {
	s.Alias = alias
	return s
}

// redisTable holds the directives of redis-server 7.0, with its limits; those of
// cluster-wide ones are the engine's. Its defaults are Redis' but where the
// comment says otherwise.
var redisTable = []Spec{
	enum("acl-pubsub-default", "resetchannels", Cluster, "allchannels", "resetchannels"),
	text("aclfile", "", Immutable),
	integer("acllog-max-len", 0, longMax, "128", 0),
	boolean("activedefrag", "no", Ignored),
	integer("active-defrag-cycle-max", 1, 99, "25", Ignored),
	integer("active-defrag-cycle-min", 1, 99, "1", Ignored),
	memory("active-defrag-ignore-bytes", 1, longMax, "104857600", Ignored),
	integer("active-defrag-max-scan-fields", 1, longMax, "1000", Ignored),
	integer("active-defrag-threshold-lower", 0, 1000, "10", Ignored),
	integer("active-defrag-threshold-upper", 0, 1000, "100", Ignored),
	integer("active-expire-effort", 1, 10, "1", Ignored),
	boolean("activerehashing", "yes", Ignored),
	boolean("always-show-logo", "no", Immutable|Ignored),
	boolean("aof-disable-auto-gc", "no", Ignored),
	boolean("aof-load-truncated", "yes", Ignored),
	boolean("aof-rewrite-incremental-fsync", "yes", Ignored),
	boolean("aof-timestamp-enabled", "no", Ignored),
	boolean("aof-use-rdb-preamble", "yes", Ignored),
	text("aof_rewrite_cpulist", "", Immutable|Ignored),
	text("appenddirname", "appendonlydir", Immutable|Ignored),
	text("appendfilename", "appendonly.aof", Immutable|Ignored),
	// Here the log is what makes a write durable, so it is on and synced.
	enum("appendfsync", "always", 0, "everysec", "always", "no"),
	boolean("appendonly", "yes", 0),
	memory("auto-aof-rewrite-min-size", 0, longMax, "67108864", Ignored),
	integer("auto-aof-rewrite-percentage", 0, intMax, "100", Ignored),
	text("bgsave_cpulist", "", Immutable|Ignored),
	checked("bind", "* -::*", Many, canonicalBind),
	text("bind-source-addr", "", Ignored),
	text("bio_cpulist", "", Immutable|Ignored),
	old("lua-time-limit", integer("busy-reply-threshold", 0, longMax, "5000", 0)),
	checked("client-output-buffer-limit", "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", Many|Repeats, canonicalBufferLimits),
	memory("client-query-buffer-limit", 1<<20, longMax, "1073741824", 0),
	boolean("cluster-allow-pubsubshard-when-down", "yes", Ignored),
	boolean("cluster-allow-reads-when-down", "no", Ignored),
	boolean("cluster-allow-replica-migration", "yes", Ignored),
	integer("cluster-announce-bus-port", 0, 65535, "0", Ignored),
	text("cluster-announce-hostname", "", Ignored),
	text("cluster-announce-ip", "", Ignored),
	integer("cluster-announce-port", 0, 65535, "0", Ignored),
	integer("cluster-announce-tls-port", 0, 65535, "0", Ignored),
	text("cluster-config-file", "nodes.conf", Immutable|Ignored),
	boolean("cluster-enabled", "no", Immutable|Ignored),
	memory("cluster-link-sendbuf-limit", 0, longMax, "0", Ignored),
	integer("cluster-migration-barrier", 0, intMax, "1", Ignored),
	integer("cluster-node-timeout", 0, longMax, "15000", Ignored),
	integer("cluster-port", 0, 65535, "0", Immutable),
	enum("cluster-preferred-endpoint-type", "ip", Ignored, "ip", "hostname", "unknown-endpoint"),
	old("cluster-slave-no-failover", boolean("cluster-replica-no-failover", "no", Ignored)),
	old("cluster-slave-validity-factor", integer("cluster-replica-validity-factor", 0, intMax, "10", Ignored)),
	boolean("cluster-require-full-coverage", "yes", Ignored),
	boolean("crash-log-enabled", "yes", Ignored),
	boolean("crash-memcheck-enabled", "yes", Ignored),
	boolean("daemonize", "no", Immutable|Ignored),
	integer("databases", 1, intMax, "16", Immutable),
	checked("dbfilename", "dump.rdb", Protected, canonicalFileName),
	text("dir", ".", Protected|Immutable),
	boolean("disable-thp", "yes", Immutable|Ignored),
	boolean("dynamic-hz", "yes", Ignored),
	enum("enable-debug-command", "no", Immutable, "no", "yes", "local"),
	enum("enable-module-command", "no", Immutable|Ignored, "no", "yes", "local"),
	enum("enable-protected-configs", "no", Immutable, "no", "yes", "local"),
	old("hash-max-ziplist-entries", integer("hash-max-listpack-entries", 0, longMax, "512", Cluster)),
	old("hash-max-ziplist-value", memory("hash-max-listpack-value", 0, longMax, "64", Cluster)),
	memory("hll-sparse-max-bytes", 0, longMax, "3000", Cluster),
	integer("hz", 0, intMax, "10", Ignored),
	text("ignore-warnings", "", Ignored),
	integer("io-threads", 1, 128, "1", Immutable|Ignored),
	boolean("io-threads-do-reads", "no", Immutable|Ignored),
	boolean("jemalloc-bg-thread", "yes", Ignored),
	integer("latency-monitor-threshold", 0, longMax, "0", 0),
	boolean("latency-tracking", "yes", 0),
	checked("latency-tracking-info-percentiles", "50 99 99.9", Many, canonicalPercentiles),
	boolean("lazyfree-lazy-eviction", "no", Ignored),
	boolean("lazyfree-lazy-expire", "no", Ignored),
	boolean("lazyfree-lazy-server-del", "no", Ignored),
	boolean("lazyfree-lazy-user-del", "no", Ignored),
	boolean("lazyfree-lazy-user-flush", "no", Ignored),
	integer("lfu-decay-time", 0, intMax, "1", Cluster),
	integer("lfu-log-factor", 0, intMax, "10", Cluster),
	integer("list-compress-depth", 0, intMax, "0", Ignored),
	old("list-max-ziplist-size", integer("list-max-listpack-size", math.MinInt32, intMax, "-2", Cluster)),
	integer("key-load-delay", math.MinInt32, intMax, "0", Hidden|Ignored),
	text("logfile", "", Immutable),
	enum("loglevel", "notice", 0, "debug", "verbose", "notice", "warning"),
	text("masterauth", "", Ignored),
	text("masteruser", "", Ignored),
	integer("maxclients", 1, math.MaxUint32, "10000", 0),
	memory("maxmemory", 0, longMax, "0", Cluster),
	checked("maxmemory-clients", "0", 0, canonicalMemoryOrPercent),
	integer("maxmemory-eviction-tenacity", 0, 100, "10", Cluster),
	enum("maxmemory-policy", "noeviction", Cluster, "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
		"allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction"),
	integer("maxmemory-samples", 1, intMax, "5", Cluster),
	old("min-slaves-max-lag", integer("min-replicas-max-lag", 0, intMax, "10", 0)),
	old("min-slaves-to-write", integer("min-replicas-to-write", 0, intMax, "0", 0)),
	boolean("no-appendfsync-on-rewrite", "no", Ignored),
	checked("notify-keyspace-events", "", Cluster, canonicalEvents),
	enum("oom-score-adj", "no", Ignored, "no", "yes", "relative", "absolute"),
	checked("oom-score-adj-values", "0 200 800", Many|Ignored, canonicalOOMScores),
	text("pidfile", "", Immutable),
	integer("port", 0, 65535, "6379", 0),
	text("proc-title-template", "{title} {listen-addr} {server-mode}", Ignored),
	enum("propagation-error-behavior", "ignore", Ignored, "ignore", "panic", "panic-on-replicas"),
	boolean("protected-mode", "yes", 0),
	memory("proto-max-bulk-len", 1<<20, 512<<20, "536870912", Cluster),
	boolean("rdb-del-sync-files", "no", Ignored),
	boolean("rdb-save-incremental-fsync", "yes", Ignored),
	boolean("rdbchecksum", "yes", Immutable|Ignored),
	boolean("rdbcompression", "yes", Ignored),
	memory("repl-backlog-size", 1, longMax, "1048576", 0),
	integer("repl-backlog-ttl", 0, longMax, "3600", 0),
	boolean("repl-disable-tcp-nodelay", "no", Ignored),
	enum("repl-diskless-load", "disabled", Ignored, "disabled", "on-empty-db", "swapdb"),
	boolean("repl-diskless-sync", "yes", Ignored),
	integer("repl-diskless-sync-delay", 0, intMax, "5", Ignored),
	integer("repl-diskless-sync-max-replicas", 0, intMax, "0", Ignored),
	old("repl-ping-slave-period", integer("repl-ping-replica-period", 1, intMax, "10", 0)),
	integer("repl-timeout", 1, intMax, "60", 0),
	old("slave-announce-ip", text("replica-announce-ip", "", Ignored)),
	old("slave-announce-port", integer("replica-announce-port", 0, 65535, "0", Ignored)),
	boolean("replica-announced", "yes", Ignored),
	boolean("replica-ignore-disk-write-errors", "no", Ignored),
	old("slave-ignore-maxmemory", boolean("replica-ignore-maxmemory", "yes", Ignored)),
	old("slave-lazy-flush", boolean("replica-lazy-flush", "no", Ignored)),
	old("slave-priority", integer("replica-priority", 0, intMax, "100", Ignored)),
	old("slave-read-only", boolean("replica-read-only", "yes", Ignored)),
	old("slave-serve-stale-data", boolean("replica-serve-stale-data", "yes", Ignored)),
	old("slaveof", text("replicaof", "", Immutable|Ignored|Many)),
	text("requirepass", "", 0),
	enum("sanitize-dump-payload", "no", Ignored, "no", "yes", "clients"),
	checked("save", "3600 1 300 100 60 10000", Many|Repeats, canonicalSave),
	text("server_cpulist", "", Immutable|Ignored),
	integer("set-max-intset-entries", 0, longMax, "512", Cluster),
	boolean("set-proc-title", "yes", Immutable|Ignored),
	enum("shutdown-on-sigint", "default", Many|Ignored, "default", "save", "nosave", "now", "force"),
	enum("shutdown-on-sigterm", "default", Many|Ignored, "default", "save", "nosave", "now", "force"),
	integer("shutdown-timeout", 0, intMax, "10", Ignored),
	integer("slowlog-log-slower-than", -1, longMax, "10000", 0),
	integer("slowlog-max-len", 0, longMax, "128", 0),
	integer("socket-mark-id", 0, math.MaxUint32, "0", Immutable|Ignored),
	boolean("stop-writes-on-bgsave-error", "yes", Ignored),
	memory("stream-node-max-bytes", 0, longMax, "4096", Cluster),
	integer("stream-node-max-entries", 0, longMax, "100", Cluster),
	enum("supervised", "no", Immutable|Ignored, "upstart", "systemd", "auto", "no"),
	boolean("syslog-enabled", "no", Immutable|Ignored),
	enum("syslog-facility", "local0", Immutable|Ignored, "user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
	text("syslog-ident", "redis", Immutable|Ignored),
	integer("tcp-backlog", 0, intMax, "511", Immutable|Ignored),
	integer("tcp-keepalive", 0, intMax, "300", 0),
	integer("timeout", 0, intMax, "0", 0),
	enum("tls-auth-clients", "yes", 0, "no", "yes", "optional"),
	text("tls-ca-cert-dir", "", 0),
	text("tls-ca-cert-file", "", 0),
	text("tls-cert-file", "", 0),
	text("tls-ciphers", "", Ignored),
	text("tls-ciphersuites", "", Ignored),
	text("tls-client-cert-file", "", Ignored),
	text("tls-client-key-file", "", Ignored),
	text("tls-client-key-file-pass", "", Ignored),
	boolean("tls-cluster", "no", Immutable|Settled),
	text("tls-dh-params-file", "", Ignored),
	text("tls-key-file", "", 0),
	text("tls-key-file-pass", "", Ignored),
	integer("tls-port", 0, 65535, "0", 0),
	boolean("tls-prefer-server-ciphers", "no", Ignored),
	text("tls-protocols", "", 0),
	boolean("tls-replication", "no", Ignored),
	integer("tls-session-cache-size", 0, intMax, "20480", Ignored),
	integer("tls-session-cache-timeout", 0, intMax, "300", Ignored),
	boolean("tls-session-caching", "yes", Ignored),
	integer("tracking-table-max-keys", 0, longMax, "1000000", 0),
	text("unixsocket", "", Immutable),
	checked("unixsocketperm", "0", Immutable, canonicalOctal),
	old("zset-max-ziplist-entries", integer("zset-max-listpack-entries", 0, longMax, "128", Cluster)),
	old("zset-max-ziplist-value", memory("zset-max-listpack-value", 0, longMax, "64", Cluster)),
}
