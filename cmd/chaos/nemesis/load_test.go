//go:build e2e

package nemesis

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

// load is clients that count, one or more at each node: each writes a key of its
// own, and knows between which bounds it must be.
type load struct {
	stop    chan struct{}
	wg      sync.WaitGroup
	clients []*counter
}

type counter struct {
	addr, key string
	mu        sync.Mutex
	acked     int64 // INCRs that were answered with a number
	doubtful  int64 // that may have been applied
	wrong     []string
	longest   time.Duration // between two answers
}

func startLoad(endpoints []string, each int) *load {
	l := &load{stop: make(chan struct{})}
	for i, addr := range endpoints {
		for j := range each {
			c := &counter{addr: addr, key: fmt.Sprintf("count:%d:%d", i, j)}
			l.clients = append(l.clients, c)
			l.wg.Go(func() { c.run(l.stop) })
		}
	}
	return l
}

func (c *counter) run(stop <-chan struct{}) {
	last := time.Now()
	for {
		select {
		case <-stop:
			return
		default:
		}
		v, err := ask(c.addr, 12*time.Second, "INCR", c.key)
		c.mu.Lock()
		if err == nil {
			n, _ := strconv.ParseInt(string(v.Text), 10, 64)
			if v.Kind == reply.KindInt {
				n = v.Int
			}
			c.acked++
			if n < c.acked || n > c.acked+c.doubtful {
				c.wrong = append(c.wrong, fmt.Sprintf("%s is %d after %d answers and %d in doubt", c.key, n, c.acked, c.doubtful))
			}
			c.longest = max(c.longest, time.Since(last))
			last = time.Now()
		} else if !definite(err) {
			c.doubtful++
		}
		c.mu.Unlock()
		if err != nil {
			time.Sleep(20 * time.Millisecond) // a load, not a synchronisation
		}
	}
}

// definite reports whether an error says that nothing was done.
func definite(err error) bool {
	var e reply.Error
	if errors.As(err, &e) {
		return !strings.HasPrefix(string(e), "INDOUBT")
	}
	return strings.Contains(err.Error(), "connection refused")
}

func (l *load) end(t *testing.T, endpoints []string) {
	t.Helper()
	close(l.stop)
	l.wg.Wait()
	acked, doubtful := int64(0), int64(0)
	for _, c := range l.clients {
		for _, w := range c.wrong {
			t.Error(w)
		}
		acked += c.acked
		doubtful += c.doubtful
		for _, addr := range endpoints {
			v, err := ask(addr, 12*time.Second, "GET", c.key)
			if err != nil {
				t.Errorf("%s: %v", addr, err)
				continue
			}
			n, _ := strconv.ParseInt(string(v.Text), 10, 64)
			if n < c.acked || n > c.acked+c.doubtful {
				t.Errorf("at %s, %s is %d after %d answers and %d in doubt", addr, c.key, n, c.acked, c.doubtful)
			}
		}
	}
	t.Logf("%d INCRs answered, %d in doubt", acked, doubtful)
}
