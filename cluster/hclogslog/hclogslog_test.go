package hclogslog

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func TestLines(t *testing.T) {
	tests := []struct {
		name string
		log  func(hclog.Logger)
		want string
	}{
		{"information is debugging", func(l hclog.Logger) { l.Info("entering follower state", "term", 3) }, "level=DEBUG msg=\"entering follower state\" term=3\n"},
		{"warnings stay", func(l hclog.Logger) { l.Warn("slow") }, "level=WARN msg=slow\n"},
		{"errors stay", func(l hclog.Logger) { l.Error("gone", "error", "x") }, "level=ERROR msg=gone error=x\n"},
		{"names and implied arguments", func(l hclog.Logger) { l.Named("raft").With("id", "n1").Warn("w") }, "level=WARN msg=\"raft: w\" id=n1\n"},
		{"formatted value", func(l hclog.Logger) { l.Warn("w", "n", hclog.Fmt("%d / %d", 1, 2)) }, "level=WARN msg=w n=\"1 / 2\"\n"},
		{"value without a key", func(l hclog.Logger) { l.Warn("w", "lost") }, "level=WARN msg=w EXTRA_VALUE_AT_END=lost\n"},
		{"standard writer", func(l hclog.Logger) { l.StandardLogger(nil).Print("[WARN] memberlist: x") }, "level=WARN msg=\"memberlist: x\"\n"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			to := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
				Level: slog.LevelDebug,
				ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey {
						return slog.Attr{}
					}
					return a
				},
			}))
			tc.log(New(to))
			if out.String() != tc.want {
				t.Errorf("got %q, want %q", out.String(), tc.want)
			}
		})
	}
}
