package wire

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

var rewrite = flag.Bool("rewrite", false, "rewrite golden files")

var header = raft.RPCHeader{ProtocolVersion: 3, ID: []byte("n1"), Addr: []byte("n1@host:1")}

// messages are one of each kind, with every field set, and edge forms.
var messages = []struct {
	name string
	m    any
}{
	{"append", &raft.AppendEntriesRequest{
		RPCHeader: header, Term: 7, PrevLogEntry: 41, PrevLogTerm: 6, LeaderCommitIndex: 40,
		Entries: []*raft.Log{
			{Index: 42, Term: 7, Type: raft.LogCommand, Data: []byte("data"), Extensions: []byte("ext"), AppendedAt: time.Unix(1, 2)},
			{Index: 43, Term: 7, Type: raft.LogConfiguration, Data: bytes.Repeat([]byte("c"), 300)},
			{Index: 44, Term: 7, Type: raft.LogNoop},
		},
	}},
	{"heartbeat", &raft.AppendEntriesRequest{RPCHeader: header, Term: 7}},
	{"vote", &raft.RequestVoteRequest{RPCHeader: header, Term: 8, LastLogIndex: 9, LastLogTerm: 7, LeadershipTransfer: true}},
	{"prevote", &raft.RequestPreVoteRequest{RPCHeader: header, Term: 8, LastLogIndex: 9, LastLogTerm: 7}},
	{"timeout", timeoutAt{&raft.TimeoutNowRequest{RPCHeader: header}, 12}},
	{"snapshot", &raft.InstallSnapshotRequest{
		RPCHeader: header, SnapshotVersion: 1, Term: 3, LastLogIndex: 100, LastLogTerm: 2,
		Configuration: []byte("conf"), ConfigurationIndex: 5, Peers: []byte("p"), Size: 1 << 33,
	}},
	{"append-answer", appendAnswer{&raft.AppendEntriesResponse{Term: 7, LastLog: 44, Success: true, NoRetryBackoff: true}, true}},
	{"vote-answer", voteAnswer{9, true}},
	{"snapshot-answer", &raft.InstallSnapshotResponse{Term: 3, Success: true}},
}

type (
	timeoutAt struct {
		m    *raft.TimeoutNowRequest
		term uint64
	}
	appendAnswer struct {
		m      *raft.AppendEntriesResponse
		steady bool
	}
	voteAnswer struct {
		term    uint64
		granted bool
	}
)

func encode(m any) []byte {
	var b bytes.Buffer
	e := &encoder{w: bufio.NewWriter(&b)}
	switch m := m.(type) {
	case *raft.AppendEntriesRequest:
		e.appendEntries(m)
	case *raft.RequestVoteRequest:
		e.vote(m)
	case *raft.RequestPreVoteRequest:
		e.preVote(m)
	case timeoutAt:
		e.timeoutNow(m.m, m.term)
	case *raft.InstallSnapshotRequest:
		e.snapshot(m)
	case appendAnswer:
		e.appendResponse(m.m, m.steady)
	case voteAnswer:
		e.voteResponse(m.term, m.granted)
	case *raft.InstallSnapshotResponse:
		e.snapshotResponse(m)
	}
	e.w.Flush()
	return b.Bytes()
}

// decodeRequest reads one request as the server does.
func decodeRequest(d *decoder) any {
	switch d.u8() {
	case kindAppend:
		return d.appendEntries()
	case kindVote:
		return d.vote()
	case kindPreVote:
		return d.preVote()
	case kindTimeout:
		m, term := d.timeoutNow()
		return timeoutAt{m, term}
	case kindSnapshot:
		return d.snapshot()
	default:
		d.fail("kind")
		return nil
	}
}

func decode(like any, b []byte) (any, error) {
	d := &decoder{r: bufio.NewReader(bytes.NewReader(b))}
	var got any
	switch like.(type) {
	case appendAnswer:
		var m raft.AppendEntriesResponse
		steady := d.appendResponse(&m)
		got = appendAnswer{&m, steady}
	case voteAnswer:
		term, granted := d.voteResponse()
		got = voteAnswer{term, granted}
	case *raft.InstallSnapshotResponse:
		var m raft.InstallSnapshotResponse
		d.snapshotResponse(&m)
		got = &m
	default:
		got = decodeRequest(d)
	}
	if d.err != nil {
		return nil, d.err
	}
	if _, err := d.r.ReadByte(); err != io.EOF {
		return nil, errors.New("bytes are left over")
	}
	return got, nil
}

// Nodes of different builds talk to each other: the bytes are as they were.
func TestGolden(t *testing.T) {
	for _, tc := range messages {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join("testdata", tc.name+".hex")
			b := encode(tc.m)
			if *rewrite {
				if err := os.WriteFile(file, []byte(hex.EncodeToString(b)+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(b); got != strings.TrimSpace(string(want)) {
				t.Errorf("encoded as\n%s, was\n%s", got, want)
			}
			got, err := decode(tc.m, b)
			if err != nil || !reflect.DeepEqual(got, tc.m) {
				t.Errorf("decoded as %+v, %v", got, err)
			}
		})
	}
}

// A message cut short anywhere is an error, and an answer cut short leaves
// raft's response as it was: raft takes what it finds there for an answer.
func TestTruncation(t *testing.T) {
	for _, tc := range messages {
		b := encode(tc.m)
		for n := range b {
			if _, err := decode(tc.m, b[:n]); err == nil {
				t.Errorf("%s: %d of %d bytes were enough", tc.name, n, len(b))
			}
		}
	}
	b := encode(messages[6].m)
	var m raft.AppendEntriesResponse
	d := &decoder{r: bufio.NewReader(bytes.NewReader(b[:len(b)-1]))}
	d.appendResponse(&m)
	if !reflect.DeepEqual(m, raft.AppendEntriesResponse{}) {
		t.Errorf("half an answer: %+v", m)
	}
}

func TestLimits(t *testing.T) {
	long := raft.RPCHeader{ID: make([]byte, maxNodeName+1)}
	many := &raft.AppendEntriesRequest{Entries: make([]*raft.Log, maxEntries+1)}
	for i := range many.Entries {
		many.Entries[i] = new(raft.Log)
	}
	for name, m := range map[string]any{
		"id":            &raft.RequestVoteRequest{RPCHeader: long},
		"entries":       many,
		"extensions":    &raft.AppendEntriesRequest{Entries: []*raft.Log{{Extensions: make([]byte, maxExtensions+1)}}},
		"configuration": &raft.InstallSnapshotRequest{Configuration: make([]byte, maxConfig+1)},
		"size":          &raft.InstallSnapshotRequest{Size: -1},
	} {
		if _, err := decode(m, encode(m)); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// An announced length claims no memory before its bytes arrive.
	huge := encode(&raft.AppendEntriesRequest{Entries: []*raft.Log{{Data: []byte("x")}}})
	copy(huge[len(huge)-5:], []byte{0x3f, 0xff, 0xff, 0xff})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := decode(&raft.AppendEntriesRequest{}, huge); err == nil {
		t.Error("a gigabyte out of a byte")
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 8*readStep {
		t.Errorf("%d bytes claimed", got)
	}
}

func FuzzRequest(f *testing.F) {
	for _, tc := range messages {
		f.Add(encode(tc.m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &decoder{r: bufio.NewReader(bytes.NewReader(b))}
		m := decodeRequest(d)
		if d.err != nil {
			return
		}
		again, err := decode(m, encode(m))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v became %+v: %v", m, again, err)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte{statusOK, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 7})
	f.Add([]byte{statusError, 0, 0, 0, 1, 'x'})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &decoder{r: bufio.NewReader(bytes.NewReader(b))}
		if d.status() != nil {
			return
		}
		var m raft.AppendEntriesResponse
		if steady := d.appendResponse(&m); d.err != nil && (steady || m.Success) {
			t.Fatal("success out of a malformed answer")
		}
	})
}
