package admin

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(h http.Handler, path string) (code int, body string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestReadyFollowsTheNode(t *testing.T) {
	var state error
	h := handler(Options{Ready: func(context.Context) error { return state }})
	if code, _ := get(h, "/ready"); code != http.StatusOK {
		t.Errorf("a ready node answers %d", code)
	}
	state = errors.New("no leader")
	if code, body := get(h, "/ready"); code != http.StatusServiceUnavailable || !strings.Contains(body, "no leader") {
		t.Errorf("a node that is not ready answers %d, %q", code, body)
	}
	if code, _ := get(h, "/health"); code != http.StatusOK {
		t.Errorf("a living node answers %d", code)
	}
}

func TestMetricsAreTheNumbersOfInfo(t *testing.T) {
	h := handler(Options{Info: func() string {
		return "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:12\r\n\r\nratio:1.5\r\nrole:master\r\ndb0:keys=1\r\nmin:-1\r\nempty:\r\n"
	}})
	_, body := get(h, "/metrics")
	if want := "redis_uptime_in_seconds 12\nredis_ratio 1.5\nredis_min -1\n"; body != want {
		t.Errorf("got %q, want %q", body, want)
	}
}

// Profiles are for the loopback interface unless all or nobody may take them.
func TestProfilesAreGuarded(t *testing.T) {
	for _, tc := range []struct {
		profiles Profiles
		addr     string
		want     int
	}{
		{ProfilesLocal, "127.0.0.1:5", http.StatusOK},
		{ProfilesLocal, "[::1]:5", http.StatusOK},
		{ProfilesLocal, "10.0.0.1:5", http.StatusForbidden},
		{ProfilesLocal, "", http.StatusForbidden},
		{ProfilesAll, "10.0.0.1:5", http.StatusOK},
		{ProfilesNone, "127.0.0.1:5", http.StatusForbidden},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/debug/pprof/", nil)
		r.RemoteAddr = tc.addr
		handler(Options{Profiles: tc.profiles}).ServeHTTP(w, r)
		if w.Code != tc.want {
			t.Errorf("profiles %d for %q: %d, want %d", tc.profiles, tc.addr, w.Code, tc.want)
		}
	}
}
