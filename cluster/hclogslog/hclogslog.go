// Package hclogslog lets raft log to slog.
package hclogslog

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// logger is an hclog.Logger over a slog.Logger. Levels move one down, except
// warnings and errors: what raft calls information ("entering follower state") is
// debugging to an operator.
type logger struct {
	to      *slog.Logger
	name    string
	implied []any
}

// New returns a logger whose lines go to to: warnings and errors as such,
// everything below as debug lines.
func New(to *slog.Logger) hclog.Logger { return &logger{to: to} }

func level(l hclog.Level) slog.Level {
	switch l {
	case hclog.Error:
		return slog.LevelError
	case hclog.Warn:
		return slog.LevelWarn
	default:
		return slog.LevelDebug
	}
}

// Log writes a line.
func (l *logger) Log(lv hclog.Level, msg string, args ...any) {
	if lv == hclog.Off || !l.to.Enabled(context.Background(), level(lv)) {
		return
	}
	l.to.Log(context.Background(), level(lv), l.prefix()+msg, attrs(args)...)
}

func (l *logger) prefix() string {
	if l.name == "" {
		return ""
	}
	return l.name + ": "
}

// attrs resolves hclog's formatted values, and gives a value without a key one.
func attrs(args []any) []any {
	out := make([]any, 0, len(args)+1)
	for i := 0; i < len(args); i += 2 {
		if i+1 == len(args) {
			return append(out, hclog.MissingKey, value(args[i]))
		}
		key, ok := args[i].(string)
		if !ok {
			key = fmt.Sprint(args[i])
		}
		out = append(out, key, value(args[i+1]))
	}
	return out
}

func value(v any) any {
	switch v := v.(type) {
	case hclog.Format:
		if format, ok := v[0].(string); ok {
			return fmt.Sprintf(format, v[1:]...)
		}
		return fmt.Sprint(v[1:]...)
	case fmt.Stringer:
		return v.String()
	default:
		return v
	}
}

func (l *logger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }
func (l *logger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *logger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *logger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *logger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *logger) enabled(lv hclog.Level) bool {
	return l.to.Enabled(context.Background(), level(lv))
}

func (l *logger) IsTrace() bool { return l.enabled(hclog.Trace) }
func (l *logger) IsDebug() bool { return l.enabled(hclog.Debug) }
func (l *logger) IsInfo() bool  { return l.enabled(hclog.Info) }
func (l *logger) IsWarn() bool  { return l.enabled(hclog.Warn) }
func (l *logger) IsError() bool { return l.enabled(hclog.Error) }

// ImpliedArgs returns the arguments that With added.
func (l *logger) ImpliedArgs() []any { return l.implied }

// With returns a logger that adds arguments to every line.
func (l *logger) With(args ...any) hclog.Logger {
	return &logger{to: l.to.With(attrs(args)...), name: l.name, implied: append(l.implied[:len(l.implied):len(l.implied)], args...)}
}

// Name returns the prefix of the lines.
func (l *logger) Name() string { return l.name }

// Named returns a logger whose prefix is extended by name.
func (l *logger) Named(name string) hclog.Logger {
	if l.name != "" {
		name = l.name + "." + name
	}
	return l.ResetNamed(name)
}

// ResetNamed returns a logger whose prefix is name.
func (l *logger) ResetNamed(name string) hclog.Logger {
	return &logger{to: l.to, name: name, implied: l.implied}
}

// SetLevel does nothing: the slog handler decides what is written.
func (l *logger) SetLevel(hclog.Level) {}

// GetLevel returns the lowest level that is written.
func (l *logger) GetLevel() hclog.Level {
	for _, lv := range []hclog.Level{hclog.Debug, hclog.Warn, hclog.Error} {
		if l.enabled(lv) {
			return lv
		}
	}
	return hclog.Off
}

// StandardLogger returns a logger of the standard library; see StandardWriter.
func (l *logger) StandardLogger(o *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(o), "", 0)
}

// StandardWriter returns a writer that makes a line of every write. A level in
// brackets at its beginning is taken as the line's.
func (l *logger) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return writer{l} }

type writer struct{ l *logger }

func (w writer) Write(p []byte) (int, error) {
	lv, msg := hclog.Info, strings.TrimSpace(string(p))
	for tag, tagged := range map[string]hclog.Level{"[ERR]": hclog.Error, "[ERROR]": hclog.Error, "[WARN]": hclog.Warn, "[INFO]": hclog.Info, "[DEBUG]": hclog.Debug} {
		if rest, ok := strings.CutPrefix(msg, tag); ok {
			lv, msg = tagged, strings.TrimSpace(rest)
			break
		}
	}
	w.l.Log(lv, msg)
	return len(p), nil
}
