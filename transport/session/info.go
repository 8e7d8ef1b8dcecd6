package session

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/psync"
	"github.com/quorate/quorate/transport/pubsub"
)

// section is a part of INFO.
type section struct {
	name    string
	title   string
	plain   bool // shown when no section is named
	collect func(*Server, *Session) []Field

	sentinel bool // for clients of sentinel-port alone
}

// sections in the order shown.
var sections = []section{
	{name: "server", title: "Server", plain: true, collect: infoServer},
	{name: "clients", title: "Clients", plain: true, collect: infoClients},
	{name: "memory", title: "Memory", plain: true, collect: infoMemory},
	{name: "persistence", title: "Persistence", plain: true, collect: infoPersistence},
	{name: "stats", title: "Stats", plain: true, collect: infoStats},
	{name: "replication", title: "Replication", plain: true, collect: infoReplication},
	{name: "cpu", title: "CPU", plain: true, collect: infoCPU},
	{name: "modules", title: "Modules", plain: true, collect: func(*Server, *Session) []Field { return nil }},
	{name: "commandstats", title: "Commandstats", collect: infoCommands},
	{name: "errorstats", title: "Errorstats", plain: true, collect: infoErrors},
	{name: "latencystats", title: "Latencystats", collect: infoLatencies},
	{name: "cluster", title: "Cluster", plain: true, collect: infoCluster},
	{name: "sentinel", title: "Sentinel", plain: true, collect: infoSentinel, sentinel: true},
	{name: "raft", title: "Raft", plain: true, collect: func(s *Server, _ *Session) []Field { return s.opts.Cluster.Info("raft") }},
	{name: "keyspace", title: "Keyspace", plain: true, collect: infoKeyspace},
}

// info: INFO [section ...].
func info(s *Session, r *request) {
	names := make([]string, 0, len(r.args)-1)
	for _, arg := range r.args[1:] {
		names = append(names, strings.ToLower(string(arg)))
	}
	r.out.Verbatim("txt", s.srv.info(s, names))
}

// Info returns the text of INFO for the named sections.
func (s *Server) Info(names ...string) string { return s.info(nil, names) }

func (s *Server) info(by *Session, names []string) string {
	var b strings.Builder
	for _, sec := range sections {
		if !sec.wanted(names) || sec.sentinel && (by == nil || !by.asSentinel()) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		fmt.Fprintf(&b, "# %s\r\n", sec.title)
		for _, f := range sec.collect(s, by) {
			fmt.Fprintf(&b, "%s:%s\r\n", f.Name, f.Value)
		}
	}
	return b.String()
}

func (sec *section) wanted(names []string) bool {
	if len(names) == 0 {
		return sec.plain
	}
	for _, name := range names {
		switch name {
		case sec.name, "everything":
			return true
		case "all":
			if sec.name != "modules" {
				return true
			}
		case "default":
			if sec.plain {
				return true
			}
		}
	}
	return false
}

func field(name string, value any) Field { return Field{name, fmt.Sprint(value)} }

func infoServer(s *Server, by *Session) []Field {
	now := s.now()
	up := now.Sub(s.started)
	mode, port := "standalone", int64(0)
	if by != nil {
		mode = by.mode()
		if i := strings.LastIndexByte(by.peer.Local, ':'); i >= 0 && by.peer.Listener != s.opts.Config.DataListener() {
			port, _ = strconv.ParseInt(by.peer.Local[i+1:], 10, 64)
		}
	}
	if port == 0 {
		port = cmp.Or(s.opts.Config.Int("port"), s.opts.Config.Int("tls-port"))
	}
	executable, _ := os.Executable()
	return []Field{
		{"redis_version", RedisVersion},
		{"quorate_version", s.opts.Version},
		{"redis_git_sha1", "00000000"},
		{"redis_git_dirty", "0"},
		{"redis_build_id", "0"},
		{"redis_mode", mode},
		{"os", systemName()},
		field("arch_bits", strconv.IntSize),
		{"monotonic_clock", "Go runtime"},
		{"multiplexing_api", "epoll"},
		{"atomicvar_api", "sync-atomic"},
		{"gcc_version", "0.0.0"}, // it is compiled by Go
		{"go_version", runtime.Version()},
		field("process_id", os.Getpid()),
		{"process_supervised", "no"},
		{"run_id", s.runID},
		field("tcp_port", port),
		field("server_time_usec", now.UnixMicro()),
		field("uptime_in_seconds", int64(up.Seconds())),
		field("uptime_in_days", int64(up.Hours()/24)),
		{"hz", "10"},
		{"configured_hz", "10"},
		field("lru_clock", now.Unix()&(1<<24-1)),
		{"executable", executable},
		{"config_file", s.opts.Config.Path()},
		{"io_threads_active", "0"},
	}
}

func systemName() string {
	var u syscall.Utsname
	if err := syscall.Uname(&u); err != nil {
		return runtime.GOOS
	}
	text := func(field [65]int8) string {
		var b []byte
		for _, c := range field {
			if c == 0 {
				break
			}
			b = append(b, byte(c))
		}
		return string(b)
	}
	return text(u.Sysname) + " " + text(u.Release) + " " + text(u.Machine)
}

func infoClients(s *Server, _ *Session) []Field {
	subscribers, monitoring := 0, 0
	tracking, _, _, _ := s.tracking.stats()
	for _, c := range s.all() {
		c.mu.Lock()
		if c.subs.len() > 0 {
			subscribers++
		}
		if c.shown.monitor {
			monitoring++
		}
		c.mu.Unlock()
	}
	return []Field{
		field("connected_clients", s.Len()),
		{"cluster_connections", "0"},
		field("maxclients", s.opts.Config.Int("maxclients")),
		{"client_recent_max_input_buffer", "0"},
		{"client_recent_max_output_buffer", "0"},
		field("blocked_clients", s.blocked.Load()+s.pause.waiting.Load()),
		field("tracking_clients", tracking),
		{"clients_in_timeout_table", "0"},
		field("pubsub_clients", subscribers),
		field("monitor_clients", monitoring),
	}
}

func systemMemory() int64 {
	var si syscall.Sysinfo_t
	if err := syscall.Sysinfo(&si); err != nil {
		return 0
	}
	return int64(si.Totalram) * int64(si.Unit)
}

func infoMemory(s *Server, _ *Session) []Field {
	m := s.memory()
	_, backlog := s.opts.Stream.Figures()
	sized := func(name string, n int64) []Field {
		return []Field{field(name, n), {name + "_human", human(n)}}
	}
	var out []Field
	out = append(out, sized("used_memory", m.used)...)
	out = append(out, sized("used_memory_rss", m.resident)...)
	out = append(out, sized("used_memory_peak", m.peak)...)
	out = append(out,
		Field{"used_memory_peak_perc", percent(m.used, m.peak)},
		field("used_memory_overhead", m.overhead()),
		field("used_memory_startup", m.startup),
		field("used_memory_dataset", m.dataset()),
		Field{"used_memory_dataset_perc", percent(m.dataset(), m.used-m.startup)},
		field("allocator_allocated", m.allocated),
		field("allocator_active", m.active),
		field("allocator_resident", m.resident),
		Field{"allocator_frag_ratio", ratio(m.active, m.allocated)},
		field("allocator_frag_bytes", m.active-m.allocated),
		Field{"allocator_rss_ratio", ratio(m.resident, m.active)},
		field("allocator_rss_bytes", m.resident-m.active),
		Field{"rss_overhead_ratio", ratio(m.resident, m.resident)}, // all that is resident is the allocator's
		field("rss_overhead_bytes", 0),
		field("arena_live_bytes", m.data.ArenaLive),
		field("arena_free_bytes", m.data.ArenaFree),
		field("keyspace_table_bytes", m.data.Table),
	)
	out = append(out, sized("total_system_memory", systemMemory())...)
	out = append(out, sized("used_memory_lua", m.scriptBytes)...)
	out = append(out,
		field("used_memory_vm_eval", m.scriptBytes),
		field("used_memory_vm_functions", m.functionBytes),
	)
	out = append(out, sized("used_memory_vm_total", m.scriptBytes+m.functionBytes)...)
	out = append(out, sized("used_memory_scripts", m.scriptBytes+m.functionBytes)...)
	out = append(out,
		field("used_memory_scripts_eval", m.scriptBytes),
		field("number_of_cached_scripts", m.scripts),
		field("number_of_functions", m.functions),
		field("number_of_libraries", m.libraries),
		field("used_memory_functions", m.functionBytes),
	)
	out = append(out, sized("maxmemory", s.opts.Engine.MaxMemory())...)
	out = append(out,
		Field{"maxmemory_policy", s.setting("maxmemory-policy")},
		Field{"mem_fragmentation_ratio", ratio(m.resident, m.used)},
		field("mem_fragmentation_bytes", m.resident-m.used),
		field("mem_not_counted_for_evict", m.notCounted()),
		field("mem_access_clocks", s.opts.Engine.HeatBytes()),
		field("mem_clients_normal", m.clients),
		field("mem_clients_slaves", m.replicas),
		field("mem_replication_backlog", backlog.Kept),
		field("mem_total_replication_buffers", backlog.Kept),
		field("mem_cluster_links", 0),
		field("mem_aof_buffer", 0),
		Field{"mem_allocator", "go"},
		field("active_defrag_running", 0),
		field("lazyfree_pending_objects", 0),
		field("lazyfreed_objects", m.data.Lazy-min(m.data.Lazy, s.lazyBefore.Load())),
	)
	return out
}

func infoPersistence(s *Server, _ *Session) []Field {
	status := "ok"
	if s.rdb.failed.Load() {
		status = "err"
	}
	aof := 0
	if s.opts.Config.Bool("appendonly") {
		aof = 1
	}
	running := 0
	if s.rdb.running.Load() {
		running = 1
	}
	// Nothing is forked here: a snapshot copies no memory, and what counts such
	// copies is 0. To shorten the log is to take a snapshot.
	saved, keys := s.opts.Engine.Saving()
	own := []Field{
		field("loading", 0), // nothing is served before the state is there
		field("async_loading", 0),
		field("current_cow_peak", 0),
		field("current_cow_size", 0),
		field("current_cow_size_age", 0),
		{"current_fork_perc", share(saved, keys)},
		field("current_save_keys_processed", saved),
		field("current_save_keys_total", keys),
		field("rdb_changes_since_last_save", 0),
		field("rdb_bgsave_in_progress", running),
		field("rdb_last_save_time", s.opts.Cluster.LastSave().Unix()),
		{"rdb_last_bgsave_status", status},
		field("rdb_last_bgsave_time_sec", s.rdb.took.Load()),
		field("rdb_current_bgsave_time_sec", -1),
		field("rdb_saves", 0),
		field("rdb_last_cow_size", 0),
		field("rdb_last_load_keys_expired", 0), // what is due goes with the log, not with a load
		field("rdb_last_load_keys_loaded", s.opts.Engine.LastLoad()),
		field("aof_enabled", aof),
		field("aof_rewrite_in_progress", running),
		field("aof_rewrite_scheduled", 0),
		field("aof_last_rewrite_time_sec", s.rdb.took.Load()),
		field("aof_current_rewrite_time_sec", -1),
		{"aof_last_bgrewrite_status", status},
		field("aof_rewrites", 0),
		field("aof_rewrites_consecutive_failures", 0),
		{"aof_last_write_status", "ok"}, // else the node is down
		field("aof_last_cow_size", 0),
		field("module_fork_in_progress", 0),
		field("module_fork_last_cow_size", 0),
	}
	return joined(own, s.opts.Cluster.Info("persistence"))
}

// share is a part of a whole in percent.
func share(part, whole int64) string {
	if whole == 0 {
		return "0.00"
	}
	return fmt.Sprintf("%.2f", float64(part)*100/float64(whole))
}

// joined returns the fields of both; the second's values stand where both
// have one.
func joined(first, second []Field) []Field {
	at := make(map[string]int)
	for i, f := range first {
		at[f.Name] = i
	}
	for _, f := range second {
		if i, both := at[f.Name]; both {
			first[i] = f
			continue
		}
		first = append(first, f)
	}
	return first
}

func infoStats(s *Server, _ *Session) []Field {
	c := s.opts.Counters
	rates := c.Rates()
	data, lookups := s.opts.Engine.Stats(), s.opts.Engine.Lookups()
	registry := s.opts.Registry
	_, keys, items, prefixes := s.tracking.stats()
	followers, _ := s.opts.Stream.Figures()
	return joined([]Field{
		field("total_connections_received", c.Connections.Load()),
		field("total_commands_processed", c.Commands.Load()),
		field("instantaneous_ops_per_sec", int64(rates.CommandsPerSec)),
		field("total_net_input_bytes", c.BytesIn.Load()),
		field("total_net_output_bytes", c.BytesOut.Load()),
		field("total_net_repl_input_bytes", 0), // it follows the log, and no redis-server
		field("total_net_repl_output_bytes", followers.Sent),
		{"instantaneous_input_kbps", fmt.Sprintf("%.2f", rates.BytesInPerSec/1024)},
		{"instantaneous_output_kbps", fmt.Sprintf("%.2f", rates.BytesOutPerSec/1024)},
		{"instantaneous_input_repl_kbps", "0.00"},
		{"instantaneous_output_repl_kbps", fmt.Sprintf("%.2f", rates.FollowersPerSec/1024)},
		field("rejected_connections", c.RejectedConnections.Load()),
		field("sync_full", followers.Full),
		field("sync_partial_ok", followers.Partial),
		field("sync_partial_err", followers.Refused),
		field("expired_keys", data.Expired-min(data.Expired, s.expiredBefore.Load())),
		field("expired_time_cap_reached_count", 0), // what is due is deleted in order, and no cycle ends early
		field("expired_subkeys", data.Fields-min(data.Fields, s.fieldsBefore.Load())),
		field("evicted_keys", data.Evicted-min(data.Evicted, s.evictedBefore.Load())),
		field("evicted_clients", c.EvictedClients.Load()),
		{"total_eviction_exceeded_time", "0"},
		{"current_eviction_exceeded_time", "0"},
		field("keyspace_hits", lookups.Hits),
		field("keyspace_misses", lookups.Misses),
		field("pubsub_channels", registry.Len(pubsub.Channel)),
		field("pubsub_patterns", registry.Len(pubsub.Pattern)),
		field("pubsubshard_channels", registry.Len(pubsub.Shard)),
		field("latest_fork_usec", 0),
		field("total_forks", 0),
		field("migrate_cached_sockets", 0),
		field("slave_expires_tracked_keys", 0),
		field("active_defrag_hits", 0), // the garbage collector moves nothing
		field("active_defrag_misses", 0),
		field("active_defrag_key_hits", 0),
		field("active_defrag_key_misses", 0),
		field("total_active_defrag_time", 0),
		field("current_active_defrag_time", 0),
		field("tracking_total_keys", keys),
		field("tracking_total_items", items),
		field("tracking_total_prefixes", prefixes),
		field("unexpected_error_replies", 0),
		field("total_error_replies", c.Errors.Load()),
		field("total_reads_processed", c.Reads.Load()),
		field("total_writes_processed", c.Writes.Load()),
		field("io_threaded_reads_processed", 0), // goroutines of the runtime do it
		field("io_threaded_writes_processed", 0),
		field("reply_buffer_shrinks", c.ReplyBufferShrinks.Load()),
		field("reply_buffer_expands", c.ReplyBufferExpands.Load()),
		field("client_query_buffer_limit_disconnections", c.QueryBufferCuts.Load()),
		field("client_output_buffer_limit_disconnections", c.OutputBufferCuts.Load()),
		field("acl_access_denied_auth", c.AuthFailures.Load()),
		field("redirects", c.Redirects.Load()),
		field("read_barrier_failures", c.ReadBarrierFailures.Load()),
		field("connection_panics", c.Panics.Load()),
		field("command_panics", s.opts.Engine.Panics()),
		field("state_mutations", data.Mutations),
	}, s.opts.Cluster.Info("stats"))
}

// SentToFollowers returns how many bytes plain redis-servers that follow were sent.
func (s *Server) SentToFollowers() uint64 {
	followers, _ := s.opts.Stream.Figures()
	return uint64(followers.Sent)
}

func infoReplication(s *Server, by *Session) []Field {
	listener := ""
	if by != nil {
		listener = by.peer.Listener
	}
	t := s.opts.Cluster.Topology(listener)
	var own, lines []Field
	if t.Self.Leader || t.Leader.ID == "" {
		own = append(own, Field{"role", "master"})
		n := 0
		for _, m := range t.Members {
			if m.Self {
				continue
			}
			state, lag := "online", 0 // a member that is heard of is heard of each heartbeat
			if !m.Online {
				state, lag = "wait_bgsave", -1
			}
			lines = append(lines, Field{fmt.Sprint("slave", n), fmt.Sprintf("ip=%s,port=%d,state=%s,offset=%d,lag=%d", m.Host, m.Port, state, m.Applied, lag)})
			n++
		}
	} else {
		own = append(own,
			Field{"role", "slave"},
			Field{"master_host", t.Leader.Host},
			field("master_port", t.Leader.Port),
			Field{"master_link_status", "up"},
			Field{"master_last_io_seconds_ago", "0"},
			Field{"master_sync_in_progress", "0"},
			field("slave_read_repl_offset", t.Commit),
			field("slave_repl_offset", t.Applied),
			field("slave_priority", 100),
			field("replica_announced", 1),
			field("slave_read_only", 0), // every node takes writes
		)
	}
	id, offset, replicas := s.opts.Stream.Position()
	_, backlog := s.opts.Stream.Figures()
	for _, r := range replicas { // plain redis-servers
		state := "online"
		if !r.Online {
			state = "send_bulk"
		}
		line := fmt.Sprintf("ip=%s,port=%d,state=%s,offset=%d,lag=%d", r.Addr, r.Port, state, r.Offset, r.Lag)
		lines = append(lines, Field{fmt.Sprint("slave", len(lines)), line})
	}
	own = append(own, field("connected_slaves", len(lines)))
	if s.settings.replicasMin.Load() > 0 && s.settings.replicasLag.Load() > 0 {
		own = append(own, field("min_slaves_good_slaves", s.goodReplicas()))
	}
	own = append(own, lines...)
	own = append(own,
		Field{"master_failover_state", "no-failover"},
		Field{"master_replid", (t.ClusterID + strings.Repeat("0", 40))[:40]},
		Field{"master_replid2", strings.Repeat("0", 40)},
		field("master_repl_offset", t.Commit),
		field("second_repl_offset", -1),
		// The backlog is of the stream for plain redis-servers, which psync_ tells of.
		Field{"repl_backlog_active", bit(backlog.Open)},
		field("repl_backlog_size", s.opts.Config.Int("repl-backlog-size")),
		field("repl_backlog_first_byte_offset", firstByte(backlog)),
		field("repl_backlog_histlen", backlog.Kept),
		field("psync_replicas", len(replicas)),
		Field{"psync_replid", id},
		field("psync_offset", offset),
	)
	return joined(own, s.opts.Cluster.Info("replication"))
}

func bit(yes bool) string {
	if yes {
		return "1"
	}
	return "0"
}

// firstByte is the offset of the first byte kept, 0 if nothing is.
func firstByte(b psync.Backlog) int64 {
	if !b.Open {
		return 0
	}
	return b.First
}

func infoCPU(*Server, *Session) []Field {
	var self, children syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &self)         // zeros if the
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children) // system fails
	seconds := func(t syscall.Timeval) string {
		return fmt.Sprintf("%.6f", time.Duration(t.Nano()).Seconds())
	}
	return []Field{
		{"used_cpu_sys", seconds(self.Stime)},
		{"used_cpu_user", seconds(self.Utime)},
		{"used_cpu_sys_children", seconds(children.Stime)},
		{"used_cpu_user_children", seconds(children.Utime)},
	}
}

func infoCommands(s *Server, _ *Session) []Field {
	var out []Field
	for _, e := range s.table.all {
		t := e.stats.Totals()
		if t.Calls+t.Rejected+t.Failed == 0 {
			continue
		}
		perCall := 0.0
		if t.Calls > 0 {
			perCall = float64(t.Time.Microseconds()) / float64(t.Calls)
		}
		out = append(out, Field{"cmdstat_" + e.Name, fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d",
			t.Calls, t.Time.Microseconds(), perCall, t.Rejected, t.Failed)})
	}
	return out
}

func infoErrors(s *Server, _ *Session) []Field {
	var out []Field
	for _, c := range s.opts.Counters.ErrorCodes() {
		out = append(out, Field{"errorstat_" + c.Code, fmt.Sprint("count=", c.Count)})
	}
	return out
}

func infoLatencies(s *Server, _ *Session) []Field {
	var out []Field
	percentiles := strings.Fields(s.opts.Config.String("latency-tracking-info-percentiles"))
	for _, e := range s.table.all {
		h := e.stats.Latency()
		if h == nil {
			continue
		}
		parts := make([]string, len(percentiles))
		for i, p := range percentiles {
			value, _ := strconv.ParseFloat(p, 64) // the configuration took it
			parts[i] = fmt.Sprintf("p%s=%.3f", p, float64(h.Percentile(value).Nanoseconds())/1000)
		}
		out = append(out, Field{"latency_percentiles_usec_" + e.Name, strings.Join(parts, ",")})
	}
	return out
}

// infoCluster shows as enabled what a client may rely on: redirections are
// sent to whoever asks for the slots, and cluster clients look here before they
// do. Whether it should be one is for redis_mode and HELLO to say.
func infoCluster(s *Server, by *Session) []Field {
	enabled := 0
	if by != nil && by.peer.Redirect != config.RedirectNever {
		enabled = 1
	}
	return joined([]Field{field("cluster_enabled", enabled)}, s.opts.Cluster.Info("cluster"))
}

func infoKeyspace(s *Server, _ *Session) []Field {
	var out []Field
	s.opts.Engine.View(s.now().UnixMilli(), 0, func(v *engine.View) {
		for db := range engine.Databases {
			if d := v.Database(db); d.Keys > 0 {
				out = append(out, Field{fmt.Sprint("db", db), fmt.Sprintf("keys=%d,expires=%d,avg_ttl=%d", d.Keys, d.Expires, d.MeanTTLMs)})
			}
		}
	})
	return out
}

// human writes a size as redis-server does: 1.50K, 2.00M.
func human(n int64) string {
	f := float64(n)
	for _, unit := range []string{"B", "K", "M", "G", "T"} {
		if f < 1024 || unit == "T" {
			if unit == "B" {
				return fmt.Sprintf("%dB", n)
			}
			return fmt.Sprintf("%.2f%s", f, unit)
		}
		f /= 1024
	}
	return ""
}

func percent(part, whole int64) string {
	if whole == 0 {
		return "0.00%"
	}
	return fmt.Sprintf("%.2f%%", float64(part)*100/float64(whole))
}

func ratio(a, b int64) string {
	if b == 0 {
		return "0.00"
	}
	return fmt.Sprintf("%.2f", float64(a)/float64(b))
}
