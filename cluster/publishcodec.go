package cluster

import (
	"encoding/binary"
	"errors"
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
	d := fields{b: b}
	t.Incarnation, t.From, t.To = d.uvarint(), d.uvarint(), d.uvarint()
	t.All = d.byte() != 0
	for len(d.b) > 0 && !d.failed {
		in := Interest{Kind: d.byte(), Name: string(d.bytes())}
		count := d.uvarint()
		if in.Kind > kindShard || count > interestCountMax {
			d.failed = true
		}
		in.Count = int(count)
		t.Interest = append(t.Interest, in)
	}
	if d.failed {
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
	d := fields{b: b}
	r.Number, r.After = d.uvarint(), d.uvarint()
	r.Sharded = d.byte()&flagSharded != 0
	r.Channel = d.bytes()
	r.Text = d.b
	if d.failed {
		return Remote{}, errMessage
	}
	return r, nil
}

// fields takes values off the front of b. After a failure it gives zeros.
type fields struct {
	b      []byte
	failed bool
}

func (d *fields) uvarint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.b, d.failed = nil, true
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *fields) byte() byte { return one(d.take(1)) }

func (d *fields) bytes() []byte { return d.take(d.uvarint()) }

func (d *fields) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.b, d.failed = nil, true
		return nil
	}
	taken := d.b[:n:n]
	d.b = d.b[n:]
	return taken
}

func one(b []byte) byte {
	if len(b) == 0 {
		return 0
	}
	return b[0]
}
