package models

import (
	"encoding/binary"
	"hash/crc64"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

// asked are commands on a key that holds what someone made up, by its type. Those
// that change it come last.
var asked = map[string][]string{
	"string": {"STRLEN k", "GETRANGE k 3 -2", "BITCOUNT k", "BITPOS k 1", "PFCOUNT k", "LCS k k LEN", "PFADD k a b c", "PFMERGE k k", "APPEND k x", "SETRANGE k 5 yz", "SETBIT k 9 1", "INCR k"},
	"list": {
		"LLEN k", "LRANGE k 0 -1", "LINDEX k -1", "LPOS k x COUNT 0", "SORT k ALPHA", "LINSERT k BEFORE x y", "LSET k 0 new", "LREM k 0 x", "LPUSH k a 1 b", "RPUSH k 2",
		"LMOVE k k LEFT RIGHT", "LTRIM k 1 -2", "RPOP k 2",
	},
	"set":  {"SCARD k", "SMEMBERS k", "SISMEMBER k x", "SRANDMEMBER k -5", "SSCAN k 0 COUNT 3", "SINTER k k", "SADD k x 17 y", "SREM k x", "SPOP k 2", "SUNIONSTORE k2 k k"},
	"hash": {"HLEN k", "HGETALL k", "HGET k f", "HRANDFIELD k -3 WITHVALUES", "HSCAN k 0 COUNT 3", "HSET k f v g 12", "HINCRBY k g 1", "HDEL k f"},
	"zset": {
		"ZCARD k", "ZRANGE k 0 -1 WITHSCORES", "ZRANGE k -inf +inf BYSCORE", "ZRANGE k - + BYLEX", "ZRANK k x", "ZCOUNT k 1 5", "ZRANDMEMBER k -3", "ZSCAN k 0 COUNT 3",
		"GEOSEARCH k FROMLONLAT 10 10 BYRADIUS 500 km ASC", "ZADD k 1 x nan y", "ZADD k 3 x -1.5 y", "ZINCRBY k 2 x", "ZREM k y", "ZUNIONSTORE k2 2 k k", "ZREMRANGEBYRANK k 1 2", "ZPOPMIN k 2",
	},
	"stream": {
		"XLEN k", "XRANGE k - +", "XREVRANGE k + - COUNT 3", "XINFO STREAM k FULL COUNT 0", "XINFO STREAM k", "XINFO GROUPS k", "XADD k * f v", "XADD k MAXLEN ~ 3 * f v", "XGROUP CREATE k new 0",
		"XREADGROUP GROUP new c COUNT 2 STREAMS k >", "XPENDING k new - + 5", "XAUTOCLAIM k new d 0 0", "XDEL k 1-1", "XTRIM k MAXLEN 1", "XSETID k 99999999999999-0",
	},
}

// FuzzRestore restores payloads of any type with a right checksum, and works with
// those that are taken: nothing may panic, and what is there can be dumped and
// restored and kept in a snapshot.
func FuzzRestore(f *testing.F) {
	for _, payload := range samplePayloads(f) {
		f.Add(payload[:len(payload)-footerLen])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWalk(t, kind{}, nil)
		if v := w.do("RESTORE", "k", "0", string(sealed(b))); v.Kind == reply.KindError {
			return
		}
		w.reload()
		w.restart()
		for _, line := range asked[string(w.do("TYPE", "k").Text)] {
			w.do(strings.Fields(line)...)
		}
		w.reload()
		w.restart()
		if w.node.Panics() != 0 {
			w.fail("a command panicked")
		}
	})
}

// footerLen is the length of a payload's version and checksum.
const footerLen = 10

// sealed returns a payload with version and checksum.
func sealed(b []byte) []byte {
	b = append(slices.Clone(b), 10, 0)
	return binary.LittleEndian.AppendUint64(b, ^crc64.Update(^uint64(0), crc64.MakeTable(0x95ac9329ac4bc9b5), b))
}

// samplePayloads returns what DUMP tells of values that walks have made, some of each type.
func samplePayloads(t testing.TB) [][]byte {
	var all [][]byte
	kinds := []kind{stringKind, listKind, setKind, hashKind, zsetKind, streamKind, hllKind}
	for n, k := range kinds {
		w := newWalk(t, k, randomBytes(uint64(n), 3000))
		w.run()
		keys := texts(w.do("KEYS", "*"))
		slices.Sort(keys)
		for _, key := range keys[:min(len(keys), 3)] {
			all = append(all, w.do("DUMP", key).Text)
		}
	}
	return all
}

func TestSamplesAreOfAllTypes(t *testing.T) {
	types, w := make(map[string]bool), newWalk(t, kind{}, nil)
	for _, payload := range samplePayloads(t) {
		w.want(ok, "RESTORE", "k", "0", string(payload), "REPLACE")
		types[string(w.do("TYPE", "k").Text)] = true
	}
	if !slices.Equal(slices.Sorted(maps.Keys(types)), slices.Sorted(maps.Keys(asked))) {
		t.Errorf("samples of %v", types)
	}
}
