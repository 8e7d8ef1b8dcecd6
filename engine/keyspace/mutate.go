package keyspace

// An op is a primitive change of state.
type op uint8

// The primitive changes. The numbers are part of the state's history and never change.
const (
	opPut op = iota + 1
	opReplace
	opSplice
	opEdit
	opMove
	opDelete
	opExpire
	opEvict
	opFlush
	opSwap
	opCopy
)

// A change is one primitive change of state, as it is about to be made.
type change struct {
	op       op
	db       int
	key      []byte
	value    *Value // of opPut, opReplace and opSplice; the other key of opMove and opCopy
	expireAt int64  // of opPut and opExpire
	other    int    // the offset of opSplice, the other database of opMove, opCopy and opSwap
}

// mutate is what every change of state goes through, before it is made. It returns the version that the change
// gives to what it touches.
//
// The change becomes part of the keyspace's chain. A value that is no packed one is mixed whole when a key gets it;
// what happens to it in place after opEdit it mixes itself. Where objects are copied or move, their keys say it all.
func (k *Keyspace) mutate(c *change) (version uint64) {
	k.mutations++
	if k.watch.On.Load() {
		k.tell(c)
	}
	if k.awaited != nil {
		k.note(c)
	}
	head := uint64(c.op) | uint64(c.db)<<8 | uint64(uint32(c.other))<<32
	m := &k.chain
	if c.value == nil {
		m.Words(head, uint64(c.expireAt))
		m.Bytes(c.key)
		return k.mutations
	}
	v := c.value
	m.Words(head|uint64(v.Type)<<16|uint64(v.Enc)<<24, uint64(c.expireAt))
	m.Bytes(c.key)
	if v.Object != nil {
		v.Object.Mix(m)
		return k.mutations
	}
	m.Bytes(v.Packed)
	return k.mutations
}
