package engine

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/rdb/redistest"
	"github.com/quorate/quorate/engine/transcript"
)

var crowds = flag.Int("crowds", 15, "how many random crowds wait")

// crowdWalk makes up what clients of one server do, some of whom wait.
type crowdWalk struct {
	*rand.Rand
	free    []string // clients that do not wait
	entries int      // of streams, for their IDs
}

func (w *crowdWalk) of(choices ...string) string { return choices[w.IntN(len(choices))] }

func (w *crowdWalk) key() string { return w.of("k", "l", "m") }

// wait returns a command that waits if there is nothing.
func (w *crowdWalk) wait(client string) string {
	keys := w.key()
	for w.IntN(3) == 0 {
		keys += " " + w.key()
	}
	n := fmt.Sprint(len(strings.Fields(keys)))
	end := w.of("LEFT", "RIGHT")
	count := w.of("", "", fmt.Sprint(" COUNT ", 1+w.IntN(3)))
	switch w.IntN(9) {
	case 0, 1:
		return w.of("BLPOP ", "BRPOP ") + keys + " 0"
	case 2, 3:
		return "BLMOVE " + w.key() + " " + w.key() + " " + end + " " + w.of("LEFT", "RIGHT") + " 0"
	case 4:
		return "BLMPOP 0 " + n + " " + keys + " " + end + count
	case 5:
		return w.of("BZPOPMIN ", "BZPOPMAX ") + keys + " 0"
	case 6:
		return "BZMPOP 0 " + n + " " + keys + " " + w.of("MIN", "MAX") + count
	case 7:
		return "XREAD" + count + " BLOCK 0 STREAMS " + w.key() + " " + w.of("$", "$", "0")
	}
	return "XREADGROUP GROUP " + w.of("g", "h") + " " + client + count + " BLOCK 0 STREAMS " + w.key() + " >"
}

// write returns a command that changes something.
func (w *crowdWalk) write() string {
	k, l := w.key(), w.key()
	w.entries++
	switch w.IntN(22) {
	case 0, 1, 2, 3:
		return w.of("RPUSH ", "LPUSH ") + k + fmt.Sprint(" ", w.entries) + w.of("", "", " x", " y z")
	case 4, 5:
		return fmt.Sprintf("ZADD %s %d m%d %d n%d", k, w.IntN(5), w.IntN(3), w.IntN(5), w.IntN(3))
	case 6, 7, 8:
		return fmt.Sprintf("XADD %s %d-1 f v", k, w.entries)
	case 9, 10:
		return "XGROUP CREATE " + k + " " + w.of("g", "h") + " $ MKSTREAM"
	case 11:
		return "XGROUP DESTROY " + k + " " + w.of("g", "h")
	case 12, 13, 14:
		return "DEL " + k
	case 15:
		return "SET " + k + " s"
	case 16:
		return "RENAME " + k + " " + l
	case 17:
		return "COPY " + k + " " + l + w.of("", " REPLACE")
	case 18:
		return w.of("SWAPDB 0 1", "MOVE "+k+" 1", "COPY "+k+" "+l+" DB 1")
	case 19:
		return "LMOVE " + k + " " + l + w.of(" LEFT RIGHT", " RIGHT RIGHT")
	case 20:
		return w.of("LPOP "+k, "ZPOPMIN "+k, "LTRIM "+k+" 1 -1")
	}
	// What SORT and its like store in place of another value serves nobody in redis-server 7.0.
	return w.of("RPOPLPUSH "+k+" "+l, "FLUSHDB")
}

// lines returns what one client does next.
func (w *crowdWalk) lines() (lines []string) {
	client := w.of(w.free...)
	switch n := w.IntN(13); {
	case n < 5 && len(w.free) > 1: // one is left to write
		return []string{client + " " + w.wait(client)}
	case n == 12:
		return []string{client + " LEAVE " + w.of(crowdNames...)}
	case n < 7:
		lines = append(lines, client+" MULTI")
		for range 1 + w.IntN(5) {
			lines = append(lines, client+" "+w.write())
		}
		return append(lines, client+" EXEC")
	case n == 7:
		var script []string
		for range 1 + w.IntN(4) {
			script = append(script, "redis.pcall('"+strings.Join(strings.Fields(w.write()), "','")+"')")
		}
		return []string{client + " EVAL " + strings.Join(script, ";") + " 0"}
	}
	return []string{client + " " + w.write()}
}

var crowdNames = []string{"a", "b", "c", "d", "e"}

func (r *room) waiting(client string) bool {
	return slices.Contains(slices.Collect(maps.Values(r.waits)), client)
}

// told plays turns, but those of clients that wait by now, and returns what was sent
// and what it was answered.
func (r *room) told(turns [][]string) (lines, answers []string) {
	for _, turn := range turns {
		client, command, _ := strings.Cut(turn[0], " ")
		gone, leaves := strings.CutPrefix(command, "LEAVE ")
		if r.waiting(client) || leaves && !r.waiting(gone) {
			continue
		}
		for _, line := range turn {
			lines = append(lines, line)
			answers = append(answers, say(r, line))
		}
	}
	return lines, answers
}

// say has a client send what a line says.
func say(c crowd, line string) string {
	client, command, _ := strings.Cut(line, " ")
	return c.do(client, words(strings.Fields(command)...))
}

// differs plays turns here and on a redis-server, up to the first difference.
func differs(t *testing.T, admin *redistest.Server, turns [][]string) string {
	lines, answers := (&room{engine: New(Options{}), now: 1_700_000_000_000}).told(turns)
	admin.Do("FLUSHALL")
	theirs := &redisServer{t: t, admin: admin, clients: make(map[string]*remote)}
	defer func() {
		for _, c := range theirs.clients {
			admin.Do("CLIENT", "KILL", "ID", c.id)
			_ = c.conn.Close()
		}
	}()
	for i, line := range lines {
		if want := say(theirs, line); want != answers[i] {
			return fmt.Sprintf("%s\ngot\n%s\nredis-server\n%s", strings.Join(lines[:i+1], "\n"), answers[i], want)
		}
	}
	return ""
}

// TestRandomCrowds has random clients wait and be served, as redis-server serves them.
func TestRandomCrowds(t *testing.T) {
	if !transcript.Oracle() {
		t.Skip("asks redis-server")
	}
	admin := redistest.Start(t, nil)
	for seed := range uint64(*crowds) {
		w := &crowdWalk{Rand: rand.New(rand.NewPCG(seed, 5))}
		ours := &room{engine: New(Options{}), now: 1_700_000_000_000}
		var turns [][]string
		for range 40 {
			w.free = nil
			for _, client := range crowdNames {
				if !ours.waiting(client) {
					w.free = append(w.free, client)
				}
			}
			turn := w.lines()
			ours.told([][]string{turn})
			turns = append(turns, turn)
		}
		why := differs(t, admin, turns)
		if why == "" {
			continue
		}
		for i := len(turns) - 1; i >= 0; i-- { // what is not needed goes
			fewer := slices.Delete(slices.Clone(turns), i, i+1)
			if less := differs(t, admin, fewer); less != "" {
				turns, why = fewer, less
			}
		}
		t.Errorf("seed %d: %s", seed, why)
	}
}
