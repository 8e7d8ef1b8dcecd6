package seed

import (
	"encoding/binary"
	"testing"
)

// The reference vectors of SipHash-2-4: key 00 01 .. 0f, message 00 01 .. n-1.
func TestHashIsSipHash24(t *testing.T) {
	key := make([]byte, 16)
	for i := range key {
		key[i] = byte(i)
	}
	s := Seed{K0: binary.LittleEndian.Uint64(key), K1: binary.LittleEndian.Uint64(key[8:])}

	message := make([]byte, 15)
	for i := range message {
		message[i] = byte(i)
	}
	for _, c := range []struct {
		length int
		want   uint64
	}{
		{0, 0x726fdb47dd0e0e31},
		{1, 0x74f839c593dc67fd},
		{15, 0xa129ca6149be45e5},
	} {
		if got := s.Hash(message[:c.length]); got != c.want {
			t.Errorf("Hash of %d bytes = %#x, want %#x", c.length, got, c.want)
		}
	}
}

func TestHashDependsOnBothHalves(t *testing.T) {
	b := []byte("member")
	base := Seed{1, 2}.Hash(b)
	if base == (Seed{3, 2}).Hash(b) || base == (Seed{1, 3}).Hash(b) {
		t.Error("a half of the seed does not enter the hash")
	}
}
