package cluster

import (
	"errors"
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
	s := checkedStable{inner}
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
