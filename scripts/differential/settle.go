package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/scripts/differential/compare"
	"github.com/quorate/quorate/scripts/differential/wire"
	"github.com/quorate/quorate/scripts/differential/workload"
)

// settle does what a step whose outcome hangs on chance asks for.
func (d *duo) settle(c *client, s *workload.Step, got rawPair, at int) (*difference, error) {
	if s.Settle == workload.LoadTheScript { // whatever became of it
		_, err := c.ours.Do([]byte("SCRIPT"), []byte("LOAD"), s.Args[1])
		return nil, err
	}
	if s.Settle == workload.DropTheKey {
		return dropTheKey(c, got, slices.Clone(s.Args[1]), at)
	}
	if got.redis[0] == '-' {
		return nil, nil
	}
	pair, err := got.values()
	if err != nil {
		return nil, err
	}
	key := slices.Clone(s.Args[1])
	switch s.Settle {
	case workload.PopTheSame:
		if compare.Same(unordered, &compare.Answers{Got: pair}) {
			return nil, nil
		}
		return nil, c.pack(key)
	case workload.CopyTheKey:
		return nil, restore(c.redis, c.ours, key)
	case workload.TouchTheKey:
		_, err := c.redis.Do([]byte("EXISTS"), key)
		return nil, err
	case workload.PackTheKey:
		return nil, c.pack(key)
	case workload.NearScores:
		return nearScores(c, s.Args, at)
	case workload.WalkTheScan:
		return walkTheScan(c, s.Args, at)
	}
	return nil, nil
}

// dropTheKey deletes what came of a damaged dump. Where both sides took it they
// must have made the same of it.
func dropTheKey(c *client, got rawPair, key []byte, at int) (*difference, error) {
	taken := bytes.HasPrefix(got.redis, []byte("+OK")) && bytes.HasPrefix(got.ours, []byte("+OK"))
	values := make([]string, 2)
	for i, conn := range []*wire.Conn{c.redis, c.ours} {
		conn.Put([]byte("DEBUG"), []byte("DIGEST-VALUE"), key)
		conn.Put([]byte("DEL"), key)
		if err := conn.Flush(); err != nil {
			return nil, err
		}
		raw, err := conn.Next()
		if err != nil {
			return nil, err
		}
		values[i] = string(raw)
		if _, err := conn.Next(); err != nil {
			return nil, err
		}
	}
	if taken && values[0] != values[1] {
		return &difference{step: at, state: fmt.Sprintf("%q loaded: %q in redis-server, %q in the cluster", key, values[0], values[1])}, nil
	}
	return nil, nil
}

var unordered = compare.Unordered(1)

// pack makes redis-server load its value of a key again, and copies it: then both
// sides have the encoding that such a value gets when it is loaded.
func (c *client) pack(key []byte) error {
	if err := restore(c.redis, c.redis, key); err != nil {
		return err
	}
	return restore(c.redis, c.ours, key)
}

// nearScores compares the scores of the sorted set that a command has stored, and
// copies it if they are not the same but near.
func nearScores(c *client, args [][]byte, at int) (*difference, error) {
	key := args[1]
	if last := len(args) - 1; strings.EqualFold(string(args[last-1]), "STOREDIST") {
		key = args[last]
	}
	redis, err := scores(c.redis, key)
	if err != nil {
		return nil, err
	}
	ours, err := scores(c.ours, key)
	if err != nil {
		return nil, err
	}
	if maps.Equal(redis, ours) {
		return nil, nil
	}
	if maps.EqualFunc(redis, ours, near) {
		return nil, restore(c.redis, c.ours, slices.Clone(key))
	}
	return &difference{step: at, state: fmt.Sprintf("%q has scores %v in redis-server, %v in the cluster", key, redis, ours)}, nil
}

// near allows for some units in the last place.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-14*math.Abs(a) }

// scores returns the scores of a sorted set; none of what is not there.
func scores(conn *wire.Conn, key []byte) (map[string]float64, error) {
	raw, err := conn.Do([]byte("ZRANGE"), key, []byte("0"), []byte("-1"), []byte("WITHSCORES"))
	if err != nil {
		return nil, err
	}
	v, _, err := reply.Read(raw)
	if err != nil || v.Kind == reply.KindError {
		return nil, errors.Join(err, errors.New(string(v.Text)))
	}
	flat := texts(v) // members and scores by turns, nested or not
	all := make(map[string]float64)
	for i := 0; i+1 < len(flat); i += 2 {
		if all[string(flat[i])], err = strconv.ParseFloat(string(flat[i+1]), 64); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// texts returns copies of a reply's texts.
func texts(v reply.Value) [][]byte {
	var all [][]byte
	if v.Text != nil {
		all = append(all, slices.Clone(v.Text))
	}
	for _, e := range v.Elems {
		all = append(all, texts(e)...)
	}
	return all
}

// restore loads one server's value of a key into another.
func restore(from, to *wire.Conn, key []byte) error {
	raw, err := from.Do([]byte("DUMP"), key)
	if err != nil {
		return err
	}
	v, _, err := reply.Read(raw)
	if err != nil || v.Kind != reply.KindBulk {
		return err
	}
	payload := slices.Clone(v.Text)
	ttl, err := from.Do([]byte("PEXPIRETIME"), key)
	if err != nil {
		return err
	}
	at := bytes.TrimSpace(ttl[1:])
	if at[0] == '-' {
		at = []byte("0")
	}
	to.Put([]byte("RESTORE"), key, at, payload, []byte("REPLACE"), []byte("ABSTTL"))
	return answers(to, 1)
}

// walkTheScan goes through a whole iteration on each side. The cursors are each
// side's own; what is found must be the same.
func walkTheScan(c *client, args [][]byte, at int) (*difference, error) {
	cursor := 1
	if !strings.EqualFold(string(args[0]), "SCAN") {
		cursor = 2
	}
	redis, err := walk(c.redis, slices.Clone(args), cursor)
	if err != nil {
		return nil, err
	}
	ours, err := walk(c.ours, slices.Clone(args), cursor)
	if err != nil {
		return nil, err
	}
	if slices.Equal(redis, ours) {
		return nil, nil
	}
	return &difference{step: at, state: fmt.Sprintf("SCAN finds %q in redis-server, %q in the cluster", redis, ours)}, nil
}

// walk returns what an iteration finds, sorted, each once.
func walk(conn *wire.Conn, args [][]byte, cursor int) ([]string, error) {
	group := 1
	if name := strings.ToUpper(string(args[0])); name == "HSCAN" || name == "ZSCAN" {
		group = 2
	}
	var found []string
	for range 10_000 {
		raw, err := conn.Do(args...)
		if err != nil {
			return nil, err
		}
		v, _, err := reply.Read(raw)
		if err != nil || len(v.Elems) != 2 {
			return nil, fmt.Errorf("%s: %q: %q, %v", conn.Addr, args, raw, err)
		}
		for pair := range slices.Chunk(v.Elems[1].Elems, group) {
			var words []string
			for _, e := range pair {
				words = append(words, string(e.Text))
			}
			found = append(found, fmt.Sprintf("%q", words))
		}
		args[cursor] = slices.Clone(v.Elems[0].Text)
		if string(args[cursor]) == "0" {
			slices.Sort(found)
			return slices.Compact(found), nil
		}
	}
	return nil, fmt.Errorf("%s: %q does not end", conn.Addr, args)
}
