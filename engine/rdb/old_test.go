package rdb_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/rdb/redistest"
	"github.com/quorate/quorate/engine/types/intset"
	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/stream"
)

// The pieces of a file, made by hand.

func str(s string) string {
	if len(s) >= 64 {
		return string([]byte{0x40 | byte(len(s)>>8), byte(len(s))}) + s
	}
	return string(byte(len(s))) + s
}

func length(n int) string { return string(byte(n)) } // below 64

func ziplist(elements ...string) string {
	body, previous, last := "", 0, 10
	for _, e := range elements {
		last = 10 + len(body)
		entry := string([]byte{byte(previous)})
		if previous >= 254 {
			entry = "\xFE" + string(binary.LittleEndian.AppendUint32(nil, uint32(previous)))
		}
		if len(e) < 64 {
			entry += string([]byte{byte(len(e))}) + e
		} else {
			entry += string([]byte{0x40 | byte(len(e)>>8), byte(len(e))}) + e
		}
		body += entry
		previous = len(entry)
	}
	return ziplistOf(len(elements), last, body)
}

func ziplistOf(n, last int, body string) string {
	head := binary.LittleEndian.AppendUint32(nil, uint32(10+len(body)+1))
	head = binary.LittleEndian.AppendUint32(head, uint32(last))
	head = binary.LittleEndian.AppendUint16(head, uint16(n))
	return string(head) + body + "\xFF"
}

// ziplistInts has integers of every encoding.
var ziplistInts = ziplistOf(8, 10+3+4+5+6+10+2+2,
	"\x00\xFE\xFF"+ // -1 in 8 bits
		"\x03\xC0\x00\x80"+ // -32768 in 16
		"\x04\xF0\x00\x00\x80"+ // -8388608 in 24
		"\x05\xD0\xFF\xFF\xFF\x7F"+ // 2147483647 in 32
		"\x06\xE0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"+ // in 64
		"\x0A\xF1"+ // 0
		"\x02\xFD"+ // 12
		"\x02\x80\x00\x00\x00\x01x") // a string with a length of 32 bits

func lp(elements ...string) string {
	b := listpack.New(0)
	for _, e := range elements {
		b = listpack.Append(b, []byte(e))
	}
	return string(b)
}

func ints(members ...int64) string {
	b := intset.Append(nil)
	for _, m := range members {
		b, _ = intset.Add(b, m)
	}
	return string(b)
}

func double(f float64) string {
	return string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(f)))
}

func millis(ms int64) string { return string(binary.LittleEndian.AppendUint64(nil, uint64(ms))) }

// streamNodes is a stream of the entries 5-0 and 5-1 as all stream types begin.
func streamNodes() string {
	s := stream.New()
	for seq := range uint64(2) {
		_ = s.Add(stream.ID{Ms: 5, Seq: seq}, [][]byte{[]byte("f"), []byte("v")}, stream.DefaultLimits)
	}
	text := length(1)
	for id, node := range s.Nodes {
		key := id.Key()
		text += str(string(key[:])) + str(string(node))
	}
	return text + length(2) + length(5) + length(1)
}

func rawID(ms, seq uint64) string {
	key := stream.ID{Ms: ms, Seq: seq}.Key()
	return string(key[:])
}

var long = strings.Repeat("0123456789", 7)

// oldValues are values of every type that Redis ever wrote, and what they are.
var oldValues = []struct {
	name      string
	valueType byte
	payload   string
	want      string
	newer     bool // redis-server 7.0 does not know it
}{
	{"string", 0, str("text"), "embstr text", false},
	{"string int8", 0, "\xC0\xFF", "int -1", false},
	{"string int16", 0, "\xC1\x00\x80", "int -32768", false},
	{"string int32", 0, "\xC2\xFF\xFF\xFF\x7F", "int 2147483647", false},
	{"string lzf", 0, "\xC3\x05\x0A\x00a\xE0\x00\x00", "embstr aaaaaaaaaa", false},
	{"string length32", 0, "\x80\x00\x00\x00\x01x", "embstr x", false},
	{"string length64", 0, "\x81\x00\x00\x00\x00\x00\x00\x00\x01x", "embstr x", false},
	{"list", 1, length(3) + str("a") + str("12") + str("a"), "quicklist a 12 a", false},
	{"list ziplist", 10, str(ziplist("a", "12", long)), "quicklist a 12 " + long, false},
	{"list ziplist of ints", 10, str(ziplistInts), "quicklist -1 -32768 -8388608 2147483647 9223372036854775807 0 12 x", false},
	{"list ziplist with a long entry", 10, str(ziplist(strings.Repeat("x", 300), "y", "z")), "quicklist " + strings.Repeat("x", 300) + " y z", false},
	{"quicklist", 14, length(2) + str(ziplist("a", "b")) + str(ziplist("c")), "long quicklist a b c", false},
	{"quicklist of one", 14, length(1) + str(ziplist("a", "b")), "quicklist a b", false},
	{"quicklist 2", 18, length(2) + "\x02" + str(lp("a", "1")) + "\x01" + str("plain"), "long quicklist a 1 plain", false},
	{"set", 2, length(1) + str("a"), "hashtable a", false},
	{"set of ints", 2, length(1) + str("1"), "hashtable 1", false},
	{"intset", 11, str(ints(5, -3, 70000)), "intset -3 5 70000", false},
	{"set listpack", 20, str(lp("a")), "hashtable a", true},
	{"zset text", 3, length(3) + str("b") + "\x03" + "1.5" + str("a") + "\xFE" + str("c") + "\xFF", "skiplist c=-Inf b=1.5 a=+Inf", false},
	{"zset doubles", 5, length(2) + str("b") + double(-1) + str("a") + double(math.Copysign(0, -1)), "skiplist b=-1 a=-0", false},
	{"zset ziplist", 12, str(ziplist("a", "1", "b", "2.5", "c", "inf")), "listpack a=1 b=2.5 c=+Inf", false},
	{"zset listpack", 17, str(lp("b", "-inf", "a", "1", "c", "1")), "listpack b=-Inf a=1 c=1", false},
	{"hash", 4, length(1) + str("a") + str("1"), "hashtable a=1", false},
	{"hash zipmap", 9, str("\x02\x01b\x01\x002\x01a\x02\x03xyJJJ\xFF"), "listpack b=2 a=xy", false},
	{"hash ziplist", 13, str(ziplist("b", "2", "a", "1")), "listpack b=2 a=1", false},
	{"hash ziplist of a long value", 13, str(ziplist("b", long)), "listpack b=" + long, false},
	{"hash zipmap of a long value", 9, str("\x01\x01b\x46\x00" + long + "\xFF"), "listpack b=" + long, false},
	{"hash listpack", 16, str(lp("b", "2", "a", "1")), "listpack b=2 a=1", false},
	{
		"hash with times", 24, millis(1000) + length(3) + length(0) + str("a") + str("1") + length(6) + str("b") + str("2") + length(1) + str("c") + str("3"),
		"hashtable c=3 until 1000 a=1 b=2 until 1005", true,
	},
	{"hash with times, none left", 24, millis(-1) + length(1) + length(0) + str("a") + str("1"), "hashtable a=1", true},
	{"hash with times of a candidate", 22, length(2) + length(0) + str("a") + str("1") + "\x43\xE8" + str("b") + str("2"), "hashtable a=1 b=2 until 1000", true},
	{
		"hash listpack with times", 25, millis(1000) + str(lp("b", "2", "1000", "c", "3", "1000", "d", "4", "1005", "a", "1", "0")),
		"listpackex b=2 until 1000 c=3 until 1000 d=4 until 1005 a=1", true,
	},
	{"hash listpack with times, none left", 25, millis(-1) + str(lp("b", "2", "0", "a", "1", "0")), "listpack b=2 a=1", true},
	{"hash listpack with times of a candidate", 23, str(lp("b", "2", "1000", "a", "1", "0")), "listpackex b=2 until 1000 a=1", true},
	{
		"stream", 15, streamNodes() + length(1) + str("g") + length(5) + length(0) +
			length(1) + rawID(5, 0) + millis(7) + length(3) + length(1) + str("c") + millis(8) + length(1) + rawID(5, 0),
		"stream last 5-1 first 5-0 deleted 0-0 added 2 5-0 f=v 5-1 f=v group g at 5-0 read 1 pending 5-0 for c since 7 times 3 consumer c seen 8 has 1", false,
	},
	{
		"stream 2", 19, streamNodes() + length(5) + length(0) + length(4) + length(9) + length(50) + length(1) + str("g") + length(5) + length(0) +
			"\x81\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF" + length(0) + length(0),
		"stream last 5-1 first 5-0 deleted 4-9 added 50 5-0 f=v 5-1 f=v group g at 5-0 read -1", false,
	},
	{
		"stream 3", 21, streamNodes() + length(5) + length(0) + length(0) + length(0) + length(2) + length(1) + str("g") + length(5) + length(0) +
			length(1) + length(0) + length(1) + str("c") + millis(8) + millis(9) + length(0),
		"stream last 5-1 first 5-0 deleted 0-0 added 2 5-0 f=v 5-1 f=v group g at 5-0 read 1 consumer c seen 8 has 0", true,
	},
}

// file makes a file without a checksum.
func file(version string, body ...string) []byte {
	text := "REDIS" + version + strings.Join(body, "") + "\xFF"
	if version >= "0005" {
		text += "\x00\x00\x00\x00\x00\x00\x00\x00"
	}
	return []byte(text)
}

// readAll reads a file to its end and gives all but the end to visit.
func readAll(b []byte, build rdb.Build, visit func(*rdb.Item)) error {
	r, err := rdb.NewReader(bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Build(build)
	for {
		item, err := r.Next()
		if err != nil || item.Kind == rdb.End {
			return err
		}
		visit(item)
	}
}

func TestReadsEveryType(t *testing.T) {
	for _, v := range oldValues {
		for _, version := range []string{"0003", "0006", "0009", "0011"} {
			got := ""
			err := readAll(file(version, string(v.valueType)+str("key")+v.payload), build(), func(item *rdb.Item) {
				got = string(item.Entry.Key) + " " + describe(&item.Entry.Value)
			})
			if want := "key " + v.want; err != nil || got != want {
				t.Errorf("version %s, %s: %v\ngot  %s\nwant %s", version, v.name, err, got, want)
			}
		}
	}
}

// TestOldValuesAsRedisReadsThem has redis-server load values of old types and tell
// them in today's: reading them here with Derive must give the same bytes.
func TestOldValuesAsRedisReadsThem(t *testing.T) {
	var body []string
	for _, v := range oldValues {
		if !v.newer {
			body = append(body, string(v.valueType)+str(v.name)+v.payload)
		}
	}
	old := file("0010", body...)
	srv := redistest.Start(t, old)
	b := build()
	b.Derive = true
	var dumper rdb.Dumper
	err := readAll(old, b, func(item *rdb.Item) {
		key := string(item.Entry.Key)
		got, want := dumper.Append(nil, &item.Entry.Value), srv.Do("DUMP", key).Text
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %s\ngot  %q\nwant %q", key, describe(&item.Entry.Value), got, want)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestReadsOpcodes(t *testing.T) {
	key := func(name string) string { return "\x00" + str(name) + str("v") }
	b := file("0011",
		"\xFA"+str("name")+str("value"),
		"\xF5"+str("#!lua name=f"),
		// functions of a release candidate of 7.0
		"\xF6"+str("g")+str("LUA")+"\x01"+str("text")+str("code"),
		// module aux
		"\xF7\x05\x02\x00"+"\x01\x05"+"\x02\x05"+"\x03abcd"+"\x04abcdefgh"+"\x05"+str("s")+"\x00",
		"\xFE\x00\xFB\x05\x02",
		"\xFC"+millis(1234)+"\xF9\x07"+key("ms"),
		"\xFD\x02\x00\x00\x00\xF8\x07"+key("s"),
		"\xFC"+millis(-5)+key("negative"),
		"\x04"+str("empty")+length(0),
		"\xFE\x03"+key("none"),
	)
	var got []string
	expiry := map[string]int64{}
	err := readAll(b, build(), func(item *rdb.Item) {
		switch item.Kind {
		case rdb.Aux:
			got = append(got, item.Name+"="+string(item.Text))
		case rdb.Function:
			got = append(got, string(item.Text))
		case rdb.Key:
			got = append(got, string('0'+byte(item.DB))+string(item.Entry.Key))
			expiry[string(item.Entry.Key)] = item.Entry.ExpireAt
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if text, want := strings.Join(got, " "), "name=value #!lua name=f #!LUA name=g\ncode 0ms 0s 0negative 3none"; text != want {
		t.Errorf("got %q, want %q", text, want)
	}
	for key, want := range map[string]int64{"ms": 1234, "s": 2000, "negative": 0, "none": -1} {
		if expiry[key] != want {
			t.Errorf("%s expires at %d, want %d", key, expiry[key], want)
		}
	}
}

func TestRefuses(t *testing.T) {
	value := func(valueType byte, payload string) []byte {
		return file("0010", string(valueType)+str("key")+payload)
	}
	for _, c := range []struct {
		name string
		file []byte
		want error
	}{
		{"no magic", []byte("RADIS0010\xFF"), rdb.ErrCorrupt},
		{"version of letters", []byte("REDIS001x\xFF"), rdb.ErrCorrupt},
		{"version 0", []byte("REDIS0000\xFF"), rdb.ErrUnsupported},
		{"version 13", []byte("REDIS0013\xFF"), rdb.ErrUnsupported},
		{"module value", value(7, length(1)), rdb.ErrUnsupported},
		{"unknown type", value(99, ""), rdb.ErrCorrupt},
		{"unknown length", value(0, "\x82"), rdb.ErrCorrupt},
		{"unknown string", value(0, "\xC4"), rdb.ErrCorrupt},
		{"long string that is not there", value(0, "\x81\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), rdb.ErrCorrupt},
		{"LZF that claims too much", value(0, "\xC3\x03\x81\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00a\x00"), rdb.ErrCorrupt},
		{"LZF back before its start", value(0, "\xC3\x02\x03\x20\x05"), rdb.ErrCorrupt},
		{"hash of too many fields", value(4, "\x81\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), rdb.ErrCorrupt},
		{"hash with a field twice", value(4, length(2)+str("a")+str("1")+str("a")+str("2")), rdb.ErrCorrupt},
		{"hash listpack with a field twice", value(16, str(lp("a", "1", "a", "2"))), rdb.ErrCorrupt},
		{"hash listpack of three", value(16, str(lp("a", "1", "b"))), rdb.ErrCorrupt},
		{"hash with times and a field twice", value(24, millis(9)+length(2)+length(0)+str("a")+str("1")+length(1)+str("a")+str("2")), rdb.ErrCorrupt},
		{"hash with a time too late", value(24, millis(1<<46-1)+length(1)+length(2)+str("a")+str("1")), rdb.ErrCorrupt},
		{"hash with a time that overflows", value(22, length(1)+"\x81\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"+str("a")+str("1")), rdb.ErrCorrupt},
		{"hash with a time before all", value(24, millis(0)+length(1)+length(1)+str("a")+str("1")), rdb.ErrCorrupt},
		{"hash listpack of two with times", value(25, millis(9)+str(lp("a", "1"))), rdb.ErrCorrupt},
		{"hash listpack with times and a field twice", value(25, millis(9)+str(lp("a", "1", "9", "a", "2", "0"))), rdb.ErrCorrupt},
		{"hash listpack with times out of order", value(25, millis(9)+str(lp("a", "1", "10", "b", "2", "9"))), rdb.ErrCorrupt},
		{"hash listpack with a time behind one of none", value(25, millis(9)+str(lp("a", "1", "0", "b", "2", "9"))), rdb.ErrCorrupt},
		{"hash listpack with a time of letters", value(25, millis(9)+str(lp("a", "1", "x"))), rdb.ErrCorrupt},
		{"hash listpack with a negative time", value(25, millis(9)+str(lp("a", "1", "-9"))), rdb.ErrCorrupt},
		{"hash listpack with a time too late", value(25, millis(9)+str(lp("a", "1", "70368744177664"))), rdb.ErrCorrupt},
		{"hash ziplist with a field twice", value(13, str(ziplist("a", "1", "a", "2"))), rdb.ErrCorrupt},
		{"hash ziplist of three", value(13, str(ziplist("a", "1", "b"))), rdb.ErrCorrupt},
		{"ziplist with a wrong previous length", value(10, str(ziplistOf(2, 13, "\x00\x01a\x04\x01b"))), rdb.ErrCorrupt},
		{"ziplist with a wrong tail", value(10, str(ziplistOf(2, 10, "\x00\x01a\x03\x01b"))), rdb.ErrCorrupt},
		{"ziplist with a wrong count", value(10, str(ziplistOf(3, 13, "\x00\x01a\x03\x01b"))), rdb.ErrCorrupt},
		{"ziplist with a wrong encoding", value(10, str(ziplistOf(1, 10, "\x00\xFF"))), rdb.ErrCorrupt},
		{"zipmap with a field twice", value(9, str("\x02\x01a\x01\x00b\x01a\x01\x00b\xFF")), rdb.ErrCorrupt},
		{"zipmap without end", value(9, str("\x01\x01a\x01\x00b")), rdb.ErrCorrupt},
		{"zipmap that goes on behind its end", value(9, str("\x01\x01a\x09\x00b\xFF")), rdb.ErrCorrupt},
		{"set with a member twice", value(2, length(2)+str("a")+str("a")), rdb.ErrCorrupt},
		{"intset out of order", value(11, str(ints(1, 2)[:8]+"\x02\x00\x01\x00")), rdb.ErrCorrupt},
		{"zset with a member twice", value(5, length(2)+str("a")+double(1)+str("a")+double(2)), rdb.ErrCorrupt},
		{"zset of NaN", value(5, length(1)+str("a")+double(math.NaN())), rdb.ErrCorrupt},
		{"zset text of NaN", value(3, length(1)+str("a")+"\xFD"), rdb.ErrCorrupt},
		{"zset text of letters", value(3, length(1)+str("a")+"\x01x"), rdb.ErrCorrupt},
		{"zset listpack of letters", value(17, str(lp("a", "x"))), rdb.ErrCorrupt},
		{"zset listpack of NaN", value(17, str(lp("a", "nan"))), rdb.ErrCorrupt},
		{"zset listpack out of order", value(17, str(lp("a", "2", "b", "1"))), rdb.ErrCorrupt},
		{"zset listpack of one score out of order", value(17, str(lp("b", "1", "a", "1"))), rdb.ErrCorrupt},
		{"zset listpack with a member twice", value(17, str(lp("a", "1", "a", "2"))), rdb.ErrCorrupt},
		{"quicklist node of another kind", value(18, length(1)+"\x03"+str(lp("a"))), rdb.ErrCorrupt},
		{"quicklist node that is no listpack", value(18, length(1)+"\x02"+str("abc")), rdb.ErrCorrupt},
		{"stream whose length is wrong", value(15, strings.Replace(streamNodes(), "\x02\x05\x01", "\x03\x05\x01", 1)+length(0)), rdb.ErrCorrupt},
		{"stream whose last ID is wrong", value(15, streamNodes()[:len(streamNodes())-1]+length(0)+length(0)), rdb.ErrCorrupt},
		{
			"stream with a pending entry of nobody",
			value(15, streamNodes()+length(1)+str("g")+length(5)+length(0)+length(1)+rawID(5, 0)+millis(7)+length(3)+length(0)), rdb.ErrCorrupt,
		},
		{
			"stream with a consumer's entry that is not the group's",
			value(15, streamNodes()+length(1)+str("g")+length(5)+length(0)+length(0)+length(1)+str("c")+millis(8)+length(1)+rawID(5, 0)), rdb.ErrCorrupt,
		},
		{"wrong checksum", append([]byte("REDIS0010\xFF"), "12345678"...), rdb.ErrCorrupt},
		{"no checksum", []byte("REDIS0010\xFF"), rdb.ErrCorrupt},
		{"large database", file("0010", "\xFE\x80\xFF\xFF\xFF\xFF"), rdb.ErrCorrupt},
	} {
		if err := readAll(c.file, build(), func(*rdb.Item) {}); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
	}
}

// TestDamagedValues cuts values of every type at every byte, and changes every byte:
// a cut is noticed, anything else is noticed or harmless.
func TestDamagedValues(t *testing.T) {
	for _, v := range oldValues {
		whole := []byte(string(v.valueType) + v.payload)
		for n := range whole {
			if n > 0 {
				if _, err := rdb.Undump(rdb.Sealed(whole[:n]), build()); !errors.Is(err, rdb.ErrCorrupt) {
					t.Fatalf("%s cut at %d: %v", v.name, n, err)
				}
			}
			for _, mask := range []byte{0x01, 0x40, 0x80, 0xFF} {
				damaged := bytes.Clone(whole)
				damaged[n] ^= mask
				if value, err := rdb.Undump(rdb.Sealed(damaged), build()); err == nil {
					describe(&value)
				}
			}
		}
	}
}

// TestStringsOfPayloadsAreBounded has a payload of LZF data that stands for more than
// any string may have.
func TestStringsOfPayloadsAreBounded(t *testing.T) {
	b := build()
	b.Settings.ProtoMaxBulkLen = 1 << 20
	for _, test := range []struct {
		size int
		want error
	}{{1 << 20, nil}, {1<<20 + 1, rdb.ErrCorrupt}} {
		value := keyspace.Value{Type: keyspace.String, Enc: keyspace.Raw, Packed: bytes.Repeat([]byte("x"), test.size)}
		payload := new(rdb.Dumper).Append(nil, &value)
		var err error
		allocates := allocated(func() { _, err = rdb.Undump(payload, b) })
		if !errors.Is(err, test.want) || test.want != nil && allocates > 1<<20 {
			t.Errorf("%d bytes in a payload of %d: %v, %d bytes allocated", test.size, len(payload), err, allocates)
		}
	}
}
