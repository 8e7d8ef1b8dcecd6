package commands

import (
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
)

var memoryRows = []call.Row{
	{Spec: command.Spec{Name: "memory", Group: command.Server, Arity: -2}}, // its subcommands do it all; others are the session's
	{Spec: command.Spec{Name: "memory|usage", Group: command.Server, Arity: -3, Flags: command.ReadOnly, Keys: subcommandKey}, Do: memoryUsage},
}

// keyOverheadBytes is about what a key takes beside its name and its value:
// header of the record, slot in the table, unused space of both.
const keyOverheadBytes = 40

// memoryUsage implements MEMORY USAGE key [SAMPLES count]. Nothing is sampled:
// every value knows its size.
func memoryUsage(c *call.Call) {
	for i := 3; i < len(c.Args); i += 2 {
		if !c.Is(i, "SAMPLES") || i+1 == len(c.Args) {
			c.Fail(reply.ErrSyntax)
			return
		}
		n, ok := c.Int(i + 1)
		if !ok {
			return
		}
		if n < 0 {
			c.Fail(reply.ErrSyntax)
			return
		}
	}
	key := c.Args[2]
	e, found := c.Peek(key)
	if !found {
		c.Out.Null()
		return
	}
	size := keyOverheadBytes + len(key) + len(e.Packed)
	if e.Object != nil {
		size += e.Object.MemBytes()
	}
	c.Out.Int(int64(size))
}
