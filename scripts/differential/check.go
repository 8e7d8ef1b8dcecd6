package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/scripts/differential/compare"
	"github.com/quorate/quorate/scripts/differential/wire"
)

// databases are those that commands are drawn for; scratch is another.
var databases = []string{"0", "1", "2", "15"}

const scratch = "14"

// check compares the whole state of redis-server and of every node, and loads
// what each side dumps into the other.
func (d *duo) check() (*difference, error) {
	if diff, err := d.digests(); diff != nil || err != nil {
		return diff, err
	}
	for _, db := range databases {
		diff, err := d.exchange(db)
		if diff != nil || err != nil {
			return diff, err
		}
	}
	return nil, nil
}

func (d *duo) digests() (*difference, error) {
	want, err := d.redis.Ask("DEBUG", "DIGEST")
	if err != nil {
		return nil, err
	}
	for i, node := range d.nodes {
		got, err := node.Ask("DEBUG", "DIGEST")
		if err != nil {
			return nil, err
		}
		if string(got.Text) != string(want.Text) {
			return d.differing(i)
		}
	}
	return nil, nil
}

// differing finds the keys by which a node's state differs from redis-server's.
func (d *duo) differing(node int) (*difference, error) {
	var lines []string
	for _, db := range databases {
		redis, err := contents(d.redis, db)
		if err != nil {
			return nil, err
		}
		ours, err := contents(d.nodes[node], db)
		if err != nil {
			return nil, err
		}
		for key, digest := range redis {
			if ours[key] != digest {
				lines = append(lines, fmt.Sprintf("db %s: %q: redis-server has %s, node %d has %q", db, key, digest, node, ours[key]))
			}
		}
		for key, digest := range ours {
			if redis[key] == "" {
				lines = append(lines, fmt.Sprintf("db %s: %q: redis-server has none, node %d has %s", db, key, node, digest))
			}
		}
	}
	if lines == nil {
		lines = []string{"DEBUG DIGEST differs, though no key does: in whether a key has a time to live"}
	}
	slices.Sort(lines)
	return &difference{state: strings.Join(lines, "\n")}, nil
}

// contents returns the digests of the values of a database.
func contents(conn *wire.Conn, db string) (map[string]string, error) {
	keys, err := keysOf(conn, db)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	v, err := conn.Ask(append([]string{"DEBUG", "DIGEST-VALUE"}, keys...)...)
	if err != nil {
		return nil, err
	}
	all := make(map[string]string)
	for i, key := range keys {
		all[key] = string(v.Elems[i].Text)
	}
	return all, nil
}

func keysOf(conn *wire.Conn, db string) ([]string, error) {
	if _, err := conn.Ask("SELECT", db); err != nil {
		return nil, err
	}
	v, err := conn.Ask("KEYS", "*")
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, e := range v.Elems {
		keys = append(keys, string(e.Text))
	}
	return keys, nil
}

// exchange loads the dumps of a database's keys into the other side, and
// compares what came of them.
func (d *duo) exchange(db string) (*difference, error) {
	keys, err := keysOf(d.redis, db)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	if _, err := d.nodes[0].Ask("SELECT", db); err != nil {
		return nil, err
	}
	for _, way := range []struct{ from, to *wire.Conn }{{d.redis, d.nodes[0]}, {d.nodes[0], d.redis}} {
		state, err := load(way.from, way.to, db, keys)
		if err != nil {
			return nil, err
		}
		if state != "" {
			return &difference{state: state}, nil
		}
	}
	return nil, nil
}

// load restores keys of one server in another's scratch database, and tells the
// first whose value is not the same there.
func load(from, to *wire.Conn, db string, keys []string) (string, error) {
	dumps, err := each(from, keys, question{head: []string{"DUMP"}})
	if err != nil {
		return "", err
	}
	ends, err := each(from, keys, question{head: []string{"PEXPIRETIME"}})
	if err != nil {
		return "", err
	}
	if _, err := to.Ask("SELECT", scratch); err != nil {
		return "", err
	}
	for i, key := range keys {
		end := strconv.AppendInt(nil, max(ends[i].Int, 0), 10)
		to.Put([]byte("RESTORE"), []byte(key), end, dumps[i].Text, []byte("REPLACE"), []byte("ABSTTL"))
	}
	if err := to.Flush(); err != nil {
		return "", err
	}
	for i, key := range keys {
		raw, err := to.Next()
		if err != nil {
			return "", err
		}
		if string(raw) != "+OK\r\n" {
			return fmt.Sprintf("db %s: %q: %s does not load the dump of %s, %q: %s", db, key, to.Addr, from.Addr, dumps[i].Text, raw), nil
		}
	}
	state, err := sameValues(from, to, db, keys)
	if err != nil {
		return "", err
	}
	if _, err := to.Ask("FLUSHDB"); err != nil {
		return "", err
	}
	_, err = to.Ask("SELECT", db)
	return state, err
}

// sameValues compares values by their digests, and streams in full, for digests
// do not know of groups.
func sameValues(from, to *wire.Conn, db string, keys []string) (string, error) {
	for _, q := range []question{{head: []string{"DEBUG", "DIGEST-VALUE"}}, {[]string{"XINFO", "STREAM"}, []string{"FULL", "COUNT", "0"}}} {
		want, err := each(from, keys, q)
		if err != nil {
			return "", err
		}
		got, err := each(to, keys, q)
		if err != nil {
			return "", err
		}
		for i, key := range keys {
			a := &compare.Answers{Got: compare.Pair{Redis: want[i], Ours: got[i]}}
			if !compare.Same(compare.StreamTimes, a) {
				return fmt.Sprintf("db %s: %q: %s: %s at %s, which is %s when loaded at %s", db, key, q.head[1], shown(want[i]), from.Addr, shown(got[i]), to.Addr), nil
			}
		}
	}
	return "", nil
}

// question is a command with a place for a key.
type question struct{ head, tail []string }

// each asks the same of every key.
func each(conn *wire.Conn, keys []string, q question) ([]reply.Value, error) {
	for _, key := range keys {
		conn.Put(wire.Words(slices.Concat(q.head, []string{key}, q.tail)...)...)
	}
	if err := conn.Flush(); err != nil {
		return nil, err
	}
	values := make([]reply.Value, len(keys))
	for i := range keys {
		raw, err := conn.Next()
		if err != nil {
			return nil, err
		}
		// Cloned, for it outlives the next question.
		if values[i], _, err = reply.Read(slices.Clone(raw)); err != nil {
			return nil, err
		}
	}
	return values, nil
}
