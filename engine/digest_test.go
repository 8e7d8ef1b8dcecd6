package engine

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/rdb/redistest"
)

// digested are commands whose effects redis-server 7.0.15 digests so.
var digested = []string{
	"SET string text", "SET number 17", "APPEND number 4", "SET due x PXAT 4000000000000",
	"RPUSH list a b 17", "SADD intset 1 2 3", "SADD set a b 1", "HSET hash f v n 12",
	"ZADD zset 1 a 0.1 b inf c -inf d -0 e 1e300 f 3.25 g", "XADD stream 5-1 f v g w", "XADD stream 6-0 f v", "XDEL stream 5-1",
}

const digestOfThem = "473d705a10a6b30716287050eeeaad51be245e9b"

func TestDigest(t *testing.T) {
	n := newNode()
	if got, want := n.Digest(), strings.Repeat("0", 40); got != want {
		t.Errorf("digest of nothing %s", got)
	}
	for _, command := range digested {
		n.do(3, strings.Fields(command)...)
	}
	if got := n.Digest(); got != digestOfThem {
		t.Errorf("digest %s, redis-server's %s", got, digestOfThem)
	}
	n.do(3, "DEL", "string")
	if n.Digest() == digestOfThem {
		t.Error("the digest does not depend on a key")
	}
	n.View(0, 0, func(v *View) {
		if got, want := v.DigestValue(3, []byte("absent")), strings.Repeat("0", 40); got != want {
			t.Errorf("digest of an absent key %s", got)
		}
	})
	n.now = 4_000_000_000_001
	n.do(3, "DEL", "number", "list", "intset", "set", "hash", "zset", "stream")
	if got, want := n.Digest(), strings.Repeat("0", 40); got != want {
		t.Errorf("digest of a key that is due %s", got)
	}
}

func TestDigestIsRedisServers(t *testing.T) {
	srv := redistest.Start(t, nil)
	srv.Do("SELECT", "3")
	for _, command := range digested {
		srv.Do(strings.Fields(command)...)
	}
	if got := string(srv.Do("DEBUG", "DIGEST").Text); got != digestOfThem {
		t.Errorf("redis-server's digest %s, ours %s", got, digestOfThem)
	}
}
