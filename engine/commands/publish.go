package commands

import (
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
)

// publishRows are PUBLISH and SPUBLISH as they are inside a transaction or a
// script: part of the log, delivered by each node when it applies the entry.
// Sent alone they are the session's.
var publishRows = []call.Row{
	{Spec: command.Spec{Name: "publish", Arity: 3, Flags: command.PubSub | command.Loading | command.Stale | command.Fast | command.MayReplicate, Group: command.PubSubGroup}, Do: publish},
	{Spec: command.Spec{Name: "spublish", Arity: 3, Flags: command.PubSub | command.Loading | command.Stale | command.Fast | command.MayReplicate, Group: command.PubSubGroup, Keys: command.One(command.NotKey)}, Do: spublish},
}

// publish replies with how many subscribers of the cluster get the message; to a
// script, which could make state of it, with 0: nodes hear of each other's subscribers
// at different times.
func publish(c *call.Call) { sendMessage(c, false) }

// spublish does the same for a sharded channel.
func spublish(c *call.Call) { sendMessage(c, true) }

func sendMessage(c *call.Call, sharded bool) {
	receivers := c.Effects.Publish(c.Args[1], c.Args[2], sharded)
	if c.InScript {
		receivers = 0
	}
	c.Out.Int(int64(receivers))
	c.BecomeItself()
}
