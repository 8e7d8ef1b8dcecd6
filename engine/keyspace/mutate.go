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
)

// A change is one primitive change of state, as it is about to be made.
type change struct {
	op       op
	db       int
	key      []byte
	value    *Value // of opPut, opReplace and opSplice
	expireAt int64  // of opPut and opExpire
	other    int    // the offset of opSplice, the other database of opMove and opSwap
}

// mutate is what every change of state goes through, before it is made. It returns the version that the change
// gives to what it touches.
func (k *Keyspace) mutate(change) (version uint64) {
	k.mutations++
	return k.mutations
}
