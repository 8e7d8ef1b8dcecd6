package observe

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// Command holds the figures of one command: a line of INFO commandstats and
// one of latencystats.
type Command struct {
	calls, nanos, rejected, failed atomic.Uint64
	latency                        atomic.Pointer[Histogram]
}

// Called counts an execution that took d. Track also notes d for percentiles.
func (c *Command) Called(d time.Duration, track bool) {
	c.calls.Add(1)
	c.nanos.Add(uint64(max(d, 0)))
	if !track {
		return
	}
	h := c.latency.Load()
	if h == nil {
		c.latency.CompareAndSwap(nil, new(Histogram))
		h = c.latency.Load()
	}
	h.Add(d)
}

// Rejected counts a call that was refused before it was executed.
func (c *Command) Rejected() { c.rejected.Add(1) }

// Failed counts an execution whose reply was an error.
func (c *Command) Failed() { c.failed.Add(1) }

// CommandTotals are a Command's figures at a moment.
type CommandTotals struct {
	Calls, Rejected, Failed uint64
	Time                    time.Duration // of all calls together
}

// Totals returns the figures now.
func (c *Command) Totals() CommandTotals {
	return CommandTotals{
		Calls: c.calls.Load(), Rejected: c.rejected.Load(), Failed: c.failed.Load(),
		Time: time.Duration(c.nanos.Load()),
	}
}

// Latency returns the command's histogram, or nil if it has none.
func (c *Command) Latency() *Histogram { return c.latency.Load() }

// Reset zeroes the figures.
func (c *Command) Reset() {
	c.calls.Store(0)
	c.nanos.Store(0)
	c.rejected.Store(0)
	c.failed.Store(0)
	c.latency.Store(nil)
}

const (
	// subBuckets divide each power of two: a value is known to 1/16.
	subBuckets    = 16
	subBucketBits = 4
	// latencyMax is the longest time that a Histogram tells apart.
	latencyMax   = 1 << 30 // ns, about a second
	bucketsCount = (31 - subBucketBits) * subBuckets
)

// Histogram counts times from 1 ns to about 1 s, to within a sixteenth.
type Histogram struct {
	buckets [bucketsCount]atomic.Uint64
}

// Add counts d.
func (h *Histogram) Add(d time.Duration) { h.buckets[bucketOf(d)].Add(1) }

// bucketOf: the first 16 buckets hold one value each; after them, each power
// of two has 16 of equal width.
func bucketOf(d time.Duration) int {
	v := uint64(min(max(d, 0), latencyMax-1))
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - subBucketBits - 1
	return shift*subBuckets + int(v>>shift)
}

// highest returns the largest value that falls into the bucket.
func highest(bucket int) time.Duration {
	if bucket < 2*subBuckets {
		return time.Duration(bucket)
	}
	shift := bucket/subBuckets - 1
	return time.Duration((bucket%subBuckets+subBuckets+1)<<shift - 1)
}

// Count returns how many times were added.
func (h *Histogram) Count() uint64 {
	var n uint64
	for i := range h.buckets {
		n += h.buckets[i].Load()
	}
	return n
}

// Percentile returns the time below or at which p percent of the times are.
func (h *Histogram) Percentile(p float64) time.Duration {
	want := uint64(math.Ceil(float64(h.Count()) * p / 100))
	var seen uint64
	for i := range h.buckets {
		if seen += h.buckets[i].Load(); seen >= max(want, 1) {
			return highest(i)
		}
	}
	return 0
}

// UpTo returns how many times were at most d.
func (h *Histogram) UpTo(d time.Duration) uint64 {
	var n uint64
	for i := 0; i < bucketsCount && highest(i) <= d; i++ {
		n += h.buckets[i].Load()
	}
	return n
}
