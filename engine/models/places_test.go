package models

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/quorate/quorate/engine/types/geohash"
)

var placeKind = kind{
	new:    func() model { return &placeModel{places: make(map[string]place)} },
	limits: map[string][]string{"zset-max-listpack-entries": {"0", "5", "40", "128"}},
	forms:  []string{"listpack", "skiplist"},
}

func TestPlaces(t *testing.T) { testKind(t, placeKind) }
func FuzzPlaces(f *testing.F) { fuzzKind(f, placeKind) }

// place is where a member is, as its number tells, and the number.
type place struct {
	geohash.Point
	number uint64
}

// placeModel is all members of the one key "p".
type placeModel struct{ places map[string]place }

// point draws a place far from the poles and from where longitudes begin anew:
// there a search may miss places, as in Redis.
func (m *placeModel) point(w *walk) geohash.Point {
	if w.coin() {
		return geohash.Point{Lon: 13 + float64(w.below(3000))/1000, Lat: 36 + float64(w.below(3000))/1000}
	}
	return geohash.Point{Lon: float64(w.below(240_000))/1000 - 120, Lat: float64(w.below(110_000))/1000 - 55}
}

func degrees(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func (m *placeModel) member(w *walk) string { return fmt.Sprint("m", w.below(60)) }

// metres is the distance on a sphere, by the law of haversines.
func metres(a, b geohash.Point) float64 {
	rad := func(f float64) float64 { return f * math.Pi / 180 }
	u, v := math.Sin((rad(b.Lat)-rad(a.Lat))/2), math.Sin((rad(b.Lon)-rad(a.Lon))/2)
	return 2 * 6372797.560856 * math.Asin(math.Sqrt(u*u+math.Cos(rad(a.Lat))*math.Cos(rad(b.Lat))*v*v))
}

func (m *placeModel) check(w *walk) {
	all := slices.Collect(maps.Keys(m.places))
	w.wantSorted(all, "ZRANGE", "p", "0", "-1")
	for _, member := range all {
		w.want(fmt.Sprint(m.places[member].number), "ZSCORE", "p", member)
	}
	w.meet("p")
}

func (m *placeModel) step(w *walk) {
	pick(&w.dice, m.add, m.add, m.add, m.rem, m.distance, m.search, m.search, m.search, m.store)(w)
}

func (m *placeModel) add(w *walk) {
	args, option, added := []string{"GEOADD", "p"}, pick(&w.dice, "", "", "NX", "XX"), 0
	if option != "" {
		args = append(args, option)
	}
	for range w.between(1, 5) {
		at, member := m.point(w), m.member(w)
		args = append(args, degrees(at.Lon), degrees(at.Lat), member)
		_, had := m.places[member]
		if had && option == "NX" || !had && option == "XX" {
			continue
		}
		added += one(!had)
		number := geohash.Encode(at)
		m.places[member] = place{geohash.Decode(float64(number)), number}
	}
	w.want(added, args...)
}

func (m *placeModel) rem(w *walk) {
	members, n := repeat(&w.dice, 6, func() string { return m.member(w) }), 0
	for _, member := range members {
		_, had := m.places[member]
		n += one(had)
		delete(m.places, member)
	}
	w.want(n, append([]string{"ZREM", "p"}, members...)...)
}

func (m *placeModel) distance(w *walk) {
	a, b := m.member(w), m.member(w)
	from, found1 := m.places[a]
	to, found2 := m.places[b]
	if !found1 || !found2 {
		w.want(nil, "GEODIST", "p", a, b)
		return
	}
	got, err := strconv.ParseFloat(string(w.do("GEODIST", "p", a, b).Text), 64)
	if want := metres(from.Point, to.Point); err != nil || math.Abs(got-want) > 0.001+want/1e9 {
		w.fail("the distance is %v, not %v", got, want)
	}
}

// shape draws where to search, and what tells how near to its edge, inside, a place is.
func (m *placeModel) shape(w *walk) (args []string, center geohash.Point, inside func(geohash.Point) float64) {
	center = m.point(w)
	args = []string{"FROMLONLAT", degrees(center.Lon), degrees(center.Lat)}
	if member := m.member(w); w.coin() {
		if p, found := m.places[member]; found {
			args, center = []string{"FROMMEMBER", member}, p.Point
		}
	}
	length := func() float64 { return float64(pick(&w.dice, 1, 30, 100, 400, 2500)) * float64(w.between(1, 8)) / 4 }
	if w.coin() {
		radius := length()
		args = append(args, "BYRADIUS", degrees(radius), "km")
		return args, center, func(p geohash.Point) float64 { return radius*1000 - metres(center, p) }
	}
	width, height := length(), length()
	args = append(args, "BYBOX", degrees(width), degrees(height), "km")
	return args, center, func(p geohash.Point) float64 {
		east := width*500 - metres(p, geohash.Point{Lon: center.Lon, Lat: p.Lat})
		north := height*500 - metres(geohash.Point{Lon: center.Lon, Lat: p.Lat}, center)
		return min(east, north)
	}
}

// found returns the members inside, the nearest first. With those on the edge a
// rounded digit decides.
func (m *placeModel) found(center geohash.Point, inside func(geohash.Point) float64) (all []string, edge bool) {
	for member, p := range m.places {
		by := inside(p.Point)
		edge = edge || math.Abs(by) < 0.01
		if by > 0 {
			all = append(all, member)
		}
	}
	slices.SortFunc(all, func(a, b string) int {
		return cmp.Or(cmp.Compare(metres(center, m.places[a].Point), metres(center, m.places[b].Point)), cmp.Compare(a, b))
	})
	return all, edge
}

func (m *placeModel) search(w *walk) {
	args, center, inside := m.shape(w)
	want, edge := m.found(center, inside)
	if edge {
		return
	}
	args = append([]string{"GEOSEARCH", "p"}, args...)
	if w.coin() {
		w.wantSorted(want, args...)
		return
	}
	order := pick(&w.dice, "ASC", "DESC")
	if args = append(args, order); order == "DESC" {
		slices.Reverse(want)
	}
	if n := w.between(1, 10); w.coin() {
		args, want = append(args, "COUNT", fmt.Sprint(n)), want[:min(n, len(want))]
	}
	// Places of the same distance may come in any order.
	got := texts(w.do(args...))
	far := func(member string) float64 { return math.Round(metres(center, m.places[member].Point) * 1000) }
	if !slices.EqualFunc(got, want, func(a, b string) bool { return math.Abs(far(a)-far(b)) <= 1 }) {
		w.fail("got  %s\nwant %s", got, want)
	}
}

func (m *placeModel) store(w *walk) {
	args, center, inside := m.shape(w)
	want, edge := m.found(center, inside)
	if edge {
		return
	}
	w.want(len(want), append([]string{"GEOSEARCHSTORE", "s", "p"}, args...)...)
	w.wantSorted(want, "ZRANGE", "s", "0", "-1")
	for _, member := range want {
		w.want(fmt.Sprint(m.places[member].number), "ZSCORE", "s", member)
	}
}
