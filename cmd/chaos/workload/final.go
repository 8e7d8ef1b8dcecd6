package workload

import (
	"time"

	"github.com/quorate/quorate/cmd/chaos/client"
	"github.com/quorate/quorate/cmd/chaos/history"
	"github.com/quorate/quorate/engine/reply"
)

// auditorID is the number of the first auditor among the clients: each node
// has one.
const auditorID = 1000

// FinalReads reads all that a finished group holds from every node, and takes
// what was read into its history. Nodes that do not answer in time are left
// out.
func (e *Env) FinalReads(g *Group, timeout time.Duration) {
	done := make(chan []*history.Op, len(e.Endpoints))
	for node := range e.Endpoints {
		go func() { done <- e.finalRead(g, node, timeout) }()
	}
	for range e.Endpoints {
		g.add(<-done...)
	}
}

func (e *Env) finalRead(g *Group, node int, timeout time.Duration) []*history.Op {
	conn, err := client.Dial(e.Endpoints[node], 2, timeout)
	if err != nil {
		return nil
	}
	defer conn.Close()
	var ops []*history.Op
	for _, cmd := range g.Kind.final {
		op := &history.Op{Client: auditorID + node, Node: node, Cmds: []history.Cmd{cmd}, Call: e.now()}
		conn.Append(g.wire(cmd)...)
		if conn.Flush(timeout) != nil {
			return ops
		}
		v, err := conn.Read(timeout)
		if err != nil || v.Kind == reply.KindError {
			return ops
		}
		op.Return = e.now()
		op.Replies = []string{canon(cmd[0], &v)}
		ops = append(ops, op)
	}
	return ops
}
