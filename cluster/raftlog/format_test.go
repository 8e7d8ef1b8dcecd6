package raftlog

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// TestFormat pins the bytes on disk: a log written by one release is read by the
// next. A change here needs a new segmentVersion and the old decoder kept.
func TestFormat(t *testing.T) {
	p := place{generation: 0x1122334455667788, offset: 64, durable: 64, session: 2}
	l := &raft.Log{
		Index: 7, Term: 3, Type: raft.LogCommand, Data: []byte("data"), Extensions: []byte("x"),
		AppendedAt: time.Unix(0, 0x0102030405060708),
	}
	g := &segment{seq: 5, generation: 0x1122334455667788, size: 4096, oldest: 4}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"segment header": {g.header(), goldenSegment},
		"entry":          {appendEntry(nil, p, l), goldenEntry},
		"cut":            {appendControl(nil, p, kindTruncate, 7, 0), goldenCut},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s is\n%s, want\n%s", name, got, c.want)
		}
	}
	b, err := hex.DecodeString(goldenEntry)
	must(t, err)
	r, ok := decodeRecord(b)
	if !ok {
		t.Fatal("the entry does not decode")
	}
	var got raft.Log
	r.entry(&got)
	if !sameEntry(&got, l) || r.place != p {
		t.Errorf("decoded %+v at %+v", got, r.place)
	}
}

const (
	goldenSegment = "7aedaf0851524c47010000000000000005000000000000008877665544332211" +
		"0010000000000000040000000000000000000000000000000000000000000000"
	goldenEntry = "f22dc67b01000000040000000100000088776655443322114000000000000000" +
		"4000000000000000020000000000000007000000000000000300000000000000" +
		"08070605040302016461746178000000"
	goldenCut = "433e92ed02000000000000000000000088776655443322114000000000000000" +
		"4000000000000000020000000000000007000000000000000000000000000000"
)
