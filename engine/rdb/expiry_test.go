package rdb_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/types/hash"
)

// timed makes a hash of the fields "field value time", in a large form from the third
// on if few is set.
func timed(few bool, fields ...string) keyspace.Value {
	limits := hash.Limits{Entries: 100, Value: 64}
	if few {
		limits.Entries = 2
	}
	h := hash.New(build().Seed, nil)
	for _, f := range fields {
		var field, value string
		var at int64
		fmt.Sscan(f, &field, &value, &at)
		h.SetUntil([]byte(field), []byte(value), at, limits)
	}
	return keyspace.HashValue(&h)
}

// TestWritesFieldsThatExpire has the bytes that the layout calls for, made by hand.
func TestWritesFieldsThatExpire(t *testing.T) {
	for _, c := range []struct {
		name    string
		value   keyspace.Value
		version byte
		want    string
	}{
		{
			"small", timed(false, "a 1 0", "b 2 2000", "c 3 1000"), 12,
			"\x19" + millis(1000) + str(lp("c", "3", "1000", "b", "2", "2000", "a", "1", "0")),
		},
		{
			"large", timed(true, "a x 0", "b y 1062", "c z 1000"), 12,
			"\x18" + millis(1000) + length(3) + length(1) + str("c") + str("z") + length(0) + str("a") + str("x") + length(63) + str("b") + str("y"),
		},
		{"small without times", timed(false, "a 1 0", "b 2 0"), 10, "\x10" + str(lp("a", "1", "b", "2"))},
		{"large without times", timed(true, "a x 0", "b y 0", "c z 0"), 10, "\x04" + length(3) + str("c") + str("z") + str("a") + str("x") + str("b") + str("y")},
	} {
		t.Run(c.name, func(t *testing.T) {
			payload := new(rdb.Dumper).Append(nil, &c.value)
			n := len(payload) - 10
			if got := string(payload[:n]); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if payload[n] != c.version || payload[n+1] != 0 {
				t.Errorf("version %d, want %d", payload[n], c.version)
			}
			v, err := rdb.Undump(payload, build())
			if err != nil {
				t.Fatal(err)
			}
			if got, want := describe(&v), describe(&c.value); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			var file bytes.Buffer
			writeKey(t, &file, c.value)
			if !bytes.Contains(file.Bytes(), []byte(c.want[:1]+str("k")+c.want[1:])) {
				t.Errorf("the file %q does not have %q", file.Bytes(), c.want)
			}
		})
	}
}

// RESTORE and imports choose the form by the limits, and keep the times.
func TestDerivesFormsOfHashesWhoseFieldsExpire(t *testing.T) {
	b := build()
	b.Derive = true
	b.Settings.HashMaxListpackEntries = 2
	for _, c := range []struct {
		valueType byte
		payload   string
		want      string
	}{
		{24, millis(9) + length(2) + length(3) + str("a") + str("1") + length(1) + str("b") + str("2"), "listpackex b=2 until 9 a=1 until 11"},
		{24, millis(9) + length(1) + length(1) + str("a") + str(long), "hashtable a=" + long + " until 9"},
		{24, millis(9) + length(3) + length(1) + str("a") + str("1") + length(0) + str("b") + str("2") + length(0) + str("c") + str("3"), "hashtable c=3 a=1 until 9 b=2"},
		{25, millis(9) + str(lp("a", "1", "9", "b", "2", "0")), "listpackex a=1 until 9 b=2"},
		{25, millis(9) + str(lp("a", "1", "9", "b", "2", "0", "c", "3", "0")), "hashtable c=3 a=1 until 9 b=2"},
		{25, millis(9) + str(lp("a", "1", "0", "b", "2", "0", "c", "3", "0")), "hashtable c=3 a=1 b=2"},
	} {
		v, err := rdb.Undump(rdb.Sealed([]byte(string(c.valueType)+c.payload)), b)
		if err != nil || describe(&v) != c.want {
			t.Errorf("type %d, %q: %v, %s; want %s", c.valueType, c.payload, err, strings.TrimSpace(describe(&v)), c.want)
		}
	}
}
