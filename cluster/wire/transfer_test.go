package wire

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A transfer tells how far it is, now and then in the log, and nothing once it is over.
func TestTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		transfer := &Transfer{What: "receiving", Log: slog.New(slog.NewTextHandler(&log, nil))}
		if s := transfer.State(); !s.Began.IsZero() {
			t.Errorf("before it began: %+v", s)
		}
		r, end := transfer.Reader(strings.NewReader("0123456789"), 10)
		began := time.Now()
		piece := make([]byte, 4)
		for i := 1; i <= 2; i++ {
			time.Sleep(3 * time.Second)
			if _, err := io.ReadFull(r, piece); err != nil {
				t.Fatal(err)
			}
			want := TransferState{Began: began, Last: began.Add(time.Duration(3*i) * time.Second), Done: int64(4 * i), Total: 10}
			if s := transfer.State(); s != want {
				t.Errorf("it is at %+v, want %+v", s, want)
			}
		}
		end()
		if s := transfer.State(); s != (TransferState{}) {
			t.Errorf("after its end: %+v", s)
		}
		if got := log.String(); strings.Count(got, "receiving") != 2 || !strings.Contains(got, "bytes=8 of=10") || !strings.Contains(got, "done") {
			t.Errorf("the log has %s", got)
		}
	})
}
