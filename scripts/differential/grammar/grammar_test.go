package grammar

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"testing"
)

func source(_ *rand.Rand, kind string) []byte { return []byte("<" + kind + ">") }

func TestDrawFollowsTheDescription(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"words and arguments", "GET string", `GET <string>`},
		{"a container", "OBJECT|ENCODING any", `OBJECT ENCODING <any>`},
		{"words in quotes", "XADD stream '*' field '0-1'", `XADD <stream> \* <field> 0-1`},
		{"options in any order", "SET string value [NX | XX] [EX ttl]", `SET <string> <value>( (NX|XX))?( EX <ttl>)?( (NX|XX))?`},
		{"a choice", "LPOP (list | hash)", `LPOP <(list|hash)>`},
		{"a repeated group", "ZADD zset (score member)...", `ZADD <zset>( <score> <member>)+`},
		{"a count", "ZUNION #(zset) [WEIGHTS =weight]", `ZUNION (1 <zset>|2 <zset> <zset>|3( <zset>){3})( WEIGHTS( <weight>)+)?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			command, err := Parse(c.text)
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(1, 2))
			for range 1000 {
				got := bytes.Join(command.Draw(r, source).Args, []byte(" "))
				if !regexp.MustCompile("^" + c.want + "$").Match(got) {
					t.Fatalf("drawn: %s", got)
				}
			}
		})
	}
}

func TestCountsAreKept(t *testing.T) {
	command, err := Parse("ZUNION #(zset) WEIGHTS =weight")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		args := command.Draw(r, source).Args
		n := int(args[1][0] - '0')
		if len(args) != 3+2*n {
			t.Fatalf("drawn: %s", bytes.Join(args, []byte(" ")))
		}
	}
}

func TestOptionsAreTold(t *testing.T) {
	command, err := Parse("LMOVE list list (LEFT | RIGHT) (LEFT | RIGHT)")
	if err != nil {
		t.Fatal(err)
	}
	d := command.Draw(rand.New(rand.NewPCG(1, 2)), source)
	if len(d.Options) != 2 || d.Options[0] != string(d.Args[3]) || d.Options[1] != string(d.Args[4]) {
		t.Fatalf("%q: options %q", d.Args, d.Options)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"GET [", "GET ]", "GET (a", "GET a | b", "GET []", "GET #", "GET ...", "GET 1", "GET '"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
