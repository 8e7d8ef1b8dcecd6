package cluster

import (
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/fsm/entry"
)

// opSize returns about how many bytes an Op takes in the log, or here if it is a
// read; never less.
func opSize(op *fsm.Op) int {
	const perArg, perOp = 10, 48
	size := perOp + len(op.As.User)
	switch op.Kind {
	case fsm.OpWrite, fsm.OpSettings, fsm.OpRead:
		for _, arg := range op.Args {
			size += len(arg) + perArg
		}
	case fsm.OpTx:
		for _, w := range op.Tx.Watches {
			size += len(w.Key) + perOp
		}
		for i := range op.Tx.Ops {
			size += opSize(&op.Tx.Ops[i])
		}
	}
	return size
}

// logged reports whether an Op goes into the log.
func logged(op *fsm.Op) bool { return op.Kind != fsm.OpRead && op.Kind != fsm.OpLocal }

// appendOp encodes what of an Op goes into the log, and makes the rest of it
// independent of the connection's read buffer.
func appendOp(dst []byte, op *fsm.Op) []byte {
	switch {
	case op.As.User == "" || !logged(op):
	case op.Waits:
		dst = entry.AppendOwned(dst, op.As.User, op.As.Born)
	default:
		dst = entry.AppendAs(dst, op.As.User)
	}
	switch op.Kind {
	case fsm.OpWrite:
		if op.Waits {
			dst = entry.AppendWaiting(dst, op.DB, op.Args)
		} else {
			dst = entry.AppendCommand(dst, op.DB, op.Args)
		}
		op.Args = nil
	case fsm.OpUnblock:
		dst = entry.AppendUnblock(dst, op.Waiter, op.Failed)
	case fsm.OpSettings:
		dst = entry.AppendSettings(dst, op.Args)
		op.Args = nil
	case fsm.OpRead:
		op.Args = fsm.CloneArgs(op.Args)
	case fsm.OpTx:
		writes := 0
		for i := range op.Tx.Ops {
			if op.Tx.Ops[i].Kind == fsm.OpWrite {
				writes++
			}
		}
		dst = entry.AppendTxHead(dst, len(op.Tx.Watches), writes)
		for _, w := range op.Tx.Watches {
			dst = entry.AppendTxWatch(dst, w.DB, w.Key, w.Version)
		}
		for i := range op.Tx.Ops {
			switch c := &op.Tx.Ops[i]; c.Kind {
			case fsm.OpWrite:
				dst = entry.AppendTxCommand(dst, c.DB, c.Args)
				c.Args = nil
			case fsm.OpRead:
				c.Args = fsm.CloneArgs(c.Args)
			}
		}
	}
	return dst
}
