package session

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/glob"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/transport/config"
)

// debugSub is a subcommand of DEBUG.
type debugSub struct {
	least, most int // arguments, with DEBUG and the name; most 0 is any number
	do          func(*Session, *request)
	help        string
}

// debugSubs are the subcommands. What touches the state goes through the log and so
// to all nodes; the rest concerns this node or this connection.
var debugSubs = map[string]debugSub{
	"change-repl-id":             {2, 2, accept, "Nothing: replication ids are those of the cluster."},
	"config-rewrite-force-all":   {2, 2, debugRewriteAll, "Write the configuration file with all directives, default values too."},
	"digest":                     {2, 2, debugDigest, "Show a signature of the data of this node."},
	"digest-value":               {2, 0, debugDigestValue, "Show a signature of the values of keys."},
	"error":                      {3, 3, func(_ *Session, r *request) { r.fail(reply.Error(r.args[2])) }, "Reply with this error."},
	"htstats":                    {3, 3, debugHTStats, "Show the table of a database's keys, and their expiry times."},
	"htstats-key":                {3, 3, debugHTStatsKey, "Show the size of a key's value, if it is a large one."},
	"quicklist":                  {3, 4, debugQuicklist, "Check that a key is a quicklist."},
	"listpack":                   {3, 3, debugListpack, "Check that a key is a listpack."},
	"loadaof":                    {2, 2, debugLoadAOF, "Have this node go on with a state that is read from a snapshot of its own."},
	"log":                        {3, 3, debugLog, "Write a text to the log of this node."},
	"object":                     {3, 3, debugObject, "Show what a key is kept as."},
	"pause-cron":                 {3, 3, accept, "Nothing: nothing here hangs on a timer that could be stopped."},
	"populate":                   {3, 5, debugPopulate, "Create so many keys, [prefix]:<number>, of a size, where there are none."},
	"protocol":                   {3, 3, debugProtocol, "Reply with a value of a type."},
	"quicklist-packed-threshold": {3, 3, debugPackedThreshold, "Nothing: the form of a list's nodes follows from list-max-listpack-size."},
	"reload":                     {2, 0, debugReload, "Write a snapshot, and go on with a state that is read from one; with NOSAVE, put what the RDB file in the data directory holds in the place of the cluster's data."},
	"replicate":                  {3, 0, accept, "Nothing: what nodes are sent is the log."},
	"replybuffer":                {4, 4, debugReplyBuffer, "Say when the most that was written to the buffer of a connection is forgotten, and whether buffers follow it."},
	"sdslen":                     {3, 3, debugSDSLen, "Show the lengths of a key and of its string."},
	"set-active-expire":          {3, 3, debugActiveExpire, "Delete what is due, on all nodes, or leave it, absent for readers."},
	"set-disable-deny-scripts":   {3, 3, debugDenyScripts, "Let scripts, on all nodes, call what is kept from them."},
	"sleep":                      {3, 3, debugSleep, "Stop this connection for so many seconds."},
	"structsize":                 {2, 2, func(_ *Session, r *request) { r.out.BulkString(engine.DebugSizes()) }, "Show sizes of what keys are made of."},
	"stringmatch-test":           {2, 2, debugStringMatch, "Match random texts and patterns."},

	"aof-flush-sleep":              {3, 3, notHere, ""},
	"assert":                       {2, 2, refuseCrash, ""},
	"crash-and-abort":              {2, 3, refuseCrash, ""},
	"crash-and-recover":            {2, 3, refuseCrash, ""},
	"oom":                          {2, 2, refuseCrash, ""},
	"panic":                        {2, 2, refuseCrash, ""},
	"restart":                      {2, 3, refuseCrash, ""},
	"segfault":                     {2, 2, refuseCrash, ""},
	"client-eviction":              {2, 2, notHere, ""},
	"clusterlink":                  {5, 5, notHere, ""},
	"drop-cluster-packet-filter":   {3, 3, notHere, ""},
	"leak":                         {3, 3, notHere, ""},
	"set-skip-checksum-validation": {3, 3, notHere, ""},
}

// DEBUG MALLCTL and MALLCTL-STR are those of one allocator: without it redis-server knows
// no such subcommands either.

// debugCommand: DEBUG subcommand ...
func debugCommand(s *Session, r *request) {
	name := strings.ToLower(string(r.args[1]))
	sub, ok := debugSubs[name]
	switch {
	case name == "help" && len(r.args) == 2:
		debugHelp(r)
	case !ok || len(r.args) < sub.least || sub.most > 0 && len(r.args) > sub.most:
		failDebug(r)
	default:
		sub.do(s, r)
	}
}

func failDebug(r *request) {
	r.fail(reply.SubcommandSyntax("DEBUG", r.args[1]))
}

func debugHelp(r *request) {
	lines := []string{"DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	for _, name := range slices.Sorted(maps.Keys(debugSubs)) {
		if text := debugSubs[name].help; text != "" {
			lines = append(lines, strings.ToUpper(name), "    "+text)
		}
	}
	r.out.Array(len(lines))
	for _, line := range lines {
		r.out.Status(line)
	}
}

// accept answers what tunes a thing that is not there to be tuned.
func accept(_ *Session, r *request) { r.out.OK() }

func refuseCrash(_ *Session, r *request) {
	r.fail(reply.Error("ERR DEBUG " + strings.ToUpper(string(r.args[1])) + " is refused: a node is stopped by SHUTDOWN or a signal"))
}

func notHere(_ *Session, r *request) {
	r.fail(reply.Error("ERR DEBUG " + strings.ToUpper(string(r.args[1])) + " shows or sets what only redis-server has"))
}

// debugHTStats: DEBUG HTSTATS db. There are no hash tables of Redis' kind.
func debugHTStats(s *Session, r *request) {
	db, ok := call.ParseInt(r.args[2])
	switch {
	case !ok:
		r.fail(reply.ErrNotInteger)
	case db < 0 || db >= engine.Databases:
		r.fail("ERR Out of range database")
	default:
		s.look(r, func(v *engine.View) {
			d := v.Database(int(db))
			r.out.Verbatim("txt", fmt.Sprintf("[Dictionary HT]\n number of elements: %d\n bytes: %d\n[Expires HT]\n number of elements: %d\n bytes: %d\n",
				d.Keys, d.TableBytes, d.Expires, d.ExpiryBytes))
		})
	}
}

// debugHTStatsKey: DEBUG HTSTATS-KEY key.
func debugHTStatsKey(s *Session, r *request) {
	s.look(r, func(v *engine.View) {
		switch encoding, ok := v.DebugEncoding(r.db, r.args[2]); {
		case !ok:
			r.fail(reply.ErrNoSuchKey)
		case encoding != "hashtable" && encoding != "skiplist":
			r.fail("ERR The value stored at the specified key is not represented using an hash table")
		default:
			r.out.Verbatim("txt", fmt.Sprintf("Tree stats:\n bytes: %d\n", v.DebugLarge(r.db, r.args[2])))
		}
	})
}

// debugActiveExpire: DEBUG SET-ACTIVE-EXPIRE 0|1, on all nodes.
func debugActiveExpire(s *Session, r *request) {
	value := "yes"
	if n, ok := call.ParseInt(r.args[2]); !ok || n == 0 { // as redis-server takes what is no number
		value = "no"
	}
	if r.inTx {
		r.fail(errNoClusterBlock)
		return
	}
	if inForce, came := s.srv.opts.Cluster.Semantic(), engine.SettingCame("debug-active-expire"); inForce < came {
		r.fail(reply.TooNew("DEBUG SET-ACTIVE-EXPIRE", came, inForce))
		return
	}
	if refused := s.srv.setWide([]config.Pair{{Name: "debug-active-expire", Value: value}}); refused != "" {
		r.fail(refused)
		return
	}
	r.out.OK()
}

func debugDigest(s *Session, r *request) {
	digest, _ := s.srv.opts.Cluster.Digest()
	r.out.Status(digest)
}

func debugProtocol(_ *Session, r *request) {
	if !r.out.Sample(strings.ToLower(string(r.args[2]))) {
		r.fail(errProtocolType)
	}
}

func debugRewriteAll(s *Session, r *request) {
	if err := s.srv.opts.Config.RewriteAll(s.srv.userLines()); err != nil {
		r.fail(reply.Error("ERR CONFIG-REWRITE-FORCE-ALL failed: " + err.Error()))
		return
	}
	r.out.OK()
}

// debugStringMatch has random patterns, of few letters so that they match now and then,
// matched with random texts.
func debugStringMatch(_ *Session, r *request) {
	const rounds, longest = 50_000, 32
	const letters = "abc*?[]^-\\"
	text := func() []byte {
		b := make([]byte, rand.IntN(longest))
		for i := range b {
			b[i] = letters[rand.IntN(len(letters))]
		}
		return b
	}
	for range rounds {
		glob.Match(text(), text())
	}
	r.out.Status("Apparently Redis did not crash: test passed")
}

func debugLog(s *Session, r *request) {
	s.srv.log.Warn("DEBUG LOG", "text", string(r.args[2]))
	r.out.OK()
}

// debugPackedThreshold: DEBUG QUICKLIST-PACKED-THRESHOLD size.
func debugPackedThreshold(_ *Session, r *request) {
	if n, ok := config.ParseMemory(string(r.args[2])); !ok || n < 0 || n >= 4<<30 {
		r.fail("ERR argument must be a memory value bigger than 1 and smaller than 4gb")
		return
	}
	r.out.OK()
}

// debugReplyBuffer: DEBUG REPLYBUFFER PEAK-RESET-TIME never|reset|ms, or RESIZING 0|1.
func debugReplyBuffer(s *Session, r *request) {
	value := strings.ToLower(string(r.args[3]))
	n, number := call.ParseInt(r.args[3])
	buffers := &s.srv.replyBuffers
	switch strings.ToLower(string(r.args[2])) {
	case "peak-reset-time":
		switch {
		case value == "never":
			buffers.PeakFor.Store(-1)
		case value == "reset":
			buffers.PeakFor.Store(int64(peakFor))
		case number:
			buffers.PeakFor.Store(max(0, min(n, int64(time.Hour/time.Millisecond))) * int64(time.Millisecond))
		default:
			r.fail(reply.ErrNotInteger)
			return
		}
	case "resizing":
		buffers.Fixed.Store(!number || n == 0)
	default:
		failDebug(r)
		return
	}
	r.out.OK()
}

// look answers f's question about the data as it is.
func (s *Session) look(r *request, f func(*engine.View)) {
	if refused := s.barrier(); refused != "" {
		r.fail(refused)
		return
	}
	s.srv.opts.Engine.View(s.srv.now().UnixMilli(), 0, f)
}

// debugListpack: DEBUG LISTPACK key.
func debugListpack(s *Session, r *request) { s.debugPrinted(r, "listpack") }

// debugQuicklist: DEBUG QUICKLIST key [0|1].
func debugQuicklist(s *Session, r *request) { s.debugPrinted(r, "quicklist") }

// debugPrinted shows nothing, as redis-server shows nothing to its client; but it looks
// whether the key has the encoding.
func (s *Session) debugPrinted(r *request, encoding string) {
	s.look(r, func(v *engine.View) {
		switch e, ok := v.DebugEncoding(r.db, r.args[2]); {
		case !ok:
			r.fail(reply.ErrNoSuchKey)
		case e != encoding:
			r.fail(reply.Error("ERR Not a " + encoding + " encoded object."))
		default:
			r.out.Status(strings.ToUpper(encoding[:1]) + encoding[1:] + " structure printed on stdout")
		}
	})
}

// debugSDSLen: DEBUG SDSLEN key. Strings have no room to spare here, and their
// memory is their length.
func debugSDSLen(s *Session, r *request) {
	s.look(r, func(v *engine.View) {
		switch length, isString, ok := v.DebugStringLen(r.db, r.args[2]); {
		case !ok:
			r.fail(reply.ErrNoSuchKey)
		case !isString:
			r.fail("ERR Not an sds encoded string.")
		default:
			n := len(r.args[2])
			r.out.Status(fmt.Sprintf("key_sds_len:%d, key_sds_avail:0, key_zmalloc: %d, val_sds_len:%d, val_sds_avail:0, val_zmalloc: %d", n, n, length, length))
		}
	})
}

// populateStep is how many keys DEBUG POPULATE submits at once.
const populateStep = 1000

// populateMax bounds the keys of one DEBUG POPULATE: it goes on when its client is
// gone, and its writes are those of the whole cluster.
const populateMax = 10_000_000

// debugPopulate: DEBUG POPULATE count [prefix [size]] creates keys where there are
// none, on all nodes.
func debugPopulate(s *Session, r *request) {
	count, ok := call.ParseInt(r.args[2])
	if r.inTx {
		r.fail(errNoClusterBlock)
		return
	}
	size, sized := int64(0), len(r.args) == 5
	if sized {
		var good bool
		size, good = call.ParseInt(r.args[4])
		ok = ok && good
	}
	switch {
	case !ok || count < 0 || size < 0:
		r.fail(reply.ErrNotPositive)
		return
	case count > populateMax:
		r.fail(reply.Error(fmt.Sprintf("ERR DEBUG POPULATE creates at most %d keys at a time", populateMax)))
		return
	case size > 512<<20:
		r.fail(reply.ErrStringTooLong)
		return
	}
	prefix := "key"
	if len(r.args) > 3 {
		prefix = string(r.args[3])
	}
	step := max(1, min(populateStep, (8<<20)/max(size, 1))) // about 8 MiB at once
	for from := int64(0); from < count; from += step {
		s.srv.pause.wait(s.srv.ctx, false)
		if refused := s.populate(prefix, from, min(from+step, count), size); refused != "" {
			r.fail(refused)
			return
		}
	}
	r.out.OK()
}

// populate creates the keys of numbers from to limit, and waits for them.
func (s *Session) populate(prefix string, from, limit, size int64) reply.Error {
	ops := make([]fsm.Op, 0, limit-from)
	for i := from; i < limit; i++ {
		value := fmt.Appendf(nil, "value:%d", i)
		if size > 0 {
			value = append(value[:min(int64(len(value)), size)], make([]byte, max(0, size-int64(len(value))))...)
		}
		args := [][]byte{[]byte("SET"), fmt.Appendf(nil, "%s:%d", prefix, i), value, []byte("NX")}
		ops = append(ops, fsm.Op{Kind: fsm.OpWrite, DB: s.db, Args: args})
	}
	replies, refused := s.srv.execute(ops)
	if refused != "" {
		return refused
	}
	for _, v := range replies {
		if v.Kind == reply.KindError {
			return reply.Error(v.Text)
		}
	}
	return ""
}

// debugObject: DEBUG OBJECT key.
func debugObject(s *Session, r *request) {
	if refused := s.barrier(); refused != "" {
		r.fail(refused)
		return
	}
	s.srv.opts.Engine.View(s.srv.now().UnixMilli(), 0, func(v *engine.View) {
		if text, ok := v.DebugObject(r.db, r.args[2]); ok {
			r.out.Status(text)
			return
		}
		r.fail(reply.ErrNoSuchKey)
	})
}

// debugDigestValue: DEBUG DIGEST-VALUE [key ...].
func debugDigestValue(s *Session, r *request) {
	if refused := s.barrier(); refused != "" {
		r.fail(refused)
		return
	}
	keys := r.args[2:]
	s.srv.opts.Engine.View(s.srv.now().UnixMilli(), 0, func(v *engine.View) {
		r.out.Array(len(keys))
		for _, key := range keys {
			r.out.Status(v.DigestValue(r.db, key))
		}
	})
}

// debugDenyScripts: DEBUG SET-DISABLE-DENY-SCRIPTS 0|1 lets scripts, on all
// nodes, call commands that are kept from them.
func debugDenyScripts(s *Session, r *request) {
	if r.inTx {
		r.fail(errNoClusterBlock)
		return
	}
	value := "yes"
	if string(r.args[2]) == "0" {
		value = "no"
	}
	if refused := s.srv.setWide([]config.Pair{{Name: "debug-disable-deny-scripts", Value: value}}); refused != "" {
		r.fail(refused)
		return
	}
	r.out.OK()
}

// debugSleep: DEBUG SLEEP seconds stops this connection.
func debugSleep(s *Session, r *request) {
	seconds, ok := call.ParseFloat(r.args[2])
	if !ok || seconds < 0 {
		seconds = 0 // as redis-server takes what is no number
	}
	seconds = min(seconds, 3600)
	select {
	case <-time.After(time.Duration(seconds * float64(time.Second))):
	case <-s.srv.ctx.Done():
	}
	r.out.OK()
}

// debugReload writes a snapshot, and has the node go on with a state that is read from
// one: the same, or the node tells. With NOSAVE what the file holds that stands in the data
// directory becomes the data of the cluster, through the log: see loadFile. As in
// redis-server, NOFLUSH without MERGE fails where there is data.
func debugReload(s *Session, r *request) {
	saves, flush, merge := true, true, false
	for _, option := range r.args[2:] {
		switch strings.ToLower(string(option)) {
		case "merge":
			merge = true
		case "noflush":
			flush = false
		case "nosave":
			saves = false
		default:
			r.fail("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
			return
		}
	}
	switch {
	case !flush && !merge && !s.srv.empty():
		r.fail("ERR Error trying to load the RDB dump: what it holds is there already")
	case !saves && r.inTx:
		r.fail(errNoClusterBlock)
	case !saves:
		if err := s.srv.loadFile(flush, merge); err != nil {
			r.fail(reply.Error("ERR Error trying to load the RDB dump: " + err.Error()))
			return
		}
		r.out.OK()
	default:
		s.debugOwnReload(r)
	}
}

func (s *Session) debugOwnReload(r *request) {
	if began, err := s.srv.takeSnapshot(); began && err != nil {
		r.fail(reply.Error("ERR " + err.Error()))
		return
	}
	if err := s.srv.reload(); err != nil {
		r.fail(reply.Error("ERR Error trying to load the RDB dump: " + err.Error()))
		return
	}
	r.out.OK()
}

// debugLoadAOF: DEBUG LOADAOF. The log has been read; what it has led to is read again.
func debugLoadAOF(s *Session, r *request) { s.debugOwnReload(r) }

// reload has the engine read its own state, once nobody else writes a snapshot.
func (s *Server) reload() error {
	return untilThawed(s.ctx, 20*time.Millisecond, s.opts.Engine.Reload, func() {})
}

// empty reports whether there are no keys and no functions.
func (s *Server) empty() (empty bool) {
	s.opts.Engine.View(s.now().UnixMilli(), 0, func(v *engine.View) {
		libraries, _, _ := v.Functions()
		empty = libraries == 0
		for db := range engine.Databases {
			empty = empty && v.Database(db).Keys == 0
		}
	})
	return empty
}
