package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/fields"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/script"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/list"
	"github.com/quorate/quorate/engine/types/seed"
)

// The engine's own fields of a snapshot. auxState comes first and once, then auxChain; then
// auxUsers, if the users were ever changed; then auxScript for each script, in order, and auxWaiting; then, before each run of keys, auxFacts
// with what RDB files do not tell of them.
const (
	auxState   = "quorate-engine"
	auxChain   = "quorate-engine-chain"
	auxUsers   = "quorate-engine-users"
	auxScript  = "quorate-engine-script"
	auxWaiting = "quorate-engine-waiting"
	auxFacts   = "quorate-engine-keys"
)

// stateFormat is the format of the engine's fields. An engine refuses those that
// it does not know.
const stateFormat = 1

var errState = errors.New("the engine's state in the snapshot is damaged")

// fields returns the fields for all but the keys.
func (s *state) fields() []Aux {
	value := s.versions.Chain.Value()
	fields := []Aux{{auxState, s.append(nil)}, {auxChain, value[:]}}
	if s.settings.Users.Changes() > 0 {
		fields = append(fields, Aux{auxUsers, s.settings.Users.Append(nil)})
	}
	for _, b := range s.scripts {
		loaded := byte(0)
		if b.Loaded {
			loaded = 1
		}
		fields = append(fields, Aux{auxScript, append([]byte{loaded}, b.Text...)})
	}
	if s.waiting != nil {
		fields = append(fields, Aux{auxWaiting, s.waiting})
	}
	return fields
}

// append appends what auxState holds. Its bytes follow from the content.
func (s *state) append(dst []byte) []byte {
	dst = append(dst, stateFormat)
	dst = binary.AppendVarint(dst, s.clock)
	dst = binary.LittleEndian.AppendUint64(dst, s.seed.K0)
	dst = binary.LittleEndian.AppendUint64(dst, s.seed.K1)

	dst = binary.AppendUvarint(dst, s.versions.Mutations)
	dst = binary.AppendUvarint(dst, s.versions.Expired)
	for _, versions := range [][]uint64{s.versions.Floors, s.versions.Buckets} {
		dst = binary.AppendUvarint(dst, uint64(len(versions)))
		for _, version := range versions {
			dst = binary.AppendUvarint(dst, version)
		}
	}

	names := settingNames(s.semantic)
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, name := range names {
		dst = appendText(dst, name)
		dst = appendText(dst, settings[name].get(&s.settings))
	}
	return dst
}

// settingNames returns the names of the settings that a semantic version knows: others
// would be refused by a release that knows no more.
func settingNames(inForce semantic.Version) []string {
	names := make([]string, 0, len(settings))
	for name, s := range settings {
		if s.came <= inForce && !s.act {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func appendText(dst []byte, text string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// decodeState reads what auxState holds.
func decodeState(b []byte) (state, error) {
	if len(b) == 0 || b[0] != stateFormat {
		return state{}, fmt.Errorf("the snapshot's format is not %d", stateFormat)
	}
	d := fields.Decoder{Rest: b[1:]}
	s := state{settings: call.DefaultSettings()}
	s.clock = d.Varint()
	s.seed = seed.Seed{K0: d.Uint64(), K1: d.Uint64()}
	s.versions.Mutations, s.versions.Expired = d.Uvarint(), d.Uvarint()
	s.versions.Floors, s.versions.Buckets = takeUvarints(&d), takeUvarints(&d)
	for n := d.Uvarint(); n > 0 && !d.Failed; n-- {
		name, value := string(d.Bytes()), string(d.Bytes())
		known, ok := settings[name]
		if (!ok || known.act) && !d.Failed {
			return state{}, fmt.Errorf("the snapshot holds setting %.64q, which this version does not know", name)
		}
		if d.Failed {
			break
		}
		if err := known.set(&s.settings, value); err != nil {
			return state{}, fmt.Errorf("setting %s in the snapshot: %w", name, err)
		}
	}
	const mutationsMax = 1 << 54 // what a key's record can hold
	if !d.Whole() || s.versions.Mutations > mutationsMax {
		return state{}, errState
	}
	return s, nil
}

// decodeChain reads what auxChain holds. A snapshot of before there was a chain
// has no such field, and the chain begins with it.
func decodeChain(b []byte) (chain.Chain, error) {
	if len(b) != chain.Size {
		return chain.Chain{}, errState
	}
	return chain.From(chain.Value(b)), nil
}

func decodeScript(b []byte) (script.Body, error) {
	if len(b) == 0 || b[0] > 1 {
		return script.Body{}, errState
	}
	return script.Body{Text: string(b[1:]), Loaded: b[0] == 1}, nil
}

// appendFacts appends what an RDB file does not tell of a key: its version, and
// the form of its value where the file's type leaves that open. That is
//
//   - the encoding of a string that is not what one set as a whole has: APPEND
//     and SETRANGE leave others;
//   - that a list is long, and the limits that it keeps.
func appendFacts(dst []byte, e *keyspace.Entry) []byte {
	switch {
	case e.Type == keyspace.String && e.Enc != rdb.StringEncoding(e.Packed):
		dst = binary.AppendUvarint(dst, e.Version<<1|1)
		return append(dst, byte(e.Enc))
	case e.Type == keyspace.List && e.Object != nil:
		dst = binary.AppendUvarint(dst, e.Version<<1|1)
		limits := keyspace.Unbox[*list.Chunked](e.Object).Limits()
		return binary.AppendVarint(dst, int64(limits.ListpackSize))
	}
	return binary.AppendUvarint(dst, e.Version<<1)
}

// takeFacts gives a key that was read from the file what appendFacts has told of
// it, and its version.
func takeFacts(d *fields.Decoder, e *keyspace.Entry) error {
	head := d.Uvarint()
	e.Version = head >> 1
	switch {
	case head&1 == 0:
	case e.Type == keyspace.String:
		enc := keyspace.Encoding(d.Byte())
		if enc > keyspace.Embstr {
			return errState
		}
		e.Enc = enc
	case e.Type == keyspace.List:
		lengthen(e, list.Limits{ListpackSize: int(d.Varint())})
	default:
		return errState
	}
	if d.Failed {
		return errState
	}
	return nil
}

// lengthen makes a list that was read a long one with the given limits.
func lengthen(e *keyspace.Entry, limits list.Limits) {
	long := list.NewChunked(limits)
	switch {
	case e.Object == nil:
		long.AppendListpack(slices.Clone(e.Packed))
	case keyspace.Unbox[*list.Chunked](e.Object).Limits() == limits:
		return
	default:
		for data, plain := range keyspace.Unbox[*list.Chunked](e.Object).Nodes {
			if plain {
				long.AppendPlain(data)
			} else {
				long.AppendListpack(data)
			}
		}
	}
	e.Packed, e.Object = nil, keyspace.Box(long)
}

func takeUvarints(d *fields.Decoder) []uint64 {
	var all []uint64
	for n := d.Uvarint(); n > 0 && !d.Failed; n-- {
		all = append(all, d.Uvarint())
	}
	return all
}
