package session

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/fsm"
)

// A file in the data directory can be put in the place of the cluster's data while it runs.
// All nodes must get the same, so what it holds goes through the log, as commands. That is
// no single moment: others see the data without it, then some of it, and their own writes
// go in between. The file is read to its end before anything is changed, so that one that
// is damaged changes nothing.

// What is submitted at once of a file: commands, and about so many bytes.
const (
	loadStep  = 1000
	loadBytes = 4 << 20
)

// loadFile loads the file that dbfilename names: dump.rdb, which is the newest snapshot if
// nobody has put another one in its place. flush deletes all keys and functions
// before; replace lets what it holds replace what has its name.
func (s *Server) loadFile(flush, replace bool) error {
	file, err := os.Open(filepath.Join(s.opts.Config.String("dir"), s.opts.Config.String("dbfilename")))
	if err != nil {
		return err
	}
	defer file.Close() // it was only read
	if err := s.opts.Engine.AsCommands(file, replace, func(int, [][]byte) error { return nil }); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	l := loading{server: s}
	if flush {
		replace = true // what others write meanwhile ends nothing
		l.add(0, [][]byte{[]byte("FLUSHALL")})
		if s.opts.Cluster.Semantic() >= semantic.Conversation {
			l.add(0, [][]byte{[]byte("FUNCTION"), []byte("FLUSH")})
		}
	}
	err = s.opts.Engine.AsCommands(file, replace, func(db int, args [][]byte) error {
		l.add(db, args)
		if len(l.ops) < loadStep && l.bytes < loadBytes {
			return nil
		}
		return l.flush()
	})
	if err == nil {
		err = l.flush()
	}
	if err != nil {
		return fmt.Errorf("after %d commands: %w", l.done, err)
	}
	return nil
}

// loading is what is on its way of a file.
type loading struct {
	server *Server
	ops    []fsm.Op
	bytes  int
	done   int // commands that were executed without an error
}

func (l *loading) add(db int, args [][]byte) {
	l.ops = append(l.ops, fsm.Op{Kind: fsm.OpWrite, DB: db, Args: args})
	for _, arg := range args {
		l.bytes += len(arg)
	}
}

// flush submits what was added, and waits for it.
func (l *loading) flush() error {
	if len(l.ops) == 0 {
		return nil
	}
	l.server.pause.wait(l.server.ctx, false)
	replies, refused := l.server.execute(l.ops)
	if refused != "" {
		return refused
	}
	for _, v := range replies {
		if v.Kind == reply.KindError {
			return reply.Error(v.Text)
		}
		l.done++
	}
	l.ops, l.bytes = nil, 0
	return nil
}
