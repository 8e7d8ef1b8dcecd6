package entry

import (
	"encoding/binary"
	"fmt"
)

// AppendEvict appends to the payload of a PartEvict that keys of a database go.
func AppendEvict(dst []byte, db int, keys [][]byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(db))
	dst = binary.AppendUvarint(dst, uint64(len(keys)))
	for _, key := range keys {
		dst = appendBytes(dst, key)
	}
	return dst
}

// DecodeEvict reads the payload of a PartEvict, and tells evict of the keys, which alias
// it, by database. When it fails, evict may have been told of some.
func DecodeEvict(payload []byte, evict func(db int, keys [][]byte)) error {
	d := decoderOf(payload)
	for len(d.Rest) > 0 && !d.Failed {
		db := d.Uvarint()
		var keys [][]byte
		for n := d.Count(); n > 0 && !d.Failed; n-- {
			keys = append(keys, d.Bytes())
		}
		if !d.Failed {
			evict(int(db), keys)
		}
	}
	if d.Failed {
		return fmt.Errorf("%w: victims in %d bytes", ErrCorrupt, len(payload))
	}
	return nil
}
