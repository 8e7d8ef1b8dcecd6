package acl

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/command"
)

// testCatalog has commands of every shape that rules tell apart.
func testCatalog() *Catalog {
	spec := func(name string, group command.Group, flags command.Flags, keys ...command.KeySpec) *command.Spec {
		return &command.Spec{Name: name, Arity: -1, Group: group, Flags: flags, Keys: keys}
	}
	key := func(flags command.KeyFlags) command.KeySpec { return command.Range(flags, 1, 0, 1) }
	return NewCatalog([]*command.Spec{
		spec("get", command.String, command.ReadOnly|command.Fast, key(command.RO|command.Access)),
		spec("set", command.String, command.Write, key(command.OW|command.Update)),
		spec("getset", command.String, command.Write|command.Fast, key(command.RW|command.Access|command.Update)),
		spec("exists", command.Generic, command.ReadOnly|command.Fast, command.Range(command.RO, 1, -1, 1)),
		spec("hset", command.Hash, command.Write|command.Fast, key(command.RW|command.Update)),
		spec("hget", command.Hash, command.ReadOnly|command.Fast, key(command.RO|command.Access)),
		spec("sort", command.Generic, command.Write, key(command.RO|command.Access)),
		spec("select", command.Connection, command.Fast),
		spec("auth", command.Connection, command.Fast|command.NoAuth),
		spec("config", command.Server, 0), spec("config|get", command.Server, command.Admin), spec("config|set", command.Server, command.Admin),
		spec("publish", command.PubSubGroup, command.PubSub|command.Fast), spec("subscribe", command.PubSubGroup, command.PubSub),
		spec("psubscribe", command.PubSubGroup, command.PubSub), spec("unsubscribe", command.PubSubGroup, command.PubSub),
	})
}

func set(t *testing.T, us *Users, line string) *Users {
	t.Helper()
	words := strings.Split(line, " ")
	rules, err := Merge(words[1:])
	if err == nil {
		us, err = us.Set(words[0], rules, Defaults{}, testCatalog())
	}
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return us
}

// May and may not, with the reason that tells the most.
func TestCheck(t *testing.T) {
	catalog := testCatalog()
	for _, c := range []struct{ rules, call, want string }{
		{"", "get k", "command"},
		{"+get", "get k", "key k"},
		{"+get ~k*", "get key", ""},
		{"+get ~k*", "get other", "key other"},
		{"+@all ~k", "set k v", ""},
		{"+@all %R~k", "get k", ""},
		{"+@all %R~k", "set k v", "key k"},
		{"+@all %W~k", "set k v", ""},
		{"+@all %W~k", "get k", "key k"},
		{"+@all %W~k %R~k", "getset k v", ""},
		{"+@all %W~k %R~k*", "getset k v", "key k"},
		{"+@all %R~k", "exists k", ""},
		{"+@all %W~k", "exists k", ""},
		{"+@all ~a ~b", "exists a b c", "key c"},
		{"+@all ~* -get", "get k", "command"},
		{"+@all ~* -get", "GET k", "command"},
		{"+@read ~*", "get k", ""},
		{"+@read -get ~*", "hget k f", ""},
		{"+@read -get ~*", "get k", "command"},
		{"+@read -get +@string ~*", "get k", ""},
		{"+config", "config get x", ""},
		{"+config -config|set", "config set x y", "command"},
		{"+config|get", "config get x", ""},
		{"+config|get", "config set x y", "command"},
		{"-@all +select|0 +select|1", "select 1", ""},
		{"+select|0", "select 1", "command"},
		{"+select|0 -select", "select 0", "command"},
		{"+select|0 +select -select", "select 0", "command"},
		{"", "auth x", ""},
		{"+publish &ch*", "publish ch1 m", ""},
		{"+publish &ch*", "publish other m", "channel other"},
		{"+subscribe &a &b", "subscribe a b c", "channel c"},
		{"+psubscribe &a*", "psubscribe a*", ""},
		{"+psubscribe &a*", "psubscribe ab", "channel ab"},
		{"+psubscribe allchannels", "psubscribe ab", ""},
		{"+unsubscribe", "unsubscribe any", ""},
		{"+get ~a (+set ~b)", "get a", ""},
		{"+get ~a (+set ~b)", "set b v", ""},
		{"+get ~a (+set ~b)", "set a v", "key a"},
		{"+get ~a (+set ~b)", "get b", "key b"},
		{"+get ~a (+set ~b)", "hget b f", "command"},
		{"+get ~a (+set ~b) clearselectors", "set b v", "command"},
		{"+get ~a (+get +set ~b) (+hget ~c)", "get c", "key c"},
	} {
		us := Initial()
		for _, rules := range strings.Split(c.rules, "|then|") {
			us = set(t, us, "u "+rules)
		}
		args := bytes.Fields([]byte(c.call))
		name := strings.ToLower(string(args[0]))
		if name == "config" {
			name += "|" + string(args[1])
		}
		id, ok := catalog.ID(name)
		if !ok {
			t.Fatal(name)
		}
		why, at := catalog.Compile(us.Get("u")).Check(id, args)
		got := why.String()
		if why > DeniedCommand {
			got += " " + string(args[at])
		}
		if got != c.want {
			t.Errorf("%q calls %q: %q, want %q", c.rules, c.call, got, c.want)
		}
	}
}

// What a random rule may be.
func randomRule(r *rand.Rand) string {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	command := func() string {
		return pick("+", "-") + pick("get", "set", "hset", "config", "config|get", "config|set", "select", "publish", "@read", "@write", "@fast", "@slow", "@string", "@admin", "@all", "@connection")
	}
	switch r.IntN(14) {
	case 0:
		return pick("on", "off", "nopass", "resetpass", "sanitize-payload", "skip-sanitize-payload")
	case 1:
		return pick(">", "<") + pick("a", "b")
	case 2:
		return pick("#", "!") + Hash([]byte(pick("a", "b")))
	case 3, 4:
		return pick("~", "%R~", "%W~", "%RW~") + pick("a", "b*", "*", "?c")
	case 5:
		return "&" + pick("a", "b*", "*")
	case 6:
		return pick("allkeys", "resetkeys", "allchannels", "resetchannels", "allcommands", "nocommands", "reset", "clearselectors")
	case 7:
		return "+select|" + pick("0", "1")
	case 8:
		return "(" + command() + " " + pick("~a", "%R~b", "allkeys", "&c", "") + " " + command() + ")"
	case 9:
		return pick("", "bogus", "+nosuch", "-@nosuch", "%~a", "(", "((", "(on)", "~a b", "#12", "+config|nosuch", "+config|get|x")
	}
	return command()
}

// The line that shows a user makes the same user; encoded users come back; and users that
// were given rules without a catalog are those that were given them with one.
func TestLineMakesTheSameUser(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		catalog := testCatalog()
		us, plain := Initial(), Initial()
		for range 40 {
			name := []string{"a", "b", Default}[r.IntN(3)]
			rules := []string{randomRule(r), randomRule(r)}
			before := us
			next, err := us.Set(name, rules, Defaults{}, catalog)
			if err != nil {
				if us != before {
					t.Fatal("a rule that is refused has changed something")
				}
				continue
			}
			us = next
			if plain, err = plain.Set(name, Hashed(rules), Defaults{}, nil); err != nil {
				t.Fatalf("seed %d: %q without a catalog: %v", seed, rules, err)
			}
		}
		if !reflect.DeepEqual(us, plain) {
			t.Fatalf("seed %d: the log's users are others\n%q\n%q", seed, catalog.Lines(us), catalog.Lines(plain))
		}
		loaded, err := Initial().Load(Source{File: "f"}, catalog.Lines(us), Defaults{}, catalog)
		if err != nil {
			t.Fatalf("seed %d: %q: %v", seed, catalog.Lines(us), err)
		}
		if !slices.Equal(catalog.Lines(us), catalog.Lines(loaded)) {
			t.Fatalf("seed %d:\n%q became\n%q", seed, catalog.Lines(us), catalog.Lines(loaded))
		}
		for i, u := range us.All() {
			a, b := catalog.Compile(u), catalog.Compile(loaded.All()[i])
			for j := range a.grants {
				if !slices.Equal(a.grants[j].bits, b.grants[j].bits) || a.grants[j].future != b.grants[j].future {
					t.Fatalf("seed %d: %q allows other commands", seed, catalog.Line(u))
				}
			}
		}
		encoded := us.Append(nil)
		back, err := Decode(encoded)
		if err != nil || !bytes.Equal(back.Append(nil), encoded) || !slices.Equal(catalog.Lines(back), catalog.Lines(us)) {
			t.Fatalf("seed %d: decoded %v, %v", seed, back, err)
		}
		for cut := range encoded {
			if _, err := Decode(encoded[:cut]); err == nil {
				t.Fatalf("seed %d: cut at %d: no error", seed, cut)
			}
		}
	}
}

// A user who was deleted and made again is another.
func TestBorn(t *testing.T) {
	us := set(t, Initial(), "u on")
	first := us.Get("u").Born
	us = set(t, us, "u off")
	if us.Get("u").Born != first {
		t.Error("a changed user is another")
	}
	us, n := us.Delete([]string{"u", "nobody", Default})
	if n != 1 || us.Get("u") != nil || us.Get(Default) == nil {
		t.Errorf("%d were deleted", n)
	}
	if us = set(t, us, "u on"); us.Get("u").Born == first {
		t.Error("a new user is the old one")
	}
	old := us.Get("u").Born
	us, err := us.Load(Source{File: "f"}, []string{"user u on", "", "user default off"}, Defaults{}, nil)
	if err != nil || us.Get("u").Born == old || us.Get(Default).Born != 0 || us.Get(Default).Enabled() {
		t.Errorf("loaded %+v, %v", us.Get("u"), err)
	}
}

// What a file says of the default user, and what it leaves to requirepass.
func TestSettled(t *testing.T) {
	f := func(want bool, us *Users, err error) {
		t.Helper()
		if err != nil || us.Settled() != want {
			t.Errorf("settled is %v, %v", !want, err)
		}
	}
	f(false, Initial(), nil)
	f(false, set(t, Initial(), "default -get"), nil)
	f(false, set(t, Initial(), "u nopass"), nil)
	f(true, set(t, Initial(), "default >x"), nil)
	f(true, set(t, Initial(), "default nopass"), nil)
	us, err := Initial().Load(Source{Conf: true}, []string{"user u on"}, Defaults{}, nil)
	f(false, us, err)
	us, err = Initial().Load(Source{Conf: true}, []string{"user default off"}, Defaults{}, nil)
	f(true, us, err)
	us, err = Initial().Load(Source{}, []string{"user u on"}, Defaults{}, nil)
	f(true, us, err)
}

func TestUsersHaveABound(t *testing.T) {
	us := Initial()
	var err error
	for i := 0; i < 64 && err == nil; i++ {
		var next *Users
		if next, err = us.Set(strings.Repeat("u", i+1), []string{"~" + strings.Repeat("k", 1<<20)}, Defaults{}, nil); err == nil {
			us = next
		}
	}
	if err != ErrTooMany || len(us.All()) > 17 {
		t.Errorf("%d users, %v", len(us.All()), err)
	}
}

// FuzzRules: no rule makes a user that its line does not make again.
func FuzzRules(f *testing.F) {
	for _, rules := range []string{"on >x ~a +get", "(+get ~a", "%RW~x &y +@all -@read", "+select|0 reset", "(+get) (", "#", "+|", "-|a", "+a|b|c", "%", "()"} {
		f.Add(rules)
	}
	catalog := testCatalog()
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := Merge(strings.Split(text, " "))
		if err != nil {
			return
		}
		us, err := Initial().Set("u", rules, Defaults{}, catalog)
		if err != nil {
			return
		}
		catalog.Compile(us.Get("u"))
		loaded, err := Initial().Load(Source{}, catalog.Lines(us), Defaults{}, catalog)
		if err != nil || !slices.Equal(catalog.Lines(us), catalog.Lines(loaded)) {
			t.Fatalf("%q became %v, %v", catalog.Lines(us), loaded, err)
		}
		back, err := Decode(us.Append(nil))
		if err != nil || !slices.Equal(catalog.Lines(us), catalog.Lines(back)) {
			t.Fatalf("decoded %v, %v", back, err)
		}
	})
}

// FuzzDecode: what is damaged is refused or harmless.
func FuzzDecode(f *testing.F) {
	us, _ := Initial().Set("u", []string{"on", ">x", "~a", "%R~b", "&c", "+get", "(+set ~d)"}, Defaults{}, nil)
	f.Add(us.Append(nil))
	catalog := testCatalog()
	f.Fuzz(func(t *testing.T, b []byte) {
		us, err := Decode(b)
		if err != nil {
			return
		}
		for _, u := range us.All() {
			catalog.Compile(u)
			catalog.Line(u)
		}
	})
}
