package main

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
)

// Listeners move, settings of the cluster change and clients look at the topology at once:
// nobody waits for ever for another.
func TestListenersMoveBesideSettings(t *testing.T) {
	port, _ := startNode(t)
	ports := [2]string{freePort(t), freePort(t)}
	const rounds = 300
	var all sync.WaitGroup
	together := func(command func(i int) []string) {
		k := talkTo(t, "127.0.0.1:"+port)
		all.Go(func() {
			for i := range rounds {
				if v, err := k.c.do(command(i)...); err != nil {
					t.Errorf("%q: %s, %v", command(i), v.Text, err)
					return
				}
			}
		})
	}
	together(func(i int) []string { return []string{"CONFIG", "SET", "port", ports[i%2]} })
	together(func(i int) []string { return []string{"CONFIG", "SET", "maxmemory", strconv.Itoa(i << 30)} })
	for range 4 {
		together(func(int) []string { return []string{"CLUSTER", "INFO"} })
	}
	all.Wait()
	k := talkTo(t, fmt.Sprintf("127.0.0.1:%s", ports[1]))
	k.expects("OK", "MULTI")
	k.expects("QUEUED", "CONFIG", "SET", "port", ports[0])
	v, err := k.c.do("EXEC")
	if err != nil || len(v.Elems) != 1 || string(v.Elems[0].Text) != "ERR CONFIG SET moves no listeners inside a transaction" {
		t.Errorf("in a transaction: %+v, %v", v, err)
	}
}
