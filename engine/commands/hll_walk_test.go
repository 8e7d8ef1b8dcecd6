package commands_test

import (
	"fmt"
	"testing"
)

func TestHyperLogLogWalkBesideOracle(t *testing.T) {
	for _, sparseMax := range []string{"60", "3000"} {
		t.Run(sparseMax, func(t *testing.T) {
			walkBesideOracle(t, map[string]string{"hll-sparse-max-bytes": sparseMax}, hllCommand)
		})
	}
}

func hllCommand(d *dice) string {
	k := d.key()
	element := func() string { return fmt.Sprint(d.IntN(1 << d.IntN(20))) }
	switch d.IntN(20) {
	case 0, 1, 2, 3:
		return fmt.Sprintf("PFADD %s %s", k, d.words(5, element))
	case 4:
		return fmt.Sprintf("PFADD %s %s", k, d.words(200, element))
	case 5:
		return "PFADD " + k
	case 6, 7:
		return "PFCOUNT " + k
	case 8:
		return "PFCOUNT " + d.words(4, d.key)
	case 9:
		return "PFMERGE " + d.words(4, d.key)
	case 10:
		return "PFDEBUG " + d.of("DECODE ", "ENCODING ", "TODENSE ", "X ") + k
	case 11, 12:
		return d.of("GET ", "DUMP ", "STRLEN ", "OBJECT ENCODING ", "EXISTS ") + k
	case 13, 14, 15, 16, 17:
		return hllDamage(d)
	case 18:
		return "DEL " + k
	}
	return d.of("PFDEBUG GETREG "+k, "SET "+k+" x", "RPUSH "+k+" x", "COPY "+k+" "+d.key()+" REPLACE", "SET "+k+" 12345", "RENAME "+k+" "+d.key())
}

// hllDamage spoils a copy of a HyperLogLog, or looks at one. Elements are not added
// to it: of those before the one that finds the damage redis-server keeps some.
func hllDamage(d *dice) string {
	junk := d.of("\x00", "\x7f", "\x80", "\xff", "\x40", "x", "\x84", "\x43\x02")
	return d.of(
		"COPY "+d.key()+" spoilt REPLACE",
		fmt.Sprintf("SETRANGE spoilt %d %s", d.IntN(30), junk),
		fmt.Sprintf("SETRANGE spoilt %d %s", 16+d.IntN(2000), junk),
		"APPEND spoilt "+junk,
		"SETRANGE spoilt 15 \x80",
		"PFCOUNT spoilt",
		"PFCOUNT spoilt "+d.key(),
		"PFMERGE repaired spoilt",
		"PFDEBUG "+d.of("DECODE ", "ENCODING ", "GETREG ", "TODENSE ")+"spoilt")
}
