package keyspace

// Reserve gives an empty database a table for the given number of keys, of which it believes [reserveMax]. It is
// for keys that will come in hash order, as from a snapshot: a table that grows meanwhile is a few segments for the
// hashes that are still to come, and all keys crowd at the lower end of one.
func (d *DB) Reserve(keys int) {
	const perSegment = 700 // a segment splits at 1036
	depth := uint8(0)
	for keys = min(keys, reserveMax); keys>>depth > perSegment; {
		depth++
	}
	if d.store.keys != 0 || depth == 0 {
		return
	}
	t := table{dir: make([]*segment, 1<<depth), depth: depth, segments: 1 << depth}
	for i := range t.dir {
		g := &segment{depth: depth, shift: depth}
		g.fill(nil, lenFor(keys>>depth*9/8))
		t.dir[i] = g
		t.slots += len(g.slots)
	}
	d.store.table = t
}

// reserveMax bounds what Reserve takes, which is 10 bytes a key.
const reserveMax = 1 << 27
