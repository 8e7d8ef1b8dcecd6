package session

import (
	"testing"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/command/commandtest"
)

// All that a client may call, the engine's commands and the session's joined,
// is documented, and described as redis-server describes it.
func TestCommandsAreAsRedisDescribesThem(t *testing.T) {
	table := newTable(engine.New(engine.Options{}).Table(), nil)
	ours := []string{"client|consistency", "quorate", "quorate|forget", "quorate|help", "quorate|status", "quorate|transfer"}
	for i := range sentinelRows { // a redis-server that is no Sentinel has none of them
		ours = append(ours, sentinelRows[i].Name)
	}
	commandtest.Check(t, table.Table, ours...)
}
