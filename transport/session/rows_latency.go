package session

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/observe"
)

var (
	perNode    = []string{"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"}
	resetNodes = []string{"request_policy:all_nodes", "response_policy:all_succeeded"}
)

var latencyRows = []row{
	containerRow("slowlog", command.Server),
	{Spec: command.Spec{Name: "slowlog|get", Arity: -2, Flags: command.Admin | anytime, Group: command.Server, Tips: []string{"request_policy:all_nodes", "nondeterministic_output"}}, do: slowlogGet},
	{Spec: command.Spec{Name: "slowlog|help", Arity: 2, Flags: anytime, Group: command.Server}, do: help("slowlog")},
	{Spec: command.Spec{Name: "slowlog|len", Arity: 2, Flags: command.Admin | anytime, Group: command.Server, Tips: []string{"request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"}}, do: func(s *Session, r *request) { r.out.Int(int64(s.srv.slowlog.Len())) }},
	{Spec: command.Spec{Name: "slowlog|reset", Arity: 2, Flags: command.Admin | anytime, Group: command.Server, Tips: resetNodes}, do: slowlogReset},
	containerRow("latency", command.Server),
	{Spec: command.Spec{Name: "latency|doctor", Arity: 2, Flags: adminOnly, Group: command.Server, Tips: perNode}, do: latencyDoctor},
	{Spec: command.Spec{Name: "latency|graph", Arity: 3, Flags: adminOnly, Group: command.Server, Tips: perNode}, do: latencyGraph},
	{Spec: command.Spec{Name: "latency|help", Arity: 2, Flags: anytime, Group: command.Server}, do: help("latency")},
	{Spec: command.Spec{Name: "latency|histogram", Arity: -2, Flags: adminOnly, Group: command.Server, Tips: perNode}, do: latencyHistogram},
	{Spec: command.Spec{Name: "latency|history", Arity: 3, Flags: adminOnly, Group: command.Server, Tips: perNode}, do: latencyHistory},
	{Spec: command.Spec{Name: "latency|latest", Arity: 2, Flags: adminOnly, Group: command.Server, Tips: perNode}, do: latencyLatest},
	{Spec: command.Spec{Name: "latency|reset", Arity: -2, Flags: adminOnly, Group: command.Server, Tips: resetNodes}, do: latencyReset},
}

// slowlogGet: SLOWLOG GET [count].
func slowlogGet(s *Session, r *request) {
	n := 10
	if len(r.args) > 3 {
		r.fail(reply.SubcommandSyntax("SLOWLOG", r.args[1]))
		return
	}
	if len(r.args) == 3 {
		asked, ok := call.ParseInt(r.args[2])
		if !ok || asked < -1 {
			r.fail("ERR count should be greater than or equal to -1")
			return
		}
		n = int(asked)
	}
	entries := s.srv.slowlog.Newest(n)
	r.out.Array(len(entries))
	for _, e := range entries {
		r.out.Array(6)
		r.out.Int(e.ID)
		r.out.Int(e.At.Unix())
		r.out.Int(e.Duration.Microseconds())
		r.out.Array(len(e.Args))
		for _, arg := range e.Args {
			r.out.Bulk(arg)
		}
		r.out.BulkString(e.Addr)
		r.out.BulkString(e.Client)
	}
}

func slowlogReset(s *Session, r *request) {
	s.srv.slowlog.Reset()
	r.out.OK()
}

func latencyLatest(s *Session, r *request) {
	latest := s.srv.spikes.Latest()
	r.out.Array(len(latest))
	for _, l := range latest {
		r.out.Array(4)
		r.out.BulkString(l.Event)
		r.out.Int(l.Last.At.Unix())
		r.out.Int(l.Last.Duration.Milliseconds())
		r.out.Int(l.Longest.Milliseconds())
	}
}

func latencyHistory(s *Session, r *request) {
	samples := s.srv.spikes.History(string(r.args[2]))
	r.out.Array(len(samples))
	for _, sample := range samples {
		r.out.Array(2)
		r.out.Int(sample.At.Unix())
		r.out.Int(sample.Duration.Milliseconds())
	}
}

func latencyReset(s *Session, r *request) {
	var events []string
	for _, arg := range r.args[2:] {
		events = append(events, string(arg))
	}
	r.out.Int(int64(s.srv.spikes.Reset(events...)))
}

func latencyDoctor(s *Session, r *request) {
	if s.srv.settings.spikeThreshold.Load() == 0 {
		r.out.Verbatim("txt", "Latency monitoring is off. CONFIG SET latency-monitor-threshold <milliseconds> turns it on.\n")
		return
	}
	text := "No latency spike was observed.\n"
	if latest := s.srv.spikes.Latest(); len(latest) > 0 {
		text = ""
		for _, l := range latest {
			text += fmt.Sprintf("%s: last %d ms, longest %d ms\n", l.Event, l.Last.Duration.Milliseconds(), l.Longest.Milliseconds())
		}
	}
	r.out.Verbatim("txt", text)
}

// latencyHistogram: LATENCY HISTOGRAM [command ...], of those that were
// called: how many calls took at most 1, 2, 4 ... microseconds.
func latencyHistogram(s *Session, r *request) {
	entries := s.srv.table.all
	if len(r.args) > 2 {
		entries = nil
		for _, arg := range r.args[2:] {
			e, ok := s.srv.lookup(arg)
			if !ok {
				continue
			}
			entries = append(entries, e)
			for _, name := range s.srv.table.Subcommands(e.Name) {
				sub, _ := s.srv.table.Lookup(name)
				entries = append(entries, sub)
			}
		}
	}
	mark, n := r.out.Mark(), 0
	for _, e := range entries {
		if h := e.stats.Latency(); h != nil {
			r.out.BulkString(e.Name)
			writeHistogram(r.out, h)
			n++
		}
	}
	r.out.EndMap(mark, n)
}

func writeHistogram(out *reply.Writer, h *observe.Histogram) {
	out.Map(2)
	out.BulkString("calls")
	out.Int(int64(h.Count()))
	out.BulkString("histogram_usec")
	mark, n := out.Mark(), 0
	total, last := h.Count(), uint64(0)
	for us := int64(1); us <= 1<<20; us *= 2 {
		if upTo := h.UpTo(time.Duration(us) * time.Microsecond); upTo > last {
			out.Int(us)
			out.Int(int64(upTo))
			last = upTo
			n++
		}
	}
	if last < total {
		out.Int(1 << 21)
		out.Int(int64(total))
		n++
	}
	out.EndMap(mark, n)
}
