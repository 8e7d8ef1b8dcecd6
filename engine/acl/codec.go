package acl

import (
	"encoding/binary"
	"errors"

	"github.com/quorate/quorate/engine/fields"
)

// codecFormat is the format of users in a snapshot.
const codecFormat = 1

var errEncoded = errors.New("the users in the snapshot are damaged")

// Append appends the encoded users. The bytes follow from the content.
func (us *Users) Append(dst []byte) []byte {
	dst = append(dst, codecFormat)
	dst = binary.AppendUvarint(dst, us.changes)
	dst = appendFlags(dst, us.settled)
	dst = binary.AppendUvarint(dst, uint64(len(us.list)))
	for _, u := range us.list {
		dst = appendText(dst, u.Name)
		dst = binary.AppendUvarint(dst, u.Born)
		dst = append(dst, byte(u.Flags))
		dst = appendTexts(dst, u.Passwords)
		dst = binary.AppendUvarint(dst, uint64(len(u.Selectors)))
		for i := range u.Selectors {
			dst = u.Selectors[i].append(dst)
		}
	}
	return dst
}

func (s *Selector) append(dst []byte) []byte {
	dst = appendFlags(dst, s.AllKeys, s.AllChannels, s.AllCommands)
	dst = binary.AppendUvarint(dst, uint64(len(s.Keys)))
	for _, k := range s.Keys {
		dst = appendText(append(dst, byte(k.Allows)), k.Pattern)
	}
	return appendTexts(appendTexts(dst, s.Channels), s.Commands)
}

func appendFlags(dst []byte, flags ...bool) []byte {
	var b byte
	for i, set := range flags {
		if set {
			b |= 1 << i
		}
	}
	return append(dst, b)
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func appendTexts(dst []byte, texts []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(texts)))
	for _, text := range texts {
		dst = appendText(dst, text)
	}
	return dst
}

// Decode reads what Append appends.
func Decode(b []byte) (*Users, error) {
	if len(b) == 0 || b[0] != codecFormat {
		return nil, errEncoded
	}
	d := fields.Decoder{Rest: b[1:]}
	us := &Users{changes: d.Uvarint(), settled: d.Byte()&1 != 0}
	for n := d.Count(); n > 0 && !d.Failed; n-- {
		u := &User{Name: string(d.Bytes()), Born: d.Uvarint(), Flags: Flags(d.Byte()), Passwords: takeTexts(&d)}
		for n := d.Count(); n > 0 && !d.Failed; n-- {
			u.Selectors = append(u.Selectors, takeSelector(&d))
		}
		ordered := len(us.list) == 0 || us.list[len(us.list)-1].Name < u.Name
		if len(u.Selectors) == 0 || u.Born > us.changes || !ordered {
			d.Fail()
		}
		us.list = append(us.list, u)
	}
	if !d.Whole() || us.Get(Default) == nil {
		return nil, errEncoded
	}
	return us, nil
}

func takeSelector(d *fields.Decoder) Selector {
	flags := d.Byte()
	s := Selector{AllKeys: flags&1 != 0, AllChannels: flags&2 != 0, AllCommands: flags&4 != 0}
	for n := d.Count(); n > 0 && !d.Failed; n-- {
		k := KeyPattern{Allows: Permission(d.Byte()), Pattern: string(d.Bytes())}
		if k.Allows == 0 || k.Allows > Read|Write {
			d.Fail()
		}
		s.Keys = append(s.Keys, k)
	}
	s.Channels, s.Commands = takeTexts(d), takeTexts(d)
	for _, rule := range s.Commands {
		if len(rule) < 2 || rule[0] != '+' && rule[0] != '-' {
			d.Fail()
		}
	}
	return s
}

func takeTexts(d *fields.Decoder) []string {
	var texts []string
	for n := d.Count(); n > 0 && !d.Failed; n-- {
		texts = append(texts, string(d.Bytes()))
	}
	return texts
}
