package main

import (
	"testing"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/scripts/differential/wire"
	"github.com/quorate/quorate/scripts/differential/workload"
)

func step(client int, words ...string) workload.Step {
	return workload.Step{Client: client, Args: wire.Words(words...)}
}

func TestScript(t *testing.T) {
	steps := []workload.Step{step(0, "SET", "a b", ""), step(0, "GET", "\xff")}
	replies := func(raw ...string) (values []reply.Value) {
		for _, r := range raw {
			v, _, err := reply.Read([]byte(r))
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, v)
		}
		return values
	}
	const want = `config hash-max-listpack-entries 4

run
SET "a b" ""
GET "\xff"
----
OK
(nil array)
---- resp3
OK
(nil)
`
	got := script([][2]string{{"hash-max-listpack-entries", "4"}}, steps,
		[][]reply.Value{replies("+OK\r\n", "*-1\r\n"), replies("+OK\r\n", "_\r\n")})
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestSentTogether(t *testing.T) {
	settling := step(0, "SPOP", "t1")
	settling.Settle = workload.PopTheSame
	wait := workload.Step{Wait: 1}
	for _, c := range []struct {
		name  string
		steps []workload.Step
		want  int
	}{
		{"one client", []workload.Step{step(0, "PING"), step(0, "PING")}, 2},
		{"another client", []workload.Step{step(0, "PING"), step(1, "PING")}, 1},
		{"up to what is settled", []workload.Step{step(0, "PING"), settling, step(0, "PING")}, 2},
		{"up to a wait", []workload.Step{step(0, "PING"), wait}, 1},
		{"a wait alone", []workload.Step{wait, step(0, "PING")}, 1},
	} {
		if got := together(c.steps); got != c.want {
			t.Errorf("%s: %d steps, not %d", c.name, got, c.want)
		}
	}
}

func TestTransactionsAreFollowed(t *testing.T) {
	c := &client{}
	c.follow(&workload.Step{Args: wire.Words("MULTI")}, []byte("+OK\r\n"))
	c.follow(&workload.Step{Args: wire.Words("GET", "a")}, []byte("+QUEUED\r\n"))
	c.follow(&workload.Step{Args: wire.Words("GET")}, []byte("-ERR wrong number\r\n"))
	if len(c.queued) != 1 {
		t.Fatalf("%d commands are queued", len(c.queued))
	}
	if rule := c.follow(&workload.Step{Args: wire.Words("EXEC")}, []byte("-EXECABORT\r\n")); rule == nil || c.queued != nil {
		t.Fatal("the transaction is still open")
	}
}
