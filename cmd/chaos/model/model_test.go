package model

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/quorate/quorate/cmd/chaos/history"
)

// op returns an operation from call to ret, in milliseconds; 0 is never.
func op(client int, call, ret int64, reply string, cmd ...string) *history.Op {
	o := &history.Op{Client: client, Call: call * int64(time.Millisecond), Return: ret * int64(time.Millisecond), Cmds: []history.Cmd{cmd}, Replies: []string{reply}}
	if ret == 0 {
		o.Return, o.Outcome, o.Replies = history.Forever, history.Open, nil
	}
	return o
}

func TestCheck(t *testing.T) {
	a, b, c := history.Key(0), history.Key(1), history.Key(2)
	expiring := []*history.Op{
		op(1, 0, 1, "$OK", "SET", a, "u1", "PX", "10"),
		op(1, 2, 3, "$OK", "SET", b, "u2", "PX", "10"),
		op(1, 4, 5, "$OK", "SET", c, "u3", "PX", "10"),
	}
	for _, tc := range []struct {
		name string
		ops  []*history.Op
		want porcupine.CheckResult
	}{
		{"keys that expire together", append(expiring, op(2, 50, 51, "[_ _ _]", "MGET", a, b, c)), porcupine.Ok},
		{"one of them too early", append(expiring, op(2, 9, 10, "[_ _ _]", "MGET", a, b, c)), porcupine.Illegal},
		{"a write without a reply that nobody saw", append(expiring, op(2, 6, 0, "", "SET", a, "u4"), op(1, 50, 51, "[_ _ _]", "MGET", a, b, c)), porcupine.Ok},
		{"one whose effect is seen without its value", []*history.Op{
			op(1, 0, 1, "$OK", "SET", a, "u1"), op(2, 2, 0, "", "APPEND", a, "u2"), op(1, 4, 5, ":4", "STRLEN", a),
		}, porcupine.Ok},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Check(tc.ops, 10*time.Second).Result; got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}
