package session_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/transport/config"
)

// The digests are redis-server's.
func TestDebugOfKeys(t *testing.T) {
	n := newNode(t, nil)
	n.config.Adopt([]config.Pair{{Name: "enable-debug-command", Value: "yes"}})
	c := n.client()
	c.expect(lines("SET x y", "DEBUG DIGEST-VALUE x missing", "DEBUG DIGEST-VALUE"),
		"+OK", "*2 +5de2ea9d5ffab1d9674bdd0e51d2eff013a722cc +0000000000000000000000000000000000000000", "*0")
	c.expect(lines("DEBUG OBJECT x", "DEBUG OBJECT missing", "DEBUG OBJECT", "DEBUG OBJECT x y"),
		"+Value at:0x000000000000 refcount:1 encoding:embstr serializedlength:2 lru:0 lru_seconds_idle:0", "-ERR no such key",
		"-ERR unknown subcommand or wrong number of arguments for 'OBJECT'. Try DEBUG HELP.",
		"-ERR unknown subcommand or wrong number of arguments for 'OBJECT'. Try DEBUG HELP.")
	c.expect(lines("RPUSH l a b", "DEBUG OBJECT l"), ":2", "+Value at:0x000000000000 refcount:1 encoding:quicklist "+
		"serializedlength:16 lru:0 lru_seconds_idle:0 ql_nodes:1 ql_avg_node:2.00 ql_listpack_max:-2 ql_compressed:0 ql_uncompressed_size:13")
}

// What every kind of reply becomes on its way through a script.
func TestRepliesThroughScripts(t *testing.T) {
	n := newNode(t, nil)
	n.config.Adopt([]config.Pair{{Name: "enable-debug-command", Value: "yes"}})
	c := n.client()
	const call = ` "redis.setresp(3) return redis.call('debug','protocol',ARGV[1])" 0 `
	c.send("EVAL" + call + "bignum")
	if got := c.replies(1)[0]; got[0] != '-' {
		t.Errorf("DEBUG was not kept from a script: %q", got)
	}
	c.expect(lines("DEBUG SET-DISABLE-DENY-SCRIPTS 1"), "+OK")
	c.send("HELLO 3")
	c.replies(1)
	c.expect(lines("EVAL"+call+"bignum", "EVAL"+call+"map", "EVAL"+call+"set", "EVAL"+call+"double", "EVAL"+call+"null",
		"EVAL"+call+"verbatim", "EVAL"+call+"true", "EVAL"+call+"false", "EVAL"+call+"attrib"),
		"(1234567999999999999999999999999999999", "%3 :1 #t :2 #f :0 #f", "~3 :1 :2 :0", ",3.141", "_",
		"=29 txt:This is a verbatim\nstring", "#t", "#f",
		"$39 Some real reply following the attribute")
	c.expect(lines("DEBUG PROTOCOL integer", "DEBUG PROTOCOL nonsense"), ":12345", "-ERR Wrong protocol type name. Please use one of the "+
		"following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false")
	c.expect(lines("DEBUG SET-DISABLE-DENY-SCRIPTS 0"), "+OK")
	c.send("EVAL" + call + "bignum")
	if got := c.replies(1)[0]; got[0] != '-' {
		t.Errorf("DEBUG was not kept from a script again: %q", got)
	}
}

func TestDebugSubcommands(t *testing.T) {
	n := newNode(t, nil)
	n.config.Adopt([]config.Pair{{Name: "enable-debug-command", Value: "yes"}})
	c := n.client()
	wrong := func(name string) string {
		return "-ERR unknown subcommand or wrong number of arguments for '" + name + "'. Try DEBUG HELP."
	}
	c.expect(lines("DEBUG POPULATE 2 p 10", "GET p:1", "DEBUG POPULATE 2500", "GET key:2499", "DBSIZE", "SET key:0 mine", "DEBUG POPULATE 3", "GET key:0"),
		"+OK", "$10 value:1\x00\x00\x00", "+OK", "$10 value:2499", ":2502", "+OK", "+OK", "$4 mine")
	c.expect(lines("DEBUG POPULATE -1", "DEBUG POPULATE +1", "DEBUG POPULATE 1 p x", "DEBUG POPULATE", "DEBUG POPULATE 1 p 7 8"),
		"-ERR value is out of range, must be positive", "-ERR value is out of range, must be positive", "-ERR value is out of range, must be positive",
		wrong("POPULATE"), wrong("POPULATE"))
	c.expect(lines("HSET h f v", "SADD s 1", "SET i 1"), ":1", ":1", "+OK")
	c.expect(lines("DEBUG LISTPACK h", "DEBUG LISTPACK s", "DEBUG LISTPACK x", "DEBUG LISTPACK"),
		"+Listpack structure printed on stdout", "-ERR Not a listpack encoded object.", "-ERR no such key", wrong("LISTPACK"))
	c.expect(lines("DEBUG SDSLEN key:0", "DEBUG SDSLEN h", "DEBUG SDSLEN i", "DEBUG SDSLEN x"),
		"+key_sds_len:5, key_sds_avail:0, key_zmalloc: 5, val_sds_len:4, val_sds_avail:0, val_zmalloc: 4",
		"-ERR Not an sds encoded string.", "-ERR Not an sds encoded string.", "-ERR no such key")
	c.expect(lines("DEBUG QUICKLIST-PACKED-THRESHOLD 100b", "DEBUG QUICKLIST-PACKED-THRESHOLD 0", "DEBUG QUICKLIST-PACKED-THRESHOLD x", "DEBUG QUICKLIST-PACKED-THRESHOLD 4gb"),
		"+OK", "+OK", "-ERR argument must be a memory value bigger than 1 and smaller than 4gb", "-ERR argument must be a memory value bigger than 1 and smaller than 4gb")
	c.expect(lines("DEBUG REPLYBUFFER PEAK-RESET-TIME never", "DEBUG REPLYBUFFER PEAK-RESET-TIME x", "DEBUG REPLYBUFFER RESIZING 0", "DEBUG REPLYBUFFER x y"),
		"+OK", "-ERR value is not an integer or out of range", "+OK", wrong("REPLYBUFFER"))
	c.expect(lines("DEBUG HTSTATS x", "DEBUG HTSTATS 16", "DEBUG MALLCTL a"),
		"-ERR value is not an integer or out of range", "-ERR Out of range database", wrong("MALLCTL"))
	c.expect(lines("DEBUG LEAK x", "DEBUG STRINGMATCH-TEST", "DEBUG CONFIG-REWRITE-FORCE-ALL"),
		"-ERR DEBUG LEAK shows or sets what only redis-server has", "+Apparently Redis did not crash: test passed",
		"-ERR CONFIG-REWRITE-FORCE-ALL failed: The server is running without a config file")
	c.expect(lines("DEBUG SEGFAULT", "DEBUG RESTART 5", "DEBUG NOSUCH", "DEBUG SLEEP x", "DEBUG CHANGE-REPL-ID", "DEBUG CHANGE-REPL-ID x"),
		"-ERR DEBUG SEGFAULT is refused: a node is stopped by SHUTDOWN or a signal", "-ERR DEBUG RESTART is refused: a node is stopped by SHUTDOWN or a signal",
		wrong("NOSUCH"), "+OK", "+OK", wrong("CHANGE-REPL-ID"))
	c.send("DEBUG HTSTATS 0")
	if got := c.replies(1)[0]; !strings.Contains(got, "number of elements: 2505") {
		t.Errorf("DEBUG HTSTATS: %s", got)
	}
	c.expect(lines("DEBUG HTSTATS-KEY h", "DEBUG HTSTATS-KEY nosuch"),
		"-ERR The value stored at the specified key is not represented using an hash table", "-ERR no such key")
	c.expect(lines("HSET large f "+strings.Repeat("x", 100)), ":1")
	c.send("DEBUG HTSTATS-KEY large")
	if got := c.replies(1)[0]; !strings.Contains(got, " bytes: ") || strings.Contains(got, " bytes: 0") {
		t.Errorf("DEBUG HTSTATS-KEY: %s", got)
	}
	c.expect(lines("RPUSH list a", "DEBUG QUICKLIST list", "DEBUG QUICKLIST h", "DEBUG QUICKLIST nosuch"),
		":1", "+Quicklist structure printed on stdout", "-ERR Not a quicklist encoded object.", "-ERR no such key")
	c.expect(lines("DEBUG LOADAOF", "DEBUG SET-ACTIVE-EXPIRE 0", "CONFIG GET debug-active-expire", "DEBUG SET-ACTIVE-EXPIRE 1", "CONFIG GET debug-active-expire"),
		"+OK", "+OK", "*2 $19 debug-active-expire $2 no", "+OK", "*2 $19 debug-active-expire $3 yes")
	c.expect(lines("DEBUG RELOAD x"), "-ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
	c.send("DEBUG HELP")
	if got := c.replies(1)[0]; !strings.Contains(got, "POPULATE") || strings.Contains(got, "SEGFAULT") {
		t.Errorf("DEBUG HELP: %s", got)
	}
}

// DEBUG RELOAD NOSAVE puts a file in the place of the data, by way of the log.
func TestDebugReloadOfAFile(t *testing.T) {
	source := newNode(t, nil)
	source.client().expect(lines("SET a 1", "SET b 2 PX 100000000", "SELECT 3", "RPUSH l x y", "HSET h f v", "HEXPIRE h 100000 FIELDS 1 f",
		`FUNCTION LOAD "#!lua name=lib
redis.register_function('one', function() return 1 end)"`), "+OK", "+OK", "+OK", ":2", ":1", "*1 :1", "$3 lib")
	name := filepath.Join(t.TempDir(), "dump.rdb")
	writeSnapshot(t, source, name)

	n := newNode(t, nil)
	n.config.Adopt([]config.Pair{{Name: "enable-debug-command", Value: "yes"}, {Name: "dir", Value: filepath.Dir(name)}})
	c := n.client()
	had := lines("SET a 0", "SET mine 1", `FUNCTION LOAD "#!lua name=mine
redis.register_function('two', function() return 2 end)"`)
	c.expect(had, "+OK", "+OK", "$4 mine")
	c.expect(lines("DEBUG RELOAD NOSAVE NOFLUSH"), "-ERR Error trying to load the RDB dump: what it holds is there already")
	c.expect(lines("DEBUG RELOAD NOSAVE", "GET a", "GET mine", "DBSIZE", "FCALL one 0", "FCALL two 0"),
		"+OK", "$1 1", "$-1", ":2", ":1", "-ERR Function not found")
	c.expect(lines("SELECT 3", "LRANGE l 0 -1", "HGET h f", "DBSIZE", "SELECT 0"), "+OK", "*2 $1 x $1 y", "$1 v", ":2", "+OK")
	for _, timed := range lines("PTTL b", "EVAL_RO \"redis.call('select', 3) return redis.call('httl', 'h', 'fields', 1, 'f')[1]\" 0") {
		c.send(timed)
		if got := c.replies(1)[0]; len(got) < 5 || got[0] != ':' {
			t.Errorf("%s: %q", timed, got)
		}
	}

	c.expect(had, "+OK", "+OK", "$4 mine")
	c.expect(lines("DEBUG RELOAD NOSAVE NOFLUSH MERGE", "GET a", "GET mine", "FCALL one 0", "FCALL two 0"), "+OK", "$1 1", "$1 1", ":1", ":2")

	// What can't be read changes nothing.
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for what, b := range map[string][]byte{"cut off": whole[:len(whole)-9], "damaged": append([]byte("X"), whole[1:]...)} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		c.send("DEBUG RELOAD NOSAVE")
		if got := c.replies(1)[0]; !strings.HasPrefix(got, "-ERR Error trying to load the RDB dump: ") {
			t.Errorf("a file that is %s: %q", what, got)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	c.send("DEBUG RELOAD NOSAVE")
	if got := c.replies(1)[0]; !strings.HasPrefix(got, "-ERR Error trying to load the RDB dump: ") {
		t.Errorf("no file: %q", got)
	}
	c.expect(lines("GET mine", "MULTI", "DEBUG RELOAD NOSAVE", "EXEC"), "$1 1", "+OK", "+QUEUED",
		"*1 -ERR this command waits for the cluster and can't be used inside a transaction")
}

// writeSnapshot writes what a node holds to a file.
func writeSnapshot(t *testing.T, n *node, name string) {
	t.Helper()
	s, err := n.engine.Freeze(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WriteRDB(file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}
