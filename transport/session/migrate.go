package session

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
)

// How MIGRATE moves keys.
//
// redis-server does DUMP here, RESTORE there and DEL here in one step, in which it
// serves nobody. Here nothing may hold up the log while a network is slow, so that
// the three are apart and other clients write in between. What must hold is that a
// key which was acknowledged is never in neither place, and that no write to it is
// lost:
//
//  1. Keys are read in batches behind a proof of freshness, each with its version.
//  2. The target gets a RESTORE of each, and answers.
//  3. What it has taken is deleted through the log, each key on the condition, as
//     WATCH has it, that its version is still the one that was read.
//  4. A key that had changed is sent again, now with REPLACE: what is there is the
//     copy sent before. One that is gone is deleted there. After a few rounds the
//     client hears TRYAGAIN: the key is here, and an older copy there.
//
// When the outcome of the deletion can't be known, the client hears INDOUBT: the key
// is there, and may or may not be here too.

const (
	// migrateBatchBytes is how much is read under one lock and sent before
	// answers are awaited; a single key may be larger.
	migrateBatchBytes = 256 << 10
	// migrateRounds is how often a key is sent that changes meanwhile.
	migrateRounds = 5

	migrateTimeout = time.Second // where the client's is not positive
)

const (
	errMigrateKey     reply.Error = "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
	errMigrateConnect reply.Error = "IOERR error or timeout connecting to the client"
	errMigrateWrite   reply.Error = "IOERR error or timeout writing to target instance"
	errMigrateRead    reply.Error = "IOERR error or timeout reading to target instance"
)

var migrateRows = []row{
	{Spec: command.Spec{Name: "migrate", Arity: -6, Flags: command.Write, Group: command.Generic, Categories: command.CatDangerous, Tips: []string{"nondeterministic_output"}, Keys: []command.KeySpec{
		{Flags: command.RW | command.Access | command.Delete, Index: 3, Step: 1, Find: migrateKey},
		{Flags: command.RW | command.Access | command.Delete | command.Incomplete, Index: -2, Keyword: "KEYS", Last: -1, Step: 1, Find: migrateKeys},
	}}, do: migrate, waits: true, sees: true, redact: redactMigrate},
}

// migrateKey finds the key that stands where the keys of KEYS leave it empty.
func migrateKey(args [][]byte) int {
	if len(args) > 3 && len(args[3]) > 0 {
		return 3
	}
	return 0
}

// migrateKeys finds the first key behind KEYS. Where there may be none, it is behind
// the last argument, which is an error.
func migrateKeys(args [][]byte) int {
	var m migration
	if m.parseOptions(args) == errMigrateKey {
		return len(args)
	}
	return m.firstKey
}

// redactMigrate hides what follows AUTH and AUTH2.
func redactMigrate(args [][]byte) [][]byte {
	var m migration
	_ = m.parseOptions(args)
	shown := args
	for _, i := range m.secrets {
		shown = redacted(shown, i, i+1)
	}
	return shown
}

// A migration is one MIGRATE.
type migration struct {
	s      *Session
	target *migrateTarget

	host, port    string
	database      string // of the target
	timeout       time.Duration
	copy, replace bool
	auth          [][]byte // what follows AUTH; empty: there is none
	keys          [][]byte

	firstKey int   // where the keys of KEYS begin, or 0
	secrets  []int // arguments that nobody is shown
}

// parse reads MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH password] [AUTH2 user password] [KEYS key ...].
func (m *migration) parse(args [][]byte) reply.Error {
	if err := m.parseOptions(args); err != "" {
		return err
	}
	timeout, ok1 := call.ParseInt(args[5])
	_, ok2 := call.ParseInt(args[4])
	if !ok1 || !ok2 {
		return reply.ErrNotInteger
	}
	port, _ := strconv.ParseUint(string(args[2]), 10, 16) // nobody listens on 0
	m.host, m.port, m.database, m.timeout = string(args[1]), strconv.FormatUint(port, 10), string(args[4]), migrateTimeout
	if timeout > 0 {
		m.timeout = time.Duration(min(timeout, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	}
	m.keys = args[3:4]
	if m.firstKey > 0 {
		m.keys = args[m.firstKey:]
	}
	return ""
}

func (m *migration) parseOptions(args [][]byte) reply.Error {
	for i := 6; i < len(args); i++ {
		more := len(args) - 1 - i
		switch option := strings.ToUpper(string(args[i])); {
		case option == "COPY":
			m.copy = true
		case option == "REPLACE":
			m.replace = true
		case option == "AUTH" && more >= 1:
			m.auth = args[i+1 : i+2]
			m.secrets = append(m.secrets, i+1)
			i++
		case option == "AUTH2" && more >= 2:
			m.auth = args[i+1 : i+3]
			m.secrets = append(m.secrets, i+1, i+2)
			i += 2
		case option == "KEYS" && len(args[3]) > 0:
			return errMigrateKey
		case option == "KEYS":
			m.firstKey = i + 1
			return ""
		default:
			return reply.ErrSyntax
		}
	}
	return ""
}

func migrate(s *Session, r *request) {
	m := migration{s: s}
	if err := m.parse(r.args); err != "" {
		r.fail(err)
		return
	}
	// Not the connection's consistency: a copy of old data would be taken for new.
	if err := s.barrierOf(Linearizable); err != "" {
		r.fail(err)
		return
	}
	if !m.anyKey() {
		r.out.Status("NOKEY")
		return
	}
	target, err := dialMigrate(s.srv.ctx, m.host, m.port, m.timeout)
	var unknown *net.DNSError
	switch {
	case errors.As(err, &unknown):
		r.fail(errMigrateConnect)
		return
	case err != nil: // redis-server notices when it writes
		r.fail(errMigrateWrite)
		return
	}
	defer target.close()
	m.target = target
	if err := m.move(); err != "" {
		r.fail(err)
		return
	}
	r.out.OK()
}

// anyKey reports whether one of the keys is there.
func (m *migration) anyKey() bool {
	if len(m.keys) == 0 {
		return false
	}
	out := reply.NewWriter(reply.RESP2, nil)
	m.view(func(v *engine.View) {
		v.Do(m.s.db, append([][]byte{[]byte("EXISTS")}, m.keys...), false, out)
	})
	return string(out.Bytes()) != ":0\r\n"
}

func (m *migration) view(f func(*engine.View)) {
	m.s.srv.opts.Engine.View(m.s.srv.now().UnixMilli(), 0, f)
}

// move moves the keys. It returns the error for the client, or "".
func (m *migration) move() reply.Error {
	if err := m.target.begin(m.auth, m.database); err != "" {
		return err
	}
	keys := m.keys
	for round := range migrateRounds {
		changed, err := m.round(keys, round > 0)
		if err != "" || len(changed) == 0 {
			return err
		}
		keys = changed
	}
	return reply.Error(fmt.Sprintf("TRYAGAIN %d keys changed while they were moved: they are here, and older copies on the target", len(keys)))
}

// round sends all keys once, perhaps again, and deletes those that it may. It returns
// those that had changed. Like redis-server it goes on when the target refuses a key.
func (m *migration) round(keys [][]byte, again bool) (changed [][]byte, failure reply.Error) {
	for len(keys) > 0 {
		commands, sent := reply.NewWriter(reply.RESP2, nil), []fsm.Watch(nil)
		sent, keys = m.read(commands, keys, again)
		if err := m.target.send(commands.Bytes()); err != nil {
			return nil, errMigrateWrite
		}
		taken, refused, err := m.answers(sent)
		if failure == "" {
			failure = refused
		}
		stayed, undeleted := m.remove(taken)
		changed = append(changed, stayed...)
		switch {
		case undeleted != "":
			return nil, undeleted
		case err != nil && failure == "":
			return nil, errMigrateRead
		case err != nil:
			return nil, failure
		}
	}
	return changed, failure
}

// read writes the commands for as many keys as fit, and returns those keys with their
// versions, and the keys that come after. What is gone when it would be sent again is
// to be deleted on the target.
func (m *migration) read(commands *reply.Writer, keys [][]byte, again bool) (sent []fsm.Watch, rest [][]byte) {
	m.view(func(v *engine.View) {
		for len(keys) > 0 && commands.Len() < migrateBatchBytes {
			key := keys[0]
			keys = keys[1:]
			ttl := m.ttl(v, key)
			switch {
			case ttl >= 0:
				m.writeRestore(commands, v, key, ttl, again)
			case again:
				commands.Array(2)
				commands.BulkString("DEL")
				commands.Bulk(key)
			default:
				continue
			}
			sent = append(sent, fsm.Watch{DB: m.s.db, Key: key, Version: v.Version(m.s.db, key)})
		}
	})
	return sent, keys
}

// ttl returns a key's time to live as RESTORE takes it, or a negative number if there
// is no such key.
func (m *migration) ttl(v *engine.View, key []byte) int64 {
	out := reply.NewWriter(reply.RESP2, nil)
	v.Do(m.s.db, [][]byte{[]byte("PTTL"), key}, false, out)
	answer, _, err := reply.Read(out.Bytes())
	switch {
	case err != nil || answer.Int == -2:
		return -1
	case answer.Int == -1:
		return 0
	}
	return max(answer.Int, 1) // 0 would be forever
}

// writeRestore writes the RESTORE of a key. A bulk string is the same in a reply and
// in a command, so that DUMP's reply is the payload in its place.
func (m *migration) writeRestore(commands *reply.Writer, v *engine.View, key []byte, ttl int64, again bool) {
	replace := m.replace || again
	n := 4
	if replace {
		n++
	}
	commands.Array(n)
	commands.BulkString("RESTORE")
	commands.Bulk(key)
	commands.BulkInt(ttl)
	v.Do(m.s.db, [][]byte{[]byte("DUMP"), key}, false, commands)
	if replace {
		commands.BulkString("REPLACE")
	}
}

// answers reads the target's answers to what was sent. It returns what the target has
// taken, its first refusal, and the error that ended the reading, if one did.
func (m *migration) answers(sent []fsm.Watch) (taken []fsm.Watch, refused reply.Error, err error) {
	for _, key := range sent {
		line, err := m.target.line()
		switch {
		case err != nil:
			return taken, refused, err
		case line[0] != '-':
			taken = append(taken, key)
		case refused == "":
			refused = refusedByTarget(line)
		}
	}
	return taken, refused, nil
}

// remove deletes keys through the log whose versions are still those given. It returns
// those that have others, and the cluster's error, if there was one.
func (m *migration) remove(keys []fsm.Watch) (changed [][]byte, failure reply.Error) {
	if m.copy || len(keys) == 0 {
		return nil, ""
	}
	var ops []fsm.Op
	for _, key := range keys {
		del := fsm.Op{Kind: fsm.OpWrite, DB: key.DB, Args: [][]byte{[]byte("DEL"), key.Key}}
		ops = append(ops, fsm.Op{Kind: fsm.OpTx, DB: key.DB, Tx: &fsm.Tx{Watches: []fsm.Watch{key}, Ops: []fsm.Op{del}}})
	}
	replies, refused := m.s.srv.execute(ops)
	if refused != "" {
		return nil, refused
	}
	for i, v := range replies {
		switch {
		case v.Kind == reply.KindNull:
			changed = append(changed, keys[i].Key)
		case v.Kind == reply.KindError:
			failure = reply.Error(v.Text)
		}
	}
	if strings.HasPrefix(string(failure), "INDOUBT ") {
		m.s.doubt.Store(true) // the next command waits until it is settled
	}
	return changed, failure
}

// refusedByTarget returns an error of the target as the client hears it.
func refusedByTarget(line []byte) reply.Error {
	return reply.Error("ERR Target instance replied with error: " + string(line[1:]))
}
