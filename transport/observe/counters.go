package observe

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Counters are the node's figures of INFO stats and INFO clients.
type Counters struct {
	Connections         atomic.Uint64 // accepted
	RejectedConnections atomic.Uint64 // refused: maxclients
	Commands            atomic.Uint64 // executed
	Errors              atomic.Uint64 // error replies
	BytesIn             atomic.Uint64
	BytesOut            atomic.Uint64
	Reads               atomic.Uint64 // of sockets
	Writes              atomic.Uint64
	QueryBufferCuts     atomic.Uint64 // clients closed at client-query-buffer-limit
	OutputBufferCuts    atomic.Uint64 // clients closed at client-output-buffer-limit
	EvictedClients      atomic.Uint64 // clients closed for maxmemory-clients
	ReplyBufferShrinks  atomic.Uint64
	ReplyBufferExpands  atomic.Uint64
	Panics              atomic.Uint64 // connections closed because serving them panicked
	Redirects           atomic.Uint64 // MOVED and REDIRECT replies
	AuthFailures        atomic.Uint64
	AuthDenied          atomic.Uint64 // commands refused by ACL rules
	ReadBarrierFailures atomic.Uint64 // reads refused because freshness could not be proved

	errors errorCodes
	rates  rates
}

// CountError counts an error reply by its code ("WRONGTYPE").
func (c *Counters) CountError(code string) {
	c.Errors.Add(1)
	c.errors.add(code)
}

// ErrorCodes returns the counts by code, sorted.
func (c *Counters) ErrorCodes() []CodeCount { return c.errors.all() }

// Reset zeroes what CONFIG RESETSTAT zeroes.
func (c *Counters) Reset() {
	for _, n := range []*atomic.Uint64{
		&c.Connections, &c.RejectedConnections, &c.Commands, &c.Errors, &c.BytesIn, &c.BytesOut, &c.Reads, &c.Writes,
		&c.QueryBufferCuts, &c.OutputBufferCuts, &c.EvictedClients, &c.ReplyBufferShrinks, &c.ReplyBufferExpands, &c.Redirects, &c.AuthFailures, &c.AuthDenied, &c.ReadBarrierFailures,
	} {
		n.Store(0)
	}
	c.errors.reset()
	c.rates.reset()
}

// errorCodesMax bounds how many codes are told apart: scripts invent them.
const errorCodesMax = 128

// CodeCount is a line of INFO errorstats.
type CodeCount struct {
	Code  string
	Count uint64
}

// errorCodes counts error replies by code.
type errorCodes struct {
	mu     sync.Mutex
	counts map[string]uint64 // guarded by mu; at most errorCodesMax and the rest as "OTHER"
}

func (e *errorCodes) add(code string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.counts == nil {
		e.counts = make(map[string]uint64)
	}
	if _, known := e.counts[code]; !known && len(e.counts) >= errorCodesMax {
		code = "OTHER"
	}
	e.counts[code]++
}

func (e *errorCodes) all() []CodeCount {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]CodeCount, 0, len(e.counts))
	for _, code := range slices.Sorted(maps.Keys(e.counts)) {
		all = append(all, CodeCount{code, e.counts[code]})
	}
	return all
}

func (e *errorCodes) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counts = nil
}

// ratesKept is how many samples an instantaneous rate is the mean of.
const ratesKept = 16

// Rates are the instantaneous figures of INFO stats.
type Rates struct {
	CommandsPerSec, BytesInPerSec, BytesOutPerSec float64
	FollowersPerSec                               float64 // bytes for plain redis-servers that follow
}

// totals are what rates are taken of.
type totals [4]uint64

type rates struct {
	mu      sync.Mutex
	at      time.Time
	last    totals
	samples [ratesKept][len(totals{})]float64
	next    int
}

// Tick takes a sample for the instantaneous rates; it is called about ten
// times a second. Followers is how many bytes plain redis-servers were sent.
func (c *Counters) Tick(now time.Time, followers uint64) {
	c.rates.tick(now, totals{c.Commands.Load(), c.BytesIn.Load(), c.BytesOut.Load(), followers})
}

// Rates returns the means over the last samples.
func (c *Counters) Rates() Rates {
	mean := c.rates.mean()
	return Rates{mean[0], mean[1], mean[2], mean[3]}
}

func (r *rates) tick(now time.Time, sums totals) {
	r.mu.Lock()
	defer r.mu.Unlock()
	elapsed := now.Sub(r.at).Seconds()
	if !r.at.IsZero() && elapsed > 0 {
		for i, total := range sums {
			r.samples[r.next][i] = float64(total-min(total, r.last[i])) / elapsed
		}
		r.next = (r.next + 1) % ratesKept
	}
	r.at, r.last = now, sums
}

func (r *rates) mean() (mean [len(totals{})]float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sample := range r.samples {
		for i, v := range sample {
			mean[i] += v / ratesKept
		}
	}
	return mean
}

func (r *rates) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples = [ratesKept][len(totals{})]float64{}
}
