package listpack

import (
	"bytes"
	"testing"
)

func TestAppendEmptyIsNew(t *testing.T) {
	if got, want := AppendEmpty(nil), New(0); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}
