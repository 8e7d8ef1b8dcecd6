package commands_test

import (
	"fmt"
	"testing"
)

func TestStringWalkBesideOracle(t *testing.T) {
	walkBesideOracle(t, map[string]string{}, stringCommand)
}

func TestBitmapWalkBesideOracle(t *testing.T) {
	walkBesideOracle(t, map[string]string{}, bitmapCommand)
}

func (d *dice) number() string {
	return d.of("0", "1", "-1", "12", "-7", "10000", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
		"x", "007", "+1", "1.5", "-0.25", "1e3", "0.1", "3.14159265358979323846", "1e-20", "-1e17", "12345678901234567890")
}

// expiry returns an option that sets an expiry time so far away that the walk does not meet it.
func (d *dice) expiry() string {
	return d.of("EX 1000", "PX 1000000", "EXAT 33177117420", "PXAT 33177117420123", "EX 0", "EX", "PX x", "KEEPTTL", "PERSIST")
}

func stringCommand(d *dice) string {
	k := d.key()
	switch d.IntN(28) {
	case 0:
		return fmt.Sprintf("SET %s %s", k, d.number())
	case 1:
		return fmt.Sprintf("SET %s %s %s", k, d.element(), d.words(3, func() string { return d.of("NX", "XX", "GET", d.expiry()) }))
	case 2:
		return fmt.Sprintf("GETEX %s %s", k, d.of("PXAT 1", d.expiry()))
	case 3:
		return d.of("GETDEL ", "GET ", "STRLEN ", "PERSIST ", "OBJECT ENCODING ", "OBJECT REFCOUNT ") + k
	case 4:
		return fmt.Sprintf("GETSET %s %s", k, d.number())
	case 5, 6:
		return fmt.Sprintf("APPEND %s %s", k, d.of("x", "1", "12345678901234567890", d.element()))
	case 7, 8:
		return fmt.Sprintf("SETRANGE %s %d %s", k, d.IntN(60)-1, d.of("x", "7", d.element()))
	case 9, 10:
		return fmt.Sprintf("%s %s %s %s", d.of("GETRANGE", "SUBSTR"), k, d.index(), d.index())
	case 11, 12:
		return d.of("INCR ", "DECR ") + k
	case 13, 14:
		return fmt.Sprintf("%s %s %s", d.of("INCRBY", "DECRBY"), k, d.number())
	case 15, 16, 17:
		return fmt.Sprintf("INCRBYFLOAT %s %s", k, d.number())
	case 18:
		return "MGET " + d.words(4, d.key)
	case 19:
		return d.of("MSET ", "MSETNX ") + d.words(4, func() string { return d.key() + " " + d.number() })
	case 20:
		return fmt.Sprintf("LCS %s %s %s", k, d.key(), d.of("LEN", "IDX", "IDX WITHMATCHLEN", "IDX MINMATCHLEN 2"))
	case 21:
		return fmt.Sprintf("COPY %s %s %s", k, d.key(), d.of("REPLACE", "DB 0", "DB 1", "DB 1 REPLACE", "REPLACE DB 16"))
	case 22:
		return fmt.Sprintf("%s %s %s", d.of("RENAME", "RENAMENX"), k, d.key())
	case 23:
		return d.of("DEL ", "EXISTS ", "UNLINK ", "TOUCH ") + d.words(3, d.key)
	case 24:
		return fmt.Sprintf("%s %s 100000 %s", d.of("EXPIRE", "PEXPIRE"), k, d.of("NX", "XX", "NX XX", "XX GT LT", "BOGUS"))
	case 25:
		return fmt.Sprintf("%s %s %s %s", d.of("EXPIREAT", "PEXPIREAT"), k, d.of("33177117420", "33177117420123", "1", "-5"), d.of("NX", "XX", "GT", "LT", "XX GT"))
	case 26:
		return fmt.Sprintf("MOVE %s 1", k)
	}
	return d.of("DBSIZE", "TYPE "+k, "RPUSH "+k+" x", "SWAPDB 0 1", "FLUSHDB", "SETNX "+k+" 5", "SETEX "+k+" 100 5", "PSETEX "+k+" 100000 v")
}

func bitmapCommand(d *dice) string {
	k, bit := d.key(), fmt.Sprint(d.IntN(300))
	switch d.IntN(10) {
	case 0, 1:
		return fmt.Sprintf("SETBIT %s %s %s", k, bit, d.of("0", "1"))
	case 2:
		return fmt.Sprintf("GETBIT %s %s", k, bit)
	case 3:
		return fmt.Sprintf("BITCOUNT %s %s %s %s", k, d.index(), d.index(), d.of("", "BIT", "BYTE"))
	case 4:
		return fmt.Sprintf("BITPOS %s %s %s %s", k, d.of("0", "1"), d.of("", d.index()), d.of("", d.index()))
	case 5:
		return fmt.Sprintf("BITPOS %s %s %s %s %s", k, d.of("0", "1"), d.index(), d.index(), d.of("BIT", "BYTE"))
	case 6:
		return fmt.Sprintf("BITOP %s %s %s", d.of("AND", "OR", "XOR", "NOT"), k, d.words(3, d.key))
	case 7, 8:
		return fmt.Sprintf("BITFIELD %s %s", k, d.words(4, func() string {
			typ := fmt.Sprint(d.of("i", "u"), 1+d.IntN(64))
			at := d.of(bit, fmt.Sprint("#", d.IntN(8)))
			return d.of(
				fmt.Sprintf("GET %s %s", typ, at),
				fmt.Sprintf("SET %s %s %d", typ, at, d.Int64()-d.Int64()),
				fmt.Sprintf("SET %s %s %d", typ, at, d.IntN(600)-300),
				fmt.Sprintf("INCRBY %s %s %d", typ, at, d.Int64()-d.Int64()),
				fmt.Sprintf("INCRBY %s %s %d", typ, at, d.IntN(600)-300),
				"OVERFLOW "+d.of("WRAP", "SAT", "FAIL"))
		}))
	}
	return d.of("DEL "+k, "GET "+k, "SET "+k+" 12", "SET "+k+" abcdefgh", "OBJECT ENCODING "+k, "STRLEN "+k)
}
