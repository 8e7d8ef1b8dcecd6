package engine

import (
	"bytes"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
)

// doAs carries out a command of the log for a user, and returns its reply.
func doAs(e *Engine, user string, args ...string) string {
	out := reply.NewWriter(reply.RESP2, nil)
	e.Apply(func(s *Step) { s.DoAs(call.As{User: user}, 0, words(args...), false, out) })
	return strings.TrimSpace(string(out.Bytes()))
}

const getsKey = "local v = redis.pcall('get', 'k'); return v and v.err or 'allowed'"

// Users are in the snapshot, and scripts are checked by them on a node that came by way of
// it as on the one that wrote it. Chains are equal.
func TestUsersAreInTheSnapshot(t *testing.T) {
	e := New(Options{})
	told := 0
	e.OnUsers(func() { told++ })
	doAs(e, "", "ACL", "SETUSER", "u", "on", ">x", "+@read", "+eval", "~a*", "(+get", "~k)")
	doAs(e, "", "ACL", "SETUSER", "gone", "on")
	doAs(e, "", "ACL", "DELUSER", "gone")
	if told != 3 {
		t.Errorf("users have changed %d times, told %d times", 3, told)
	}
	var file bytes.Buffer
	s, err := e.Freeze(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WriteRDB(&file); err != nil {
		t.Fatal(err)
	}
	s.Close()
	other := New(Options{})
	other.OnUsers(func() { told++ })
	if err := other.Restore(&file, nil); err != nil {
		t.Fatal(err)
	}
	if told != 4 || !bytes.Equal(other.Users().Append(nil), e.Users().Append(nil)) || other.Users().Get("u") == nil || other.Users().Get("gone") != nil {
		t.Errorf("told %d times; restored %v", told, other.Users().All())
	}
	for _, node := range []*Engine{e, other} {
		for user, want := range map[string]string{
			"": "allowed", "u": "allowed", "gone": "can't run this command",
		} {
			if got := doAs(node, user, "EVAL", getsKey, "0"); !strings.Contains(got, want) {
				t.Errorf("%q: %s", user, got)
			}
		}
		doAs(node, "", "ACL", "SETUSER", "u", "clearselectors")
		if got := doAs(node, "u", "EVAL", getsKey, "0"); !strings.Contains(got, "can't access at least one of the keys") {
			t.Errorf("after a change: %s", got)
		}
	}
	if e.Chain() != other.Chain() {
		t.Error("the chains differ")
	}
}

// Each way of loading users, and what is refused.
func TestLoadingUsers(t *testing.T) {
	load := func(e *Engine, way, lines string) (err error) {
		e.Apply(func(s *Step) { err = s.Set(words(LoadUsers, UsersValue(way, strings.Split(lines, "\n")))) })
		return err
	}
	e := New(Options{})
	if load(e, "bogus", "") == nil || load(e, LoadFile, "bogus") == nil || e.Users().Changes() != 0 {
		t.Error("wrong ways and lines are taken")
	}
	if err := load(e, FirstConf, "user u on"); err != nil || e.Users().Get("u") == nil || e.Users().Settled() {
		t.Errorf("%v, %v", e.Users().All(), err)
	}
	if err := load(e, FirstFile, "user v on"); err != nil || e.Users().Get("v") != nil {
		t.Errorf("a second offer was taken: %v", err)
	}
	if err := load(e, LoadFile, "user w on"); err != nil || e.Users().Get("w") == nil || e.Users().Get("u") != nil || !e.Users().Settled() {
		t.Errorf("%v, %v", e.Users().All(), err)
	}
	if _, shown := e.Setting(LoadUsers); shown || e.AllSettings()[LoadUsers] != "" {
		t.Error("users are shown as a setting")
	}
	if err := CheckSettings(words(LoadUsers, UsersValue(LoadFile, nil)), semantic.Conversation-1); err == nil {
		t.Error("users were loaded before their version")
	}
}
