package cluster

import (
	"encoding/binary"
	"errors"

	"github.com/quorate/quorate/engine/fields"
)

// The forms of what nodes tell each other about messages. All numbers are
// uvarints but for single bytes.
//
//	telling   incarnation | from | to | all u8 | interests
//	interest  kind u8 | length, name | count
//	message   number | after | flags u8 | length, channel | text

var errMessage = errors.New("cluster: malformed message between nodes")

const flagSharded = 1

// append appends the encoded telling.
func (t *telling) append(b []byte) []byte {
	b = binary.AppendUvarint(b, t.Incarnation)
	b = binary.AppendUvarint(b, t.From)
	b = binary.AppendUvarint(b, t.To)
	all := byte(0)
	if t.All {
		all = 1
	}
	b = append(b, all)
	for _, in := range t.Interest {
		b = append(b, in.Kind)
		b = binary.AppendUvarint(b, uint64(len(in.Name)))
		b = append(b, in.Name...)
		b = binary.AppendUvarint(b, uint64(max(in.Count, 0)))
	}
	return b
}

// interestCountMax bounds the subscribers of one name on one node that are
// believed.
const interestCountMax = 1 << 31

func decodeTelling(b []byte) (t telling, err error) {
	d := fields.Decoder{Rest: b}
	t.Incarnation, t.From, t.To = d.Uvarint(), d.Uvarint(), d.Uvarint()
	t.All = d.Byte() != 0
	for len(d.Rest) > 0 && !d.Failed {
		in := Interest{Kind: d.Byte(), Name: string(d.Bytes())}
		count := d.Uvarint()
		if in.Kind > kindAll || count > interestCountMax {
			d.Fail()
		}
		in.Count = int(count)
		t.Interest = append(t.Interest, in)
	}
	if d.Failed {
		return telling{}, errMessage
	}
	return t, nil
}

func appendMessage(number, after uint64, channel, text []byte, sharded bool) []byte {
	b := make([]byte, 0, 32+len(channel)+len(text))
	b = binary.AppendUvarint(b, number)
	b = binary.AppendUvarint(b, after)
	var flags byte
	if sharded {
		flags = flagSharded
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(len(channel)))
	b = append(b, channel...)
	return append(b, text...)
}

// decodeMessage returns what appendMessage appended. Channel and Text alias b.
func decodeMessage(b []byte) (r Remote, err error) {
	d := fields.Decoder{Rest: b}
	r.Number, r.After = d.Uvarint(), d.Uvarint()
	r.Sharded = d.Byte()&flagSharded != 0
	r.Channel = d.Bytes()
	r.Text = d.Rest
	if d.Failed {
		return Remote{}, errMessage
	}
	return r, nil
}
