package hll

import (
	"encoding/binary"
	"fmt"
	"math"
)

const (
	testCycles   = 20
	testElements = 1_000_000 // an order of ten less than redis-server's: a tenth of a second
)

// SelfTest tries registers and estimates out, as PFSELFTEST does, and returns
// what is wrong with them. A sparse form may grow to sparseMax bytes.
func SelfTest(sparseMax int) error {
	if err := testRegisters(); err != nil {
		return err
	}
	return testEstimates(sparseMax)
}

// testRegisters sets all registers of a dense form, and reads them.
func testRegisters() error {
	for cycle := range testCycles {
		dense, err := Dense(Append(nil))
		if err != nil {
			return err
		}
		e := Edit(dense, 0)
		var want [Registers]byte
		for i := range want {
			want[i] = byte(murmur64a([]byte{byte(cycle), byte(i), byte(i >> 8)}) & registerMask)
			e.raiseDense(i, want[i])
		}
		for i := range want {
			if got := Register(dense, i); got != want[i] {
				return fmt.Errorf("register %d should be %d but is %d", i, want[i], got)
			}
		}
	}
	return nil
}

// testEstimates adds elements to a dense form and to one that begins sparse: both
// must count the same, not far from the truth.
func testEstimates(sparseMax int) error {
	b, err := Dense(Append(nil))
	if err != nil {
		return err
	}
	dense, sparse := Edit(b, 0), Edit(Append(nil), sparseMax)
	var element [8]byte
	checkpoint := uint64(1)
	for n := uint64(1); n <= testElements; n++ {
		binary.LittleEndian.PutUint64(element[:], n)
		dense.raiseDense(Place(element[:]))
		if _, err := sparse.Add(element[:]); err != nil {
			return err
		}
		if n != checkpoint {
			continue
		}
		checkpoint *= 10
		if n < uint64(sparseMax)/2 && IsDense(sparse.Bytes()) {
			return fmt.Errorf("dense with %d elements", n)
		}
		if err := compareEstimates(n, dense.Bytes(), sparse.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// compareEstimates checks what two HyperLogLogs that have seen the same n
// elements tell.
func compareEstimates(n uint64, a, b []byte) error {
	x, err := Count(a)
	if err != nil {
		return err
	}
	y, err := Count(b)
	if err != nil {
		return err
	}
	if x != y {
		return fmt.Errorf("dense counts %d, sparse %d", x, y)
	}
	standardError := 1.04 / math.Sqrt(Registers)
	if math.Abs(float64(x)-float64(n)) > math.Ceil(6*standardError*float64(n)) {
		return fmt.Errorf("too big an error: %d elements counted as %d", n, x)
	}
	return nil
}
