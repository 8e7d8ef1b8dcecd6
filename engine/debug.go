package engine

import (
	"fmt"
	"reflect"
	"strconv"

	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/types/list"
)

// dumpFrameBytes is what a DUMP payload has beside the value: its type, version
// and checksum.
const dumpFrameBytes = 1 + 2 + 8

// DebugObject returns what DEBUG OBJECT tells of a key; false if there is none.
// Values have no address here. It serializes the value. One that
// is due but still stored is shown, as redis-server does.
func (v *View) DebugObject(db int, key []byte) (string, bool) {
	entry, ok := v.engine.env.Keyspace.DB(db).Stored(key)
	if !ok {
		return "", false
	}
	idle := v.engine.env.Heat.IdleMs(v.engine.env.Keyspace.DB(db).Heat(key)) / 1000
	var d rdb.Dumper
	text := fmt.Sprintf("Value at:0x000000000000 refcount:1 encoding:%s serializedlength:%d lru:0 lru_seconds_idle:%d",
		entry.Enc, len(d.Append(nil, &entry.Value))-dumpFrameBytes, idle)
	if entry.Type == keyspace.List {
		text += v.debugList(&entry)
	}
	return text, true
}

// DebugEncoding returns the name of a key's encoding; false if there is no key.
func (v *View) DebugEncoding(db int, key []byte) (string, bool) {
	entry, ok := v.engine.env.Keyspace.DB(db).Get(key, v.engine.clock)
	return entry.Enc.String(), ok
}

// DebugSizes returns the sizes that DEBUG STRUCTSIZE tells.
func DebugSizes() string {
	return fmt.Sprintf("bits:%d entry:%d value:%d", strconv.IntSize, reflect.TypeFor[keyspace.Entry]().Size(), reflect.TypeFor[keyspace.Value]().Size())
}

// DebugLarge returns the bytes of a key's large value; 0 if it has none.
func (v *View) DebugLarge(db int, key []byte) int {
	entry, ok := v.engine.env.Keyspace.DB(db).Get(key, v.engine.clock)
	if !ok || entry.Object == nil {
		return 0
	}
	return entry.Object.MemBytes()
}

// DebugStringLen returns the length of a key's string that is not kept as a number;
// ok is false if there is no key.
func (v *View) DebugStringLen(db int, key []byte) (length int, isString, ok bool) {
	entry, ok := v.engine.env.Keyspace.DB(db).Get(key, v.engine.clock)
	return len(entry.Packed), ok && entry.Type == keyspace.String && entry.Enc != keyspace.Int, ok
}

// debugList tells of a list's nodes, none of which is ever compressed.
func (v *View) debugList(entry *keyspace.Entry) string {
	l, nodes, bytes := list.FromPacked(entry.Packed, list.DefaultLimits), 1, len(entry.Packed)
	if entry.Object != nil {
		long := keyspace.Unbox[*list.Chunked](entry.Object)
		l, nodes, bytes = list.FromObject(long), 0, 0
		for data := range long.Nodes {
			nodes++
			bytes += len(data)
		}
	}
	return fmt.Sprintf(" ql_nodes:%d ql_avg_node:%.2f ql_listpack_max:%d ql_compressed:0 ql_uncompressed_size:%d",
		nodes, float64(l.Len())/float64(nodes), v.engine.settings.ListMaxListpackSize, bytes)
}
