package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"

	"github.com/quorate/quorate/cluster"
	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/observe"
	"github.com/quorate/quorate/transport/psync"
	"github.com/quorate/quorate/transport/pubsub"
	"github.com/quorate/quorate/transport/resp"
	"github.com/quorate/quorate/transport/session"
)

// runServer runs a node until a signal or SHUTDOWN ends it.
func runServer(args []string, out io.Writer) error {
	if len(args) == 1 && (args[0] == "--help" || args[0] == "-h") {
		_, err := fmt.Fprintln(out, "quorate server [file.conf] [--directive value ...], in redis.conf's syntax; see README.md for the directives that redis-server does not have")
		return err
	}
	// A terminal that closes is no reason to stop.
	signal.Ignore(syscall.SIGHUP)
	conf, err := config.Parse(args)
	if err != nil {
		return err
	}
	log, closeLog, err := openLog(conf)
	if err != nil {
		return err
	}
	defer closeLog()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return serve(ctx, conf, log)
}

// serve builds a node from the bottom up, waits for the end, and takes it down
// in reverse.
func serve(ctx context.Context, conf *config.Config, log *slog.Logger) error {
	for _, warning := range conf.Warnings() {
		log.Warn(warning)
	}
	removePID, err := writePID(conf)
	if err != nil {
		return err
	}
	defer removePID()
	var background sync.WaitGroup
	defer background.Wait()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	background.Go(func() { tuneGC(ctx) })

	n := node{conf: conf, log: log, stop: stop, leaderChanged: make(chan struct{}, 1)}
	n.registry = pubsub.NewRegistry()
	stream, missed := psync.NewStream(), newMisses()
	n.remote = newRemoteMessages(n.registry, stream)
	n.engine = engine.New(engine.Options{Receivers: n.receivers, Publish: n.publish, Settings: n.adopt, Stream: stream.Feed, StreamBroken: stream.Break, Missed: missed.take, Log: log})
	way, users, err := firstUsers(conf, n.engine.Table())
	if err != nil {
		return err
	}
	if n.cluster, err = n.openCluster(); err != nil {
		return err
	}
	defer n.cluster.Close()
	renames, err := session.NewRenames(conf.Renames(), n.engine.Table())
	if err != nil {
		return err
	}
	view := &sessionCluster{node: n.cluster, engine: n.engine, registry: n.registry, replicas: stream, conf: conf}
	n.sessions = session.New(session.Options{
		Engine: n.engine, Cluster: view,
		Config: conf, Registry: n.registry, Stream: stream, Renames: renames, Counters: new(observe.Counters), Version: cluster.Version,
		FirstWay: way, FirstUsers: users, Unsure: true,
		Shutdown: n.shutdown, Now: wall, Log: log,
	})
	defer n.sessions.Close()
	background.Go(func() { n.followLeader(ctx, view) })
	background.Go(func() {
		missed.deliver(ctx, view.publishMiss, func(lost int) { log.Warn("events of missed keys were not delivered", "number", lost) })
	})
	n.bind()
	front, err := resp.Listen(resp.Options{Sessions: n.sessions, Listeners: conf.Listeners(), Log: log})
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer front.Close()
	n.followListeners(front, view)
	admin, err := n.listenAdmin()
	if err != nil {
		return err
	}
	defer admin.Close()
	log.Info("node is up", "version", cluster.Version, "id", n.cluster.ID(), "port", conf.Int("port"), "dir", conf.String("dir"))

	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, errShutdown) {
		return cause
	}
	log.Info("stopping")
	return nil
}

var logLevels = map[string]slog.Level{
	"debug": slog.LevelDebug, "verbose": slog.LevelInfo, "notice": slog.LevelInfo, "warning": slog.LevelWarn,
}

// openLog returns the log that loglevel and logfile ask for. It follows
// loglevel when that is set later.
func openLog(conf *config.Config) (*slog.Logger, func(), error) {
	out, closeLog := io.Writer(os.Stderr), func() {}
	if path := conf.String("logfile"); path != "" {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, nil, fmt.Errorf("logfile: %w", err)
		}
		out, closeLog = f, func() { f.Close() }
	}
	level := new(slog.LevelVar)
	level.Set(logLevels[conf.String("loglevel")])
	conf.OnSet("loglevel", func(value string) error {
		level.Set(logLevels[value])
		return nil
	})
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level})), closeLog, nil
}

// writePID writes pidfile, and returns what removes it.
func writePID(conf *config.Config) (func(), error) {
	path := conf.String("pidfile")
	if path == "" {
		return func() {}, nil
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return nil, fmt.Errorf("pidfile: %w", err)
	}
	return func() { os.Remove(path) }, nil
}
