package commands_test

import (
	"fmt"
	"testing"
)

// What STOREDIST stores is not looked at: the last digit of one distance in some
// hundreds is not redis-server's, nor the same in all redis-servers.
func TestGeoWalkBesideOracle(t *testing.T) {
	walkBesideOracle(t, map[string]string{"zset-max-listpack-entries": "20"}, geoCommand)
}

func geoCommand(d *dice) string {
	k := d.of("a", "b", "c")
	switch d.IntN(16) {
	case 0, 1, 2, 3:
		return fmt.Sprintf("GEOADD %s %s %s", k, d.of("", "", "", "NX", "XX", "CH", "NX XX"), d.words(6<<d.IntN(4), func() string {
			return d.place() + " " + d.member()
		}))
	case 4:
		return fmt.Sprintf("GEODIST %s %s %s %s", k, d.member(), d.member(), d.of("", d.unit()))
	case 5:
		return fmt.Sprintf("%s %s %s", d.of("GEOPOS", "GEOHASH"), k, d.words(4, d.member))
	case 6, 7:
		return fmt.Sprintf("%s %s %s %s %s", d.of("GEORADIUS", "GEORADIUS_RO"), k, d.place(), d.radius(), d.found(true))
	case 8, 9:
		return fmt.Sprintf("%s %s %s %s %s", d.of("GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO"), k, d.member(), d.radius(), d.found(true))
	case 10, 11:
		return fmt.Sprintf("GEOSEARCH %s %s %s", k, d.shape(), d.found(false))
	case 12:
		return fmt.Sprintf("GEOSEARCHSTORE %s %s %s %s", d.of("a", "s"), k, d.shape(), d.found(false))
	case 13:
		return fmt.Sprintf("GEORADIUS %s %s %s STORE %s %s", k, d.place(), d.radius(), d.of("b", "s"), d.found(false))
	case 14:
		return d.of("ZRANGE a 0 -1 WITHSCORES", "ZRANGE b 0 -1 WITHSCORES", "ZRANGE s 0 -1 WITHSCORES", "ZCARD s", "ZRANGE t 0 -1", "OBJECT ENCODING s")
	}
	return d.of(fmt.Sprintf("ZREM %s %s", k, d.words(5, d.member)), "DEL "+k, "SET c x", fmt.Sprintf("ZADD %s %d %s", k, d.Uint64(), d.member()),
		fmt.Sprintf("GEOSEARCHSTORE t %s %s STOREDIST %s", k, d.shape(), d.found(false)),
		fmt.Sprintf("GEORADIUSBYMEMBER %s %s %s STOREDIST t %s", k, d.member(), d.radius(), d.found(false)))
}

func (d *dice) member() string { return fmt.Sprint("m", d.IntN(20<<d.IntN(6))) }

func (d *dice) unit() string { return d.of("m", "km", "ft", "mi", "KM", "parsec") }

// place returns a longitude and a latitude: often near others or the same.
func (d *dice) place() string {
	switch d.IntN(12) {
	case 0:
		return d.of("181 0", "0 86", "x 1", "180 85.05112878", "-180 -85.05112878", "-180 85", "0 0", "-0 -0")
	case 1, 2:
		return fmt.Sprintf("%v %v", d.Float64()*360-180, d.Float64()*170-85)
	case 3:
		return fmt.Sprintf("%v %v", d.of("-179.9", "179.99", "0", "-90"), d.Float64()*4+80)
	case 4, 5, 6:
		return d.of("13 38", "13.5 38.25", "13.361389 38.115556", "2 48")
	}
	return fmt.Sprintf("%v %v", 13+d.Float64()*3, 36+d.Float64()*3)
}

func (d *dice) length() string {
	return d.of("0", "1", "200", "1000", "5009", "20000", "inf", "x", "-1", fmt.Sprint(d.Float64()*100), fmt.Sprint(d.Float64()*100_000))
}

func (d *dice) radius() string { return d.length() + " " + d.unit() }

func (d *dice) shape() string {
	center := d.of("FROMMEMBER "+d.member(), "FROMLONLAT "+d.place())
	by := d.of("BYRADIUS "+d.radius(), "BYBOX "+d.length()+" "+d.radius())
	return d.of(center+" "+by, by+" "+center, center+" "+by+" "+center, center+" "+by, center)
}

// found returns options that say what is to be told of what is found.
func (d *dice) found(shows bool) string {
	options := []string{"ASC", "DESC", fmt.Sprint("COUNT ", d.IntN(30)), "COUNT 5 ANY", "COUNT 3", "ASC COUNT 8", "DESC COUNT 12"}
	if shows {
		options = append(options, "WITHDIST", "WITHHASH", "WITHCOORD", "WITHDIST", "WITHCOORD")
	}
	return d.of("", d.words(3, func() string { return d.of(options...) }))
}
