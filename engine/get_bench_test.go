package engine

import (
	"fmt"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

// BenchmarkGet reads keys as a pipeline of a session does.
func BenchmarkGet(b *testing.B) {
	n := newNode()
	const keys, pipeline = 100_000, 16
	var args [keys][][]byte
	for i := range args {
		key := fmt.Sprint("key:", i*7919%keys)
		n.do(0, "SET", key, "a value of some twenty bytes")
		args[i] = words("GET", key)
	}
	out := reply.NewWriter(reply.RESP2, nil)
	b.ReportAllocs()
	at := 0
	for b.Loop() {
		out.Truncate(0)
		n.View(n.now+int64(at/1000), 1, func(v *View) {
			for range pipeline {
				v.Do(0, args[at%keys], false, out)
				at++
			}
		})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*pipeline), "ns/GET")
}
