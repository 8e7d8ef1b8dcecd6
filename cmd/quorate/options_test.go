package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/cluster"
	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/transport/config"
)

// parse returns the configuration that a command line gives.
func parse(t *testing.T, line string) *config.Config {
	t.Helper()
	conf, err := config.Parse(strings.Fields(line))
	if err != nil {
		t.Fatal(err)
	}
	return conf
}

// fails fails t unless err holds the text.
func fails(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got error %v, want one with %q", err, text)
	}
}

func TestClusterOptions(t *testing.T) {
	o, err := clusterOptions(parse(t, "--port 7001 --dir d1/ --bootstrap-expect 3 --join 127.0.0.1:17001,127.0.0.1:17002 "+
		"--appendfsync everysec --appendonly no --save 60 5 --cluster-secret s --write-timeout 2s --no-leader-wait 0 "+
		"--hash-max-ziplist-entries 7 --dbfilename x.rdb --disk-low-water 1mb"))
	if err != nil {
		t.Fatal(err)
	}
	if o.Dir != "d1" || !o.Memory || o.SnapshotName != "x.rdb" || o.Sync != raftlog.EverySec || o.DiskLowWater != 1<<20 {
		t.Errorf("storage: %+v", o)
	}
	if o.BootstrapExpect != 3 || !slices.Equal(o.Join, []string{"127.0.0.1:17001", "127.0.0.1:17002"}) || string(o.Secret) != "s" {
		t.Errorf("membership: expect %d, join %q, secret %q", o.BootstrapExpect, o.Join, o.Secret)
	}
	if o.Bind != "127.0.0.1:17001" || o.Advertise != "" {
		t.Errorf("bound to %s, advertised %q", o.Bind, o.Advertise)
	}
	if o.WriteTimeout != 2*time.Second || o.HeartbeatTimeout != 250*time.Millisecond || o.NoLeaderWait != time.Millisecond {
		t.Errorf("write %v, heartbeat %v, no leader %v", o.WriteTimeout, o.HeartbeatTimeout, o.NoLeaderWait)
	}
	if got := string(slices.Concat(o.Settings...)); got != "hash-max-listpack-entries"+"7" {
		t.Errorf("settings %q: want those given, under their present names", got)
	}
}

// A cluster begins with all settings of the configuration, also those that redis-server does not have.
func TestClusterSettings(t *testing.T) {
	got := clusterSettings(parse(t, "--lua-bytes-max 16mb --port 7001 --lua-instructions-max 5000 --hash-max-ziplist-entries 7"))
	pairs := make(map[string]string)
	for i := 0; i < len(got); i += 2 {
		pairs[string(got[i])] = string(got[i+1])
	}
	if want := map[string]string{"lua-bytes-max": "16777216", "lua-instructions-max": "5000", "hash-max-listpack-entries": "7"}; !maps.Equal(pairs, want) {
		t.Errorf("got %v, want %v", pairs, want)
	}
}

func TestDefaultOptionsLoseNothing(t *testing.T) {
	o, err := clusterOptions(config.New())
	if err != nil {
		t.Fatal(err)
	}
	if o.HoldVersion || o.RaiseAfter != time.Minute {
		t.Errorf("the semantic version is held back: %v, or raised after %v", o.HoldVersion, o.RaiseAfter)
	}
	if o.Memory || o.Sync != raftlog.Always || !o.ReadLease || len(o.Settings) > 0 || o.Join != nil || o.Secret != nil {
		t.Errorf("%+v", o)
	}
}

func TestClusterOptionsRefuse(t *testing.T) {
	for line, want := range map[string]string{
		"--databases 32":                      "databases 32: a cluster has 16",
		"--port 60000":                        "set cluster-port, or a port below 55536",
		"--tls-cluster yes":                   "needs cluster-tls-cert-file",
		"--tls-cluster yes --tls-port 0":      "needs cluster-tls-cert-file",
		"--tls-cluster yes --tls-cert-file a": "needs cluster-tls-cert-file",
	} {
		_, err := clusterOptions(parse(t, line))
		fails(t, err, want)
	}
}

func TestClusterAddrs(t *testing.T) {
	for _, c := range []struct{ name, line, bind, advertise string }{
		{"loopback unless told", "--port 7001", "127.0.0.1:17001", ""},
		{"own port", "--cluster-port 5", "127.0.0.1:5", ""},
		{"as clients", "--bind 10.0.0.1 10.0.0.2", "10.0.0.1:16379", ""},
		{"as clients, if it exists", "--bind -10.0.0.1", "10.0.0.1:16379", ""},
		{"all addresses", "--bind *", "0.0.0.0:16379", ""},
		{"apart from clients", "--bind 10.0.0.1 --cluster-bind 10.1.0.1", "10.1.0.1:16379", ""},
		{"IPv6", "--cluster-bind ::1", "[::1]:16379", ""},
		{"advertised host", "--cluster-advertise node1", "127.0.0.1:16379", "node1:16379"},
		{"advertised host and port", "--cluster-advertise node1:9", "127.0.0.1:16379", "node1:9"},
	} {
		bind, advertise, err := clusterAddrs(parse(t, c.line))
		if err != nil || bind != c.bind || advertise != c.advertise {
			t.Errorf("%s: got %s and %q, %v; want %s and %q", c.name, bind, advertise, err, c.bind, c.advertise)
		}
	}
}

func TestListeners(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       map[string]string
	}{
		{"every address", "", map[string]string{"default": ":6379"}},
		{"one address", "--bind 10.0.0.1 --port 1", map[string]string{"default": "10.0.0.1:1"}},
		{"optional address", "--bind -::1 --port 1", map[string]string{"default": "[::1]:1"}},
		{"advertised host", "--advertise node1", map[string]string{"default": "node1:6379"}},
		{"advertised port", "--advertise :7", map[string]string{"default": ":7"}},
		{"advertised", "--advertise node1:7", map[string]string{"default": "node1:7"}},
		{"TLS beside", "--tls-port 2 --advertise n", map[string]string{"default": "n:6379", "tls": "n:2"}},
		{"unix socket only", "--port 0 --unixsocket /s", map[string]string{}},
		{"more", "--listen host 0.0.0.0:7379 advertise 127.0.0.1:80 --listen in 10.0.0.1:8", map[string]string{
			"default": ":6379", "host": "127.0.0.1:80", "in": "10.0.0.1:8",
		}},
	} {
		if got := listeners(parse(t, c.line)); !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestSavePoints(t *testing.T) {
	for text, want := range map[string][]cluster.SavePoint{
		"":            nil,
		"3600 1":      {{After: time.Hour, Changes: 1}},
		"60 10  5 20": {{After: time.Minute, Changes: 10}, {After: 5 * time.Second, Changes: 20}},
	} {
		if got, err := savePoints(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"1", "1 x", "x 1", "1 -1", "1 2 3"} {
		if got, err := savePoints(text); err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestGCPercent(t *testing.T) {
	const mb = 1 << 20
	for live, want := range map[uint64]int{
		0: 1600, mb: 1200, 8 * mb: 150, 20 * mb: 60, 60 * mb: 20, 240 * mb: 10, 10_000 * mb: 10, 1 << 45: 10,
	} {
		if got := gcPercent(live); got < want-1 || got > want {
			t.Errorf("%d MB live: got %d, want %d", live/mb, got, want)
		}
	}
}

// After the heap has grown it is collected again when nothing is going on, once.
func TestGrowthIsLookedInto(t *testing.T) {
	const mb = 1 << 20
	var g growth
	for i, step := range []struct {
		bytes, cycles uint64
		want          bool
	}{
		{5 * mb, 1, false},
		{5 * mb, 1, false},
		{5 * mb, 1, false}, // nothing has grown
		{60 * mb, 3, false},
		{80 * mb, 4, false},
		{120 * mb, 6, false}, // it grows
		{120 * mb, 6, false},
		{120 * mb, 6, true}, // quiet
		{110 * mb, 7, false},
		{110 * mb, 7, false},
		{110 * mb, 7, false},
		{110 * mb, 7, false}, // it lives
		{150 * mb, 9, false},
		{150 * mb, 9, false},
		{150 * mb, 9, true},
		{8 * mb, 10, false},
		{8 * mb, 10, false},
		{8 * mb, 10, false}, // it was dead
		{50 * mb, 11, false},
		{50 * mb, 11, false},
		{50 * mb, 11, true},
	} {
		if got := g.quiet(step.bytes, step.cycles); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}
