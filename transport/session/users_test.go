package session_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/transcript"
	"github.com/quorate/quorate/engine/words"
	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/session"
	"github.com/quorate/quorate/transport/session/sessiontest"
)

// do sends one command and returns its reply.
func (c *client) do(args ...string) string {
	c.t.Helper()
	words := make([][]byte, len(args))
	for i, arg := range args {
		words[i] = []byte(arg)
	}
	c.open = c.session.Run([][][]byte{words})
	return c.replies(1)[0]
}

func (c *client) ok(lines ...string) {
	c.t.Helper()
	for _, line := range lines {
		list, _ := words.Split([]byte(line))
		var args []string
		for _, word := range list {
			args = append(args, string(word))
		}
		if got := c.do(args...); strings.HasPrefix(got, "-") {
			c.t.Fatalf("%s: %s", line, got)
		}
	}
}

// as returns a client of a user, whom rules make.
func (n *node) as(name, rules string) *client {
	c := n.client()
	c.ok("ACL SETUSER "+name+" reset on nopass "+rules, "AUTH "+name+" x")
	return c
}

// until waits for what another goroutine brings about.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in ten seconds: %s", what)
		}
	}
}

// For each command of the table and each key of a call: a user who may do all, but not
// with this key, is refused; also within a transaction and a script.
func TestEveryKeyOfEveryCommandIsChecked(t *testing.T) {
	n := newNode(t, nil)
	admin := n.client()
	u := n.as("u", "+@all resetkeys ~allowed:* allchannels")
	data := engine.New(engine.Options{}).Table()
	specs := make(map[string]*command.Spec)
	for _, spec := range session.Commands(data) {
		specs[spec.Name] = spec
	}
	calls := append(transcript.Commands(t, "../../engine/commands/testdata/*/*.txt"), [][]string{
		{"watch", "a", "b"},
		{"eval", "return 1", "2", "a", "b"},
		{"evalsha", strings.Repeat("a", 40), "1", "a"},
		{"eval_ro", "return 1", "1", "a"},
		{"evalsha_ro", strings.Repeat("a", 40), "1", "a"},
		{"fcall", "f", "1", "a"},
		{"fcall_ro", "f", "1", "a"},
		{"memory", "usage", "a"},
		{"object", "freq", "a"},
		{"migrate", "h", "1", "a", "0", "1"},
		{"migrate", "h", "1", "", "0", "1", "KEYS", "a", "b"},
		{"pfdebug", "encoding", "a"},
		{"restore-asking", "a", "0", "x"},
	}...)
	covered := make(map[string]map[command.KeyFlags]bool)
	for _, words := range calls {
		spec := specs[strings.ToLower(words[0])]
		if len(words) > 1 && (spec == nil || specs[spec.Name+"|"+strings.ToLower(words[1])] != nil) {
			spec = specs[strings.ToLower(words[0]+"|"+words[1])]
		}
		if spec == nil || !spec.TakesArgs(len(words)) || spec.Flags.Has(command.Protected) {
			continue
		}
		args := make([][]byte, len(words))
		for i, word := range words {
			args[i] = []byte(word)
		}
		keys, err := spec.AppendKeys(nil, args)
		if err != nil || len(keys) > 8 {
			continue
		}
		for _, key := range keys {
			if covered[spec.Name] == nil {
				covered[spec.Name] = make(map[command.KeyFlags]bool)
			}
			covered[spec.Name][key.Flags] = true
			denied := slices.Clone(words)
			for _, other := range keys {
				denied[other.Index] = fmt.Sprint("allowed:", other.Index)
			}
			allowed := slices.Clone(denied)
			denied[key.Index] = "denied"
			if got := admin.do(append([]string{"ACL", "DRYRUN", "u"}, allowed...)...); got != "+OK" {
				t.Fatalf("%q: %s", allowed, got)
			}
			const refused = "-NOPERM this user has no permissions to access one of the keys used as arguments"
			if got := u.do(denied...); got != refused {
				t.Fatalf("%q: %s", denied, got)
			}
			u.ok("MULTI")
			if got := u.do(denied...); got != refused && !strings.HasSuffix(got, "inside MULTI is not allowed") && got != "-ERR Command not allowed inside a transaction" {
				t.Fatalf("%q in a transaction: %s", denied, got)
			}
			if got := u.do("EXEC"); !strings.HasPrefix(got, "-EXECABORT ") && !strings.Contains(got, "*0") {
				t.Fatalf("%q: EXEC: %s", denied, got)
			}
			row, inScripts := data.Lookup(spec.Name)
			if !inScripts || row.Flags.Has(command.NoScript) {
				continue
			}
			script := append([]string{"EVAL", "return redis.pcall(unpack(ARGV)).err", "0"}, denied...)
			if got := u.do(script...); !strings.HasSuffix(got, "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments") {
				t.Fatalf("%q in a script: %s", denied, got)
			}
		}
	}
	for name, spec := range specs {
		for i := range spec.Keys {
			if k := &spec.Keys[i]; k.Flags&command.NotKey == 0 && !spec.Flags.Has(command.Protected) && covered[name] == nil {
				t.Errorf("%s: no call with keys was tried", name)
			}
		}
	}
}

// A permission of the wrong kind is none: for each command, users who may only read, or
// only write, the key.
func TestKeyPermissionsFollowWhatACommandDoes(t *testing.T) {
	n := newNode(t, nil)
	reader, writer := n.as("r", "+@all %R~*"), n.as("w", "+@all %W~*")
	for _, c := range []struct{ line, reader, writer string }{
		{"GET k", "", "key"},
		{"SET k v", "key", ""},
		{"SET k v GET", "key", "key"},
		{"GETDEL k", "key", "key"},
		{"DEL k", "key", ""},
		{"EXISTS k", "", ""},
		{"TYPE k", "", ""},
		{"APPEND k v", "key", ""},
		{"INCR k", "key", "key"},
		{"STRLEN k", "", ""},
		{"COPY a b", "key", "key"},
		{"RENAME a b", "key", "key"},
		{"LPUSH l v", "key", ""},
		{"LPOP l", "key", "key"},
		{"LRANGE l 0 1", "", "key"},
		{"ZADD z 1 a", "key", ""},
		{"BITFIELD b GET u8 0", "", "key"},
		{"BITFIELD b SET u8 0 1", "key", "key"},
		{"EXPIRE k 1", "key", ""},
		{"TTL k", "", "key"},
		{"MEMORY USAGE k", "", ""},
	} {
		for who, want := range map[*client]string{reader: c.reader, writer: c.writer} {
			args := strings.Fields(c.line)
			got := who.do(args...)
			if denied := strings.HasPrefix(got, "-NOPERM"); denied != (want != "") {
				t.Errorf("%s by %s: %s", c.line, who.do("ACL", "WHOAMI"), got)
			}
		}
	}
}

// SORT with BY and GET reads keys that it does not name: that takes all keys.
func TestSortReadsAnyKey(t *testing.T) {
	n := newNode(t, nil)
	n.client().ok("RPUSH x 1")
	some := n.as("some", "+@all ~x %W~*")
	by, get := "-ERR BY option of SORT denied due to insufficient ACL permissions.", "-ERR GET option of SORT denied due to insufficient ACL permissions."
	some.expect(lines("SORT x BY w_*", "SORT x GET #", "SORT_RO x BY nosort GET w_*", "SORT x BY nosort", "SORT x LIMIT 0 1 BY w_*", "SORT x BOGUS BY w_*"),
		by, get, get, "*1 $1 1", by, "-ERR syntax error")
	some.expect(lines("MULTI", "SORT x BY w_*", "EXEC"), "+OK", by, "-EXECABORT Transaction discarded because of previous errors.")
	some.expect(lines(`EVAL "return redis.pcall('sort','x','by','w_*').err" 1 x`), "$"+fmt.Sprint(len(by)-1)+" "+by[1:])
	all := n.as("all", "+@all ~x %R~*")
	all.expect(lines("SORT x BY w_*", "SORT x GET #", `EVAL "return redis.call('sort','x','by','w_*')" 1 x`), "*1 $1 1", "*1 $1 1", "*1 $1 1")
}

// What a user may not call is refused with redis-server's words, and noted.
func TestCommandsAreChecked(t *testing.T) {
	n := newNode(t, nil)
	u := n.as("u", "+@read -get +config|get +multi +exec +select|1 +acl|log +acl|whoami ~*")
	refused := func(name string) string {
		return "-NOPERM this user has no permissions to run the '" + name + "' command"
	}
	u.expect(lines("GET k", "STRLEN k", "SET k v", "CONFIG SET save x", "CONFIG GET port", "SELECT 0", "SELECT 1", "NOSUCH", "GET", "ACL WHOAMI"),
		refused("get"), ":0", refused("set"), refused("config|set"), "*2 $4 port $4 6379", refused("select"), "+OK",
		"-ERR unknown command 'NOSUCH', with args beginning with:", "-ERR wrong number of arguments for 'get' command", "$1 u")
	u.expect(lines("MULTI", "GET k", "STRLEN k", "EXEC"), "+OK", refused("get"), "+QUEUED", "-EXECABORT Transaction discarded because of previous errors.")
	u.expect(lines("AUTH u", "QUIT"), "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?", "+OK")
	log := n.client().do("ACL", "LOG")
	for _, want := range []string{
		"*5 ", "$5 count :1 $6 reason $7 command $7 context $5 multi $6 object $3 get $8 username $1 u $11 age-seconds ", " user=u ",
		"$7 context $8 toplevel $6 object $6 select $8 username", "$6 object $10 config|set",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("ACL LOG has no %q: %s", want, log)
		}
	}
	n.client().expect(lines("ACL LOG RESET", "ACL LOG"), "+OK", "*0")
}

// Denials of a kind become one entry, for a minute; others stand before them, and the
// oldest go.
func TestACLLogMerges(t *testing.T) {
	var now time.Time
	n := newNodeAt(t, func() time.Time { return now }, nil)
	now = time.Unix(1000, 0)
	admin, u := n.client(), n.as("u", "+set ~a")
	u.expect(lines("GET a", "SET b 1", "GET a", "AUTH u2 x"),
		"-NOPERM this user has no permissions to run the 'get' command", "-NOPERM this user has no permissions to access one of the keys used as arguments",
		"-NOPERM this user has no permissions to run the 'get' command", "-WRONGPASS invalid username-password pair or user is disabled.")
	counts := func() (all []string) {
		for _, part := range strings.Split(admin.do("ACL", "LOG", "20"), "$5 count ")[1:] {
			f := strings.Fields(part)
			all = append(all, f[0]+" "+f[4]+" "+f[12]) // how often, why, what
		}
		return all
	}
	f := func(want ...string) {
		t.Helper()
		if got := counts(); !slices.Equal(got, want) {
			t.Errorf("the log has %q, want %q", got, want)
		}
	}
	f(":1 auth AUTH", ":2 command get", ":1 key b")
	now = now.Add(59 * time.Second)
	u.send("GET a")
	f(":3 command get", ":1 auth AUTH", ":1 key b")
	now = now.Add(61 * time.Second)
	u.send("GET a")
	f(":1 command get", ":3 command get", ":1 auth AUTH", ":1 key b")
	admin.ok("CONFIG SET acllog-max-len 2")
	f(":1 command get", ":3 command get")
}

// What was queued is checked once more: rules may have changed.
func TestExecChecksAgain(t *testing.T) {
	n := newNode(t, nil)
	admin, u := n.client(), n.as("u", "+@all ~* &*")
	u.expect(lines("MULTI", "SET a 1", "SET b 1", "GET a", "PUBLISH c m"), "+OK", "+QUEUED", "+QUEUED", "+QUEUED", "+QUEUED")
	admin.ok("ACL SETUSER u -get resetkeys ~a resetchannels")
	const changed = "-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: "
	u.expect(lines("EXEC"), "*4 +OK "+changed+"no permission to touch the specified keys "+changed+"no permission to execute the command or subcommand "+
		changed+"no permission to access one of the channels used as arguments")
	admin.expect(lines("GET a", "GET b"), "$1 1", "$-1")
	u.expect(lines("MULTI", "SET a 1"), "+OK", "+QUEUED")
	admin.ok("ACL SETUSER u -exec")
	u.expect(lines("EXEC"), "-EXECABORT Transaction discarded because of: NOPERM this user has no permissions to run the 'exec' command")
}

// Connections of a user who is deleted end, those of others do not; whoever deletes his
// own user is told so first.
func TestConnectionsOfDeletedUsersEnd(t *testing.T) {
	n := newNode(t, nil)
	admin, a, b := n.client(), n.as("a", "+@all ~*"), n.as("b", "+@all ~*")
	admin.expect(lines("ACL DELUSER a"), ":1")
	if list := admin.do("CLIENT", "LIST"); !a.out.dead.Load() || strings.Contains(list, " user=a ") {
		t.Errorf("the user's connection is not cut: %s", list)
	}
	admin.ok("ACL SETUSER a on nopass +@all")
	a.send("PING") // the new user is another one
	if a.open || a.rest() != "" {
		t.Errorf("a connection of a deleted user is served: %q", a.rest())
	}
	b.expect(lines("ACL DELUSER b"), ":1")
	if b.open || b.out.dead.Load() || admin.out.dead.Load() {
		t.Error("whoever deletes himself is told so, and then closed")
	}
	c := n.as("c", "+@all ~*")
	c.expect(lines("MULTI", "ACL DELUSER c", "SET k 1", "EXEC"), "+OK", "+QUEUED", "+QUEUED", "*2 :1 +OK")
	if c.open {
		t.Error("the connection of a user that a transaction has deleted goes on")
	}
}

// A changed user goes on under the new rules.
func TestConnectionsFollowTheirUser(t *testing.T) {
	n := newNode(t, nil)
	admin, u := n.client(), n.as("u", "+get ~*")
	u.expect(lines("GET k"), "$-1")
	admin.ok("ACL SETUSER u -get")
	u.expect(lines("GET k"), "-NOPERM this user has no permissions to run the 'get' command")
	admin.ok("ACL SETUSER u +get off")
	u.expect(lines("GET k", "AUTH u x"), "$-1", "-WRONGPASS invalid username-password pair or user is disabled.")
}

func TestSubscribersWhoMayNoLongerListenEnd(t *testing.T) {
	n := newNode(t, nil)
	admin := n.client()
	u := func(sub string) *client {
		c := n.as("u", "+@all ~* &a* &p*")
		c.send(sub)
		c.replies(1)
		return c
	}
	channel, pattern, shard := u("SUBSCRIBE a1"), u("PSUBSCRIBE p*"), u("SSUBSCRIBE a2")
	idle := n.as("idle", "+@all &a")
	admin.ok("ACL SETUSER u &more")
	admin.ok("ACL SETUSER u resetchannels &a* &p* &new")
	admin.ok("PING")
	if channel.out.dead.Load() || pattern.out.dead.Load() || shard.out.dead.Load() {
		t.Fatal("a subscriber was cut who may still listen")
	}
	admin.ok("ACL SETUSER u resetchannels &a1 &p?") // the pattern is not named word for word
	until(t, "subscribers are cut", func() bool { return pattern.out.dead.Load() && shard.out.dead.Load() })
	if channel.out.dead.Load() {
		t.Error("the subscriber of a1 was cut")
	}
	admin.ok("ACL SETUSER u allchannels")
	admin.ok("ACL SETUSER idle resetchannels")
	admin.ok("ACL SETUSER u resetchannels")
	until(t, "the last is cut", channel.out.dead.Load)
	if idle.out.dead.Load() {
		t.Error("a connection that listens to nothing was cut")
	}
}

// Channels of what is published and listened to.
func TestChannelsAreChecked(t *testing.T) {
	u := newNode(t, nil).as("u", "+@all ~* &a &p*")
	const refused = "-NOPERM this user has no permissions to access one of the channels used as arguments"
	u.expect(lines("PUBLISH a m", "PUBLISH b m", "SPUBLISH p1 m", "SPUBLISH b m", "SUBSCRIBE a b", "SSUBSCRIBE b", "PSUBSCRIBE p1", "PSUBSCRIBE a b"),
		":0", refused, ":0", refused, refused, refused, refused, refused)
	u.expect(lines(`EVAL "return redis.pcall('publish','b','m').err" 0`), "$87 ERR The user executing the script can't publish to the channel mentioned in the command")
	u.expect(lines("PSUBSCRIBE p*", "UNSUBSCRIBE b"), "*3 $10 psubscribe $2 p* :1", "*3 $11 unsubscribe $1 b :1")
}

// Scripts of a limited user, in all the ways in which they run.
func TestScriptsAreCheckedWithin(t *testing.T) {
	n := newNode(t, nil)
	u := n.as("u", "+@all -get ~k*")
	const command, key = "ERR The user executing the script can't run this command or subcommand", "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments"
	bulk := func(s string) string { return fmt.Sprintf("$%d %s", len(s), s) }
	get, set := `"return redis.pcall('get','k1').err or 'none'" 0`, `"return redis.pcall('set','x',1).err or 'none'" 0`
	u.expect(lines("EVAL "+get, "EVAL_RO "+get, "EVAL "+set), bulk(command), bulk(command), bulk(key))
	u.expect(lines("SET k1 1", "EVAL "+get, "EVAL_RO "+get), "+OK", bulk(command), bulk(command)) // behind a write they ride
	u.expect(lines("MULTI", "SET k1 1", "EVAL "+get, "EVAL_RO "+get, "EXEC"), "+OK", "+QUEUED", "+QUEUED", "+QUEUED", "*3 +OK "+bulk(command)+" "+bulk(command))
	u.expect(lines("MULTI", "EVAL_RO "+get, "EXEC"), "+OK", "+QUEUED", "*1 "+bulk(command))
	u.send(`EVAL "redis.call('set','x',1)" 0`)
	if got := u.replies(1)[0]; !strings.HasPrefix(got, "-"+key+" script: ") {
		t.Error(got)
	}
	u.expect(lines(`EVAL "return redis.acl_check_cmd('set','k','v')" 0`, `EVAL "return redis.acl_check_cmd('get','k')" 0`, `EVAL "return redis.acl_check_cmd('set','x','v')" 0`,
		`EVAL "return redis.acl_check_cmd('config','get','x')" 0`), ":1", "$-1", "$-1", ":1")
	admin := n.client()
	if log := admin.do("ACL", "LOG"); !strings.HasPrefix(log, "*2 ") || !strings.Contains(log, "$7 context $3 lua $6 object $1 x $8 username $1 u") || !strings.Contains(log, " user=u ") {
		t.Errorf("ACL LOG: %s", log)
	}
	admin.expect(lines("EVAL "+get), "$4 none")
}

// Only hashes leave the session; nobody is shown a password.
func TestPasswordsAreNotShown(t *testing.T) {
	n := newNode(t, nil)
	admin, watcher := n.client(), n.client()
	watcher.ok("MONITOR")
	admin.ok("CONFIG SET slowlog-log-slower-than 0", "SLOWLOG RESET", "ACL SETUSER u on >secret", "MULTI", "ACL SETUSER u >secret2", "EXEC")
	admin.send("ACL SETUSER u <secret3", "CONFIG SET requirepass secret4")
	admin.replies(2)
	other := n.client()
	other.send("AUTH u wrongsecret", "AUTH u secret", "AUTH secret", "HELLO 2 AUTH u secret")
	other.replies(4)
	for _, got := range []string{admin.do("SLOWLOG", "GET", "-1"), admin.do("ACL", "LIST"), admin.do("ACL", "LOG"), admin.do("ACL", "GETUSER", "u"), watcher.rest()} {
		if strings.Contains(got, "secret") {
			t.Errorf("a password is shown: %s", got)
		}
	}
	if got := admin.do("SLOWLOG", "GET", "-1"); !strings.Contains(got, "$3 ACL $7 SETUSER $10 (redacted) $10 (redacted)") {
		t.Errorf("SLOWLOG: %s", got)
	}
	for _, u := range n.cluster.Engine.Users().All() {
		for _, p := range u.Passwords {
			if len(p) != 64 {
				t.Errorf("%s has the password %q", u.Name, p)
			}
		}
	}
}

// requirepass is the default user's password: each node's own until a command gives the
// cluster one.
func TestRequirepassAndTheDefaultUser(t *testing.T) {
	n := newNode(t, nil)
	if err := n.config.Set(config.Pair{Name: "requirepass", Value: "own"}); err != nil {
		t.Fatal(err)
	}
	c := n.client()
	c.expect(lines("GET k", "AUTH wrong", "AUTH own", "GET k"), "-NOAUTH Authentication required.", "-WRONGPASS invalid username-password pair or user is disabled.", "+OK", "$-1")
	if n.cluster.Engine.Users().Changes() != 0 || n.server.DefaultNeedsNoPassword() {
		t.Error("the node's own password is the cluster's")
	}
	c.ok("ACL SETUSER default -debug") // no word of passwords: the node's own stays
	n.client().expect(lines("GET k", "AUTH own"), "-NOAUTH Authentication required.", "+OK")
	c.ok("ACL SETUSER default >more") // now it is the cluster's, beside the new one
	n.client().expect(lines("GET k", "AUTH own", "AUTH more"), "-NOAUTH Authentication required.", "+OK", "+OK")
	c.ok("CONFIG SET requirepass next")
	n.client().expect(lines("AUTH own", "AUTH more", "AUTH next"), "-WRONGPASS invalid username-password pair or user is disabled.", "-WRONGPASS invalid username-password pair or user is disabled.", "+OK")
	c.expect(lines("GET k"), "$-1") // who is in stays in
	waiting := n.client()
	c.ok(`CONFIG SET requirepass ""`)
	waiting.expect(lines("GET k"), "$-1")
	if !n.server.DefaultNeedsNoPassword() {
		t.Error("no password is required, and protected mode would not know")
	}
	c.ok("ACL SETUSER default off")
	n.client().expect(lines("GET k", "AUTH default x", "PING"), "-NOAUTH Authentication required.", "-WRONGPASS invalid username-password pair or user is disabled.", "-NOAUTH Authentication required.")
}

// Before its semantic version nobody makes users, and requirepass is each node's own.
func TestUsersNeedTheirVersion(t *testing.T) {
	n := newNode(t, func(c *sessiontest.Cluster) { c.Rules = semantic.Conversation - 1 })
	c := n.client()
	refused := func(what string) string {
		return string("-" + reply.TooNew(what, semantic.Conversation, semantic.Conversation-1))
	}
	c.expect(lines("ACL SETUSER u on", "ACL DELUSER u", "CONFIG SET requirepass x", "ACL WHOAMI"), refused("'acl|setuser'"), refused("'acl|deluser'"), "+OK", "$7 default")
	n.client().expect(lines("GET k", "AUTH x"), "-NOAUTH Authentication required.", "+OK")
	if n.cluster.Engine.Users().Changes() != 0 {
		t.Error("the users have changed")
	}
}

// The users of a configuration are those of a cluster that has none; until they are in
// force nobody is served.
func TestFirstUsers(t *testing.T) {
	open := func(way string, users ...string) *node {
		return newNodeWith(t, func(o *session.Options) {
			o.Cluster.(*sessiontest.Cluster).Pause()
			o.FirstWay, o.FirstUsers = way, acl.HashedLines(users)
		})
	}
	n := open(engine.FirstFile, "user default off", "user u on >x +@all ~*")
	c := n.client()
	const pending = "-LOADING the users of this node's configuration are not in force yet"
	c.expect(lines("GET k", "AUTH u x", "AUTH default x", "PING"), pending, pending, pending, pending)
	n.cluster.Resume()
	until(t, "the users are in force", func() bool { return n.cluster.Engine.Users().Changes() > 0 })
	c.expect(lines("GET k", "AUTH u x", "GET k"), "-NOAUTH Authentication required.", "+OK", "$-1")
	n = open(engine.FirstConf, "user u on nopass")
	n.cluster.Resume()
	until(t, "the users are in force", func() bool { return n.cluster.Engine.Users().Changes() > 0 })
	n.client().expect(lines("GET k", "AUTH u x"), "$-1", "+OK")
}

func TestLoadAndSave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.acl")
	none := newNode(t, nil).client()
	if got := none.do("ACL", "LOAD"); !strings.HasPrefix(got, "-ERR This Redis instance is not configured to use an ACL file.") || got != none.do("ACL", "SAVE") {
		t.Error(got)
	}
	n := newNodeWith(t, func(o *session.Options) {
		conf, err := config.Parse([]string{"--aclfile", path})
		if err != nil {
			t.Fatal(err)
		}
		o.Config = conf
	})
	admin := n.client()
	if got := admin.do("ACL", "LOAD"); got != "-ERR Error loading ACLs, opening file '"+path+"': No such file or directory" {
		t.Error(got)
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("user u on >x +get ~*\n\nuser default on nopass ~* &* +@all\n")
	old := n.as("u", "+@all ~*")
	admin.expect(lines("ACL LOAD"), "+OK")
	until(t, "connections of the users before are cut", old.out.dead.Load)
	if admin.out.dead.Load() {
		t.Error("the default user's connection was cut")
	}
	n.client().expect(lines("AUTH u x", "GET k", "SET k v"), "+OK", "$-1", "-NOPERM this user has no permissions to run the 'set' command")
	write("user u on >y\nuser u on\nuserx\nuser v +nosuch bogus (+get\nuser w bogus ~a b\n")
	want := "-ERR WARNING: Duplicate user 'u' found on line 2. " + path + ":3 should start with user keyword followed by the username. " +
		path + ":4: Unmatched parenthesis in selector definition." + path + ":5: Syntax error. " +
		"WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
	if got := admin.do("ACL", "LOAD"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	n.client().expect(lines("AUTH u x"), "+OK")
	admin.ok("ACL SETUSER v on", "ACL SAVE")
	saved, err := os.ReadFile(path)
	if want := "user default on nopass ~* &* +@all\nuser u on #" + acl.Hash([]byte("x")) + " ~* resetchannels -@all +get\nuser v on resetchannels -@all\n"; err != nil || string(saved) != want {
		t.Errorf("saved %q, %v\nwant  %q", saved, err, want)
	}
	admin.expect(lines("ACL LOAD", "ACL USERS"), "+OK", "*3 $7 default $1 u $1 v")
	admin.expect(lines("ACL DELUSER v", "MULTI", "ACL LOAD", "GET k", "EXEC", "ACL USERS"), ":1", "+OK", "+QUEUED", "+QUEUED", "*2 +OK $-1", "*3 $7 default $1 u $1 v")
	const notHere = "-ERR ACL LOAD can't be in a transaction that watches keys or changes users"
	for _, before := range []string{"WATCH k", "SET k 1"} {
		admin.expect(lines(before, "MULTI", "ACL LOAD", "EXEC", "UNWATCH"), "+OK", "+OK", "+QUEUED",
			map[string]string{"WATCH k": "*1 " + notHere, "SET k 1": "*1 +OK"}[before], "+OK")
	}
	admin.expect(lines("DEL k", "MULTI", "ACL SETUSER v off", "ACL LOAD", "EXEC"), ":1", "+OK", "+QUEUED", "+QUEUED", "*2 +OK "+notHere)
	admin.expect(lines("ACL LOAD"), "+OK")
	self := n.as("u", "+@all ~*")
	self.expect(lines("ACL LOAD"), "+OK")
	if self.open {
		t.Error("whoever loads other users in the place of his own is told so, and then closed")
	}
}

// CLIENT knows users.
func TestClientsHaveUsers(t *testing.T) {
	n := newNode(t, nil)
	admin, u := n.client(), n.as("u", "+@all ~*")
	if got := u.do("CLIENT", "INFO"); !strings.Contains(got, " user=u ") {
		t.Error(got)
	}
	admin.expect(lines("CLIENT KILL USER nosuch", "CLIENT KILL USER u"), "-ERR No such user 'nosuch'", ":1")
	if !u.out.dead.Load() || admin.out.dead.Load() {
		t.Error("not the clients of u were killed")
	}
	v := n.as("v", "+@all ~*")
	v.expect(lines("RESET", "ACL WHOAMI"), "+RESET", "$7 default")
}

// A node that has just started does not know yet what the log holds: who needs no password
// by its state waits for the cluster before he touches data.
func TestStartingNodesAskWhoNeedsAPassword(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	open := func() *node {
		return openNode(t, func(c *sessiontest.Cluster) {
			c.Barrier = func(session.Consistency) error {
				if down.Load() {
					return reply.ErrNoLeader
				}
				return nil
			}
		}, func(o *session.Options) { o.Unsure = true })
	}
	n := open()
	a, b, idle := n.client(), n.client(), n.client()
	a.expect(lines("PING", "GET k", "SET k v", "PUBLISH c m", "SUBSCRIBE c", "CONFIG GET port"), "+PONG",
		"-"+string(reply.ErrNoLeader), "-"+string(reply.ErrNoLeader), "-"+string(reply.ErrNoLeader), "-"+string(reply.ErrNoLeader), "*2 $4 port $4 6379")
	n.cluster.Engine.Apply(func(s *engine.Step) { // the log comes
		s.Do(0, [][]byte{[]byte("ACL"), []byte("SETUSER"), []byte("default"), []byte(">x")}, false, reply.NewWriter(reply.RESP2, nil))
	})
	down.Store(false)
	b.send("SET k v")
	if got := b.replies(1)[0]; got != "-NOAUTH Authentication required." {
		t.Error(got)
	}
	if !idle.out.dead.Load() {
		t.Error("a client who came without a password stays")
	}
	n.client().expect(lines("GET k", "AUTH x", "GET k"), "-NOAUTH Authentication required.", "+OK", "$-1")
	n = open() // where nobody needs a password
	c := n.client()
	c.expect(lines("SET k v", "GET k"), "+OK", "$1 v")
}

// What was given or taken on another node counts here once it was acknowledged there: the
// barrier brings it.
func TestRulesOfAMomentAgoCount(t *testing.T) {
	var late func()
	n := newNode(t, func(c *sessiontest.Cluster) {
		c.Barrier = func(session.Consistency) error {
			if f := late; f != nil {
				late = nil
				f()
			}
			return nil
		}
	})
	u := n.as("u", "+get +strlen ~*")
	then := func(args ...string) {
		late = func() {
			n.cluster.Engine.Apply(func(s *engine.Step) {
				var words [][]byte
				for _, arg := range args {
					words = append(words, []byte(arg))
				}
				s.Do(0, words, false, reply.NewWriter(reply.RESP2, nil))
			})
		}
	}
	then("ACL", "SETUSER", "u", "+set")
	u.expect(lines("SET k v"), "+OK")
	then("ACL", "SETUSER", "u", "-get")
	u.expect(lines("STRLEN k", "GET k", "STRLEN k"), ":1", "-NOPERM this user has no permissions to run the 'get' command", ":1")
	then("ACL", "SETUSER", "u", "-set")
	u.expect(lines("STRLEN k"), ":1")
	u.expect(lines("SET k v"), "-NOPERM this user has no permissions to run the 'set' command")
	then("ACL", "DELUSER", "u")
	u.send("STRLEN k")
	if got := u.replies(1)[0]; got != "-NOAUTH Authentication required." || u.open {
		t.Errorf("a user who is deleted reads: %s", got)
	}
}
