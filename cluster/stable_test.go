package cluster

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

// plainStable keeps values as they are given.
type plainStable map[string][]byte

func (p plainStable) Set(k, v []byte) error { p[string(k)] = v; return nil }
func (p plainStable) Get(k []byte) ([]byte, error) {
	v, ok := p[string(k)]
	if !ok {
		return nil, errors.New("not found") // by this text raft knows it
	}
	return v, nil
}
func (p plainStable) SetUint64([]byte, uint64) error   { panic("values go through Set") }
func (p plainStable) GetUint64([]byte) (uint64, error) { panic("values go through Get") }

func TestStableValuesAreBelievedOnlyWhole(t *testing.T) {
	inner := plainStable{}
	s, err := newCheckedStable(inner, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	term := []byte("CurrentTerm")
	if _, err := s.GetUint64(term); !isNotFound(err) {
		t.Fatalf("of nothing: %v", err)
	}
	if err := s.SetUint64(term, 7); err != nil {
		t.Fatal(err)
	}
	if n, err := s.GetUint64(term); n != 7 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	stored := inner["CurrentTerm"]
	for i := range stored {
		for bit := range 8 {
			stored[i] ^= 1 << bit
			if n, err := s.GetUint64(term); err == nil {
				t.Fatalf("bit %d of byte %d flipped unseen: %d", bit, i, n)
			}
			stored[i] ^= 1 << bit
		}
	}
	inner["LastVoteTerm"] = stored
	if _, err := s.GetUint64([]byte("LastVoteTerm")); err == nil {
		t.Error("a value was believed under another key")
	}
}

// fullOrBroken is a stable store whose changes fail.
type fullOrBroken struct {
	plainStable
	err error
}

func (s *fullOrBroken) Set(k, v []byte) error {
	if s.err != nil {
		return s.err
	}
	return s.plainStable.Set(k, v)
}

// A change that failed ends the node: the disk may hold it or not. One that there
// was no room for was not made, and may be tried again.
func TestFailedChangeOfTheStableStoreIsTheEnd(t *testing.T) {
	var told []error
	inner := &fullOrBroken{plainStable: plainStable{}}
	s, err := newCheckedStable(inner, func(err error) { told = append(told, err) })
	if err != nil {
		t.Fatal(err)
	}
	term := []byte("CurrentTerm")
	inner.err = syscall.ENOSPC
	if err := s.SetUint64(term, 1); !errors.Is(err, syscall.ENOSPC) || len(told) > 0 {
		t.Errorf("no room: %v, the node was told %v", err, told)
	}
	inner.err = nil
	if err := s.SetUint64(term, 2); err != nil {
		t.Error(err)
	}
	inner.err = syscall.EIO
	if err := s.SetUint64(term, 3); !errors.Is(err, syscall.EIO) || len(told) != 1 {
		t.Errorf("broken: %v, the node was told %v", err, told)
	}
	inner.err = nil
	if err := s.SetUint64(term, 4); !errors.Is(err, syscall.EIO) {
		t.Errorf("after that: %v", err)
	}
	if n, err := s.GetUint64(term); n != 2 || err != nil {
		t.Errorf("term %d, %v", n, err)
	}
}

// A key that has gone is noticed, whether a start or a crash has listed it.
func TestLostKeyOfTheStableStore(t *testing.T) {
	inner := plainStable{}
	open := func() (*checkedStable, error) { return newCheckedStable(inner, func(error) {}) }
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetUint64([]byte("CurrentTerm"), 7); err != nil {
		t.Fatal(err)
	}
	delete(inner, string(keyKeys)) // as a crash or an older version leaves it
	if _, err := open(); err != nil {
		t.Fatal(err)
	}
	delete(inner, "CurrentTerm")
	if _, err := open(); err == nil || !strings.Contains(err.Error(), "CurrentTerm is gone") {
		t.Errorf("without the term: %v", err)
	}
}
