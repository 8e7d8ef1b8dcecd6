package session

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"strings"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

const (
	// migrateChunkBytes is how much is written under one deadline: a large value
	// may take its time as long as it moves.
	migrateChunkBytes = 64 << 10
	// migrateLineMax bounds a line of the target.
	migrateLineMax = 1 << 10
)

// migrateTarget is a connection to the server that gets the keys. Nothing of it lasts
// longer than the timeout, and nothing longer than the node.
type migrateTarget struct {
	conn    net.Conn
	in      *bufio.Reader
	timeout time.Duration
	unwatch func() bool
}

func dialMigrate(ctx context.Context, host, port string, timeout time.Duration) (*migrateTarget, error) {
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(strings.Trim(host, "[]"), port))
	if err != nil {
		return nil, err
	}
	return &migrateTarget{
		conn:    conn,
		in:      bufio.NewReaderSize(conn, migrateLineMax),
		timeout: timeout,
		unwatch: context.AfterFunc(ctx, func() { _ = conn.Close() }),
	}, nil
}

func (t *migrateTarget) close() {
	t.unwatch()
	_ = t.conn.Close()
}

// begin authenticates, if there is something to do so with, and selects a database.
func (t *migrateTarget) begin(auth [][]byte, database string) reply.Error {
	commands := reply.NewWriter(reply.RESP2, nil)
	lines := 1
	if len(auth) > 0 {
		lines++
		commands.Array(1 + len(auth))
		commands.BulkString("AUTH")
		for _, word := range auth {
			commands.Bulk(word)
		}
	}
	commands.Array(2)
	commands.BulkString("SELECT")
	commands.BulkString(database)
	if err := t.send(commands.Bytes()); err != nil {
		return errMigrateWrite
	}
	for range lines {
		line, err := t.line()
		switch {
		case err != nil:
			return errMigrateRead
		case line[0] == '-':
			return refusedByTarget(line)
		}
	}
	return ""
}

func (t *migrateTarget) send(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), migrateChunkBytes)
		if err := t.conn.SetWriteDeadline(time.Now().Add(t.timeout)); err != nil {
			return err
		}
		if _, err := t.conn.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// line reads a line, which is valid until the next one is read. All answers to what
// is sent are lines.
func (t *migrateTarget) line() ([]byte, error) {
	if err := t.conn.SetReadDeadline(time.Now().Add(t.timeout)); err != nil {
		return nil, err
	}
	line, err := t.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
		return nil, bufio.ErrBufferFull
	}
	return line, nil
}
