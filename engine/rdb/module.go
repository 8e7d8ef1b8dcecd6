package rdb

// What modules have written is a sequence of opcodes, each with a value.
const (
	moduleEnd    = 0
	moduleInt    = 1
	moduleUint   = 2
	moduleFloat  = 3 // 4 bytes
	moduleDouble = 4
	moduleString = 5
)

// A module's id has its type's name, nine letters of six bits each, and ten bits of
// a version.
const (
	moduleLetters     = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	moduleNameLen     = 9
	moduleLetterBits  = 6
	moduleVersionBits = 10
)

// moduleID reads a module's id and returns the name in it.
func (d *decoder) moduleID() string {
	id := d.length() >> moduleVersionBits
	var name [moduleNameLen]byte
	for i := range name {
		name[moduleNameLen-1-i] = moduleLetters[id&(1<<moduleLetterBits-1)]
		id >>= moduleLetterBits
	}
	return string(name[:])
}

// moduleAux skips what a module has written beside the data, and returns its name.
func (d *decoder) moduleAux() string {
	name := d.moduleID()
	d.length() // opcode and value that tell when it was written
	d.length()
	d.skipModule()
	return name
}

// skipModule skips a sequence of opcodes.
func (d *decoder) skipModule() {
	for d.err == nil {
		switch op := d.length(); op {
		case moduleEnd:
			return
		case moduleInt, moduleUint:
			d.length()
		case moduleFloat:
			d.uint32()
		case moduleDouble:
			d.uint64()
		case moduleString:
			d.text = d.string(scratch(d.text)[:0])
		default:
			d.fail("module opcode %d", op)
		}
	}
}
