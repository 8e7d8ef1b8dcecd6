package wire

import (
	"io"
	"log/slog"
	"sync"
	"time"
)

// tellEvery is how often the log tells how far a transfer is.
const tellEvery = 5 * time.Second

// TransferState is how far a transfer is.
type TransferState struct {
	Began, Last time.Time // Last: when bytes came last. Zero: none is under way
	Done, Total int64     // bytes; Total 0: nobody knows
}

// Transfer counts the bytes of a snapshot that is received or read, for those who want
// to know how far it is. The zero value counts for INFO alone; one snapshot at a time.
type Transfer struct {
	What string       // for the log: "receiving a snapshot"
	Log  *slog.Logger // nil: none

	mu    sync.Mutex
	state TransferState // guarded by mu
	told  time.Time     // guarded by mu
}

// Reader returns r's bytes, counted, and what is to be called at their end.
func (t *Transfer) Reader(r io.Reader, total int64) (counted io.Reader, end func()) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state, t.told = TransferState{Began: now, Last: now, Total: total}, now
	return transferReader{t, r}, t.end
}

func (t *Transfer) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state.Last.Sub(t.state.Began) >= tellEvery && t.Log != nil {
		t.Log.Info(t.What+": done", "bytes", t.state.Done, "seconds", int(t.state.Last.Sub(t.state.Began).Seconds()))
	}
	t.state = TransferState{}
}

// State returns how far it is.
func (t *Transfer) State() TransferState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}

type transferReader struct {
	t *Transfer
	r io.Reader
}

func (r transferReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.t.add(n)
	return n, err
}

func (t *Transfer) add(n int) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.Done += int64(n)
	t.state.Last = now
	if t.Log != nil && now.Sub(t.told) >= tellEvery {
		t.told = now
		t.Log.Info(t.What, "bytes", t.state.Done, "of", t.state.Total)
	}
}
