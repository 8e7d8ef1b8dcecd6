package engine

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/waiting"
)

// A user who is deleted waits no longer: in the entry that deletes him, and also if the
// name is used again there. What comes behind it in the same entry is not given to him.
func TestDeletedUserIsGivenNothing(t *testing.T) {
	r := &room{engine: New(Options{}), now: 1_700_000_000_000}
	words := func(line string) (args [][]byte) {
		for _, w := range strings.Fields(line) {
			args = append(args, []byte(w))
		}
		return args
	}
	r.do("a", words("ACL SETUSER bob on nopass ~* +@all"))
	r.do("a", words("ACL SETUSER ann on nopass ~* +@all"))
	born := func(user string) uint64 { return r.engine.Users().Get(user).Born }
	wait := func(user string, born uint64) (id uint64, text string) {
		out := reply.NewWriter(reply.RESP2, nil)
		r.engine.Apply(func(s *Step) {
			r.index++
			s.Entry(r.index, r.now)
			id = s.DoOrWait(waiting.Owner{1}, call.As{User: user, Born: born}, 0, words("BLPOP k 0"), out)
		})
		if id != 0 {
			r.waits[id] = user
		}
		return id, oneLine(out.Bytes())
	}
	for _, user := range []string{"bob", "ann"} {
		if id, text := wait(user, born(user)); id == 0 {
			t.Fatalf("%s does not wait: %s", user, text)
		}
	}
	old, ann := born("bob"), born("ann")
	r.got = nil
	r.engine.Apply(func(s *Step) {
		r.index++
		s.Entry(r.index, r.now)
		var out reply.Writer
		for _, line := range []string{"ACL DELUSER bob", "ACL SETUSER bob on nopass ~* +@all", "RPUSH k 1 2"} {
			s.Do(0, words(line), false, &out)
			if s.Ready() {
				s.Serve(r)
			}
		}
	})
	if got := strings.Join(r.got, "; "); got != "ann *2 $1 k $1 1" {
		t.Errorf("served: %s", got)
	}
	if got := r.do("a", words("LRANGE k 0 -1")); !strings.Contains(got, "*1 $1 2") {
		t.Errorf("left: %s", got)
	}
	if n := r.engine.Waiting(); n != 0 {
		t.Errorf("%d wait still", n)
	}
	// A command that was on its way when its user was deleted takes nothing either, and
	// does not wait: also if there is a user of that name again.
	refused := func(user string, born uint64) {
		t.Helper()
		if id, text := wait(user, born); id != 0 || text != "-"+string(reply.ErrUserGone) {
			t.Errorf("%s of birth %d: waiter %d, %q", user, born, id, text)
		}
	}
	refused("nobody", 1)
	refused("bob", old)
	// ACL LOAD makes all users anew.
	loaded := UsersValue(LoadFile, []string{"user ann on nopass ~* +@all"})
	r.engine.Apply(func(s *Step) {
		r.index++
		s.Entry(r.index, r.now)
		if err := s.Set([][]byte{[]byte(LoadUsers), []byte(loaded)}); err != nil {
			t.Error(err)
		}
	})
	if born("ann") == ann {
		t.Error("who was loaded is who was there before")
	}
	refused("ann", ann)
	if got := r.do("a", words("LRANGE k 0 -1")); !strings.Contains(got, "*1 $1 2") {
		t.Errorf("left to those of now: %s", got)
	}
	r.do("a", words("DEL k"))
	id, text := wait("ann", born("ann"))
	if id == 0 {
		t.Fatalf("ann of now does not wait: %s", text)
	}
	if got := r.do("a", words("RPUSH k 3")); !strings.Contains(got, "ann *2 $1 k $1 3") {
		t.Errorf("ann of now: %s", got)
	}
}
