package engine

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/hash"
	"github.com/quorate/quorate/engine/types/seed"
)

// followed returns an engine that somebody follows, and what it tells of one entry's
// commands, a line each.
func followed(t *testing.T) (e *Engine, tell func(stampMs int64, commands ...string) string) {
	t.Helper()
	var out []byte
	e = New(Options{Stream: func(b []byte) { out = append(out, b...) }, StreamBroken: func() { out = append(out, "*1\r\n$6\r\nbroken\r\n"...) }})
	s, err := e.Attach(func() {})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	index := uint64(0)
	return e, func(stampMs int64, commands ...string) string {
		index++
		out = nil
		apply(e, index, stampMs, commands...)
		var lines []string
		for rest := out; len(rest) > 0; {
			var v reply.Value
			if v, rest, err = reply.Read(rest); err != nil {
				t.Fatal(err)
			}
			var words []string
			for _, e := range v.Elems {
				words = append(words, string(e.Text))
			}
			lines = append(lines, strings.Join(words, " "))
		}
		return strings.Join(lines, "\n")
	}
}

// What hangs on time or chance is told as what it came to, the rest as it came.
func TestWhatFollowersAreTold(t *testing.T) {
	e, tell := followed(t)
	for _, c := range []struct{ name, command, want string }{
		{"database first", "SET a 1", "SELECT 0\nSET a 1"},
		{"as it came", "LPUSH l x y", "LPUSH l x y"},
		{"nothing done", "DEL nosuch", ""},
		{"a read", "GET a", ""},
		{"an error", "LPUSH a x", ""},
		{"set of a time", "SET a 1 EX 10", "SET a 1 PXAT 11000"},
		{"set of a time, for GET", "SET a 1 GET PX 5", "SET a 1 PXAT 1005"},
		{"setex", "SETEX a 10 v", "SET a v PXAT 11000"},
		{"psetex", "PSETEX a 10 v", "SET a v PXAT 1010"},
		{"getset", "GETSET a w", "SET a w"},
		{"expire", "EXPIRE a 10 NX", "PEXPIREAT a 11000"},
		{"getex", "GETEX a PX 20", "PEXPIREAT a 1020"},
		{"getex of nothing", "GETEX a", ""},
		{"getex persist", "GETEX a PERSIST", "PERSIST a"},
		{"expire at once", "EXPIRE a -1", "DEL a"},
		{"getdel of no string", "GETDEL l", ""},
		{"getdel", "GETDEL a", ""},
		{"float", "INCRBYFLOAT f 1.5", "SET f 1.5 KEEPTTL"},
		{"float of a hash", "HINCRBYFLOAT h m 1.5", "HSET h m 1.5"},
		{"set", "SADD s m", "SADD s m"},
		{"spop", "SPOP s", "SREM s m"},
		{"set", "SADD s m n", "SADD s m n"},
		{"spop of all", "SPOP s 5", "DEL s"},
		{"lmpop", "LMPOP 2 nosuch l RIGHT COUNT 9", "rpop l 2"},
		{"zadd", "ZADD z 1 m", "ZADD z 1 m"},
		{"zmpop", "ZMPOP 1 z MAX", "zpopmax z 1"},
		{"xadd", "XADD x * f v", "XADD x 1000-0 f v"},
		{"xadd", "XADD x MAXLEN ~ 5 NOMKSTREAM * f v", "XADD x MAXLEN = 2 1000-1 f v"},
		{"xgroup", "XGROUP CREATE x g 0", "XGROUP CREATE x g 0"},
		{
			"xreadgroup", "XREADGROUP GROUP g c STREAMS x >",
			"MULTI\nXCLAIM x g c 0 1000-0 TIME 1000 RETRYCOUNT 1 FORCE JUSTID LASTID 1000-0\n" +
				"XCLAIM x g c 0 1000-1 TIME 1000 RETRYCOUNT 1 FORCE JUSTID LASTID 1000-1\nEXEC",
		},
		{"xreadgroup of nothing", "XREADGROUP GROUP g c STREAMS x >", ""},
		{"xclaim", "XCLAIM x g d 0 1000-0", "XCLAIM x g d 0 1000-0 TIME 1000 RETRYCOUNT 2 FORCE JUSTID LASTID 1000-1"},
		{"xautoclaim", "XAUTOCLAIM x g e 0 1000-1 JUSTID", "XCLAIM x g e 0 1000-1 TIME 1000 RETRYCOUNT 1 FORCE JUSTID LASTID 1000-1"},
		{"xtrim", "XTRIM x MAXLEN 1", "XTRIM x MAXLEN = 1"},
		{"xclaim of what is gone", "XCLAIM x g d 0 1000-0", "XACK x g 1000-0"},
		{"a script of one", "EVAL return(redis.call('set','a','1')) 0", "set a 1"},
		{"a script of two", "EVAL redis.call('set','a','1')redis.call('incr','a') 0", "MULTI\nset a 1\nincr a\nEXEC"},
		{"a script that reads", "EVAL return(redis.call('get','a')) 0", ""},
		{"a message of a script", "EVAL redis.call('publish','c','m') 0", "publish c m"},
		{"flushall", "FLUSHALL", "FLUSHALL"},
	} {
		if got := tell(1000, c.command); got != c.want {
			t.Errorf("%s: %q is told as\n%s\nwant\n%s", c.name, c.command, got, c.want)
		}
	}
	e.Detach(func() bool { return true })
	if got := tell(1000, "SET a 1"); got != "" {
		t.Errorf("nobody follows, but is told %q", got)
	}
}

// A function is told by what it did, as a script is: a replica may not have it.
func TestFollowersAreToldWhatFunctionsDo(t *testing.T) {
	e, tell := followed(t)
	library := "#!lua name=l\nredis.register_function('twice', function(keys) redis.call('set', keys[1], '1') return redis.call('incr', keys[1]) end)"
	e.Apply(func(s *Step) {
		s.Entry(1, 1000)
		s.Do(0, [][]byte{[]byte("FUNCTION"), []byte("LOAD"), []byte(library)}, false, new(reply.Writer))
	})
	tell(1000, "SET b 1") // takes the database's choice with it
	if got, want := tell(1000, "FCALL twice 1 a"), "MULTI\nset a 1\nincr a\nEXEC"; got != want {
		t.Errorf("FCALL is told as %q, want %q", got, want)
	}
}

// Changes of libraries are told as they came, but for a payload, which is told as one of
// redis-server 7.0, and what changed nothing, which is not told.
func TestFollowersAreToldOfLibraries(t *testing.T) {
	e, tell := followed(t)
	tell(1000, "SET b 1") // takes the database's choice with it
	const library = "#!lua name=l\nredis.register_function('f', function() return 1 end)"
	var payload []byte
	for _, c := range []struct {
		name string
		args []string
		told bool
	}{
		{"load", []string{"FUNCTION", "LOAD", library}, true},
		{"load of what is there", []string{"FUNCTION", "LOAD", library}, false},
		{"replace", []string{"FUNCTION", "LOAD", "REPLACE", library}, true},
		{"dump", []string{"FUNCTION", "DUMP"}, false},
		{"restore", []string{"FUNCTION", "RESTORE", "payload", "REPLACE"}, true},
		{"restore of what is there", []string{"FUNCTION", "RESTORE", "payload", "APPEND"}, false},
		{"delete", []string{"FUNCTION", "DELETE", "l"}, true},
		{"delete of nothing", []string{"FUNCTION", "DELETE", "l"}, false},
		{"flush", []string{"FUNCTION", "FLUSH", "ASYNC"}, true},
	} {
		var args [][]byte
		for _, arg := range c.args {
			args = append(args, []byte(arg))
		}
		if c.args[1] == "RESTORE" {
			args[2] = payload
		}
		var out []byte
		e.stream.Out = func(b []byte) { out = append(out, b...) }
		w := reply.NewWriter(reply.RESP2, nil)
		e.Apply(func(s *Step) {
			s.Entry(2, 1000)
			s.Do(0, args, false, w)
		})
		if c.args[1] == "DUMP" {
			v, _, err := reply.Read(w.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			payload = v.Text
		}
		want := ""
		if c.told {
			want = string(wire(args))
		}
		if string(out) != want {
			t.Errorf("%s is told as %q, want %q", c.name, out, want)
		}
	}
}

// wire returns a command as it is sent.
func wire(args [][]byte) []byte {
	out := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, arg := range args {
		out = fmt.Appendf(out, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return out
}

// The data of a replica has the libraries, and hashes as redis-server 7.0 knows them; who
// wants a file has the times of their fields in it.
func TestPlainData(t *testing.T) {
	e := New(Options{})
	e.Apply(func(s *Step) {
		s.Entry(1, 1000)
		discard := reply.NewWriter(reply.RESP2, nil)
		s.Do(0, [][]byte{[]byte("FUNCTION"), []byte("LOAD"), []byte("#!lua name=l\nredis.register_function('f', function() return 1 end)")}, false, discard)
	})
	large := "HSET large"
	for i := range 600 {
		large += fmt.Sprintf(" f%d v", i)
	}
	apply(e, 2, 1000, "HSET small a 1 b 2", "HPEXPIRE small 5000 FIELDS 1 a", large, "HPEXPIRE large 5000 FIELDS 2 f1 f2")
	for _, c := range []struct {
		name  string
		plain Plain
		want  string // libraries, and encodings in the file with numbers of fields that expire
	}{
		{"a replica", Plain{}, "library, large hashtable 0, small listpack 0"},
		{"a file", Plain{FieldTimes: true}, "library, large hashtable, fields expire 2, small listpackex 1"},
		{"functions", Plain{FunctionsOnly: true}, "library"},
	} {
		s, err := e.Freeze(nil)
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		if err := s.WritePlainRDB(&file, c.plain); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if got := inFile(t, &file); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// inFile tells of an RDB file the libraries and the hashes, sorted.
func inFile(t *testing.T, file io.Reader) string {
	t.Helper()
	in, err := rdb.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	in.Build(rdb.Build{Settings: call.DefaultSettings()})
	var found []string
	for {
		item, err := in.Next()
		if err != nil {
			t.Fatal(err)
		}
		switch item.Kind {
		case rdb.Function:
			found = append(found, "library")
		case rdb.Key:
			expiring := 0
			h := item.Entry.Value.Hash(seed.Seed{})
			h.Each(func(_, _ []byte, at int64) bool {
				if at != hash.Never {
					expiring++
				}
				return true
			})
			found = append(found, fmt.Sprintf("%s %s %d", item.Entry.Key, item.Encoding, expiring))
		case rdb.End:
			slices.Sort(found[min(1, len(found)):])
			return strings.Join(found, ", ")
		}
	}
}

// A value with times of fields is restored at a follower's as one without.
func TestFollowersAreToldOfRestoredFieldTimes(t *testing.T) {
	e, tell := followed(t)
	tell(1000, "HSET h a 1 b 2", "HPEXPIRE h 5000 FIELDS 1 a")
	v, _, err := reply.Read([]byte(dumped(e, "h")))
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	e.stream.Out = func(b []byte) { out = append(out, b...) }
	e.Apply(func(s *Step) {
		s.Entry(3, 1000)
		s.Do(0, [][]byte{[]byte("RESTORE"), []byte("copy"), []byte("0"), v.Text}, false, reply.NewWriter(reply.RESP2, nil))
	})
	told, _, err := reply.Read(out)
	if err != nil || len(told.Elems) != 4 {
		t.Fatalf("told %q, %v", out, err)
	}
	if payload := told.Elems[3].Text; len(payload) < 10 || payload[len(payload)-10] != 10 {
		t.Errorf("the payload %q is not one of redis-server 7.0", payload)
	}
}

// dumped returns the reply of DUMP.
func dumped(e *Engine, key string) string {
	out := reply.NewWriter(reply.RESP2, nil)
	e.View(1000, 0, func(v *View) { v.Do(0, args("DUMP "+key), false, out) })
	return string(out.Bytes())
}

// What is due is deleted, each by itself, before what comes then.
func TestFollowersAreToldWhatIsDue(t *testing.T) {
	e, tell := followed(t)
	tell(1000, "SET a 1 PX 10", "SET b 1 PX 10", "HSET h f 1 g 2 i 3", "HPEXPIRE h 10 FIELDS 2 f g", "SET c 1")
	var out []byte
	e.stream.Out = func(b []byte) { out = append(out, b...) }
	e.Apply(func(s *Step) {
		s.Entry(9, 2000)
		s.ExpireDue(9)
	})
	told := strings.ReplaceAll(string(out), "\r\n", "|")
	for _, want := range []string{"*2|$3|DEL|$1|a|", "*2|$3|DEL|$1|b|", "*4|$4|HDEL|$1|h|$1|f|$1|g|"} {
		rest := strings.Replace(told, want, "", 1)
		if rest == told {
			t.Errorf("%s is not told", want)
		}
		told = rest
	}
	if told != "" {
		t.Errorf("%s is told, too", told)
	}
}

// A transaction is told as a whole, in the databases that it chose.
func TestFollowersAreToldOfTransactions(t *testing.T) {
	e, tell := followed(t)
	tell(1000, "SET a 1")
	var out []byte
	e.stream.Out = func(b []byte) { out = append(out, b...) }
	e.Apply(func(s *Step) {
		s.Entry(9, 1000)
		discard := reply.NewWriter(reply.RESP2, nil)
		s.Do(0, args("INCR a"), true, discard)
		s.Do(3, args("SET b 1"), true, discard)
		s.EndUnit()
	})
	want := "*1|$5|MULTI|*2|$4|INCR|$1|a|*2|$6|SELECT|$1|3|*3|$3|SET|$1|b|$1|1|*1|$4|EXEC|"
	if got := strings.ReplaceAll(string(out), "\r\n", "|"); got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}

// Whoever follows is told when a snapshot takes the place of the state.
func TestFollowersOfAnotherState(t *testing.T) {
	e, _ := followed(t)
	broken := 0
	e.opts.StreamBroken = func() { broken++ }
	s, err := e.Freeze(nil)
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(s.WriteRDB(w)) }()
	err = e.Restore(r, nil)
	if err != nil || broken != 1 || e.env.Stream != nil {
		t.Errorf("restored: %v; told %d times", err, broken)
	}
}
