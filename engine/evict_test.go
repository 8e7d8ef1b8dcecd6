package engine

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
)

// evicting is a trio whose first node leads.
type evicting struct {
	*trio
	chooser Chooser
	evicted int
}

func newEvicting(t *testing.T, policy call.Policy, room int64) *evicting {
	tr := newTrio(t, reply.RESP2, 1500)
	v := &evicting{trio: tr, chooser: Chooser{Chance: rand.New(rand.NewPCG(1, 2)).Uint64}}
	v.set("maxmemory-policy", policy.String())
	v.set("maxmemory", strconv.FormatInt(tr.nodes[0].Used()+room, 10))
	v.set("notify-keyspace-events", "Ee")
	return v
}

// set changes a setting on all nodes.
func (v *evicting) set(name, value string) {
	v.t.Helper()
	for _, m := range v.nodes {
		m.Apply(func(s *Step) {
			if err := s.Set(words(name, value)); err != nil {
				v.t.Fatal(err)
			}
		})
	}
}

// relieve has all nodes do what the first has decided, and returns that.
func (v *evicting) relieve(bytes int) Relief {
	v.t.Helper()
	r := v.nodes[0].Relieve(&v.chooser, bytes)
	for _, m := range v.nodes {
		m.events = nil
		m.index++
		m.Apply(func(s *Step) {
			s.Entry(m.index, m.now)
			for _, some := range r.Victims {
				s.Evict(some.DB, some.Keys)
			}
			if r.Pressed {
				s.Press()
			}
		})
	}
	for _, some := range r.Victims {
		v.evicted += len(some.Keys)
	}
	for i, m := range v.nodes[1:] {
		if m.Chain() != v.nodes[0].Chain() || fmt.Sprint(m.events) != fmt.Sprint(v.nodes[0].events) {
			v.t.Fatalf("node %d differs after %+v: events %v and %v", i+1, r, m.events, v.nodes[0].events)
		}
	}
	return r
}

// Whatever the policy, use stays within the limit and one command under a load of several
// times as much, and three nodes of which one is restored from snapshots stay the same.
func TestUseStaysBounded(t *testing.T) {
	for policy := range call.NoEviction {
		t.Run(policy.String(), func(t *testing.T) {
			const room = 200 << 10
			v := newEvicting(t, policy, room)
			random := rand.New(rand.NewPCG(uint64(policy), 1))
			limit := v.nodes[0].MaxMemory()
			for i := range 6000 {
				if i == 3000 {
					v.sameDigest()
					v.restore()
				}
				v.relieve(100)
				if used := v.nodes[0].Used(); used > limit {
					t.Fatalf("%d are used of %d before command %d", used, limit, i)
				}
				key := fmt.Sprint("key:", i)
				switch random.IntN(4) {
				case 0:
					v.do(i%3, words("HSET", key, "f", strings.Repeat("x", random.IntN(100)), "g", "1"))
					v.do(i%3, words("PEXPIRE", key, fmt.Sprint(1_000_000+random.IntN(1000_000))))
				default:
					v.do(i%3, words("SET", key, strings.Repeat("v", random.IntN(200)), "PX", fmt.Sprint(1_000_000+random.IntN(1000_000))))
				}
			}
			v.sameDigest()
			if stats := v.nodes[0].Stats(); v.evicted < 1000 || stats.Evicted != uint64(v.evicted) || v.nodes[0].Used() < limit-room/4 {
				t.Errorf("%d keys were evicted, %d counted; %d are used of %d", v.evicted, stats.Evicted, v.nodes[0].Used(), limit)
			}
		})
	}
}

// Where only keys with an expiry time may go, others stay, and when all those are gone
// memory is short.
func TestKeysWithoutExpiryStay(t *testing.T) {
	for _, policy := range []call.Policy{call.VolatileLRU, call.VolatileLFU, call.VolatileRandom, call.VolatileTTL} {
		t.Run(policy.String(), func(t *testing.T) {
			v := newEvicting(t, policy, 64<<10)
			for i := range 600 {
				if r := v.relieve(100); r.Pressed && len(r.Victims) == 0 {
					break
				}
				v.do(0, words("SET", fmt.Sprint("stays:", i), strings.Repeat("x", 150)))
				v.do(0, words("SET", fmt.Sprint("goes:", i), strings.Repeat("x", 150), "EX", "1000"))
			}
			r := v.relieve(0)
			if !r.Pressed || r.More || v.nodes[0].Stats().Expires != 0 {
				t.Fatalf("%+v with %d keys that expire", r, v.nodes[0].Stats().Expires)
			}
			if got := v.do(0, words("EXISTS", "stays:0", "stays:1", "stays:100")).reply; got != ":3\r\n" {
				t.Errorf("of three keys without an expiry time there are %q", got)
			}
		})
	}
}

// volatile-ttl takes the keys that expire first, in all databases.
func TestTheNearestExpiryGoesFirst(t *testing.T) {
	v := newEvicting(t, call.VolatileTTL, 1<<30)
	order := rand.New(rand.NewPCG(5, 5)).Perm(2000)
	for _, i := range order {
		v.do(i%4, words("SET", fmt.Sprint(i), "x", "PX", fmt.Sprint(100_000+i)))
	}
	v.set("maxmemory", strconv.FormatInt(v.nodes[0].Used()-300*70, 10))
	for v.relieve(0).More {
	}
	for i := range 2000 {
		want := "$1\r\nx\r\n"
		if i < v.evicted {
			want = "$-1\r\n"
		}
		if got := v.do(i%4, words("GET", fmt.Sprint(i))).reply; got != want {
			t.Fatalf("%d keys went; key %d is %q", v.evicted, i, got)
		}
	}
	if v.evicted < 100 || v.evicted > 1000 {
		t.Errorf("%d keys went", v.evicted)
	}
}

// A limit far below what is used is reached in bounded steps.
func TestALowLimitIsReachedStepByStep(t *testing.T) {
	v := newEvicting(t, call.AllKeysRandom, 1<<30)
	for i := range 5000 {
		v.do(0, words("SET", fmt.Sprint(i), "x"))
	}
	v.set("maxmemory", "1")
	steps := 0
	for more := true; more; steps++ {
		r := v.relieve(0)
		if n := len(r.Victims); n > 0 && len(r.Victims[0].Keys) > keysMax(10, 0) {
			t.Fatalf("%d keys in one entry", len(r.Victims[0].Keys))
		}
		more = r.More
	}
	if n := v.nodes[0].Stats().Keys; n != 0 || steps < 3 {
		t.Errorf("%d keys after %d steps", n, steps)
	}
	if r := v.relieve(0); !r.Pressed || r.More || len(r.Victims) > 0 {
		t.Errorf("with nothing left: %+v", r)
	}
}

// What a snapshot under way still holds does not count: evicting more would not free it.
func TestASnapshotUnderWayDoesNotCount(t *testing.T) {
	n := newNode()
	for i := range 2000 {
		n.do(0, "SET", fmt.Sprint(i), strings.Repeat("x", i*3))
	}
	before := n.Used()
	snapshot, err := n.Freeze(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		n.do(0, "DEL", fmt.Sprint(i))
	}
	if used := n.Used(); used > before/20 {
		t.Errorf("%d are used, of %d, with all keys gone but for the snapshot", used, before)
	}
	snapshot.Close()
	for i := range 1000 { // later changes free what it held
		n.do(0, "SET", "k", fmt.Sprint(i))
	}
	if s := n.Stats(); s.Kept != 0 || s.Used() > before/20 {
		t.Errorf("%+v after it", s)
	}
}

// What is used stays where the policy asks for that, with a tenth of the keys read and
// written all the time beside a flood of others.
func TestHotKeysStay(t *testing.T) {
	for _, policy := range []call.Policy{call.AllKeysLRU, call.AllKeysLFU, call.VolatileLRU, call.VolatileLFU} {
		t.Run(policy.String(), func(t *testing.T) {
			v := newEvicting(t, policy, 300<<10)
			n := v.nodes[0]
			random := rand.New(rand.NewPCG(9, uint64(policy)))
			read := func(key string) bool {
				out := reply.NewWriter(reply.RESP2, nil)
				n.View(n.now, 1, func(view *View) { view.Do(0, words("GET", key), false, out) })
				return string(out.Bytes()) != "$-1\r\n"
			}
			hits, reads := 0, 0
			for i := range 20_000 {
				for _, m := range v.nodes {
					m.now += 10
				}
				v.relieve(100)
				key := fmt.Sprint("hot:", random.IntN(200))
				if i%2 == 0 {
					key = fmt.Sprint("cold:", i)
				} else if i > 10_000 {
					reads++
				}
				switch {
				case !read(key):
					v.do(0, words("SET", key, strings.Repeat("x", 100), "EX", "10000"))
				case i > 10_000 && i%2 == 1:
					hits++
				}
			}
			if hits*100 < reads*97 {
				t.Errorf("of %d reads of hot keys %d found them", reads, hits)
			}
		})
	}
}

// How often and how long ago a key was used is a matter of a node: a script that writes must
// not see it.
func TestScriptsDoNotSeeUses(t *testing.T) {
	v := newEvicting(t, call.AllKeysLFU, 1<<30)
	v.do(0, words("SET", "k", "v"))
	for range 100 {
		v.nodes[1].View(v.nodes[1].now, 1, func(view *View) { view.Do(0, words("GET", "k"), false, reply.NewWriter(reply.RESP2, nil)) })
	}
	v.do(0, words("EVAL", "redis.call('SET', 'seen', redis.call('OBJECT', 'FREQ', 'k'))", "0"))
	v.set("maxmemory-policy", "allkeys-lru")
	v.do(0, words("EVAL", "redis.call('SET', 'seen', redis.call('OBJECT', 'IDLETIME', 'k'))", "0"))
	v.sameDigest()
}

// What one engine's clients have read another one hears of, in pieces; what is no piece is
// refused.
func TestTellAndHearReads(t *testing.T) {
	v := newEvicting(t, call.AllKeysLRU, 1<<30)
	follower, leader := v.nodes[1], v.nodes[0]
	if told := follower.TellReads(nil); len(told) > 0 {
		t.Errorf("nobody has read, and %d bytes are told", len(told))
	}
	const keys = 3000
	for i := range keys {
		v.trio.do(0, words("SET", fmt.Sprint("k", i), "v"))
	}
	v.later(time.Minute, 0)
	out := reply.NewWriter(reply.RESP2, nil)
	now := follower.now
	follower.View(now, 1, func(view *View) {
		for i := range keys {
			view.Do(0, words("GET", fmt.Sprint("k", i)), false, out)
		}
	})
	told := follower.TellReads(nil)
	if len(told) < 2*keys || len(told) > 64<<10 {
		t.Fatalf("%d bytes about %d keys", len(told), keys)
	}
	if err := leader.HearReads(told); err != nil {
		t.Fatal(err)
	}
	idle := 0
	leader.View(now, 1, func(view *View) {
		for i := range keys {
			out.Truncate(0)
			view.Do(0, words("OBJECT", "IDLETIME", fmt.Sprint("k", i)), false, out)
			if string(out.Bytes()) != ":0\r\n" {
				idle++
			}
		}
	})
	if idle > keys/20 {
		t.Errorf("%d of %d keys look idle", idle, keys)
	}
	for _, bad := range [][]byte{{0}, {0, 5, 1}, told[:len(told)-1], {0, 1, 1}} {
		if err := leader.HearReads(bad); err == nil {
			t.Errorf("%x was taken", bad[:min(len(bad), 8)])
		}
	}
	v.set("maxmemory", "0")
	follower.View(now, 1, func(view *View) { view.Do(0, words("GET", "k1"), false, out) })
	if told := follower.TellReads(nil); len(told) > 0 {
		t.Error("told without a limit")
	}
}
