package transcript

import (
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

// clockSlack is how far from now a time may be that hideTimes takes for one.
const clockSlack = time.Hour

// hideTimes puts "now" in the place of Unix times in milliseconds that are not far
// from now: of integers, and of the IDs of stream entries.
func hideTimes(v *reply.Value, now time.Time) {
	isNow := func(ms int64) bool { return now.Sub(time.UnixMilli(ms)).Abs() < clockSlack }
	switch v.Kind {
	case reply.KindInt:
		if isNow(v.Int) {
			*v = reply.Value{Kind: reply.KindStatus, Text: []byte("(integer) now")}
		}
	case reply.KindBulk:
		ms, seq, isID := strings.Cut(string(v.Text), "-")
		if n, err := strconv.ParseInt(ms, 10, 64); isID && err == nil && isNow(n) {
			v.Text = []byte("now-" + seq)
		}
	}
	for i := range v.Elems {
		hideTimes(&v.Elems[i], now)
	}
}
