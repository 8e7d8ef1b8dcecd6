package simulation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	mathrand "math/rand"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/cluster/raftlog/faultfs"
	"github.com/quorate/quorate/cluster/wire/memnet"
	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/chain"
)

// world is one run.
type world struct {
	plan  schedule
	bug   bug
	net   *memnet.Network
	began time.Time
	trace trace
	lives atomic.Int64

	history   history
	digests   digests
	evictions *evictions // nil but in runs in which memory is short
	terms     terms

	mu       sync.Mutex
	machines []*machine // guarded by mu
	named    int        // guarded by mu; machines there ever were
	problems []string   // guarded by mu
	noted    map[string]int
	dice     *rand.Rand // guarded by mu; of the network
	failed   chan struct{}
	over     chan struct{}

	lived time.Duration // until everything was looked at

	wg   sync.WaitGroup // events under way
	ends sync.WaitGroup // processes that are not gone yet
}

// result is what became of a run.
type result struct {
	problems []string
	trace    *trace
	virtual  time.Duration
	noted    map[string]int
}

// hash is the same for two runs in which the same happened.
func (r result) hash() string {
	sum := sha256.Sum256([]byte(strings.Join(r.trace.lines, "\n")))
	return hex.EncodeToString(sum[:8])
}

// warm makes what is made once in a process, so that every run finds it.
var warm sync.Once

// simulate runs a schedule.
func simulate(t *testing.T, plan schedule, b bug) result {
	warm.Do(func() { runOnce(t, generate(0, time.Second), bug{}) })
	return runOnce(t, plan, b)
}

func runOnce(t *testing.T, plan schedule, b bug) (res result) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // collect says when
	//lint:ignore SA1019 raft and memberlist draw from this one
	mathrand.Seed(int64(plan.seed))
	synctest.Test(t, func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, plan.seed)
		w := &world{
			plan: plan, bug: b, net: memnet.New(), began: time.Now(), failed: make(chan struct{}), over: make(chan struct{}), noted: make(map[string]int),
			dice: rand.New(rand.NewPCG(plan.seed, 2)),
		}
		w.trace.world = w
		w.history.world, w.history.doubtful = w, make(map[int][]*record)
		w.digests = digests{world: w, chains: make(map[uint64]chain.Value), seen: make(map[uint64]string)}
		w.terms = terms{world: w, leader: make(map[uint64]string)}
		if w.tight() {
			w.evictions = &evictions{world: w, moments: make(map[[2]uint64]int64), gone: make(map[string][]eviction)}
		}
		w.net.Jitter = w.jitter
		go w.collect()
		w.run()
		close(w.over)
		res = result{problems: w.problems, trace: &w.trace, virtual: w.lived, noted: w.noted}
	})
	return res
}

// collect collects garbage at moments of virtual time at which nobody else does
// anything: wherever else it came, it would change the order of things.
func (w *world) collect() {
	for {
		select {
		case <-time.After(time.Second + 17*time.Nanosecond):
			runtime.GC()
		case <-w.over:
			return
		}
	}
}

func (w *world) now() time.Duration { return time.Since(w.began) }

// jitter is how long a message takes: mostly some hundred microseconds, now and
// then much longer.
func (w *world) jitter(from, to string) time.Duration {
	if from == to {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	d := time.Duration(50+w.dice.IntN(400)) * time.Microsecond
	if w.plan.jitter > 0 {
		d += time.Duration(w.dice.Int64N(int64(w.plan.jitter)))
	}
	if w.dice.IntN(200) == 0 {
		d += time.Duration(w.dice.IntN(20)) * time.Millisecond
	}
	return d
}

// fail notes a broken promise, and ends the run.
func (w *world) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.trace.add("PROBLEM %s", text)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.problems) == 0 {
		close(w.failed)
	}
	if len(w.problems) < 20 {
		w.problems = append(w.problems, fmt.Sprintf("%v: %s", w.now(), text))
	}
}

func (w *world) hasFailed() bool {
	select {
	case <-w.failed:
		return true
	default:
		return false
	}
}

// note counts something for the report.
func (w *world) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted[what]++
}

func (w *world) addMachine() *machine {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.named
	w.named++
	m := &machine{world: w, name: fmt.Sprintf("n%d", n), addr: fmt.Sprintf("127.0.0.%d:7000", n+1), disk: faultfs.New()}
	w.machines = append(w.machines, m)
	return m
}

func (w *world) all() []*machine {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.machines)
}

func (w *world) machine(i int) *machine {
	all := w.all()
	return all[i%len(all)]
}

func (w *world) addrs() []string {
	var addrs []string
	for _, m := range w.all() {
		addrs = append(addrs, m.addr)
	}
	return addrs
}

// run is a whole life of a cluster: it is founded, lives under faults, heals,
// and is looked at.
func (w *world) run() {
	for range w.plan.nodes {
		w.addMachine()
	}
	for _, m := range w.all() {
		if err := m.start(); err != nil {
			w.fail("%s does not start: %v", m.name, err)
		}
	}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	if w.awaitService(20 * time.Second) {
		for _, plan := range w.plan.clients {
			c := &client{world: w, plan: plan}
			clients.Go(func() { c.run(stop) })
		}
		w.play()
		w.heal()
		w.awaitService(30 * time.Second)
	}
	close(stop)
	clients.Wait()
	if !w.hasFailed() {
		w.finish()
	}
	w.lived = w.now()
	for _, m := range w.all() {
		m.kill("the end")
	}
	w.wg.Wait()
	w.ends.Wait()
	time.Sleep(time.Minute) // what the libraries leave behind ends
}

// awaitService waits until every machine's node takes writes and confirms
// reads.
func (w *world) awaitService(patience time.Duration) bool {
	deadline := w.now() + patience
	for _, m := range w.all() {
		for !w.hasFailed() && !w.serves(m) {
			if w.now() > deadline {
				w.fail("%s does not serve %v after all faults have ended", m.name, patience)
				return false
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return !w.hasFailed()
}

func (w *world) serves(m *machine) bool {
	l := m.alive()
	if l == nil {
		return false
	}
	c := &client{world: w, plan: clientPlan{id: 90}, conn: newConn(l)}
	cmd := incrOp("c:0:9")
	if w.tight() {
		cmd = dropOp("e:0:none") // what brings data may be refused
	}
	c.write(l, cmd)
	return cmd.records[0].outcome == done && c.barrier(l)
}

// finish compares all nodes with each other and with what clients were told.
func (w *world) finish() {
	if w.tight() {
		w.withinLimit()
	}
	living := w.settle()
	if living == nil {
		return
	}
	final := make(map[string]string)
	for i, l := range living {
		for _, r := range w.history.records {
			if i > 0 || r.kind == "peek" || r.kind == "put" {
				continue
			}
			if _, ok := final[r.key]; !ok {
				final[r.key] = l.read(readerOf(r.key), r.key)[0]
				if isTight(r.key) {
					final[r.key] = w.tokens(r.key, final[r.key])
				}
			}
		}
		digest := l.engine.Digest()
		w.trace.add("%s at %d: %s", l.machine.name, l.node.AppliedIndex(), digest)
		if want := living[0].engine.Digest(); digest != want {
			w.fail("%s and %s differ at index %d: %s, %s", living[0].machine.name, l.machine.name, l.node.AppliedIndex(), want, digest)
		}
	}
	w.history.check(final)
}

func readerOf(key string) string {
	switch key[0] {
	case 'l', 'q':
		return "LRANGE"
	case 's':
		return "SMEMBERS"
	}
	return "GET"
}

// settle waits until all nodes have applied the same.
func (w *world) settle() []*life {
	deadline := w.now() + 20*time.Second
	for w.now() < deadline {
		time.Sleep(200 * time.Millisecond)
		var living []*life
		indexes := make(map[uint64]bool)
		for _, m := range w.all() {
			if l := m.alive(); l != nil {
				living = append(living, l)
				indexes[l.node.AppliedIndex()] = true
			}
		}
		if len(living) == len(w.all()) && len(indexes) == 1 {
			return living
		}
	}
	w.fail("the nodes have not applied the same 20s after the last write")
	return nil
}

// exited judges a node that ends its process.
func (w *world) exited(l *life, err error) {
	switch text := err.Error(); {
	case l.machine.damaged():
		w.note("nodes that ended themselves for a damaged disk")
	case strings.Contains(text, "input/output error"):
		w.note("nodes that ended themselves after a failed fsync")
	case strings.Contains(text, "start this node again"):
		w.note("nodes that ended themselves to empty their log")
	default:
		w.fail("%s ends itself: %v", l.machine.name, err)
		return
	}
	w.restartSoon(l.machine, time.Second)
}

func (w *world) restartSoon(m *machine, after time.Duration) {
	w.wg.Go(func() {
		time.Sleep(after)
		w.restart(m)
	})
}

// restart starts the node of a machine. If it refuses because of a damaged disk,
// it gets a new one.
func (w *world) restart(m *machine) {
	err := m.start()
	if err != nil && m.damaged() {
		w.note("nodes that refused a damaged disk")
		w.trace.add("%s refuses to start: %v", m.name, err)
		m.newDisk()
		err = m.start()
	}
	if err != nil {
		w.fail("%s does not start: %v", m.name, err)
	}
}

// applied is told how far a node has applied the log.
func (l *life) applied(index uint64) {
	if l.isDead.Load() {
		return
	}
	l.deliver(index)
	l.machine.world.evictions.note(l, index)
	if l.machine.world.bug.drift && l.number == 2 && index == 500 {
		l.engine.Apply(func(s *engine.Step) {
			s.Entry(index, 0)
			s.Do(0, words("SET", "drift", "1"), false, reply.NewWriter(reply.RESP2, nil))
		})
	}
	l.machine.world.digests.compare(l, index)
}

// digests compares the states of nodes that have applied the same log.
type digests struct {
	world  *world
	mu     sync.Mutex
	chains map[uint64]chain.Value // guarded by mu; of all changes, by index
	seen   map[uint64]string      // guarded by mu; of the content, by index
}

// digestEvery is how often the content is looked at as well: that takes long.
const digestEvery = 128

func (d *digests) compare(l *life, index uint64) {
	own := l.engine.Chain()
	d.mu.Lock()
	defer d.mu.Unlock()
	if other, ok := d.chains[index]; !ok {
		d.chains[index] = own
	} else if other != own {
		d.world.fail("%s has made other changes than others up to index %d: %v, %v", l.machine.name, index, own, other)
	}
	d.world.note("chains compared")
	if index%digestEvery != 0 {
		return
	}
	digest := l.engine.Digest()
	if other, ok := d.seen[index]; !ok {
		d.seen[index] = digest
	} else if other != digest {
		d.world.fail("%s has another state than others at index %d: %s, %s", l.machine.name, index, digest, other)
	}
	d.world.note("digests compared")
}

// terms notes who led in which term.
type terms struct {
	world  *world
	mu     sync.Mutex
	leader map[uint64]string // guarded by mu
}

func (t *terms) leads(l *life, term uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leader[term] == "" {
		t.leader[term] = l.machine.name
		t.world.note("terms with a leader")
	} else if t.leader[term] != l.machine.name {
		t.world.fail("term %d has two leaders: %s and %s", term, t.leader[term], l.machine.name)
	}
}

// logTap reads a node's log.
type logTap struct{ life *life }

func (*logTap) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle implements slog.Handler.
func (h *logTap) Handle(_ context.Context, r slog.Record) error {
	var term uint64
	var here bool
	var b strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		switch a.Key {
		case "term":
			term = a.Value.Uint64()
		case "here":
			here = a.Value.Bool()
		}
		return true
	})
	l := h.life
	if r.Message == "leadership" && here {
		l.machine.world.terms.leads(l, term)
	}
	l.machine.world.trace.add("%s log: %s%s", l.machine.name, r.Message, b.String())
	return nil
}

// WithAttrs implements slog.Handler.
func (h *logTap) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup implements slog.Handler.
func (h *logTap) WithGroup(string) slog.Handler { return h }

// trace is what happened, in order.
type trace struct {
	world *world
	mu    sync.Mutex
	lines []string // guarded by mu
}

func (t *trace) add(format string, args ...any) {
	line := fmt.Sprintf("%12v ", t.world.now()) + fmt.Sprintf(format, args...)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
}
