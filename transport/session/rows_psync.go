package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/psync"
)

var psyncRows = []row{
	{Spec: command.Spec{Name: "sync", Arity: 1, Flags: command.Admin | command.NoAsyncLoading | command.NoMulti | command.NoScript, Group: command.Server}, do: syncCommand},
	{Spec: command.Spec{Name: "psync", Arity: -3, Flags: command.Admin | command.NoAsyncLoading | command.NoMulti | command.NoScript, Group: command.Server}, do: psyncCommand},
	{Spec: command.Spec{Name: "replconf", Arity: -1, Flags: command.Admin | command.NoScript | command.Loading | command.Stale | command.AllowBusy, Group: command.Server}, do: replconf},
	{Spec: command.Spec{Name: "replicaof", Arity: 3, Flags: command.Admin | command.NoAsyncLoading | command.NoScript | command.Stale, Group: command.Server}, do: replicaof},
	{Spec: command.Spec{Name: "slaveof", Arity: 3, Flags: command.Admin | command.NoAsyncLoading | command.NoScript | command.Stale, Group: command.Server}, do: replicaof},
}

const errNoMaster reply.Error = "ERR a node of a cluster follows the cluster's log and no other server; MIGRATE and RESTORE bring another server's keys"

// replicaof: REPLICAOF host port is refused, and NO ONE is what is so already.
func replicaof(_ *Session, r *request) {
	if !strings.EqualFold(string(r.args[1]), "no") || !strings.EqualFold(string(r.args[2]), "one") {
		r.fail(errNoMaster)
		return
	}
	r.out.OK()
}

// follower is what a connection has told of itself as a replica, or become as one.
type follower struct {
	port      int
	addr      string
	psync2    bool
	dataOnly  bool // wants the data, and no commands
	functions bool // and of the data no keys

	replica *psync.Replica // nil: it does not follow yet
	cancel  context.CancelFunc
}

// replconf: REPLCONF option value [option value ...].
func replconf(s *Session, r *request) {
	if len(r.args)%2 == 0 {
		r.fail(reply.ErrSyntax)
		return
	}
	f := &s.follower
	for i := 1; i < len(r.args); i += 2 {
		value := string(r.args[i+1])
		n, isInt := call.ParseInt(r.args[i+1])
		switch strings.ToLower(string(r.args[i])) {
		case "listening-port":
			if !isInt {
				r.fail(reply.ErrNotInteger)
				return
			}
			f.port = int(n)
		case "ip-address":
			f.addr = value
		case "capa":
			f.psync2 = f.psync2 || strings.EqualFold(value, "psync2")
		case "version":
		case "rdb-only":
			if !isInt {
				r.fail(reply.ErrNotInteger)
				return
			}
			f.dataOnly = n == 1
		case "rdb-filter-only":
			f.functions = false
			for _, part := range strings.Fields(value) {
				if !strings.EqualFold(part, "functions") {
					r.fail(reply.Error("ERR Unsupported rdb-filter-only option: " + string(reply.CText([]byte(part)))))
					return
				}
				f.functions = true
			}
		case "ack":
			if f.replica != nil && isInt {
				f.replica.Acknowledge(n)
			}
			return // never answered
		case "getack":
			return
		default:
			r.fail(reply.Error("ERR Unrecognized REPLCONF option: " + string(reply.CText(r.args[i]))))
			return
		}
	}
	r.out.OK()
}

// syncCommand: SYNC makes the connection a replica's.
func syncCommand(s *Session, r *request) { s.follow(r, "", 0, false) }

// psyncCommand: PSYNC id offset does the same, and goes on where the replica was if may be.
func psyncCommand(s *Session, r *request) {
	next, ok := call.ParseInt(r.args[2])
	if !ok {
		r.fail(reply.ErrNotInteger)
		return
	}
	s.follow(r, string(r.args[1]), next, true)
}

// follow makes the connection a replica's: from now on it is sent the data, or what
// it missed of the stream of commands, and then that stream. It is answered nothing more.
func (s *Session) follow(r *request, id string, next int64, partial bool) {
	f := &s.follower
	if f.replica != nil || f.cancel != nil {
		return
	}
	if refused := s.barrier(); refused != "" {
		r.fail(refused)
		return
	}
	if f.addr == "" {
		f.addr, _, _ = net.SplitHostPort(s.peer.Addr)
	}
	ctx, cancel := context.WithCancel(s.srv.ctx)
	f.cancel = cancel
	s.silence = silent
	s.out.SetClass(ClassReplica)
	s.show(func(v *shown) { v.replica = true })
	if !f.dataOnly {
		s.srv.opts.Cluster.HearAll(true)
		s.srv.opts.Cluster.SubscriptionsKnown(ctx)
	}
	if partial && !f.dataOnly {
		if replica, ok := s.srv.opts.Stream.Rejoin(f.addr, f.port, id, next); ok {
			f.replica = replica
			first := "+CONTINUE\r\n"
			if f.psync2 {
				first = "+CONTINUE " + id + "\r\n"
			}
			s.srv.log.Info("a replica goes on where it was", "addr", s.peer.Addr, "offset", next)
			s.srv.background.Go(func() { s.feed(ctx, *f, first, nil) })
			return
		}
	}
	snapshot, first, err := s.attach(ctx, partial)
	if err != nil {
		s.srv.log.Warn("a replica can't be given the data", "addr", s.peer.Addr, "err", err)
		s.closing = true
		return
	}
	s.srv.log.Info("a replica is given the data", "addr", s.peer.Addr)
	s.srv.background.Go(func() { s.feed(ctx, *f, first, snapshot) })
}

// attachPatience bounds the wait for the end of another snapshot.
const attachPatience = time.Minute

// attach begins a snapshot for the replica, whose stream begins with it, and returns it
// and what is said before. Newlines tell the replica that it is not forgotten.
func (s *Session) attach(ctx context.Context, partial bool) (*engine.Snapshot, string, error) {
	f, first := &s.follower, ""
	var snapshot *engine.Snapshot
	attach := func() (err error) {
		snapshot, err = s.srv.opts.Engine.Attach(func() {
			replica, id, offset := s.srv.opts.Stream.Join(f.addr, f.port)
			f.replica = replica
			if partial {
				first = fmt.Sprintf("+FULLRESYNC %s %d\r\n", id, offset)
			}
		})
		return err
	}
	err := untilThawed(ctx, 100*time.Millisecond, attach, func() { s.sendRaw([]byte("\n")) })
	return snapshot, first, err
}

// untilThawed calls f until the state is not frozen by another snapshot, for a bounded
// time. Before each wait it calls between.
func untilThawed(ctx context.Context, pause time.Duration, f func() error, between func()) error {
	again := time.NewTicker(pause)
	defer again.Stop()
	for until := time.Now().Add(attachPatience); ; {
		err := f()
		if !errors.Is(err, keyspace.ErrFrozen) || time.Now().After(until) {
			return err
		}
		between()
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendRaw sends bytes as they are.
func (s *Session) sendRaw(b []byte) {
	s.out.Begin().Raw(b)
	s.out.End()
	s.out.Send()
}

// feed sends a replica what it is to have, until one of them goes.
func (s *Session) feed(ctx context.Context, f follower, first string, snapshot *engine.Snapshot) {
	replica := f.replica
	defer s.out.Kill()
	defer replica.Leave()
	s.sendRaw([]byte(first))
	if snapshot != nil {
		if err := s.sendData(ctx, snapshot, engine.Plain{FunctionsOnly: f.functions, FieldTimes: f.dataOnly}); err != nil {
			s.srv.log.Warn("a replica was not given the data", "addr", s.peer.Addr, "err", err)
			return
		}
		if f.dataOnly {
			replica.Leave()
			<-ctx.Done() // the client goes when it has all
			return
		}
	}
	replica.Online()
	for {
		b, ok := replica.Next(ctx)
		if !ok {
			return
		}
		s.sendRaw(b)
		if !s.out.AwaitTaken(ctx) {
			return
		}
	}
}

// sendData sends a snapshot, by way of a file: what is sent begins with its length, and
// a slow replica is not to keep the snapshot open.
func (s *Session) sendData(ctx context.Context, snapshot *engine.Snapshot, what engine.Plain) error {
	defer snapshot.Close()
	file, err := os.CreateTemp(s.srv.opts.Config.String("dir"), "replica-*.rdb")
	if err != nil {
		return fmt.Errorf("create a file for the data: %w", err)
	}
	defer file.Close()
	if err := os.Remove(file.Name()); err != nil { // it lives as long as it is open
		return fmt.Errorf("unlink the file of the data: %w", err)
	}
	kept := keepAlive{session: s, ctx: ctx, to: file, last: time.Now()}
	if err := snapshot.WritePlainRDB(&kept, what); err != nil {
		return fmt.Errorf("write the data: %w", err)
	}
	snapshot.Close()
	size, err := file.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("read the data: %w", err)
	}
	s.sendRaw(fmt.Appendf(nil, "$%s\r\n", strconv.FormatInt(size, 10)))
	piece := make([]byte, 256<<10)
	for size > 0 {
		n, err := file.Read(piece)
		if err != nil {
			return fmt.Errorf("read the data: %w", err)
		}
		size -= int64(n)
		s.sendRaw(piece[:n])
		if !s.out.AwaitTaken(ctx) {
			return errors.New("the replica went")
		}
	}
	return nil
}

// keepAlive writes to a file, and tells the replica once a second that it goes on.
type keepAlive struct {
	session *Session
	ctx     context.Context
	to      io.Writer
	last    time.Time
}

func (k *keepAlive) Write(p []byte) (int, error) {
	if err := k.ctx.Err(); err != nil {
		return 0, err
	}
	if now := time.Now(); now.Sub(k.last) >= time.Second {
		k.last = now
		k.session.sendRaw([]byte("\n"))
	}
	return k.to.Write(p)
}

// unfollow ends what feeds the connection, if it is a replica's.
func (s *Session) unfollow() {
	if s.follower.cancel != nil {
		s.follower.cancel()
	}
}

// tendReplicas sends pings to those who follow this node, and ends the stream of
// commands when nobody has for long.
func (s *Server) tendReplicas() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	seconds := func(name string) time.Duration {
		return time.Duration(s.opts.Config.Int(name)) * time.Second
	}
	for n := int64(1); ; n++ {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		stream := s.opts.Stream
		s.opts.Cluster.HearAll(stream.Open())
		if stream.Tend(n, seconds("repl-ping-replica-period"), seconds("repl-timeout"), seconds("repl-backlog-ttl")) {
			s.opts.Engine.Detach(stream.End)
		}
	}
}

// followLimits keeps the stream's limits those of the configuration.
func (s *Server) followLimits() {
	set := func(string) error {
		behind := s.opts.Config.BufferLimits()[ClassReplica]
		s.opts.Stream.SetLimits(psync.Limits{
			Backlog: s.opts.Config.Int("repl-backlog-size"),
			Hard:    behind.Hard, Soft: behind.Soft, SoftFor: behind.SoftFor,
		})
		return nil
	}
	s.opts.Config.OnSet("repl-backlog-size", set)
	s.opts.Config.OnSet("client-output-buffer-limit", set)
	_ = set("") // never fails
}
