package commands

import (
	"math"
	"strconv"
	"strings"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/types/geohash"
)

var geoRows = []call.Row{
	{Spec: command.Spec{Name: "geoadd", Semantic: semantic.Geo, Group: command.Geo, Arity: -5, Flags: command.Write | command.DenyOOM, Keys: command.One(command.RW | command.Update)}, Do: geoadd},
	{Spec: command.Spec{Name: "geodist", Semantic: semantic.Geo, Group: command.Geo, Arity: -4, Flags: command.ReadOnly, Keys: command.One(readKey)}, Do: geodist},
	{Spec: command.Spec{Name: "geohash", Semantic: semantic.Geo, Group: command.Geo, Arity: -2, Flags: command.ReadOnly, Keys: command.One(readKey)}, Do: geohashes},
	{Spec: command.Spec{Name: "geopos", Semantic: semantic.Geo, Group: command.Geo, Arity: -2, Flags: command.ReadOnly, Keys: command.One(readKey)}, Do: geopos},

	{Spec: command.Spec{Name: "geosearch", Semantic: semantic.Geo, Group: command.Geo, Arity: -7, Flags: command.ReadOnly, Keys: command.One(readKey)}, Do: geosearch},
	{Spec: command.Spec{Name: "geosearchstore", Semantic: semantic.Geo, Group: command.Geo, Arity: -8, Flags: command.Write | command.DenyOOM, Keys: []command.KeySpec{command.Range(overwriteKey, 1, 0, 1), command.Range(readKey, 2, 0, 1)}}, Do: geosearchstore},
	{Spec: command.Spec{Name: "georadius", Semantic: semantic.Geo, Group: command.Geo, Arity: -6, Flags: command.Write | command.DenyOOM, Keys: geoStoreKeys(6)}, Do: georadius},
	{Spec: command.Spec{Name: "georadius_ro", Semantic: semantic.Geo, Group: command.Geo, Arity: -6, Flags: command.ReadOnly, Keys: command.One(readKey)}, Do: georadiusRO},
	{Spec: command.Spec{Name: "georadiusbymember", Semantic: semantic.Geo, Group: command.Geo, Arity: -5, Flags: command.Write | command.DenyOOM, Keys: geoStoreKeys(5)}, Do: georadiusbymember},
	{Spec: command.Spec{Name: "georadiusbymember_ro", Semantic: semantic.Geo, Group: command.Geo, Arity: -5, Flags: command.ReadOnly, Keys: command.One(readKey)}, Do: georadiusbymemberRO},
}

// geoStoreKeys says that a key may follow STORE or STOREDIST, which are looked for
// from an argument on.
func geoStoreKeys(from int) []command.KeySpec {
	behind := func(word string) command.KeySpec {
		return command.KeySpec{Flags: overwriteKey, Index: from, Keyword: word, Step: 1}
	}
	return []command.KeySpec{command.Range(readKey, 1, 0, 1), behind("STORE"), behind("STOREDIST")}
}

const (
	errGeoUnit   reply.Error = "ERR unsupported unit provided. please use M, KM, FT, MI"
	errGeoMember reply.Error = "ERR could not decode requested zset member"
)

// geoPoint returns the place whose longitude and latitude are the arguments from i
// on. It replies with an error itself.
func geoPoint(c *call.Call, i int) (p geohash.Point, ok bool) {
	if p.Lon, ok = c.Float(i); !ok {
		return p, false
	}
	if p.Lat, ok = c.Float(i + 1); !ok {
		return p, false
	}
	if !p.Valid() {
		c.Fail(reply.Error("ERR invalid longitude,latitude pair " + sixDigits(p.Lon) + "," + sixDigits(p.Lat)))
		return p, false
	}
	return p, true
}

// sixDigits returns f as C's printf("%f") writes it.
func sixDigits(f float64) string {
	if math.IsInf(f, 0) {
		return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(f, 'f', 6, 64), "+"))
	}
	return strconv.FormatFloat(f, 'f', 6, 64)
}

// geoUnit returns the metres of the unit that argument i names. It replies with an
// error itself.
func geoUnit(c *call.Call, i int) (metres float64, ok bool) {
	switch {
	case c.Is(i, "M"):
		return 1, true
	case c.Is(i, "KM"):
		return 1000, true
	case c.Is(i, "FT"):
		return 0.3048, true
	case c.Is(i, "MI"):
		return 1609.34, true
	}
	c.Fail(errGeoUnit)
	return 0, false
}

// geoadd implements GEOADD key [NX|XX] [CH] longitude latitude member ...
func geoadd(c *call.Call) {
	var o zaddOptions
	first := 2
options:
	for ; first < len(c.Args); first++ {
		switch {
		case c.Is(first, "NX"):
			o.nx = true
		case c.Is(first, "XX"):
			o.xx = true
		case c.Is(first, "CH"):
			o.ch = true
		default:
			break options
		}
	}
	n := len(c.Args) - first
	if n == 0 || n%3 != 0 || o.nx && o.xx {
		c.Fail(reply.ErrSyntax)
		return
	}
	scores := make([]float64, 0, n/3)
	for i := first; i < len(c.Args); i += 3 {
		p, ok := geoPoint(c, i)
		if !ok {
			return
		}
		scores = append(scores, float64(geohash.Encode(p)))
	}
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	z.addAll(o, scores, first+2, 3)
}

// geodist implements GEODIST key member member [unit].
func geodist(c *call.Call) {
	unit, ok := 1.0, true
	switch {
	case len(c.Args) > 5:
		c.Fail(reply.ErrSyntax)
		return
	case len(c.Args) == 5:
		if unit, ok = geoUnit(c, 4); !ok {
			return
		}
	}
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	a, foundA := z.Score(c.Args[2])
	b, foundB := z.Score(c.Args[3])
	if !foundA || !foundB {
		c.Out.Null()
		return
	}
	replyDistance(c.Out, geohash.Distance(geohash.Decode(a), geohash.Decode(b))/unit)
}

// replyDistance writes a distance with four digits after the point, a string in all
// protocols.
func replyDistance(out *reply.Writer, d float64) {
	n := int64(math.MinInt64) // what is no number becomes that in redis-server
	if d = math.RoundToEven(d * 10_000); d < math.MaxInt64 {
		n = int64(d)
	}
	var digits [32]byte
	text := strconv.AppendInt(digits[:0], n, 10)
	sign := 0
	if n < 0 {
		sign = 1
	}
	for len(text)-sign < 5 { // a digit before the point
		text = append(text, 0)
		copy(text[sign+1:], text[sign:])
		text[sign] = '0'
	}
	point := len(text) - 4
	text = append(text, 0)
	copy(text[point+1:], text[point:])
	text[point] = '.'
	out.Bulk(text)
}

// replyPoint writes a place as its longitude and latitude.
func replyPoint(out *reply.Writer, p geohash.Point) {
	out.Array(2)
	out.Decimal(p.Lon)
	out.Decimal(p.Lat)
}

// eachPlace replies with a list of as many elements as members are given: write is
// called for those that have a place, and missing for others.
func eachPlace(c *call.Call, write func(geohash.Point), missing func()) {
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	members := c.Args[2:]
	c.Out.Array(len(members))
	for _, member := range members {
		if score, found := z.Score(member); found {
			write(geohash.Decode(score))
		} else {
			missing()
		}
	}
}

// geohashes implements GEOHASH key [member ...].
func geohashes(c *call.Call) {
	eachPlace(c, func(p geohash.Point) {
		text := geohash.Text(p)
		c.Out.Bulk(text[:])
	}, c.Out.Null)
}

// geopos implements GEOPOS key [member ...].
func geopos(c *call.Call) {
	eachPlace(c, func(p geohash.Point) { replyPoint(c.Out, p) }, c.Out.NullArray)
}
