package side

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// story tells what happened in a round, a line each, with the times of call and return
// ("-": none), in order of nothing:
//
//	push PRODUCER CALL RETURN ELEMENT[?!]      in a sorted set ELEMENT is SCORE/ELEMENT
//	pop CONSUMER CALL RETURN ELEMENT           from queue 0
//	pop1 CONSUMER CALL RETURN ELEMENT          from queue 1
//	move CONSUMER CALL RETURN ELEMENT          from queue 0 to queue 1; ? instead of ELEMENT: in doubt
//	empty CONSUMER CALL RETURN TIMEOUT         told by queue 0 that time was up
//	doubt CONSUMER CALL RETURN -               a pop of which nothing is known
//	left|left1 ELEMENT ...
func story(t *testing.T, text string) *Round {
	t.Helper()
	r := &Round{Queues: 2, Left: make([][]string, 2)}
	for _, line := range strings.Split(text, ";") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if queue := strings.Index("left left1", f[0]); strings.HasPrefix(f[0], "left") {
			r.Left[min(queue+len(f[0])-4, 1)] = f[1:]
			continue
		}
		var who, call, ret int
		if _, err := fmt.Sscan(f[1]+" "+f[2]+" "+f[3], &who, &call, &ret); err != nil {
			t.Fatal(line, err)
		}
		from, to := time.Duration(call), time.Duration(ret)
		p := Pop{Consumer: who, Queues: []int{0}, To: -1, Count: 1, Call: from, Return: to, Elements: []string{f[4]}}
		switch f[0] {
		case "push":
			e := Push{Producer: who, Call: from, Return: to, Element: strings.TrimRight(f[4], "?!")}
			e.Outcome = sent(f[4])[0].Outcome
			if score, name, ok := strings.Cut(e.Element, "/"); ok {
				e.Element = name
				_, _ = fmt.Sscan(score, &e.Score)
				r.Order = Lowest
			}
			r.Pushes = append(r.Pushes, e)
			continue
		case "pop":
		case "pop1":
			p.Queues, p.Queue = []int{1}, 1
		case "move":
			if p.To = 1; f[4] == "?" {
				p.Fate, p.Elements = Unknown, nil
			}
		case "empty":
			p.Fate, p.Elements = Empty, nil
			_, _ = fmt.Sscan(f[4], &ret)
			p.Timeout = time.Duration(ret)
		case "doubt":
			p.Fate, p.Elements = Unknown, nil
		default:
			t.Fatal(line)
		}
		r.Pops = append(r.Pops, p)
	}
	return r
}

func TestQueues(t *testing.T) {
	for _, c := range []struct {
		name, story, wrong string
		lost               int
	}{
		{"in order", "push 1 1 2 a; push 1 3 4 b; pop 1 5 6 a; pop 1 7 8 b", "", 0},
		{"who waited before", "pop 1 0 3 a; pop 2 0 3 b; push 1 1 2 a; push 1 2 4 b", "", 0},
		{"what is left", "push 1 1 2 a; push 1 3 4 b; pop 1 5 6 a; left b", "", 0},
		{"doubt that came", "push 1 1 2 a?; pop 1 5 6 a", "", 0},
		{"doubt that is left", "push 1 1 2 a?; left a", "", 0},
		{"doubt that is nowhere", "push 1 1 2 a?", "", 0},
		{"doubt that came late", "push 1 1 2 a?; push 1 3 4 b; pop 1 5 6 b; pop 1 7 8 a", "", 0},
		{"a consumer that died took it", "push 1 1 2 a; doubt 1 0 3 -", "", 1},
		{"moved", "push 1 1 2 a; move 1 0 3 a; pop1 2 0 4 a", "", 0},
		{"moved in doubt", "push 1 1 2 a; move 1 0 3 ?; pop1 2 0 4 a", "", 0},
		{"moved and left", "push 1 1 2 a; move 1 0 3 a; left1 a", "", 0},
		{"moved and taken by who died", "push 1 1 2 a; move 1 0 3 a; doubt 1 4 5 -", "", 1},
		{"a time that was up", "empty 1 1 9 5; push 1 7 8 a; left a", "", 0},
		{"given while there may have been nothing", "push 1 1 2 a; push 1 3 8 b; empty 1 4 9 2; pop 2 2 7 a; pop 2 7 9 b", "", 0},

		{"lost", "push 1 1 2 a", "gone", 1},
		{"two lost, one doubt", "push 1 1 2 a; push 1 3 4 b; doubt 1 0 5 -", "gone", 2},
		{"a move in doubt loses nothing", "push 1 1 2 a; move 1 0 3 ?", "gone", 1},
		{"came twice", "push 1 1 2 a; pop 1 3 4 a; pop 2 3 4 a", "twice", 0},
		{"came and is there", "push 1 1 2 a; pop 1 3 4 a; left a", "still", 0},
		{"came and was moved", "push 1 1 2 a; pop 1 3 4 a; pop1 2 5 6 a", "queue 1 too", 0},
		{"moved by nobody", "push 1 1 2 a; pop1 2 5 6 a", "moved by nobody", 0},
		{"is there twice", "push 1 1 2 a; left a a", "twice", 0},
		{"from nowhere", "pop 1 3 4 a", "nobody pushed", 0},
		{"nowhere from", "left a", "nobody pushed", 0},
		{"refused", "push 1 1 2 a!; pop 1 3 4 a", "definite", 0},
		{"refused and there", "push 1 1 2 a!; left a", "definite", 0},
		{"before its time", "pop 1 1 2 a; push 1 3 4 a", "before it was pushed", 0},
		{"out of order", "push 1 1 2 a; push 2 3 4 b; pop 1 5 6 b; pop 1 7 8 a", "before \"a\"", 0},
		{"out of order in one command", "push 1 1 2 a; push 1 1 2 b; pop 1 5 6 b; pop 1 7 8 a", "before \"a\"", 0},
		{"passed over", "push 1 1 2 a; push 2 3 4 b; pop 1 5 6 b; left a", "before \"a\"", 0},
		{"moved out of order", "push 1 1 2 a; push 1 3 4 b; move 1 5 6 a; move 1 7 8 b; pop1 2 9 10 b; pop1 2 11 12 a", "before \"a\"", 0},
		{"told that there is nothing", "push 1 1 2 a; empty 1 3 9 2; left a", "there was something", 0},
		{"one after the other was there", "push 1 1 2 a; push 1 3 4 b; empty 1 3 9 2; pop 2 6 7 a; pop 2 10 11 b", "there was something", 0},

		{"lowest first", "push 1 1 2 2/a; push 1 3 4 1/b; pop 1 5 6 b; pop 1 7 8 a", "", 0},
		{"lowest was not there yet", "push 1 1 2 2/a; push 1 3 7 1/b; pop 1 5 6 a; pop 1 7 8 b", "", 0},
		{"not the lowest", "push 1 1 2 2/a; push 1 3 4 1/b; pop 1 5 6 a; pop 1 7 8 b", "was there", 0},
		{"not the lowest of a score", "push 1 1 2 1/b; push 1 3 4 1/a; pop 1 5 6 b; left a", "was there", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := story(t, c.story).Check()
			text := strings.Join(got.Wrong, "; ")
			if c.wrong == "" && text != "" || !strings.Contains(text, c.wrong) || got.Lost != c.lost {
				t.Errorf("got %q and %d lost, want %q and %d", text, got.Lost, c.wrong, c.lost)
			}
		})
	}
}

// stream returns a round in which a, b and c were added one after the other, and two
// consumers got a and c, and one b.
func stream() *LogRound {
	r := &LogRound{
		Entries: []Entry{{"1-0", "a"}, {"2-0", "b"}, {"3-0", "c"}},
		Pending: map[string]int{"1-0": 1, "2-0": 2, "3-0": 1},
	}
	for i, e := range r.Entries {
		at := time.Duration(10 * i)
		r.Pushes = append(r.Pushes, Push{Element: e.Element, ID: e.ID, Call: at + 1, Return: at + 2})
		r.Pops = append(r.Pops, Pop{Consumer: 1 + i%2, Queues: []int{0}, To: -1, Count: 1, Call: at, Return: at + 3, Elements: []string{e.Element}})
		r.Reads = append(r.Reads, Read{Reader: 1, Call: at, Return: at + 4, Entries: []Entry{e}})
	}
	return r
}

func TestStreams(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*LogRound)
		wrong  string
	}{
		{"well", func(*LogRound) {}, ""},
		{"given to who died", func(r *LogRound) { r.Pops[1].Fate, r.Pops[1].Elements = Unknown, nil }, ""},
		{"a reader that has not come so far", func(r *LogRound) { r.Reads = r.Reads[:1] }, ""},
		{"not given yet", func(r *LogRound) { r.Pops = r.Pops[:2]; delete(r.Pending, "3-0") }, ""},
		{"another ID", func(r *LogRound) { r.Pushes[1].ID = "2-1" }, "acknowledged as"},
		{"lost", func(r *LogRound) { r.Entries = r.Entries[:2]; r.Pops, r.Reads = r.Pops[:2], r.Reads[:2] }, "not in the stream"},
		{"given to nobody", func(r *LogRound) { r.Pops[1].Elements = nil; delete(r.Pending, "2-0") }, "given to nobody"},
		{"the group does not know", func(r *LogRound) { r.Pending["1-0"] = 2 }, "does not know"},
		{"did not come", func(r *LogRound) { r.Pops[1].Fate, r.Pops[1].Elements = Empty, nil }, "gone"},
		{"did not come to the one who is not in doubt", func(r *LogRound) {
			r.Pops[1].Elements = nil
			r.Pops[0].Fate, r.Pops[0].Elements = Unknown, []string{"a"}
		}, "more than it got"},
		{"out of order", func(r *LogRound) { r.Pops[0].Call, r.Pops[0].Return = 40, 41 }, "before \"a\""},
		{"behind what came later", func(r *LogRound) { r.Entries[1], r.Entries[2] = Entry{"2-0", "c"}, Entry{"3-0", "b"} }, "stands behind"},
		{"a reader saw a gap", func(r *LogRound) { r.Reads[1].Entries = nil }, "at place 3 after"},
		{"a reader saw it twice", func(r *LogRound) { r.Reads[1].Entries = append(r.Reads[1].Entries, r.Reads[1].Entries[0]) }, "at place 2 after"},
		{"a reader was not woken", func(r *LogRound) { r.Reads[2] = Read{Reader: 1, Call: 30, Return: 50, Timeout: 15, Fate: Empty} }, "nothing new"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := stream()
			c.change(r)
			got := strings.Join(r.Check().Wrong, "; ")
			if c.wrong == "" && got != "" || !strings.Contains(got, c.wrong) {
				t.Errorf("got %q, want %q", got, c.wrong)
			}
		})
	}
}
