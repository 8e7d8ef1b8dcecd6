package commands_test

import (
	"fmt"
	"testing"
)

func TestListWalkBesideOracle(t *testing.T) {
	walkBesideOracle(t, map[string]string{"list-max-listpack-size": "5"}, listCommand)
}

func TestStreamWalkBesideOracle(t *testing.T) {
	walkBesideOracle(t, map[string]string{"stream-node-max-entries": "4"}, streamCommand)
}

func listCommand(d *dice) string {
	k, end := d.key(), d.of("LEFT", "RIGHT")
	switch d.IntN(20) {
	case 0, 1, 2, 3:
		return fmt.Sprintf("%s %s %s", d.of("LPUSH", "RPUSH"), d.of("a", "b", "c"), d.words(8, d.element))
	case 4:
		return fmt.Sprintf("%s %s %s", d.of("LPUSHX", "RPUSHX"), k, d.element())
	case 5, 6:
		return fmt.Sprintf("%s %s %s", d.of("LPOP", "RPOP"), k, d.of("", "", "0", "1", "3", "100"))
	case 7:
		return fmt.Sprintf("LMPOP 2 %s %s %s %s", k, d.key(), end, d.of("", "COUNT 2", "COUNT 50"))
	case 8, 9:
		return fmt.Sprintf("LMOVE %s %s %s %s", k, d.of("a", "b", "c"), end, d.of("LEFT", "RIGHT"))
	case 10:
		return fmt.Sprintf("RPOPLPUSH %s %s", k, d.of("a", "b", "c"))
	case 11:
		return fmt.Sprintf("LINDEX %s %s", k, d.index())
	case 12, 13:
		return fmt.Sprintf("LSET %s %s %s", k, d.index(), d.element())
	case 14, 15:
		return fmt.Sprintf("LINSERT %s %s %s %s", k, d.of("BEFORE", "AFTER"), d.element(), d.element())
	case 16:
		return fmt.Sprintf("LREM %s %d %s", k, d.IntN(7)-3, d.element())
	case 17:
		return fmt.Sprintf("LPOS %s %s %s %s %s", k, d.element(), d.of("", "RANK 2", "RANK -1"), d.of("", "COUNT 0", "COUNT 2"), d.of("", "MAXLEN 9"))
	case 18:
		if d.IntN(4) == 0 {
			return fmt.Sprintf("LTRIM %s %s %s", k, d.index(), d.index())
		}
		return "LLEN " + k
	}
	return fmt.Sprintf("LRANGE %s %s %s", k, d.index(), d.index())
}

func (d *dice) entry() string { return fmt.Sprintf("%d-%d", 1+d.IntN(60), d.IntN(3)) }

func (d *dice) bound() string {
	return d.of("-", "+", d.entry(), "("+d.entry(), fmt.Sprint(d.IntN(60)))
}

func (d *dice) fields() string {
	return d.of("f 1", "f 2", "g x", "f 1 g 2", "f 1 g 2 h 3", "g 1 f 1")
}

func (d *dice) trim() string {
	switch d.IntN(8) {
	case 0:
		return fmt.Sprintf("MAXLEN %s %d", d.of("", "=", "~"), d.IntN(30))
	case 1:
		return fmt.Sprintf("MINID %s %s", d.of("", "=", "~"), d.entry())
	case 2:
		return fmt.Sprintf("%s ~ %d LIMIT %d", d.of("MAXLEN", "MINID"), d.IntN(30), d.IntN(8))
	}
	return ""
}

func streamCommand(d *dice) string {
	k, group, consumer := d.key(), d.of("g", "g", "h"), d.of("c", "d", "e")
	switch d.IntN(30) {
	case 0, 1, 2, 3, 4, 5:
		return fmt.Sprintf("XADD %s %s %s %s %s", k, d.of("", "", "NOMKSTREAM"), d.trim(), d.of(d.entry(), fmt.Sprintf("%d-*", 1+d.IntN(60))), d.fields())
	case 6, 7:
		return fmt.Sprintf("XDEL %s %s", k, d.words(6, d.entry))
	case 8:
		return fmt.Sprintf("XTRIM %s %s", k, d.trim())
	case 9:
		return "XLEN " + k
	case 10:
		return fmt.Sprintf("XRANGE %s %s %s %s", k, d.bound(), d.bound(), d.of("", "COUNT 3"))
	case 11:
		return fmt.Sprintf("XREVRANGE %s %s %s %s", k, d.bound(), d.bound(), d.of("", "COUNT 3"))
	case 12:
		return fmt.Sprintf("XREAD %s STREAMS %s %s %s %s", d.of("", "COUNT 2"), k, d.key(), d.entry(), d.of("$", d.entry()))
	case 13, 14:
		return "XINFO STREAM " + k
	case 15:
		if d.IntN(3) > 0 {
			return "DEL " + k
		}
		return fmt.Sprintf("XSETID %s %s %s %s", k, d.entry(), d.of("", "ENTRIESADDED 50"), d.of("", "MAXDELETEDID "+d.entry()))
	case 16:
		return fmt.Sprintf("XGROUP CREATE %s %s %s %s %s", k, group, d.of("$", "0", d.entry()), d.of("", "MKSTREAM"), d.of("", "ENTRIESREAD 3"))
	case 17:
		return fmt.Sprintf("XGROUP SETID %s %s %s %s", k, group, d.of("$", "0", d.entry()), d.of("", "ENTRIESREAD 3"))
	case 18:
		return d.of("XGROUP DESTROY "+k+" "+group, "XGROUP CREATECONSUMER "+k+" "+group+" "+consumer, "XGROUP DELCONSUMER "+k+" "+group+" "+consumer)
	case 19, 20, 21:
		return fmt.Sprintf("XREADGROUP GROUP %s %s %s %s STREAMS %s >", group, consumer, d.of("", "COUNT 2"), d.of("", "", "NOACK"), k)
	case 22:
		return fmt.Sprintf("XREADGROUP GROUP %s %s %s STREAMS %s %s", group, consumer, d.of("", "COUNT 2"), k, d.entry())
	case 23:
		return fmt.Sprintf("XACK %s %s %s", k, group, d.words(6, d.entry))
	case 24, 25:
		return d.of("XPENDING "+k+" "+group, fmt.Sprintf("XPENDING %s %s IDLE 1000000 - + 5", k, group))
	case 26:
		return fmt.Sprintf("XCLAIM %s %s %s %s %s %s %s", k, group, consumer, d.of("0", "1000000"), d.words(4, d.entry), d.of("", "FORCE"), d.of("", "JUSTID", "RETRYCOUNT 3"))
	case 27:
		return fmt.Sprintf("XAUTOCLAIM %s %s %s %s %s %s %s", k, group, consumer, d.of("0", "1000000"), d.of("-", "0", d.entry(), "("+d.entry()), d.of("", "COUNT 1", "COUNT 3"), d.of("", "JUSTID"))
	case 28:
		return "XINFO GROUPS " + k
	}
	return fmt.Sprintf("XRANGE %s - +", k)
}
