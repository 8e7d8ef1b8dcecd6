package main

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/types/list"
	"github.com/quorate/quorate/engine/types/seed"
	"github.com/quorate/quorate/engine/types/set"
	"github.com/quorate/quorate/engine/types/stream"
	"github.com/quorate/quorate/engine/types/zset"
)

// A census is what inspect tells of an RDB file. Bytes are those in the file.
type census struct {
	File      string         `json:"file"`
	Version   int            `json:"version"`
	Bytes     int64          `json:"bytes"`
	Complete  bool           `json:"complete"` // read to its end
	Checksum  bool           `json:"checksum"` // there is one, and it is right
	Keys      int            `json:"keys"`
	Empty     int            `json:"empty_keys,omitempty"` // left out, as redis-server does
	Databases []database     `json:"databases"`
	Forms     []form         `json:"types"`
	Biggest   []keyFacts     `json:"biggest"`
	Expiry    []expiryClass  `json:"expiry"`
	Functions []library      `json:"functions,omitempty"`
	Modules   map[string]int `json:"modules,omitempty"` // how often each has written something
	Aux       []auxField     `json:"aux"`

	now       int64
	biggest   int
	databases map[int]*database
	forms     map[[2]string]*form
}

type database struct {
	DB      int   `json:"db"`
	Keys    int   `json:"keys"`
	Expires int   `json:"expires"`
	Bytes   int64 `json:"bytes"`
}

// form sums up the keys of one type and encoding.
type form struct {
	Type     string `json:"type"`
	Encoding string `json:"encoding"`
	Keys     int    `json:"keys"`
	Elements int    `json:"elements"`
	Bytes    int64  `json:"bytes"`
	Largest  int64  `json:"largest"`
}

// keyFacts tells of one key.
type keyFacts struct {
	DB       int    `json:"db"`
	Key      string `json:"key"` // other than printable bytes escaped
	Type     string `json:"type"`
	Encoding string `json:"encoding"`
	Elements int    `json:"elements"` // of a string, its bytes
	Bytes    int64  `json:"bytes"`
	ExpireAt int64  `json:"expire_at_ms"` // -1: never
}

// expiryClass counts the keys whose time to live ends within a span.
type expiryClass struct {
	Within string `json:"within"`
	Keys   int    `json:"keys"`
	ms     int64
}

type library struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
}

// auxField is a field beside the data, or all of one name.
type auxField struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"` // empty where it is binary
	Count int    `json:"count"`
	Bytes int    `json:"bytes"`
}

const (
	minuteMs = 60 * 1000
	hourMs   = 60 * minuteMs
	dayMs    = 24 * hourMs
)

func newCensus(version, biggest int, now int64) *census {
	return &census{
		Version: version, now: now, biggest: biggest,
		databases: map[int]*database{}, forms: map[[2]string]*form{}, Modules: map[string]int{},
		Expiry: []expiryClass{
			{Within: "never"},
			{Within: "past"},
			{Within: "minute", ms: minuteMs},
			{Within: "hour", ms: hourMs},
			{Within: "day", ms: dayMs},
			{Within: "week", ms: 7 * dayMs},
			{Within: "later", ms: 1<<63 - 1},
		},
	}
}

// take reads r to its end.
func (c *census) take(r *rdb.Reader) error {
	for {
		item, err := r.Next()
		if err != nil {
			return err
		}
		if item.Kind == rdb.End {
			c.Complete, c.Checksum = true, r.Checked()
			return nil
		}
		c.add(item)
	}
}

// add counts an item.
func (c *census) add(item *rdb.Item) {
	switch item.Kind {
	case rdb.Aux:
		c.addAux(item)
	case rdb.Function:
		c.Functions = append(c.Functions, library{Name: libraryName(item.Text), Bytes: len(item.Text)})
	case rdb.Module:
		c.Modules[item.Name]++
		if item.Entry.Key != nil {
			c.addKey(item, keyFacts{Type: "module", Encoding: item.Name, Bytes: item.Bytes})
		}
	case rdb.Key:
		v := &item.Entry.Value
		c.addKey(item, keyFacts{Type: v.Type.String(), Encoding: item.Encoding, Elements: elements(v), Bytes: item.Bytes})
	}
}

// addKey counts a key of which type, encoding and sizes are known.
func (c *census) addKey(item *rdb.Item, k keyFacts) {
	c.Keys++
	db := c.databases[item.DB]
	if db == nil {
		db = &database{DB: item.DB}
		c.databases[item.DB] = db
	}
	db.Keys++
	db.Bytes += k.Bytes
	if item.Entry.ExpireAt != keyspace.NoExpiry {
		db.Expires++
	}
	k.ExpireAt = item.Entry.ExpireAt
	c.addExpiry(k.ExpireAt)

	f := c.forms[[2]string{k.Type, k.Encoding}]
	if f == nil {
		f = &form{Type: k.Type, Encoding: k.Encoding}
		c.forms[[2]string{k.Type, k.Encoding}] = f
	}
	f.Keys++
	f.Elements += k.Elements
	f.Bytes += k.Bytes
	f.Largest = max(f.Largest, k.Bytes)
	c.rank(item, k)
}

// rank keeps k if it is one of the biggest keys so far.
func (c *census) rank(item *rdb.Item, k keyFacts) {
	full := len(c.Biggest) == c.biggest
	if full && (c.biggest == 0 || k.Bytes <= c.Biggest[c.biggest-1].Bytes) {
		return
	}
	k.DB, k.Key = item.DB, escaped(item.Entry.Key)
	at, _ := slices.BinarySearchFunc(c.Biggest, k, func(a, b keyFacts) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), -1) // of equals the first stays first
	})
	if full {
		c.Biggest = c.Biggest[:c.biggest-1]
	}
	c.Biggest = slices.Insert(c.Biggest, at, k)
}

func (c *census) addExpiry(at int64) {
	class := 0
	if at != keyspace.NoExpiry {
		for class = 1; at-c.now > c.Expiry[class].ms; class++ {
		}
	}
	c.Expiry[class].Keys++
}

// addAux counts a field. Nodes write some of theirs many times over.
func (c *census) addAux(item *rdb.Item) {
	i := slices.IndexFunc(c.Aux, func(f auxField) bool { return f.Name == item.Name })
	if i < 0 {
		i = len(c.Aux)
		c.Aux = append(c.Aux, auxField{Name: item.Name})
		if isText(item.Text) {
			c.Aux[i].Value = string(item.Text)
		}
	}
	c.Aux[i].Count++
	c.Aux[i].Bytes += len(item.Text)
}

// close brings what was counted into its order.
func (c *census) close(r *rdb.Reader) {
	c.Bytes, c.Empty = r.Offset(), r.Empty()
	c.Databases, c.Forms = []database{}, []form{}
	for _, db := range slices.Sorted(maps.Keys(c.databases)) {
		c.Databases = append(c.Databases, *c.databases[db])
	}
	for _, f := range c.forms {
		c.Forms = append(c.Forms, *f)
	}
	slices.SortFunc(c.Forms, func(a, b form) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Encoding, b.Encoding))
	})
}

// elements returns how many elements a value has; of a string, how many bytes.
func elements(v *keyspace.Value) int {
	switch v.Type {
	case keyspace.List:
		if v.Object != nil {
			return keyspace.Unbox[*list.Chunked](v.Object).Len()
		}
		l := list.FromPacked(v.Packed, list.DefaultLimits)
		return l.Len()
	case keyspace.Set:
		s := set.FromPacked(seed.Seed{}, v.Packed)
		if v.Object != nil {
			s = set.FromObject(keyspace.Unbox[*set.Large](v.Object))
		}
		return s.Len()
	case keyspace.Hash:
		h := v.Hash(seed.Seed{})
		return h.Len()
	case keyspace.Zset:
		z := zset.FromPacked(seed.Seed{}, v.Packed)
		if v.Object != nil {
			z = zset.FromObject(keyspace.Unbox[*zset.Large](v.Object))
		}
		return z.Len()
	case keyspace.Stream:
		return keyspace.Unbox[*stream.Stream](v.Object).Len()
	}
	return len(v.Packed)
}

// libraryName returns the name in the first line of a library's code.
func libraryName(code []byte) string {
	line, _, _ := strings.Cut(string(code), "\n")
	_, name, _ := strings.Cut(line, "name=")
	name, _, _ = strings.Cut(name, " ")
	return escaped([]byte(strings.TrimSpace(name)))
}

// escaped returns text as it can be printed and be part of JSON: other bytes than
// letters, digits and signs as Go and redis-cli write them.
func escaped(text []byte) string {
	quoted := strconv.Quote(string(text))
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

func isText(b []byte) bool { return len(b) <= 100 && escaped(b) == string(b) }
