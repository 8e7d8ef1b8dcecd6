package session

import (
	"context"
	"time"

	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
)

// quorateRows are the commands that Redis has no word for.
var quorateRows = []row{
	containerRow("quorate", command.Cluster),
	quorateRow("status", 2, command.Stale|command.Loading, quorateStatus),
	quorateRow("transfer", -2, command.Admin|command.Stale, quorateTransfer),
	quorateRow("forget", 3, command.Admin|command.Stale, quorateForget),
	quorateRow("help", 2, anytime, help("quorate")),
}

func quorateRow(name string, arity int, flags command.Flags, do func(*Session, *request)) row {
	return row{
		Spec: command.Spec{Name: "quorate|" + name, Arity: arity, Flags: flags, Group: command.Cluster},
		do:   do, waits: name == "transfer" || name == "forget",
	}
}

// quorateStatus replies with the cluster as this node sees it, as JSON.
func quorateStatus(s *Session, r *request) { r.out.Bulk(s.srv.opts.Cluster.Status()) }

// quorateTransfer: QUORATE TRANSFER [node-id] hands this node's leadership to
// that node, or to the most advanced one.
func quorateTransfer(s *Session, r *request) {
	id := ""
	switch len(r.args) {
	case 2:
	case 3:
		id = string(r.args[2])
	default:
		r.fail(reply.WrongArgs("quorate|transfer"))
		return
	}
	ctx, cancel := context.WithTimeout(s.srv.ctx, 5*time.Second)
	defer cancel()
	if err := s.srv.opts.Cluster.Transfer(ctx, id); err != nil {
		r.fail(reply.Error("ERR " + err.Error()))
		return
	}
	r.out.OK()
}

// quorateForget: QUORATE FORGET node-id removes a member that is lost for
// good. The leader carries it out.
func quorateForget(s *Session, r *request) {
	if err := s.srv.opts.Cluster.Forget(string(r.args[2])); err != nil {
		r.fail(reply.Error("ERR " + err.Error()))
		return
	}
	r.out.OK()
}
