package call

import (
	"fmt"
	"strconv"
)

// Stream takes what changes the data in the form of commands that a plain
// redis-server can carry out to the same effect: for those that follow this node by
// PSYNC. It is nil, and costs nothing, while there are none.
//
// A command is written as it came, unless its outcome hangs on the time, on chance, or
// on what happened to be there: then its function says by [Call.Become] what it came
// to. What goes because its time has come is a deletion.
//
// Commands come in units, a command, a transaction, a script, each of which takes effect
// as a whole: [Stream.End] closes one.
type Stream struct {
	// Out takes the commands of a whole unit. It is called with the engine's lock held
	// and must not block.
	Out func(commands []byte)

	db     int      // selected by what was written; -1: none
	ops    []stream // of the unit under way
	arena  []byte   // what they are, as RESP
	losses uint64   // mutations that stand for themselves: what was due
	unit   []byte   // reused
}

// stream is one command in the arena.
type stream struct{ db, start int }

// Restart makes the next command begin with the choice of its database: somebody has
// begun to listen.
func (s *Stream) Restart() {
	s.db = -1
	s.ops, s.arena, s.losses = s.ops[:0], s.arena[:0], 0
}

// Add adds a command to the unit under way. Arguments are text, bytes, or integers.
func (s *Stream) Add(db int, args ...any) {
	s.begin(db, len(args))
	for _, arg := range args {
		switch v := arg.(type) {
		case []byte:
			s.bulk(v)
		case string:
			s.bulk([]byte(v))
		case int:
			s.bulk(strconv.AppendInt(nil, int64(v), 10))
		case int64:
			s.bulk(strconv.AppendInt(nil, v, 10))
		default:
			panic(fmt.Sprintf("call: argument of type %T in the stream of commands", arg))
		}
	}
}

// AddArgs is Add of a command as a client sends it.
func (s *Stream) AddArgs(db int, args [][]byte) {
	s.begin(db, len(args))
	for _, arg := range args {
		s.bulk(arg)
	}
}

func (s *Stream) begin(db, n int) {
	s.ops = append(s.ops, stream{db, len(s.arena)})
	s.arena = append(strconv.AppendInt(append(s.arena, '*'), int64(n), 10), "\r\n"...)
}

func (s *Stream) bulk(b []byte) {
	s.arena = append(strconv.AppendInt(append(s.arena, '$'), int64(len(b)), 10), "\r\n"...)
	s.arena = append(append(s.arena, b...), "\r\n"...)
}

// End hands on the unit under way. As redis-server has it, one of several commands is a
// transaction, for which the database is chosen before it begins. Loose units need no
// transaction: their commands have nothing to do with each other.
func (s *Stream) End(loose bool) {
	if len(s.ops) == 0 {
		return
	}
	out := s.sel(s.unit[:0], s.ops[0].db)
	whole := len(s.ops) > 1 && !loose
	if whole {
		out = append(out, "*1\r\n$5\r\nMULTI\r\n"...)
	}
	for i, op := range s.ops {
		limit := len(s.arena)
		if i+1 < len(s.ops) {
			limit = s.ops[i+1].start
		}
		out = append(s.sel(out, op.db), s.arena[op.start:limit]...)
	}
	if whole {
		out = append(out, "*1\r\n$4\r\nEXEC\r\n"...)
	}
	s.Out(out)
	s.ops, s.arena, s.unit = s.ops[:0], s.arena[:0], out
	const kept = 1 << 20
	if cap(s.unit) > kept {
		s.arena, s.unit = nil, nil
	}
}

// sel appends the choice of a database, if it is not chosen yet.
func (s *Stream) sel(out []byte, db int) []byte {
	if s.db == db {
		return out
	}
	s.db = db
	n := strconv.Itoa(db)
	return fmt.Appendf(out, "*2\r\n$6\r\nSELECT\r\n$%d\r\n%s\r\n", len(n), n)
}

// Carry carries out the command of a row, which is c's, and tells the stream if it
// changed something.
func (c *Call) Carry(row *Row) { c.CarryOut(func() { row.Do(c) }) }

// CarryOut has f carry out c, and tells the stream if it changed something.
func (c *Call) CarryOut(f func()) {
	if !c.Followed() {
		f()
		return
	}
	c.became = false
	before := c.Keyspace.Mutations() - c.Stream.losses
	f()
	if !c.became && c.Keyspace.Mutations()-c.Stream.losses != before {
		c.Stream.AddArgs(c.DB.Index(), c.Args)
	}
}

// Followed reports whether somebody wants to know what the command came to.
func (c *Call) Followed() bool { return c.Stream != nil && c.MayWrite }

// Become tells in which form the stream gets the command. The first call takes the
// place of the command as it came, more of them add to it; one without arguments leaves
// nothing of it. It is to be asked for by [Call.Followed] first.
func (c *Call) Become(args ...any) {
	c.became = true
	if c.Followed() && len(args) > 0 {
		c.Stream.Add(c.DB.Index(), args...)
	}
}

// BecomeItself makes the stream get the command as it came, whether or not it changed
// the data.
func (c *Call) BecomeItself() {
	if c.Followed() {
		c.became = true
		c.Stream.AddArgs(c.DB.Index(), c.Args)
	}
}
