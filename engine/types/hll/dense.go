package hll

const registerMask = 1<<registerBits - 1

// Register returns register i of a dense form.
func Register(b []byte, i int) byte {
	at, shift := headLen+i*registerBits/8, i*registerBits%8
	v := b[at] >> shift
	if shift+registerBits > 8 {
		v |= b[at+1] << (8 - shift)
	}
	return v & registerMask
}

// A Patch is what Len bytes from byte Off on are to be. A register lies in two
// bytes at most.
type Patch struct {
	Off, Len int
	bytes    [2]byte
}

// Bytes returns what the bytes are to be.
func (p *Patch) Bytes() []byte { return p.bytes[:p.Len] }

// Raise returns what makes register i of a dense form rank, and whether it is
// less so far.
func Raise(b []byte, i int, rank byte) (p Patch, less bool) {
	if Register(b, i) >= rank {
		return Patch{}, false
	}
	p.Off, p.Len = headLen+i*registerBits/8, 1
	shift := i * registerBits % 8
	p.bytes[0] = b[p.Off]&^(registerMask<<shift) | rank<<shift
	if shift+registerBits > 8 {
		p.Len = 2
		p.bytes[1] = b[p.Off+1]&^(registerMask>>(8-shift)) | rank>>(8-shift)
	}
	return p, true
}

// Dense returns b in dense form: b itself if it has it.
func Dense(b []byte) ([]byte, error) {
	if IsDense(b) {
		return b, nil
	}
	var u Union
	if err := u.Merge(b); err != nil {
		return nil, err
	}
	dense := make([]byte, denseLen)
	copy(dense, b[:headLen])
	dense[formAt] = formDense
	registers := dense[headLen:]
	for i := 0; i < Registers; i += 4 { // in three bytes
		v := uint32(u[i]) | uint32(u[i+1])<<6 | uint32(u[i+2])<<12 | uint32(u[i+3])<<18
		registers[0], registers[1], registers[2] = byte(v), byte(v>>8), byte(v>>16)
		registers = registers[3:]
	}
	return dense, nil
}

// A Union is the registers of several HyperLogLogs, the larger of each.
type Union [Registers]byte

// Merge adds b to the union, which is spoilt if b is corrupt.
func (u *Union) Merge(b []byte) error {
	if !IsDense(b) {
		return u.mergeSparse(b)
	}
	registers := b[headLen:]
	for i := 0; i < Registers; i += 4 {
		v := uint32(registers[0]) | uint32(registers[1])<<8 | uint32(registers[2])<<16
		registers = registers[3:]
		u[i] = max(u[i], byte(v&registerMask))
		u[i+1] = max(u[i+1], byte(v>>6&registerMask))
		u[i+2] = max(u[i+2], byte(v>>12&registerMask))
		u[i+3] = max(u[i+3], byte(v>>18&registerMask))
	}
	return nil
}

func (u *Union) mergeSparse(b []byte) error {
	if len(b) > sparseLenMax {
		return ErrCorrupt
	}
	n := 0
	for at := headLen; at < len(b); {
		op := opcodeAt(b, at)
		at += op.size
		if n+op.run > Registers {
			return ErrCorrupt
		}
		for i := n; op.rank > 0 && i < n+op.run; i++ {
			u[i] = max(u[i], op.rank)
		}
		n += op.run
	}
	if n != Registers {
		return ErrCorrupt
	}
	return nil
}
