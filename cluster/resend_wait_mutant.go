//go:build mutant_wait && !mutant_watch

package cluster

import "github.com/quorate/quorate/fsm/entry"

// resent is wrong: it forgets which commands may wait when their batch is sent to
// the next leader.
func resent(batch []byte) []byte {
	b, err := entry.DecodeBatch(batch)
	if err != nil {
		return batch
	}
	out := entry.AppendBatchHead(nil, b.BatchHead)
	var it entry.Item
	for {
		ok, err := b.Next(&it)
		switch {
		case err != nil:
			return batch
		case !ok:
			return out
		}
		switch it.Kind {
		case entry.ItemCommand, entry.ItemWaiting:
			out = entry.AppendCommand(out, it.Commands[0].DB, it.Commands[0].Args)
		default:
			return batch
		}
	}
}
