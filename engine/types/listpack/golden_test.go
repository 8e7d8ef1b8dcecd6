package listpack

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// golden is a listpack that redis-server wrote, and its elements' texts.
type golden struct {
	name     string
	block    []byte
	elements []string
}

var (
	hexRun      = regexp.MustCompile(`\(([0-9a-f]{2})\*(\d+)\)`)
	elementText = regexp.MustCompile(`"([^"]*)"|(\w)\*(\d+)`)
)

// goldens reads testdata/redis.txt: a line with name and block, then a line with
// the elements.
func goldens(t testing.TB) []golden {
	t.Helper()
	f, err := os.Open("testdata/redis.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	var all []golden
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, digits, _ := strings.Cut(line, " ")
		digits = hexRun.ReplaceAllStringFunc(digits, func(run string) string {
			m := hexRun.FindStringSubmatch(run)
			n, _ := strconv.Atoi(m[2])
			return strings.Repeat(m[1], n)
		})
		block, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		lines.Scan()
		var elements []string
		for _, m := range elementText.FindAllStringSubmatch(lines.Text(), -1) {
			n, _ := strconv.Atoi(m[3])
			elements = append(elements, m[1]+strings.Repeat(m[2], n))
		}
		all = append(all, golden{name, block, elements})
	}
	if len(all) < 4 {
		t.Fatalf("%d golden blocks", len(all))
	}
	return all
}

func TestRedisBlocks(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			if err := Validate(g.block); err != nil {
				t.Fatal(err)
			}
			checkTexts(t, g.block, g.elements)
			lp := New(0)
			for _, e := range g.elements {
				lp = Append(lp, []byte(e))
			}
			if !bytes.Equal(lp, g.block) {
				t.Errorf("appended in order: got %x\nwant %x", lp, g.block)
			}
			lp = New(0)
			for i := len(g.elements) - 1; i >= 0; i-- {
				lp = Prepend(lp, []byte(g.elements[i]))
			}
			if !bytes.Equal(lp, g.block) {
				t.Errorf("prepended in reverse: got %x\nwant %x", lp, g.block)
			}
		})
	}
}

func TestValidateRejectsCuts(t *testing.T) {
	for _, g := range goldens(t) {
		step := 1 + len(g.block)/2000
		for n := 0; n < len(g.block); n += step {
			if Validate(g.block[:n:n]) == nil {
				t.Fatalf("%s: accepted the first %d of %d bytes", g.name, n, len(g.block))
			}
			// The header's size and the end mark made to fit: the elements must
			// still be found cut, or counted short.
			if n >= EmptySize {
				cut := bytes.Clone(g.block[:n])
				cut[n-1] = endByte
				setHeader(cut, headerCount(cut))
				if Validate(cut) == nil {
					t.Fatalf("%s: accepted %d of %d bytes with a mended header", g.name, n, len(g.block))
				}
			}
		}
	}
}
