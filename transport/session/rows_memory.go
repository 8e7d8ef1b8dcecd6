package session

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/keyspace"
)

var allShards = []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}

var memoryRows = []row{
	containerRow("memory", command.Server),
	{Spec: command.Spec{Name: "memory|doctor", Arity: 2, Group: command.Server, Tips: allShards}, do: memoryDoctor, looks: true},
	{Spec: command.Spec{Name: "memory|help", Arity: 2, Flags: anytime, Group: command.Server}, do: help("memory")},
	{Spec: command.Spec{Name: "memory|malloc-stats", Arity: 2, Group: command.Server, Tips: allShards}, do: mallocStats},
	{Spec: command.Spec{Name: "memory|purge", Arity: 2, Group: command.Server, Tips: []string{"request_policy:all_shards", "response_policy:all_succeeded"}}, do: memoryPurge},
	{Spec: command.Spec{Name: "memory|stats", Arity: 2, Group: command.Server, Tips: allShards}, do: memoryStats, looks: true},
}

// memory is what this node's memory is spent on, in bytes. What a client deletes
// is not counted from then on, though the runtime collects it later, and what a snapshot
// still needs of it goes later. What the program itself takes is in resident alone: so
// used is the same on all nodes, but for clients, and maxmemory is compared with it.
type memory struct {
	used, peak  int64
	startup     int64 // of it, before there were data and clients
	clients     int64 // of it, normal clients and subscribers: buffers, and what they keep
	replicas    int64 // of it, clients that follow
	scriptBytes int64 // of it, the text of scripts
	scripts     int   // how many

	functionBytes        int64 // of it, the code of libraries of functions
	libraries, functions int
	data                 keyspace.Stats

	allocated int64 // objects of the heap, those not collected yet too
	active    int64 // what the runtime has from the system
	resident  int64 // of the process, as the system says
}

// memory returns how memory is spent now.
func (s *Server) memory() memory {
	m := memory{startup: s.memoryStartup, data: s.opts.Engine.Stats(), resident: residentBytes()}
	m.clients, m.replicas = s.clientBytes()
	s.opts.Engine.View(s.now().UnixMilli(), 0, func(v *engine.View) {
		m.scripts, m.scriptBytes = v.Scripts()
		m.libraries, m.functions, m.functionBytes = v.Functions()
	})
	m.allocated, m.active = heap()
	m.used = m.data.Used() + m.clients + m.replicas + m.scriptBytes + m.functionBytes
	for m.peak = s.memoryPeak.Load(); m.used > m.peak; m.peak = s.memoryPeak.Load() {
		s.memoryPeak.CompareAndSwap(m.peak, m.used)
	}
	return m
}

// overhead is what is used for other things than keys and values.
func (m *memory) overhead() int64 {
	return m.clients + m.replicas + m.scriptBytes + m.functionBytes + m.data.Table + m.data.Expiry
}

// notCounted is what maxmemory does not count: it differs between nodes.
func (m *memory) notCounted() int64 { return m.clients + m.replicas }

func (m *memory) dataset() int64 { return m.used - m.overhead() }

// heap returns the bytes of objects, those not collected yet too, and what the
// runtime has from the system.
func heap() (objects, total int64) {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64()), int64(samples[1].Value.Uint64())
}

// residentBytes returns the process's resident set, 0 if the system does not
// say.
func residentBytes() int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(statm))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// memoryStats implements MEMORY STATS.
func memoryStats(s *Session, r *request) {
	m := s.srv.memory()
	mark, n := r.out.Mark(), 0
	number := func(name string, value int64) {
		r.out.BulkString(name)
		r.out.Int(value)
		n++
	}
	double := func(name string, a, b int64, factor float64) {
		r.out.BulkString(name)
		r.out.Double(factor * float64(a) / float64(max(b, 1)))
		n++
	}
	number("peak.allocated", m.peak)
	number("total.allocated", m.used)
	number("startup.allocated", m.startup)
	_, backlog := s.srv.opts.Stream.Figures()
	number("replication.backlog", int64(backlog.Kept))
	number("clients.slaves", m.replicas)
	number("clients.normal", m.clients)
	number("cluster.links", 0)
	number("aof.buffer", 0)
	number("lua.caches", m.scriptBytes)
	number("functions.caches", m.functionBytes)
	s.srv.opts.Engine.View(s.srv.now().UnixMilli(), 0, func(v *engine.View) {
		for db := range engine.Databases {
			if d := v.Database(db); d.Keys > 0 {
				r.out.BulkString("db." + strconv.Itoa(db))
				r.out.Map(3)
				r.out.BulkString("overhead.hashtable.main")
				r.out.Int(d.TableBytes)
				r.out.BulkString("overhead.hashtable.expires")
				r.out.Int(d.ExpiryBytes)
				r.out.BulkString("overhead.hashtable.slot-to-keys")
				r.out.Int(0)
				n++
			}
		}
	})
	number("overhead.total", m.overhead())
	number("keys.count", int64(m.data.Keys))
	number("keys.bytes-per-key", (m.used-m.startup)/int64(max(m.data.Keys, 1)))
	number("dataset.bytes", m.dataset())
	double("dataset.percentage", m.dataset(), m.used-m.startup, 100)
	double("peak.percentage", m.used, m.peak, 100)
	number("allocator.allocated", m.allocated)
	number("allocator.active", m.active)
	number("allocator.resident", m.resident)
	double("allocator-fragmentation.ratio", m.active, m.allocated, 1)
	number("allocator-fragmentation.bytes", m.active-m.allocated)
	double("allocator-rss.ratio", m.resident, m.active, 1)
	number("allocator-rss.bytes", m.resident-m.active)
	double("rss-overhead.ratio", m.resident, m.resident, 1)
	number("rss-overhead.bytes", 0)
	double("fragmentation", m.resident, m.used, 1)
	number("fragmentation.bytes", m.resident-m.used)
	r.out.EndMap(mark, n)
}

// mallocStats implements MEMORY MALLOC-STATS: what the runtime tells of its heap.
func mallocStats(_ *Session, r *request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var text strings.Builder
	line := func(name string, value uint64) { fmt.Fprintf(&text, "%-24s %d\n", name, value) }
	text.WriteString("Heap of the Go runtime, in bytes\n")
	line("from the system", m.Sys)
	line("heap in use", m.HeapInuse)
	line("heap idle", m.HeapIdle)
	line("heap given back", m.HeapReleased)
	line("objects", m.HeapAlloc)
	line("stacks", m.StackInuse)
	line("next collection at", m.NextGC)
	line("collections (count)", uint64(m.NumGC))
	line("stopped (ns)", m.PauseTotalNs)
	text.WriteString("Objects by size\n")
	for _, size := range m.BySize {
		if live := size.Mallocs - size.Frees; live > 0 {
			fmt.Fprintf(&text, "%8d bytes %12d objects\n", size.Size, live)
		}
	}
	r.out.Verbatim("txt", text.String())
}

func memoryPurge(_ *Session, r *request) {
	debug.FreeOSMemory()
	r.out.OK()
}
