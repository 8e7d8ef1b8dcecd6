package stream

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestAgainstRedis repeats the commands of testdata/redis.txt and compares every
// byte of the nodes with what redis-server made of them.
func TestAgainstRedis(t *testing.T) {
	f, err := os.Open("testdata/redis.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	var (
		s      *Stream
		limits Limits
		name   string
		nodes  []node
		infos  int
	)
	for lines.Scan() {
		w := strings.Fields(lines.Text())
		switch w[0] {
		case "stream":
			s, nodes, name = New(), nil, w[1]
			limits = Limits{NodeBytes: number(t, w[2]), NodeEntries: number(t, w[3])}
		case "add":
			if err := s.Add(parse(t, w[1]), pairs(w[2:]...), limits); err != nil {
				t.Fatal(err)
			}
		case "del":
			s.Delete(parse(t, w[1]))
		case "maxlen":
			s.Trim(Trim{MaxLen: number(t, w[2]), Approx: w[1] == "~", Limit: number(t, w[3])})
		case "minid":
			s.Trim(Trim{ByID: true, MinID: parse(t, w[2]), Approx: w[1] == "~", Limit: number(t, w[3])})
		case "node":
			lp, err := hex.DecodeString(w[2])
			if err != nil {
				t.Fatal(err)
			}
			nodes = append(nodes, node{id: parse(t, w[1]), lp: lp})
		case "info":
			infos++
			compareNodes(t, name, s, nodes)
			got := fmt.Sprint(s.Len(), s.NodeCount(), s.RadixNodeCount(), " ", s.LastID, " ", s.MaxDeletedID, " ", s.EntriesAdded, " ", s.FirstID)
			if want := strings.Join(w[1:], " "); got != want {
				t.Errorf("%s: info %s, want %s", name, got, want)
			}
			check(t, s)
			reload(t, s)
		}
	}
	if infos < 4 {
		t.Errorf("%d streams compared", infos)
	}
}

func compareNodes(t *testing.T, name string, s *Stream, want []node) {
	t.Helper()
	i := 0
	s.Nodes(func(id ID, lp []byte) bool {
		if i < len(want) && (id != want[i].id || !bytes.Equal(lp, want[i].lp)) {
			t.Errorf("%s: node %d is %v %x\nwant %v %x", name, i, id, lp, want[i].id, want[i].lp)
		}
		i++
		return !t.Failed()
	})
	if i != len(want) {
		t.Errorf("%s: %d nodes, want %d", name, i, len(want))
	}
}

// reload takes a stream's nodes through AppendNode.
func reload(t *testing.T, s *Stream) {
	t.Helper()
	loaded := New()
	s.Nodes(func(id ID, lp []byte) bool {
		if err := loaded.AppendNode(id, bytes.Clone(lp)); err != nil {
			t.Fatal(err)
		}
		return true
	})
	first := loaded.FirstID
	loaded.Meta = s.Meta
	if s.Len() > 0 && first != s.FirstID {
		t.Errorf("loaded with first ID %v, want %v", first, s.FirstID)
	}
	if got, want := entries(loaded, ID{}, MaxID, false), entries(s, ID{}, MaxID, false); got != want {
		t.Errorf("loaded as %s, want %s", got, want)
	}
	check(t, loaded)
}

func number(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func parse(t testing.TB, s string) ID {
	t.Helper()
	id, _, ok := ParseID([]byte(s), 0)
	if !ok {
		t.Fatalf("%q is no ID", s)
	}
	return id
}

func pairs(words ...string) [][]byte {
	b := make([][]byte, len(words))
	for i, w := range words {
		b[i] = []byte(w)
	}
	return b
}
