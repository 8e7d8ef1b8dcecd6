package commands_test

import (
	"bytes"
	"testing"

	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/command/commandtest"
)

func TestRowsAreAsRedisDescribesThem(t *testing.T) { commandtest.Check(t, table) }

// Whatever a client sends, keys are arguments, or there is an error.
func FuzzKeys(f *testing.F) {
	f.Add("MSET a 1 b")
	f.Add("ZUNIONSTORE d 2 a b WEIGHTS 1 2")
	f.Add("ZUNION 9223372036854775807 a")
	f.Add("XREADGROUP GROUP g c STREAMS a b > >")
	f.Add("XREAD STREAMS")
	f.Fuzz(func(t *testing.T, line string) {
		args := bytes.Split([]byte(line), []byte(" "))
		row, _, ok := table.Find(args)
		if !ok {
			return
		}
		var keys []command.KeyPos
		keys, err := row.AppendKeys(keys, args)
		for _, k := range keys {
			if k.Index < 1 || k.Index >= len(args) {
				t.Errorf("%q: key at %d, error %v", line, k.Index, err)
			}
		}
	})
}
