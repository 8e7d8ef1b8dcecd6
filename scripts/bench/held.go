package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// What one command over a large value takes: one node beside one redis-server, new ones for each type, so that two
// large values at most are in memory. Each command runs once. The time is what INFO commandstats says, in which a
// server does nothing else for its clients, and beside it the CPU time of the process, reply and garbage collector
// included.

// heldGroup is a type: how its key is filled, and commands in an order in which each finds what it works on. % stands
// for the middle, ~ for all elements but two.
type heldGroup struct {
	kind     string
	filler   filler
	commands string // set apart by " ; "
}

var heldGroups = []heldGroup{
	{"list", fillers[1], "LRANGE list 0 -1 ; LINDEX list % ; LSET list % x ; LPOS list nothing ; LINSERT list BEFORE nothing x ; LREM list 0 nothing ; " +
		"SORT list ALPHA LIMIT 0 10 ; DUMP list ; COPY list copy ; LPUSH copy x ; DEL copy ; LPOP list ~ ; DEL list"},
	{"set", fillers[3], "SMEMBERS set ; SRANDMEMBER set ~ ; DUMP set ; COPY set copy ; SADD copy x ; DEL copy ; SUNIONSTORE to set ; DEL to ; SINTERSTORE to set set ; DEL to ; " +
		"SDIFFSTORE to set nothing ; UNLINK to ; SPOP set ~ ; DEL set"},
	{"ints", fillers[4], "SORT ints LIMIT 0 10 ; SORT ints STORE to ; DEL to ; DEL ints"},
	{"hash", fillers[2], "HGETALL hash ; HKEYS hash ; HRANDFIELD hash ~ ; DUMP hash ; COPY hash copy ; HSET copy f v ; DEL copy ; DEL hash"},
	{"zset", fillers[5], "ZRANGE zset 0 -1 ; ZRANGEBYSCORE zset -inf +inf ; ZCOUNT zset -inf +inf ; DUMP zset ; COPY zset copy ; ZADD copy 1 x ; DEL copy ; ZUNIONSTORE to 1 zset ; DEL to ; " +
		"ZINTERSTORE to 2 zset zset ; DEL to ; ZRANGESTORE to zset 0 -1 ; ZREMRANGEBYRANK to 0 ~ ; ZPOPMIN zset ~ ; DEL zset"},
	{"stream", fillers[6], "XRANGE stream - + ; XINFO STREAM stream ; DUMP stream ; COPY stream copy ; XADD copy * f v ; DEL copy ; XTRIM stream MAXLEN % ; DEL stream"},
	{"keys", fillers[0], "KEYS nothing ; KEYS * ; DBSIZE ; SWAPDB 0 1 ; SWAPDB 0 1 ; FLUSHALL"},
}

// held measures the commands over values of n elements and prints a line for each.
func held(o options) error {
	fmt.Println("| command | redis ms | quorate ms | ratio | redis CPU ms | quorate CPU ms |\n|---|---|---|---|---|---|")
	for _, g := range heldGroups {
		if !strings.Contains(g.kind, o.only) {
			continue
		}
		if err := withPair(o, func(pair *pair) error { return heldGroupOf(o, g, pair) }); err != nil {
			return fmt.Errorf("%s: %w", g.kind, err)
		}
	}
	return nil
}

func heldGroupOf(o options, g heldGroup, pair *pair) (err error) {
	for _, side := range []side{pair.redis, pair.quorate} {
		if err := side.fillUp(o.held, g.filler); err != nil {
			return err
		}
	}
	words := strings.NewReplacer("~", strconv.Itoa(o.held-2), "%", strconv.Itoa(o.held/2))
	for _, command := range strings.Split(g.commands, " ; ") {
		line := words.Replace(command)
		name := strings.ToLower(strings.Fields(line)[0])
		if name == "xinfo" {
			name = "xinfo|stream"
		}
		var times [2]heldTime
		for i, side := range []side{pair.redis, pair.quorate} {
			if times[i], err = side.holds(name, line); err != nil {
				return fmt.Errorf("%s: %w", line, err)
			}
		}
		redis, quorate := times[0], times[1]
		fmt.Printf("| %s | %.1f | %.1f | %.1f | %.0f | %.0f |\n", command, redis.ms, quorate.ms, quorate.ms/max(redis.ms, 0.1), redis.cpu, quorate.cpu)
		fmt.Fprintln(os.Stderr, line)
	}
	return nil
}

// heldTime is what one command takes, in milliseconds.
type heldTime struct{ ms, cpu float64 }

// holds runs a command and returns what it took.
func (s side) holds(name, line string) (heldTime, error) {
	if err := s.run("CONFIG RESETSTAT"); err != nil {
		return heldTime{}, err
	}
	before := s.cpu()
	if err := s.run(line); err != nil {
		return heldTime{}, err
	}
	cpu := s.cpu() - before
	us, err := s.usec(name)
	return heldTime{us / 1e3, float64(cpu) / float64(time.Millisecond)}, err
}

// usec returns what INFO commandstats says that a command took since it was reset.
func (s side) usec(name string) (us float64, err error) {
	if _, err := s.Write(encode([]string{"INFO commandstats"})); err != nil {
		return 0, err
	}
	text, err := readBulk(s.r)
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(text, "cmdstat_"+name+":")
	if !found {
		return 0, fmt.Errorf("no %s in INFO commandstats", name)
	}
	_, rest, _ = strings.Cut(rest, "usec=")
	rest, _, _ = strings.Cut(rest, ",")
	return strconv.ParseFloat(rest, 64)
}

// readBulk reads a bulk string.
func readBulk(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "$")))
	if err != nil {
		return "", fmt.Errorf("%q is no bulk string", line)
	}
	text := make([]byte, n+2)
	if _, err := io.ReadFull(r, text); err != nil {
		return "", err
	}
	return string(text[:n]), nil
}
