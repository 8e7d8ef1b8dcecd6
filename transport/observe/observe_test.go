package observe

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A bucket's highest value falls into it, and the next one does not.
func TestBuckets(t *testing.T) {
	for i := range bucketsCount {
		if got := bucketOf(highest(i)); got != i {
			t.Fatalf("highest(%d) = %d falls into bucket %d", i, highest(i), got)
		}
		if got := bucketOf(highest(i) + 1); i < bucketsCount-1 && got != i+1 {
			t.Fatalf("highest(%d)+1 falls into bucket %d", i, got)
		}
	}
	if got := bucketOf(time.Hour); got != bucketsCount-1 {
		t.Errorf("an hour falls into bucket %d", got)
	}
}

// Percentiles are those of the sorted times, to within a sixteenth.
func TestPercentile(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	var all []time.Duration
	for range 10000 {
		d := time.Duration(rnd.ExpFloat64() * 1e5)
		h.Add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, p := range []float64{1, 50, 99, 99.9, 100} {
		want := all[min(int(p/100*10000), 10000)-1]
		if got := h.Percentile(p); got < want || got > want+want/subBuckets+1 {
			t.Errorf("p%v = %v, want %v", p, got, want)
		}
	}
	if h.Count() != 10000 || h.UpTo(latencyMax) != 10000 {
		t.Errorf("count %d, up to the end %d", h.Count(), h.UpTo(latencyMax))
	}
}

func TestSlowlog(t *testing.T) {
	l := NewSlowlog(3)
	for i := range 5 {
		l.Add(Slow{Args: [][]byte{fmt.Appendf(nil, "c%d", i)}})
	}
	newest := l.Newest(2)
	if l.Len() != 3 || len(newest) != 2 || newest[0].ID != 4 || string(newest[1].Args[0]) != "c3" {
		t.Errorf("len %d, newest %v", l.Len(), newest)
	}
	l.SetLimit(1)
	if l.Len() != 1 || l.Newest(-1)[0].ID != 4 {
		t.Errorf("after SetLimit: %v", l.Newest(-1))
	}

	var args [][]byte
	for range 40 {
		args = append(args, bytes.Repeat([]byte("x"), 130))
	}
	l.Add(Slow{Args: args})
	got := l.Newest(1)[0].Args
	if len(got) != 32 || string(got[31]) != "... (9 more arguments)" || string(got[0][128:]) != "... (2 more bytes)" {
		t.Errorf("clipped to %d arguments, first %q, last %q", len(got), got[0], got[len(got)-1])
	}
}

func TestSpikes(t *testing.T) {
	var l Spikes
	at := time.Unix(1000, 0)
	l.Add("command", at, 5*time.Millisecond)
	l.Add("command", at.Add(100*time.Millisecond), 9*time.Millisecond)
	l.Add("command", at.Add(300*time.Millisecond), 2*time.Millisecond)
	for i := range 200 {
		l.Add("fork", at.Add(time.Duration(i)*time.Second), time.Millisecond)
	}
	if h := l.History("command"); len(h) != 1 || h[0].Duration != 9*time.Millisecond {
		t.Errorf("history %v", h)
	}
	if h := l.History("fork"); len(h) != samplesKept || !h[0].At.Equal(at.Add(40*time.Second)) {
		t.Errorf("%d samples, first %v", len(h), h[0])
	}
	if n := l.Reset("COMMAND", "none"); n != 1 || len(l.Latest()) != 1 {
		t.Errorf("reset %d, left %v", n, l.Latest())
	}
}

func TestErrorCodesAreBounded(t *testing.T) {
	var c Counters
	for i := range 1000 {
		c.CountError(fmt.Sprint("E", i))
	}
	codes := c.ErrorCodes()
	if len(codes) != errorCodesMax+1 || c.Errors.Load() != 1000 {
		t.Errorf("%d codes, %d errors", len(codes), c.Errors.Load())
	}
}

func TestRates(t *testing.T) {
	var c Counters
	at := time.Unix(1, 0)
	for i := range ratesKept + 1 {
		c.Tick(at, uint64(i)*1024)
		at = at.Add(100 * time.Millisecond)
		c.Commands.Add(50)
	}
	if got := c.Rates().CommandsPerSec; got < 499 || got > 501 {
		t.Errorf("%v commands a second, want 500", got)
	}
	if got := c.Rates().FollowersPerSec; got < 10_200 || got > 10_280 {
		t.Errorf("%v bytes a second to servers that follow, want 10240", got)
	}
}
