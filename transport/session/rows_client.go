package session

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
)

var clientRows = []row{
	containerRow("client", command.Connection),
	clientRow("capa", -3, noScript, clientCapa),
	clientRow("consistency", 3, noScript, clientConsistency),
	clientRow("getname", 2, noScript, clientGetName),
	clientRow("help", 2, anytime, help("client")),
	clientRow("id", 2, noScript, func(s *Session, r *request) { r.out.Int(s.id) }),
	clientRow("info", 2, noScript, clientInfo, "nondeterministic_output"),
	clientRow("kill", -3, adminOnly, clientKill),
	clientRow("list", -2, adminOnly, clientList, "nondeterministic_output"),
	clientRow("no-evict", 3, adminOnly, clientNoEvict),
	clientRow("no-touch", 3, noScript, clientNoTouch),
	clientRow("pause", -3, adminOnly, clientPause),
	clientRow("reply", 3, noScript, clientReply),
	clientRow("setinfo", 4, noScript, clientSetInfo),
	clientRow("setname", 3, noScript, clientSetName),
	{
		Spec: command.Spec{Name: "client|unblock", Arity: -3, Flags: adminOnly, Group: command.Connection},
		do:   clientUnblock, sees: true, looks: true,
	},
	clientRow("unpause", 2, adminOnly, clientUnpause),
}

func clientRow(name string, arity int, flags command.Flags, do func(*Session, *request), tips ...string) row {
	return row{Spec: command.Spec{Name: "client|" + name, Arity: arity, Flags: flags, Group: command.Connection, Tips: tips}, do: do}
}

// show changes what other sessions see of this one.
func (s *Session) show(change func(*shown)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.shown)
}

// Name returns the name that the client gave itself.
func (s *Session) Name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.name
}

func (s *Session) setName(name string) { s.show(func(v *shown) { v.name = name }) }

// validName reports whether a name can be shown in CLIENT LIST.
func validName(name []byte) bool {
	return !bytes.ContainsFunc(name, func(c rune) bool { return c < '!' || c > '~' })
}

func clientSetName(s *Session, r *request) {
	if !validName(r.args[2]) {
		r.fail(errClientName)
		return
	}
	s.setName(string(r.args[2]))
	r.out.OK()
}

func clientGetName(s *Session, r *request) {
	if name := s.Name(); name != "" {
		r.out.BulkString(name)
		return
	}
	r.out.Null()
}

func clientSetInfo(s *Session, r *request) {
	attribute, value := strings.ToLower(string(r.args[2])), string(r.args[3])
	if attribute != "lib-name" && attribute != "lib-ver" {
		r.fail(reply.Error("ERR Unrecognized option '" + string(r.args[2]) + "'"))
		return
	}
	if !validName(r.args[3]) {
		r.fail(reply.Error("ERR " + attribute + " cannot contain spaces, newlines or special characters."))
		return
	}
	s.show(func(v *shown) {
		if attribute == "lib-name" {
			v.libName = value
		} else {
			v.libVersion = value
		}
	})
	r.out.OK()
}

// clientCapa: clients tell what they can do; "redirect" is known.
func clientCapa(s *Session, r *request) {
	for _, capability := range r.args[2:] {
		if strings.EqualFold(string(capability), "redirect") {
			s.capable = true
		}
	}
	r.out.OK()
}

func clientConsistency(s *Session, r *request) {
	level, ok := parseConsistency(string(r.args[2]))
	if !ok {
		r.fail("ERR CLIENT CONSISTENCY must be linearizable, bounded or stale")
		return
	}
	s.level = levelChoice{level: level, chosen: true}
	r.out.OK()
}

func clientNoEvict(s *Session, r *request) {
	s.onOff(r, func(v *shown, yes bool) { v.noEvict = yes })
	s.Weigh()
}

func clientNoTouch(s *Session, r *request) {
	s.onOff(r, func(v *shown, yes bool) { v.noTouch = yes })
}

func (s *Session) onOff(r *request, set func(*shown, bool)) {
	word := strings.ToLower(string(r.args[2]))
	if word != "on" && word != "off" {
		r.fail(reply.ErrSyntax)
		return
	}
	s.show(func(v *shown) { set(v, word == "on") })
	r.out.OK()
}

func clientReply(s *Session, r *request) {
	switch strings.ToLower(string(r.args[2])) {
	case "on":
		s.silence = speaking
		r.out.SetProto(s.proto)
		r.out.OK()
	case "off":
		s.silence = silent
		r.out.SetProto(reply.Discard)
	case "skip":
		if s.silence != silent {
			s.silence = skipNext
		}
	default:
		r.fail(reply.ErrSyntax)
	}
}

func clientInfo(s *Session, r *request) {
	r.out.Verbatim("txt", s.line(s.srv.now(), r.args)+"\n")
}

// wireBytes returns how long a command is as it came.
func wireBytes(args [][]byte) int {
	digits := func(n int) int { return len(strconv.Itoa(n)) }
	n := len("*\r\n") + digits(len(args))
	for _, arg := range args {
		n += len("$\r\n\r\n") + digits(len(arg)) + len(arg)
	}
	return n
}

// userName returns whose the session is.
func (s *Session) userName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.user
}

// line describes the session as CLIENT LIST does. Command is the one under way, of the
// session that asks: its bytes are in the buffer.
func (s *Session) line(now time.Time, command [][]byte) string {
	tracker := s.tracks()
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.shown
	cmd := "NULL"
	if e := s.lastCmd.Load(); e != nil {
		cmd = e.Name
	}
	m := s.out.Memory()
	if command != nil {
		wire := int64(wireBytes(command))
		m.Query += wire
		m.QueryFree = max(m.QueryFree-wire, 0)
		for _, arg := range command {
			m.Args += int64(len(arg))
		}
	}
	list := int64(0) // as in redis-server, what does not fit the buffer for replies
	if m.Unread > m.InHome {
		list = m.Beyond
	}
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=%d name=%s age=%d idle=%d flags=%s db=%d sub=%d psub=%d ssub=%d multi=%d "+
		"qbuf=%d qbuf-free=%d argv-mem=%d multi-mem=%d rbs=%d rbp=%d obl=%d oll=%d omem=%d tot-mem=%d events=r cmd=%s user=%s redir=%d resp=%d lib-name=%s lib-ver=%s",
		s.id, s.peer.Addr, s.peer.Local, s.peer.FD, v.name, int64(now.Sub(s.born).Seconds()),
		max(0, (now.UnixNano()-s.lastActive.Load())/int64(time.Second)), s.flagsLocked(tracker),
		v.db, len(s.subs.names[0]), len(s.subs.names[1]), len(s.subs.names[2]), v.multi,
		m.Query, m.QueryFree, m.Args, s.lists.queued.Load()+s.lists.watches.Load(), m.Home, m.Peak, m.InHome, m.Chunks, list, sessionBytes+m.sum()+s.lists.sum(), cmd, v.user, tracker.redirection(), v.proto, v.libName, v.libVersion)
}

// sessionBytes is about what a connection takes without its buffers.
const sessionBytes = 8 << 10

func (s *Session) flagsLocked(k tracker) string {
	v := &s.shown
	var flags []byte
	for _, f := range []struct {
		c  byte
		is bool
	}{
		{'S', v.replica},
		{'O', v.monitor},
		{'P', s.subs.len() > 0},
		{'x', v.multi >= 0},
		{'t', k.on},
		{'R', k.broken},
		{'B', k.bcast},
		{'b', s.isWaiting()},
		{'r', v.readonly},
		{'U', s.peer.Unix},
		{'e', v.noEvict},
		{'T', v.noTouch},
	} {
		if f.is {
			flags = append(flags, f.c)
		}
	}
	if len(flags) == 0 {
		return "N"
	}
	return string(flags)
}

// kind returns the session's client type, as CLIENT LIST TYPE has it.
func (s *Session) kind() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.shown.replica:
		return "replica"
	case s.subs.len() > 0:
		return "pubsub"
	}
	return "normal"
}

// knownClientType reports whether CLIENT LIST and KILL know a type; there are no masters.
func knownClientType(name string) bool {
	return slices.Contains([]string{"normal", "slave", "replica", "pubsub", "master"}, name)
}

// clientList: CLIENT LIST [TYPE type] [ID id ...].
func clientList(s *Session, r *request) {
	keep := func(*Session) bool { return true }
	args := r.args[2:]
	switch {
	case len(args) == 2 && strings.EqualFold(string(args[0]), "type"):
		kind := strings.ToLower(string(args[1]))
		if kind == "slave" {
			kind = "replica"
		}
		if !knownClientType(kind) {
			r.fail(reply.Error("ERR Unknown client type '" + string(reply.CText(args[1])) + "'"))
			return
		}
		keep = func(c *Session) bool { return c.kind() == kind }
	case len(args) >= 2 && strings.EqualFold(string(args[0]), "id"):
		ids := make(map[int64]bool)
		for _, arg := range args[1:] {
			id, ok := call.ParseInt(arg)
			if !ok {
				r.fail("ERR Invalid client ID")
				return
			}
			ids[id] = true
		}
		keep = func(c *Session) bool { return ids[c.id] }
	case len(args) > 0:
		r.fail(reply.ErrSyntax)
		return
	}
	var list strings.Builder
	now := s.srv.now()
	for _, c := range s.srv.all() {
		if keep(c) && !c.doomed.Load() {
			var command [][]byte
			if c == s {
				command = r.args
			}
			list.WriteString(c.line(now, command))
			list.WriteByte('\n')
		}
	}
	r.out.Verbatim("txt", list.String())
}

// killFilter says which clients CLIENT KILL ends.
type killFilter struct {
	id          int64         // 0: any
	addr, laddr string        // "": any
	user        string        // "": any
	kind        string        // "": any
	maxAge      time.Duration // 0: any
	spareMyself bool
	asked       *Session // who asks
	now         time.Time
}

// clientKill: CLIENT KILL addr, or CLIENT KILL filter value ...
func clientKill(s *Session, r *request) {
	f := killFilter{now: s.srv.now(), asked: s}
	old := len(r.args) == 3
	if old {
		f.addr = string(r.args[2])
	} else {
		f.spareMyself = true
		if err := f.parse(r.args[2:]); err != "" {
			r.fail(err)
			return
		}
	}
	n := 0
	var waiters []uint64
	for _, c := range s.srv.all() {
		if !f.matches(c) {
			continue
		}
		n++
		c.leaving.Store(true)
		if c == s {
			s.closing = true
			continue
		}
		if waiter := c.waiter(); waiter != 0 { // of which its own goroutine soon knows nothing any more
			waiters = append(waiters, waiter)
		}
		c.out.Kill()
	}
	if len(waiters) > 0 && !r.inTx { // which is in the apply: they go soon afterwards
		s.srv.endWaits(waiters)
	}
	switch {
	case !old:
		r.out.Int(int64(n))
	case n == 0:
		r.fail(errNoSuchClient)
	default:
		r.out.OK()
	}
}

func (f *killFilter) parse(args [][]byte) reply.Error {
	for len(args) > 0 {
		if len(args) == 1 {
			return reply.ErrSyntax
		}
		value := string(args[1])
		switch strings.ToLower(string(args[0])) {
		case "id":
			id, ok := call.ParseInt(args[1])
			if !ok || id <= 0 {
				return "ERR client-id should be greater than 0"
			}
			f.id = id
		case "type":
			f.kind = strings.ToLower(value)
			if f.kind == "slave" {
				f.kind = "replica"
			}
			if !knownClientType(f.kind) {
				return reply.Error("ERR Unknown client type '" + value + "'")
			}
		case "addr":
			f.addr = value
		case "laddr":
			f.laddr = value
		case "user":
			f.user = value
			if f.asked.srv.users.view().list.Get(value) == nil {
				return reply.Error("ERR No such user '" + value + "'")
			}
		case "maxage":
			seconds, ok := call.ParseInt(args[1])
			switch {
			case !ok:
				return "ERR maxage is not an integer or out of range"
			case seconds <= 0:
				return "ERR maxage should be greater than 0"
			}
			f.maxAge = time.Duration(min(seconds, int64(math.MaxInt64/time.Second))) * time.Second
		case "skipme":
			switch strings.ToLower(value) {
			case "yes":
				f.spareMyself = true
			case "no":
				f.spareMyself = false
			default:
				return reply.ErrSyntax
			}
		default:
			return reply.ErrSyntax
		}
		args = args[2:]
	}
	return ""
}

func (f *killFilter) matches(c *Session) bool {
	switch {
	case f.spareMyself && c == f.asked,
		f.id != 0 && c.id != f.id,
		f.addr != "" && c.peer.Addr != f.addr,
		f.laddr != "" && c.peer.Local != f.laddr,
		f.user != "" && c.userName() != f.user,
		f.kind != "" && c.kind() != f.kind,
		f.maxAge != 0 && f.now.Sub(c.born) < f.maxAge:
		return false
	}
	return true
}
