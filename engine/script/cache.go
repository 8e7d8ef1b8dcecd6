package script

import (
	"crypto/sha1"
	"encoding/hex"
	"sync"

	"github.com/quorate/quorate/engine/lua"
)

// Limits of the script cache. What EVAL brought goes, oldest first, when there are too many; what SCRIPT LOAD
// brought stays until SCRIPT FLUSH, and beyond the limit is refused.
const (
	evalScriptsMax = 500
	loadedBytesMax = 64 << 20
)

// Body is a script as a snapshot holds it.
type Body struct {
	Text   string
	Loaded bool // by SCRIPT LOAD; else by EVAL
}

// script is a compiled script.
type script struct {
	Body
	sha   string // in lower-case hexadecimal
	chunk *lua.Chunk
	flags flags
}

// cache holds the scripts that EVALSHA finds.
//
// Invariant: bySHA, byText and order hold the same scripts; order is that of their arrival.
type cache struct {
	order       []*script
	bySHA       map[string]*script
	byText      map[string]*script
	evals       int // scripts that EVAL brought
	loadedBytes int // of those that SCRIPT LOAD brought
	noWrites    int // scripts that say that they do not write
}

func newCache() *cache {
	return &cache{bySHA: make(map[string]*script), byText: make(map[string]*script)}
}

func (c *cache) add(s *script) {
	c.order = append(c.order, s)
	c.bySHA[s.sha] = s
	c.byText[s.Text] = s
	if s.flags.has(noWrites) {
		c.noWrites++
	}
	if s.Loaded {
		c.loadedBytes += len(s.Text)
		return
	}
	if c.evals++; c.evals > evalScriptsMax {
		c.dropOldest()
	}
}

// dropOldest removes the oldest script that EVAL brought.
func (c *cache) dropOldest() {
	for i, s := range c.order {
		if s.Loaded {
			continue
		}
		c.order = append(c.order[:i:i], c.order[i+1:]...)
		delete(c.bySHA, s.sha)
		delete(c.byText, s.Text)
		if s.flags.has(noWrites) {
			c.noWrites--
		}
		c.evals--
		return
	}
}

// keep makes a script that EVAL brought one that SCRIPT LOAD did.
func (c *cache) keep(s *script) {
	if !s.Loaded {
		s.Loaded = true
		c.evals--
		c.loadedBytes += len(s.Text)
	}
}

// find returns the script with the hexadecimal SHA1, whose letters may be of either case.
func (c *cache) find(sha []byte) *script {
	if s, ok := c.bySHA[string(sha)]; ok {
		return s
	}
	var lower [2 * sha1.Size]byte
	if len(sha) != len(lower) {
		return nil
	}
	for i, b := range sha {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		lower[i] = b
	}
	return c.bySHA[string(lower[:])]
}

func hexSHA(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// passing remembers compiled scripts that are no state: those that EVAL_RO runs beside the log.
type passing struct {
	mu      sync.Mutex
	scripts map[string]*script // guarded by mu
}

const passingMax = 500

func (p *passing) find(text []byte) *script {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.scripts[string(text)]
}

func (p *passing) add(s *script) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.scripts == nil || len(p.scripts) >= passingMax {
		p.scripts = make(map[string]*script)
	}
	p.scripts[s.Text] = s
}
