package commands_test

import (
	"testing"

	"github.com/quorate/quorate/engine/command/commandtest"
)

func TestRowsAreAsRedisDescribesThem(t *testing.T) { commandtest.Check(t, table) }
