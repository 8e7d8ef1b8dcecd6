//go:build mutant_watch

package cluster

import "github.com/quorate/quorate/fsm/entry"

// resent is wrong: it forgets what transactions watch when their batch is sent
// to the next leader.
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
		case entry.ItemCommand:
			out = entry.AppendCommand(out, it.Commands[0].DB, it.Commands[0].Args)
		case entry.ItemTx:
			out = entry.AppendTxHead(out, 0, len(it.Commands))
			for _, c := range it.Commands {
				out = entry.AppendTxCommand(out, c.DB, c.Args)
			}
		default:
			return batch
		}
	}
}
