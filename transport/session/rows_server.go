package session

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/hll"
)

var serverRows = []row{
	{Spec: command.Spec{Name: "time", Arity: 1, Flags: anytime | command.Fast, Group: command.Server, Tips: []string{"nondeterministic_output"}}, do: timeNow, rides: true},
	{Spec: command.Spec{Name: "info", Arity: -1, Flags: anytime, Group: command.Server, Categories: command.CatDangerous, Tips: []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}}, do: info, looks: true},
	{Spec: command.Spec{Name: "save", Arity: 1, Flags: command.Admin | command.NoScript | command.NoAsyncLoading | command.NoMulti, Group: command.Server}, do: save},
	{Spec: command.Spec{Name: "bgsave", Arity: -1, Flags: command.Admin | command.NoScript | command.NoAsyncLoading, Group: command.Server}, do: bgsave},
	{Spec: command.Spec{Name: "bgrewriteaof", Arity: 1, Flags: command.Admin | command.NoScript | command.NoAsyncLoading, Group: command.Server}, do: bgrewriteaof},
	{Spec: command.Spec{Name: "lastsave", Arity: 1, Flags: anytime | command.Fast, Group: command.Server, Categories: command.CatAdmin | command.CatDangerous, Tips: []string{"nondeterministic_output"}}, do: lastsave, looks: true},
	{Spec: command.Spec{Name: "role", Arity: 1, Flags: noScript | command.Fast, Group: command.Server, Categories: command.CatAdmin | command.CatDangerous}, do: role},
	{Spec: command.Spec{Name: "wait", Arity: 3, Flags: command.NoScript, Categories: command.NoGroup | command.CatConnection, Group: command.Generic, Tips: []string{"request_policy:all_shards", "response_policy:agg_min"}}, do: wait, sees: true},
	{Spec: command.Spec{Name: "waitaof", Arity: 4, Flags: command.NoScript, Categories: command.NoGroup | command.CatConnection, Group: command.Generic, Tips: []string{"request_policy:all_shards", "response_policy:agg_min"}}, do: waitaof, sees: true},
	{Spec: command.Spec{Name: "shutdown", Arity: -1, Flags: adminOnly | command.NoMulti | command.AllowBusy, Group: command.Server}, do: shutdown},
	{Spec: command.Spec{Name: "monitor", Arity: 1, Flags: adminOnly, Group: command.Server}, do: monitor},
	{Spec: command.Spec{Name: "debug", Arity: -2, Flags: adminOnly | command.Protected, Group: command.Server}, do: debugCommand, looks: true, sees: true},
	{Spec: command.Spec{Name: "pfselftest", Arity: 1, Flags: command.Admin, Group: command.HyperLogLog}, do: pfselftest, looks: true},
	{Spec: command.Spec{Name: "lolwut", Arity: -1, Flags: command.ReadOnly | command.Fast, Categories: command.NoGroup, Group: command.Server}, do: lolwut, rides: true},
	containerRow("module", command.Server),
	{Spec: command.Spec{Name: "module|help", Arity: 2, Flags: anytime, Group: command.Server}, do: help("module")},
	{Spec: command.Spec{Name: "module|list", Arity: 2, Flags: command.Admin | command.NoScript, Group: command.Server, Tips: []string{"nondeterministic_output_order"}}, do: func(_ *Session, r *request) { r.out.Array(0) }},
	{Spec: command.Spec{Name: "module|load", Arity: -3, Flags: command.Admin | command.NoScript | command.NoAsyncLoading | command.Protected, Group: command.Server}, do: noModules},
	{Spec: command.Spec{Name: "module|loadex", Arity: -3, Flags: command.Admin | command.NoScript | command.NoAsyncLoading | command.Protected, Group: command.Server}, do: noModules},
	{Spec: command.Spec{Name: "module|unload", Arity: 3, Flags: command.Admin | command.NoScript | command.NoAsyncLoading | command.Protected, Group: command.Server}, do: noModules},
}

func timeNow(s *Session, r *request) {
	now := s.srv.now()
	r.out.Array(2)
	r.out.BulkInt(now.Unix())
	r.out.BulkInt(int64(now.Nanosecond() / 1000))
}

// snapshots is what this node's clients asked to be saved.
type snapshots struct {
	running atomic.Bool
	failed  atomic.Bool // the last one
	took    atomic.Int64
}

// take writes a snapshot; false if another is being written.
func (s *Server) takeSnapshot() (bool, error) {
	if !s.rdb.running.CompareAndSwap(false, true) {
		return false, nil
	}
	defer s.rdb.running.Store(false)
	started := s.now()
	err := s.opts.Cluster.Snapshot(s.ctx)
	if err == reply.ErrSaving {
		return false, nil
	}
	s.rdb.failed.Store(err != nil)
	s.rdb.took.Store(int64(s.now().Sub(started).Seconds()))
	if err != nil {
		s.log.Error("snapshot failed", "error", err)
	}
	return true, err
}

// saving reports whether a snapshot is being written, of a client's asking or of the
// node's own.
func (s *Server) saving() bool { return s.rdb.running.Load() || s.opts.Cluster.Saving() }

// snapshotBeside takes a snapshot while clients go on. A failure is in the log
// and in INFO.
func (s *Server) snapshotBeside() {
	s.background.Go(func() { _, _ = s.takeSnapshot() })
}

func save(s *Session, r *request) {
	began, err := s.srv.takeSnapshot()
	switch {
	case !began:
		r.fail(reply.ErrSaving)
	case err != nil:
		r.fail(reply.Error("ERR " + err.Error()))
	default:
		r.out.OK()
	}
}

// bgsave: BGSAVE [SCHEDULE].
func bgsave(s *Session, r *request) {
	scheduled := len(r.args) == 2 && strings.EqualFold(string(r.args[1]), "schedule")
	switch {
	case len(r.args) > 1 && !scheduled:
		r.fail(reply.ErrSyntax)
		return
	case s.srv.saving() && !scheduled:
		r.fail(reply.ErrSaving)
		return
	}
	s.srv.snapshotBeside()
	r.out.Status("Background saving started")
}

// bgrewriteaof: a snapshot is what shortens the log.
func bgrewriteaof(s *Session, r *request) {
	if s.srv.saving() {
		r.fail("ERR Background append only file rewriting already in progress")
		return
	}
	s.srv.snapshotBeside()
	r.out.Status("Background append only file rewriting started")
}

func lastsave(s *Session, r *request) { r.out.Int(s.srv.opts.Cluster.LastSave().Unix()) }

// role tells what Redis calls this node: the leader is a master.
func role(s *Session, r *request) {
	if s.asSentinel() {
		r.out.Array(2)
		r.out.BulkString("sentinel")
		r.out.Array(1)
		r.out.BulkString(s.srv.masterName())
		return
	}
	t := s.srv.opts.Cluster.Topology(s.peer.Listener)
	offset := int64(t.Applied)
	if t.Self.Leader || t.Leader.ID == "" {
		var others []Member
		for _, m := range t.Members {
			if !m.Self && m.Online {
				others = append(others, m)
			}
		}
		r.out.Array(3)
		r.out.BulkString("master")
		r.out.Int(offset)
		_, _, plain := s.srv.opts.Stream.Position()
		r.out.Array(len(others) + len(plain))
		for _, m := range others {
			r.out.Array(3)
			r.out.BulkString(m.Host)
			r.out.BulkInt(int64(m.Port))
			r.out.BulkInt(int64(m.Applied))
		}
		for _, p := range plain {
			r.out.Array(3)
			r.out.BulkString(p.Addr)
			r.out.BulkInt(int64(p.Port))
			r.out.BulkInt(p.Offset)
		}
		return
	}
	r.out.Array(5)
	r.out.BulkString("slave")
	r.out.BulkString(t.Leader.Host)
	r.out.Int(int64(t.Leader.Port))
	r.out.BulkString("connected")
	r.out.Int(offset)
}

// wait: WAIT replicas timeout.
func wait(s *Session, r *request) {
	replicas, ok := call.ParseInt(r.args[1])
	if !ok {
		r.fail(reply.ErrNotInteger)
		return
	}
	timeout, bad := parseWait(r.args[2])
	if bad != "" {
		r.fail(bad)
		return
	}
	ctx, done := s.waiting(r, timeout)
	have := s.srv.opts.Cluster.WaitReplicas(ctx, int(min(replicas, replicasMax)))
	if why := done(); why != "" {
		r.fail(why)
		return
	}
	r.out.Int(int64(have))
}

// waitaof: WAITAOF numlocal replicas timeout.
func waitaof(s *Session, r *request) {
	local, ok := call.ParseInt(r.args[1])
	if !ok {
		r.fail(reply.ErrNotInteger)
		return
	}
	if local < 0 || local > 1 {
		r.fail("ERR value is out of range, value must between 0 and 1")
		return
	}
	replicas, ok := call.ParseInt(r.args[2])
	if !ok || replicas < 0 {
		r.fail("ERR value is out of range, must be positive")
		return
	}
	timeout, bad := parseWait(r.args[3])
	if bad != "" {
		r.fail(bad)
		return
	}
	if local == 1 && !s.srv.opts.Config.Bool("appendonly") {
		r.fail("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
		return
	}
	ctx, done := s.waiting(r, timeout)
	here, others := s.srv.opts.Cluster.WaitSynced(ctx, local == 1, int(min(replicas, replicasMax)))
	if why := done(); why != "" {
		r.fail(why)
		return
	}
	r.out.Array(2)
	r.out.Flag(here)
	r.out.Int(int64(others))
}

// replicasMax is more than any cluster has.
const replicasMax = 1 << 20

// parseWait reads the timeout of WAIT and WAITAOF; 0 is none.
func parseWait(arg []byte) (time.Duration, reply.Error) {
	ms, ok := call.ParseInt(arg)
	switch {
	case !ok:
		return 0, "ERR timeout is not an integer or out of range"
	case ms < 0:
		return 0, reply.ErrNegativeTimeout
	}
	return time.Duration(min(ms, int64(24*time.Hour/time.Millisecond))) * time.Millisecond, ""
}

// waiting returns the context of a command that waits for other nodes, which
// counts as blocked until done is called. Inside a transaction it has ended: the
// command tells how it stands. Done returns the error with which CLIENT UNBLOCK ended
// it, or "".
func (s *Session) waiting(r *request, timeout time.Duration) (ctx context.Context, done func() reply.Error) {
	ctx, cancel := context.WithCancelCause(s.srv.ctx)
	stop := func() bool { return true }
	switch {
	case r.inTx:
		cancel(nil)
	case timeout > 0:
		stop = time.AfterFunc(timeout, func() { cancel(nil) }).Stop
	}
	s.setWaitCancel(cancel)
	s.srv.blocked.Add(1)
	return ctx, func() reply.Error {
		s.srv.blocked.Add(-1)
		s.setWaitCancel(nil)
		stop()
		why, _ := context.Cause(ctx).(reply.Error)
		cancel(nil)
		return why
	}
}

func (s *Session) setWaitCancel(cancel context.CancelCauseFunc) {
	s.wait.mu.Lock()
	defer s.wait.mu.Unlock()
	s.wait.cancel = cancel
}

// shutdown: SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]. The client hears
// nothing but the end of its connection.
func shutdown(s *Session, r *request) {
	withSave, abort, saves := true, false, 0
	for _, arg := range r.args[1:] {
		switch strings.ToLower(string(arg)) {
		case "nosave":
			withSave = false
			saves++
		case "save":
			saves++
		case "now", "force":
		case "abort":
			abort = true
		default:
			saves = 2
		}
	}
	switch {
	case saves > 1 || abort && len(r.args) > 2:
		r.fail(reply.ErrSyntax)
	case abort:
		r.fail("ERR No shutdown in progress.")
	case s.srv.opts.Shutdown == nil:
		r.fail("ERR Errors trying to SHUTDOWN. Check logs.")
	default:
		s.closing = true
		s.srv.log.Info("shutdown asked for by a client", "addr", s.peer.Addr, "save", withSave)
		s.srv.opts.Shutdown(withSave)
	}
}

// noModules: code of others could not be held to do the same on all nodes.
func noModules(_ *Session, r *request) {
	r.fail("ERR modules are not supported")
}

// pfselftest implements PFSELFTEST, on this node: the log is spared what takes a
// tenth of a second, and so is the apply of a transaction.
func pfselftest(s *Session, r *request) {
	if err := hll.SelfTest(int(s.srv.opts.Config.Int("hll-sparse-max-bytes"))); err != nil {
		r.fail(reply.Error("TESTFAILED " + err.Error()))
		return
	}
	r.out.OK()
}
