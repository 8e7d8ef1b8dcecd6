package commands

import (
	"cmp"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/geohash"
	"github.com/quorate/quorate/engine/types/zset"
)

// geoForm is how a command of the GEORADIUS and GEOSEARCH family begins.
type geoForm int

const (
	aroundPoint  geoForm = iota // longitude, latitude, radius, unit
	aroundMember                // member, radius, unit
	byOptions                   // both center and shape are options
)

// geoSearch is what a command of the GEORADIUS and GEOSEARCH family is asked for.
type geoSearch struct {
	form      geoForm
	mayStore  bool   // STORE and STOREDIST are known
	source    int    // the argument that is the sorted set's key
	store     []byte // the key to store at, if not nil
	storeDist bool   // distances are the scores

	shape                         geohash.Shape
	centered, memberGiven, shaped bool // of byOptions
	order                         geoOrder
	count                         int64 // 0: all
	any                           bool  // the first ones found will do
	withDist, withHash, withCoord bool
}

// geoOrder is the order of what was found.
type geoOrder int

const (
	asFound geoOrder = iota
	nearestFirst
	farthestFirst
)

// geosearch implements GEOSEARCH key options.
func geosearch(c *call.Call) { searchGeo(c, geoSearch{form: byOptions, source: 1}) }

// geosearchstore implements GEOSEARCHSTORE destination source options.
func geosearchstore(c *call.Call) {
	searchGeo(c, geoSearch{form: byOptions, source: 2, mayStore: true, store: c.Args[1]})
}

// georadius implements GEORADIUS key longitude latitude radius unit options.
func georadius(c *call.Call) { searchGeo(c, geoSearch{form: aroundPoint, source: 1, mayStore: true}) }

// georadiusRO implements GEORADIUS_RO, which is GEORADIUS without STORE.
func georadiusRO(c *call.Call) { searchGeo(c, geoSearch{form: aroundPoint, source: 1}) }

// georadiusbymember implements GEORADIUSBYMEMBER key member radius unit options.
func georadiusbymember(c *call.Call) {
	searchGeo(c, geoSearch{form: aroundMember, source: 1, mayStore: true})
}

// georadiusbymemberRO implements GEORADIUSBYMEMBER_RO, which is GEORADIUSBYMEMBER
// without STORE.
func georadiusbymemberRO(c *call.Call) { searchGeo(c, geoSearch{form: aroundMember, source: 1}) }

func searchGeo(c *call.Call, q geoSearch) {
	z, ok := openZset(c, c.Args[q.source])
	c.LookedUp(c.Args[q.source], z.exists || !ok)
	if !ok || !q.parse(c, &z) {
		return
	}
	if q.store == nil && c.Out.Discards() {
		return // it changes nothing, and the reply is another node's
	}
	var found []geoPlace
	if z.exists {
		found = q.carryOut(&z.Zset)
	}
	if q.store != nil {
		q.storeAt(c, found)
		return
	}
	q.reply(c.Out, found)
}

// parse reads the arguments. It replies with an error itself. Around a member of no
// sorted set there is nothing, whatever the radius.
func (q *geoSearch) parse(c *call.Call, z *zsetKey) bool {
	options := q.source + 1
	switch {
	case q.form == aroundPoint:
		options = 6
		var ok bool
		if q.shape.Center, ok = geoPoint(c, 2); !ok || !q.parseRadius(c, 4) {
			return false
		}
	case q.form == aroundMember:
		options = 5
		if z.exists && (!q.centerOn(c, z, 2) || !q.parseRadius(c, 3)) {
			return false
		}
	}
	for i := options; i < len(c.Args); {
		taken := q.parseOption(c, i)
		if taken == 0 && q.form == byOptions {
			taken = q.parseShape(c, z, i)
		}
		switch {
		case taken < 0:
			return false
		case taken == 0:
			c.Fail(reply.ErrSyntax)
			return false
		}
		i += taken
	}
	return q.check(c)
}

// failed is what a parser of options returns that has replied with an error.
const failed = -1

// parseOption reads the option at argument i, if it is one that the whole family
// takes. It returns how many arguments it took.
func (q *geoSearch) parseOption(c *call.Call, i int) (taken int) {
	more := i+1 < len(c.Args)
	switch {
	case c.Is(i, "WITHDIST"):
		q.withDist = true
	case c.Is(i, "WITHHASH"):
		q.withHash = true
	case c.Is(i, "WITHCOORD"):
		q.withCoord = true
	case c.Is(i, "ANY"):
		q.any = true
	case c.Is(i, "ASC"):
		q.order = nearestFirst
	case c.Is(i, "DESC"):
		q.order = farthestFirst
	case c.Is(i, "COUNT") && more:
		var ok bool
		if q.count, ok = c.Int(i + 1); !ok {
			return failed
		}
		if q.count <= 0 {
			c.Fail("ERR COUNT must be > 0")
			return failed
		}
		return 2
	case q.form == byOptions && q.mayStore && c.Is(i, "STOREDIST"):
		q.storeDist = true
	case q.form != byOptions && q.mayStore && more && (c.Is(i, "STORE") || c.Is(i, "STOREDIST")):
		q.store, q.storeDist = c.Args[i+1], c.Is(i, "STOREDIST")
		return 2
	default:
		return 0
	}
	return 1
}

// parseShape reads the option at argument i, if it tells GEOSEARCH where to search.
// It returns how many arguments it took.
func (q *geoSearch) parseShape(c *call.Call, z *zsetKey, i int) (taken int) {
	left := len(c.Args) - i - 1
	ok := true
	switch {
	case c.Is(i, "FROMMEMBER") && left >= 1 && (!q.centered || q.memberGiven):
		q.centered, q.memberGiven = true, true
		taken, ok = 2, !z.exists || q.centerOn(c, z, i+1)
	case c.Is(i, "FROMLONLAT") && left >= 2 && !q.memberGiven:
		q.centered = true
		taken = 3
		q.shape.Center, ok = geoPoint(c, i+1)
	case c.Is(i, "BYRADIUS") && left >= 2 && !(q.shaped && q.shape.Box):
		taken, ok = 3, q.parseRadius(c, i+1)
	case c.Is(i, "BYBOX") && left >= 3 && !(q.shaped && !q.shape.Box):
		taken, ok = 4, q.parseBox(c, i+1)
	}
	if !ok {
		return failed
	}
	return taken
}

// centerOn makes the place of a member, argument i, the center. It replies with an
// error itself.
func (q *geoSearch) centerOn(c *call.Call, z *zsetKey, i int) bool {
	score, found := z.Score(c.Args[i])
	if !found {
		c.Fail(errGeoMember)
		return false
	}
	q.shape.Center = geohash.Decode(score)
	return true
}

// parseRadius reads a radius and its unit. It replies with an error itself.
func (q *geoSearch) parseRadius(c *call.Call, i int) (ok bool) {
	if q.shape.Radius, ok = call.ParseFloat(c.Args[i]); !ok {
		c.Fail("ERR need numeric radius")
		return false
	}
	if q.shape.Radius < 0 {
		c.Fail("ERR radius cannot be negative")
		return false
	}
	q.shaped = true
	q.shape.Unit, ok = geoUnit(c, i+1)
	return ok
}

// parseBox reads width, height and their unit. It replies with an error itself.
func (q *geoSearch) parseBox(c *call.Call, i int) (ok bool) {
	if q.shape.Width, ok = call.ParseFloat(c.Args[i]); !ok {
		c.Fail("ERR need numeric width")
		return false
	}
	if q.shape.Height, ok = call.ParseFloat(c.Args[i+1]); !ok {
		c.Fail("ERR need numeric height")
		return false
	}
	if q.shape.Width < 0 || q.shape.Height < 0 {
		c.Fail("ERR height or width cannot be negative")
		return false
	}
	q.shaped, q.shape.Box = true, true
	q.shape.Unit, ok = geoUnit(c, i+2)
	return ok
}

// check looks at all options together. It replies with an error itself.
func (q *geoSearch) check(c *call.Call) bool {
	var err reply.Error
	switch shows := q.withDist || q.withHash || q.withCoord; {
	case q.store != nil && shows && q.form == byOptions:
		err = "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
	case q.store != nil && shows:
		err = "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
	case q.form == byOptions && !q.centered:
		err = reply.Error("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for " + string(c.Args[0]))
	case q.form == byOptions && !q.shaped:
		err = reply.Error("ERR exactly one of BYRADIUS and BYBOX can be specified for " + string(c.Args[0]))
	case q.any && q.count == 0:
		err = "ERR the ANY argument requires COUNT argument"
	default:
		return true
	}
	c.Fail(err)
	return false
}

// geoPlace is a member that was found.
type geoPlace struct {
	member   []byte
	score    float64
	point    geohash.Point
	distance float64 // in the unit asked for
}

// carryOut returns the members that were asked for in order.
func (q *geoSearch) carryOut(z *zset.Zset) []geoPlace {
	found := q.find(z)
	n := len(found)
	if q.count > 0 && q.count < int64(n) {
		n = int(q.count)
	}
	if q.order == asFound && q.count > 0 && !q.any {
		q.order = nearestFirst
	}
	switch q.order {
	case nearestFirst:
		sortPart(found, 0, n, compareDistances)
	case farthestFirst:
		sortPart(found, 0, n, func(a, b *geoPlace) int { return -compareDistances(a, b) })
	}
	found = found[:n]
	for i := range found {
		found[i].distance /= q.shape.Unit
	}
	return found
}

func compareDistances(a, b *geoPlace) int { return cmp.Compare(a.distance, b.distance) }

// find returns the members that lie in the shape, with distances in metres: all, or
// with ANY the first ones.
func (q *geoSearch) find(z *zset.Zset) (found []geoPlace) {
	limit := -1
	if q.any {
		limit = int(q.count)
	}
	var text []byte // what members alias
	var spans [9]geohash.Span
	for _, span := range q.shape.AppendSpans(spans[:0]) {
		from, to := z.RanksByScore(zset.ScoreRange{Min: float64(span.From), Max: float64(span.Limit), MaxExclusive: true})
		if from == to {
			continue
		}
		left := to - from
		for member, score := range z.Ascend(from) {
			p := geohash.Decode(score)
			if distance, ok := q.shape.Contains(p); ok {
				at := len(text)
				text = append(text, member...)
				found = append(found, geoPlace{text[at:len(text):len(text)], score, p, distance})
			}
			if left--; left == 0 || len(found) == limit {
				break
			}
		}
		if len(found) == limit {
			break
		}
	}
	return found
}

// reply writes what was found, with what was asked for of each.
func (q *geoSearch) reply(out *reply.Writer, found []geoPlace) {
	parts := 1
	for _, with := range []bool{q.withDist, q.withHash, q.withCoord} {
		if with {
			parts++
		}
	}
	out.Array(len(found))
	for i := range found {
		place := &found[i]
		if parts > 1 {
			out.Array(parts)
		}
		out.Bulk(place.member)
		if q.withDist {
			replyDistance(out, place.distance)
		}
		if q.withHash {
			out.Int(int64(place.score))
		}
		if q.withCoord {
			replyPoint(out, place.point)
		}
	}
}

// storeAt stores what was found as a sorted set, and replies with its size.
func (q *geoSearch) storeAt(c *call.Call, found []geoPlace) {
	longest := 0
	for i := range found {
		longest = max(longest, len(found[i].member))
	}
	stored, limits := newZset(c, len(found), longest), zsetLimits(c)
	for i := range found {
		score := found[i].score
		if q.storeDist {
			score = found[i].distance
		}
		stored.Add(found[i].member, score, limits)
	}
	event := "georadiusstore"
	if q.form == byOptions {
		event = "geosearchstore"
	}
	replaceZset(c, q.store, &stored, event)
}
