package workload

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc64"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/quorate/quorate/engine/rdb"
)

// keysPerType bounds the key space, so that commands meet what others left.
const keysPerType = 3

// keyTypes are the kinds of arguments that name keys, and the letter that the
// names of such keys begin with. So most commands find the type they want.
var keyTypes = map[string]string{
	"string": "s", "numeric": "n", "bitmap": "b", "hll": "p", "geo": "g", "list": "l", "numlist": "i",
	"hash": "h", "set": "t", "intset": "u", "zset": "z", "lexset": "y", "lexother": "k", "stream": "x", "clockstream": "c",
}

// letters are those of keyTypes, in an order that a seed can count on.
const letters = "snbpglihtuzyxc"

func (w *Workload) key(r *rand.Rand, kind string) []byte {
	letter := keyTypes[kind]
	switch n := r.IntN(100); {
	case n < 3:
		letter = strange(r, kind)
	case n < 4 && kind == "lexset":
		return []byte("{tag}y1") // no other kind's
	case kind == "lexother":
	case n < 4:
		return []byte(pick(r, "", "missing", "\x00\xff key", "{tag}s1"))
	case n < 12 && kind == "set":
		letter = "u"
	}
	return w.named(r, letter)
}

// strange draws the letter of a key of any type, but of no sorted set where
// those with one score and those with others must not be mixed, and where SORT,
// which unpacks sorted sets in redis-server, would leave one for good. Commands of
// strings leave HyperLogLogs alone: of a PFADD that fails in the middle of what they
// spoilt redis-server keeps the beginning, and nothing is kept here.
func strange(r *rand.Rand, kind string) string {
	switch kind {
	case "lexset":
		return "k" // of a string, and of nothing that RENAME and its kind could make a sorted set
	case "string", "numeric", "bitmap":
		return pick(r, strings.Split("snbglihtuzyxc", "")...)
	case "list", "numlist":
		return pick(r, "s", "h", "t", "u", "x", "b", "p", "c")
	}
	return pick(r, strings.Split("snbpglihtuzxc", "")...)
}

// watchable are the letters of keys for WATCH. A stream changes here with its
// groups; in redis-server XREADGROUP and the like go unnoticed.
var watchable = strings.Split("snbpglihtuzy", "")

// named draws a key whose name begins with a letter, and notes the letter.
func (w *Workload) named(r *rand.Rand, letter string) []byte {
	w.letter = letter
	return append([]byte(letter), byte('1'+r.IntN(keysPerType)))
}

// argument draws an argument of a kind.
func (w *Workload) argument(r *rand.Rand, kind string) []byte {
	if _, ok := keyTypes[kind]; ok {
		return w.key(r, kind)
	}
	if draw, ok := kinds[kind]; ok {
		return draw(w, r)
	}
	panic("workload: no such kind of argument: " + kind)
}

// kinds are the kinds of arguments that are no keys of one type.
var kinds = map[string]func(w *Workload, r *rand.Rand) []byte{
	"any":      func(w *Workload, r *rand.Rand) []byte { return w.named(r, string(letters[r.IntN(len(letters))])) },
	"restored": func(w *Workload, r *rand.Rand) []byte { return w.named(r, pick(r, restorable...)) },
	"watched":  func(w *Workload, r *rand.Rand) []byte { return w.named(r, pick(r, watchable...)) },
	"same":     func(w *Workload, r *rand.Rand) []byte { return w.named(r, w.letter) },
	"zsetorset": func(w *Workload, r *rand.Rand) []byte {
		return w.key(r, pick(r, "zset", "zset", "lexset", "set", "intset"))
	},
	"listorset": func(w *Workload, r *rand.Rand) []byte {
		return w.named(r, pick(r, "l", "l", "i", "t", "u", "h", "s", "x"))
	},
	"db": oneOf("0", "0", "0", "0", "0", "1", "1", "1", "2", "2", "15", "16", "-1", "01", "2147483648", "x"),

	"value":   value,
	"member":  member,
	"field":   member,
	"integer": integer,
	"float":   float,
	"offset":  oneOf("0", "0", "1", "3", "10", "40", "100", "-1", "536870912", "9223372036854775807", "x"),
	"index":   index,
	"count":   count,
	"big":     oneOf("1000", "5000", "100000"),
	"small":   oneOf("1", "2", "5", "10"),
	// positive is a count where 0 is an error.
	"positive": oneOf("1", "1", "2", "3", "5", "100", "9223372036854775807", "0", "-1", "x"),
	"rank":     oneOf("1", "2", "-1", "-2", "3", "-3", "100", "9223372036854775807", "0", "x", "-9223372036854775808"),
	"pattern":  oneOf("*", "*", "?*", "[a-m]*", "*1", "s?", "h*", "[^s]*", "nothing", `\*`, "*[", "m1*", "?"),

	// Times to live are either long, and differ by more than a step takes, or
	// over at once: what runs out meanwhile is what waits (expiry) are for.
	"ttl":        func(_ *Workload, r *rand.Rand) []byte { return timeToLive(r, 100, 1_000_000) },
	"pttl":       func(_ *Workload, r *rand.Rand) []byte { return timeToLive(r, 100_000, 1_000_000_000) },
	"restorettl": oneOf("0", "0", "0", "500000", "1000000", "-1", "x"),
	"at":         oneOf("1900000000", "2000000000", "4000000000", "1", "1000000000", "0", "-1", "9223372036854775807", "x"),
	"pat":        oneOf("1900000000000", "2000000000000", "4000000000000", "1", "1000000000000", "0", "-1", "9223372036854775807", "x"),
	"future":     oneOf("1900000000", "2000000000", "4000000000", "0", "-1", "9223372036854775807", "x"),
	"faraway":    oneOf("1900000000000", "2000000000000", "4000000000000", "0", "-1", "9223372036854775807", "x"),
	"absttl":     oneOf("1900000000000", "2000000000000", "1000000000000"), // taken for relative, still far away
	"past":       oneOf("1000", "1500000000000", "0", "x"),
	// Nobody serves who waits: none waits for long.
	"timeout":  oneOf("0.001", "0.005", "0.01", "1e-3", "-1", "x", "1e400", ""),
	"minidle":  oneOf("0", "0", "0", "0", "1000000000", "-1", "x"),
	"payload":  func(w *Workload, r *rand.Rand) []byte { return w.payload(r) },
	"resealed": func(w *Workload, r *rand.Rand) []byte { return w.resealed(r) },

	"bit":           oneOf("0", "1", "7", "8", "13", "100", "500", "1000", "4294967296", "-1", "9223372036854775807", "x"),
	"bitvalue":      oneOf("0", "1", "1", "0", "1", "0", "1", "2", "x"),
	"bittype":       oneOf("u1", "u4", "u8", "i8", "i5", "u16", "i32", "u63", "i64", "u64", "i65", "u0", "x8"),
	"bitoffset":     oneOf("0", "1", "#0", "#1", "#3", "7", "100", "#100", "-1", "#x", "9223372036854775807"),
	"weightpattern": oneOf("n*", "w_*", "s*", "h1->*", "h*->m1", "*", "missing*"),
	"getpattern":    oneOf("#", "n*", "s*", "h1->*", "h*->m1", "*->m2", "missing"),

	"score":      func(_ *Workload, r *rand.Rand) []byte { return score(r) },
	"scorebound": func(_ *Workload, r *rand.Rand) []byte { return scoreBound(r) },
	"lexbound":   func(_ *Workload, r *rand.Rand) []byte { return lexBound(r) },
	"weight":     oneOf("1", "2", "0", "-1", "0.5", "1e10", "inf", "-inf", "3.3", "x"),
	"longitude":  coordinate(13, 180),
	"latitude":   coordinate(38, 85),
	"distance":   oneOf("0", "1", "50", "200", "1000", "2000", "20000", "0.5", "1e6", "-1", "x"),
	"unit":       oneOf("m", "km", "km", "km", "mi", "ft", "KM", "x"),

	"newid":    newID,
	"id":       func(w *Workload, r *rand.Rand) []byte { return w.oldID(r) },
	"rangeid":  rangeID,
	"group":    oneOf("g1", "g1", "g1", "g2", "g2", "gx"),
	"consumer": oneOf("c1", "c1", "c2", "c3", ""),

	"conversion": func(_ *Workload, r *rand.Rand) []byte { return []byte(pick(r, conversions...)) },
	"digest": func(_ *Workload, r *rand.Rand) []byte {
		sum := sha1.Sum([]byte(pick(r, conversions...)))
		return []byte(hex.EncodeToString(sum[:]))
	},

	"library":        func(_ *Workload, r *rand.Rand) []byte { return []byte(library(r)) },
	"libraryname":    oneOf(libraryNames...),
	"librarypattern": oneOf("*", "lib*", "LIB?", "lib1", "x*", "lib[12]"),
	"function":       oneOf("f1", "f2", "f3", "F1", "f4", "", "nosuch"),
	"dumped": func(_ *Workload, r *rand.Rand) []byte {
		var codes []string
		if r.IntN(8) > 0 { // of two, redis-server names either in an error
			codes = append(codes, library(r))
		}
		return rdb.AppendLibraries(nil, codes)
	},
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

func oneOf(of ...string) func(*Workload, *rand.Rand) []byte {
	return func(_ *Workload, r *rand.Rand) []byte { return []byte(pick(r, of...)) }
}

var (
	long  = fmt.Sprintf("%070d", 7)   // does not fit listpacks' default limit for values
	story = fmt.Sprintf("%0400d", 42) // compresses well
)

func value(_ *Workload, r *rand.Rand) []byte {
	switch n := r.IntN(20); {
	case n < 6:
		return fmt.Appendf(nil, "v%d", r.IntN(10))
	case n < 12:
		return strconv.AppendInt(nil, int64(r.IntN(200)-20), 10)
	case n == 12:
		return []byte(pick(r, long, story, story[:44], story[:45], story[:64], story[:65]))
	case n == 13:
		return []byte(pick(r, "", "\x01\x00\xff\r\n", "hello world", "ÿ", "*", "a b"))
	case n == 14:
		return integer(nil, r)
	case n == 15:
		return []byte(pick(r, "1.5", "-0.25", "3.0", "1e3", "007", "+1", "-0", "0x1f", "inf", "nan"))
	default:
		return member(nil, r)
	}
}

func member(_ *Workload, r *rand.Rand) []byte {
	switch n := r.IntN(40); {
	case n < 28:
		return fmt.Appendf(nil, "m%d", r.IntN(12))
	case n < 36:
		return strconv.AppendInt(nil, int64(r.IntN(12)), 10)
	case n == 36:
		return fmt.Appendf(nil, "m%d", r.IntN(300))
	case n == 37:
		return []byte(pick(r, long, story[:64], story[:65]))
	default:
		return []byte(pick(r, "", "\xff\x00", "a", "B", "m", "100000", "-9223372036854775808", "32768", "2147483648"))
	}
}

func integer(_ *Workload, r *rand.Rand) []byte {
	if r.IntN(8) > 0 {
		return strconv.AppendInt(nil, int64(r.IntN(100)-30), 10)
	}
	return []byte(pick(r, "127", "128", "-128", "32767", "32768", "65536", "-2147483648", "2147483648", "4294967295", "9007199254740993",
		"9223372036854775807", "-9223372036854775808", "9223372036854775808", "1.0", "x", "01", " 1", ""))
}

func float(_ *Workload, r *rand.Rand) []byte {
	if r.IntN(6) > 0 {
		return strconv.AppendFloat(nil, float64(r.IntN(2000)-1000)/float64(int(1)<<r.IntN(8)), 'f', -1, 64)
	}
	return []byte(pick(r, "0.1", "3.0e3", "1e-7", "5.0e3", "1.7e308", "-1e300", "0.000001", "inf", "nan", "x", "1 ", "123456789.123456789"))
}

func index(_ *Workload, r *rand.Rand) []byte {
	if r.IntN(12) > 0 {
		return strconv.AppendInt(nil, int64(r.IntN(16)-6), 10)
	}
	return []byte(pick(r, "100", "-100", "1000000", "9223372036854775807", "-9223372036854775808", "x", ""))
}

func count(_ *Workload, r *rand.Rand) []byte {
	if r.IntN(15) > 0 {
		return strconv.AppendInt(nil, int64(r.IntN(8)), 10)
	}
	return []byte(pick(r, "-1", "-5", "100", "9223372036854775807", "-9223372036854775808", "x", "1.5"))
}

func timeToLive(r *rand.Rand, least, most int) []byte {
	if r.IntN(8) > 0 {
		return strconv.AppendInt(nil, int64(least+r.IntN(most)), 10)
	}
	return []byte(pick(r, "0", "-1", "9223372036854775807", "-9223372036854775808", "x", "1.5"))
}

func score(r *rand.Rand) []byte {
	switch n := r.IntN(24); {
	case n < 16:
		return strconv.AppendInt(nil, int64(r.IntN(12)), 10)
	case n < 20:
		return float(nil, r)
	case n == 20:
		return []byte(pick(r, "inf", "-inf", "+inf", "Infinity"))
	case n == 21:
		return []byte(pick(r, "x", "nan", "", "0x10", "1e400", "-0", "9007199254740993", "1e-320"))
	default:
		return strconv.AppendInt(nil, int64(r.IntN(100)-50), 10)
	}
}

func scoreBound(r *rand.Rand) []byte {
	switch n := r.IntN(10); {
	case n < 2:
		return []byte(pick(r, "-inf", "+inf"))
	case n < 5:
		return append([]byte("("), score(r)...)
	default:
		return score(r)
	}
}

func lexBound(r *rand.Rand) []byte {
	switch n := r.IntN(20); {
	case n < 6:
		return []byte(pick(r, "-", "+"))
	case n == 6:
		return []byte(pick(r, "x", "", "[", "("))
	case n < 13:
		return append([]byte("["), member(nil, r)...)
	default:
		return append([]byte("("), member(nil, r)...)
	}
}

func coordinate(near float64, most int) func(*Workload, *rand.Rand) []byte {
	return func(_ *Workload, r *rand.Rand) []byte {
		switch r.IntN(20) {
		case 0:
			return []byte(pick(r, "181", "-181", "86", "85.05112878", "-180", "180", "0", "x", "nan"))
		case 1:
			return strconv.AppendInt(nil, int64(r.IntN(2*most)-most), 10)
		}
		return strconv.AppendFloat(nil, near+float64(r.IntN(5000))/1000, 'f', -1, 64)
	}
}

// idsPerMs is how many ids of streams share their first half.
const idsPerMs = 4

func (w *Workload) id(n int) []byte {
	return fmt.Appendf(nil, "%d-%d", n/idsPerMs+1, n%idsPerMs)
}

// newID draws an id that is mostly larger than all before.
func newID(w *Workload, r *rand.Rand) []byte {
	switch r.IntN(30) {
	case 0:
		return w.oldID(r)
	case 1:
		return fmt.Appendf(nil, "%d-*", w.ids/idsPerMs+1)
	case 2:
		return []byte(pick(r, "0-0", "0-*", "x", "18446744073709551616-1", "1-x", "-", ""))
	}
	w.ids += 1 + r.IntN(3)
	return w.id(w.ids)
}

// oldID draws an id that may be there.
func (w *Workload) oldID(r *rand.Rand) []byte {
	switch n := r.IntN(12); {
	case n < 7:
		return w.id(max(0, w.ids-r.IntN(60)))
	case n < 9:
		return w.id(max(0, w.ids-r.IntN(6)))
	case n < 11:
		return []byte("0")
	}
	return []byte(pick(r, "0-1", "18446744073709551615-18446744073709551615", "x", "5", strconv.Itoa(w.ids/idsPerMs)))
}

func rangeID(w *Workload, r *rand.Rand) []byte {
	switch n := r.IntN(8); {
	case n < 4:
		return []byte(pick(r, "-", "+"))
	case n < 6:
		return w.oldID(r)
	}
	return append([]byte("("), w.oldID(r)...)
}

// restorable are the letters of the keys of which there are dumps.
var restorable = strings.Split("snlihtuzx", "")

// payload draws what DUMP gave of a key of the type that was drawn last,
// sometimes damaged.
func (w *Workload) payload(r *rand.Rand) []byte {
	payloads := w.options.Payloads[w.letter]
	if len(payloads) == 0 || r.IntN(20) == 0 {
		return []byte("\x00\x01x\x0a\x00not a checksum")
	}
	p := payloads[r.IntN(len(payloads))]
	if r.IntN(12) > 0 {
		return p
	}
	damaged := flipped(r, p)
	return damaged[:1+r.IntN(len(damaged))]
}

// flipped flips a bit of a copy.
func flipped(r *rand.Rand, b []byte) []byte {
	damaged := append([]byte(nil), b...)
	damaged[r.IntN(len(damaged))] ^= byte(1 << r.IntN(8))
	return damaged
}

// resealed draws a damaged dump whose checksum is right again.
func (w *Workload) resealed(r *rand.Rand) []byte {
	const versionSize = 2
	payloads := w.options.Payloads[w.letter]
	if len(payloads) == 0 {
		return nil
	}
	p := payloads[r.IntN(len(payloads))]
	end := len(p) - versionSize - crc64.Size
	return sealed(append(flipped(r, p[:end]), p[end:]...))
}

// jones is the polynomial of the checksum at the end of dumps.
var jones = crc64.MakeTable(0x95ac9329ac4bc9b5)

// sealed gives a dump the checksum that goes with it.
func sealed(dump []byte) []byte {
	body := dump[:len(dump)-crc64.Size]
	return binary.LittleEndian.AppendUint64(body, ^crc64.Update(^uint64(0), jones, body))
}
