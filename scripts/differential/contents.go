package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/scripts/differential/wire"
)

// contents returns what several servers hold.
func contents(servers []*wire.Conn) ([]map[place]*held, error) {
	names, err := atOnce(servers, func(int) []question { return namesOf() })
	if err != nil {
		return nil, err
	}
	places, streams := make([][]place, len(servers)), make([][]place, len(servers))
	for i := range servers {
		for at, db := range databases { // SELECT, KEYS and SCAN of each
			places[i] = append(places[i], placesOf(db, names[i][3*at+1])...)
			streams[i] = append(streams[i], placesOf(db, names[i][3*at+2].Elems[1])...)
		}
	}
	values, err := atOnce(servers, func(i int) []question {
		return append(selecting(places[i], "DUMP", "PEXPIRETIME"), valuesOf(places[i], streams[i])...)
	})
	if err != nil {
		return nil, err
	}
	all := make([]map[place]*held, len(servers))
	for i := range servers {
		r := &replies{values[i]}
		all[i] = make(map[place]*held)
		r.selecting(places[i], func(p place) {
			all[i][p] = &held{dump: r.next().Text, expiry: r.next().Int}
		})
		r.valuesOf(places[i], streams[i], all[i])
	}
	return all, nil
}

// namesOf asks for the keys of each database, and for those of streams.
func namesOf() []question {
	var all []question
	for _, db := range databases {
		all = append(all, question{"SELECT", db}, question{"KEYS", "*"}, question{"SCAN", "0", "COUNT", "1000000", "TYPE", "stream"})
	}
	return all
}

func placesOf(db string, keys reply.Value) []place {
	var all []place
	for _, e := range keys.Elems {
		all = append(all, place{db, string(e.Text)})
	}
	return all
}

// selecting asks the same of every key, in its database.
func selecting(places []place, commands ...string) []question {
	var all []question
	for _, group := range byDatabase(places) {
		all = append(all, question{"SELECT", group[0].db})
		for _, p := range group {
			for _, command := range commands {
				all = append(all, append(strings.Split(command, " "), p.key))
			}
		}
	}
	return all
}

// valuesOf asks for digests, a database at once, and for streams in full.
func valuesOf(places, streams []place) []question {
	var all []question
	for _, group := range byDatabase(places) {
		digests := question{"DEBUG", "DIGEST-VALUE"}
		for _, p := range group {
			digests = append(digests, p.key)
		}
		all = append(all, question{"SELECT", group[0].db}, digests)
	}
	for _, q := range selecting(streams, "XINFO STREAM") {
		if q[0] == "XINFO" {
			q = append(q, "FULL", "COUNT", "0")
		}
		all = append(all, q)
	}
	return all
}

// byDatabase cuts places apart where the database changes.
func byDatabase(places []place) [][]place {
	var groups [][]place
	for i, p := range places {
		if i == 0 || p.db != places[i-1].db {
			groups = append(groups, nil)
		}
		last := len(groups) - 1
		groups[last] = append(groups[last], p)
	}
	return groups
}

// replies are taken one by one, in the order of the questions.
type replies struct{ left []reply.Value }

func (r *replies) next() reply.Value {
	v := r.left[0]
	r.left = r.left[1:]
	return v
}

// selecting takes the replies to the questions of the same name.
func (r *replies) selecting(places []place, take func(p place)) {
	for _, group := range byDatabase(places) {
		r.next()
		for _, p := range group {
			take(p)
		}
	}
}

// valuesOf takes the replies to the questions of the same name into all.
func (r *replies) valuesOf(places, streams []place, all map[place]*held) {
	for _, group := range byDatabase(places) {
		r.next()
		for i, digest := range r.next().Elems {
			all[group[i]].digest = string(digest.Text)
		}
	}
	r.selecting(streams, func(p place) { all[p].stream = r.next() })
}

// exchange loads the dumps of each of two sides into the scratch database of the
// other, and returns what came of them, or tells what does not load.
func exchange(sides []*wire.Conn, all []map[place]*held) (loaded []map[place]*held, state string, err error) {
	other := func(i int) map[place]*held { return all[1-i] }
	values, err := atOnce(sides, func(i int) []question { return loading(other(i)) })
	if err != nil {
		return nil, "", err
	}
	for i := range sides {
		at, state := loadedFrom(values[i], other(i))
		if state != "" {
			return nil, fmt.Sprintf("%s: %s", sides[i].Addr, state), nil
		}
		loaded = append(loaded, at)
	}
	return loaded, "", nil
}

// loading restores values in the scratch database and asks what came of them.
func loading(all map[place]*held) []question {
	questions := []question{{"SELECT", scratch}, {"FLUSHDB"}}
	places, streams := scratched(all)
	for i, p := range sorted(all) {
		end := strconv.FormatInt(max(all[p].expiry, 0), 10)
		questions = append(questions, question{"RESTORE", places[i].key, end, string(all[p].dump), "ABSTTL"})
	}
	questions = append(questions, valuesOf(places, streams)...)
	return append(questions, question{"SELECT", scratch}, question{"FLUSHDB"})
}

// scratched returns the places in the scratch database of values and, again, of
// those that are streams.
func scratched(all map[place]*held) (places, streams []place) {
	for _, p := range sorted(all) {
		at := place{scratch, p.db + " " + p.key}
		places = append(places, at)
		if all[p].stream.Elems != nil {
			streams = append(streams, at)
		}
	}
	return places, streams
}

// loadedFrom takes the replies to loading.
func loadedFrom(values []reply.Value, all map[place]*held) (loaded map[place]*held, state string) {
	r := &replies{values[2:]}
	places, streams := scratched(all)
	loaded, at := make(map[place]*held), make(map[place]*held)
	for i, p := range sorted(all) {
		if v := r.next(); v.Kind == reply.KindError {
			return nil, fmt.Sprintf("db %s: %q: the dump %q does not load: %s", p.db, p.key, all[p].dump, v.Text)
		}
		loaded[p] = &held{dump: all[p].dump, expiry: all[p].expiry}
		at[places[i]] = loaded[p]
	}
	r.valuesOf(places, streams, at)
	return loaded, ""
}

// reloaded returns what a server makes of a dump.
func reloaded(server *wire.Conn, h *held) (*held, error) {
	one := map[place]*held{{}: h}
	values, err := atOnce([]*wire.Conn{server}, func(int) []question { return loading(one) })
	if err != nil {
		return nil, err
	}
	loaded, state := loadedFrom(values[0], one)
	if state != "" {
		return nil, errors.New(state)
	}
	return loaded[place{}], nil
}

// question is a command of words.
type question []string

// atOnce asks several servers, each in one pipeline, and returns the replies of each.
func atOnce(servers []*wire.Conn, questions func(server int) []question) ([][]reply.Value, error) {
	asked := make([]int, len(servers))
	for i, server := range servers {
		for _, q := range questions(i) {
			server.Put(wire.Words(q...)...)
			asked[i]++
		}
		if err := server.Flush(); err != nil {
			return nil, err
		}
	}
	all := make([][]reply.Value, len(servers))
	for i, server := range servers {
		for range asked[i] {
			raw, err := server.Next()
			if err != nil {
				return nil, err
			}
			if err := unavailable(raw); err != nil {
				return nil, err
			}
			v, _, err := reply.Read(slices.Clone(raw)) // it outlives the next pipeline
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], v)
		}
	}
	return all, nil
}
