package script_test

import (
	"testing"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/command/commandtest"
	"github.com/quorate/quorate/engine/script"
)

func TestRowsAreAsRedisDescribesThem(t *testing.T) {
	var rows []*call.Row
	for _, row := range script.New(script.Options{}).Rows() {
		rows = append(rows, &row)
	}
	commandtest.Check(t, command.NewTable(rows, func(row *call.Row) *command.Spec { return &row.Spec }))
}
