package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"ms":  func(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d)/1e6) },
	"sec": func(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) },
	"inc": func(i int) int { return i + 1 },
}).Parse(pageText))

// The timeline's measures, in the units of the drawing.
const (
	perSecond = 12.0 // width of a second
	rowHigh   = 70.0
	leftEdge  = 90.0
)

type bar struct {
	X, Y, W, H float64
	Class      string
	Title      string
}

type lane struct {
	Y      float64
	Name   string
	Points string // of the rate's line
}

type drawing struct {
	*Summary
	Width, Height float64
	Lanes         []lane
	Bars          []bar
	Ticks         []bar
}

func at(d time.Duration) float64 { return leftEdge + d.Seconds()*perSecond }

// page writes the timeline: one lane a node, with its rate, its gaps and the
// faults that concern it, under a lane of faults that concern all.
func (s *Summary) page(w io.Writer) error {
	lanes := max(s.Nodes, len(s.Rates))
	d := drawing{Summary: s, Width: at(s.Lasted) + 40, Height: rowHigh*float64(lanes+1) + 30}
	peak := int64(1)
	for _, rates := range s.Rates {
		for _, n := range rates {
			peak = max(peak, n)
		}
	}
	for i := -1; i < lanes; i++ {
		l := lane{Y: rowHigh * float64(i+1), Name: fmt.Sprintf("node %d", i+1)}
		if i < 0 {
			l.Name = "all nodes"
		} else if i < len(s.Rates) {
			l.Points = points(s.Rates[i], peak, l.Y)
		}
		d.Lanes = append(d.Lanes, l)
	}
	for _, f := range s.Faults {
		d.Bars = append(d.Bars, bar{
			X: at(f.From), W: max(2, (f.To-f.From).Seconds()*perSecond), Y: rowHigh*float64(min(max(f.Node, -1), lanes-1)+1) + 2, H: rowHigh - 6,
			Class: "fault", Title: fmt.Sprintf("%s: %s, %.2fs to %.2fs, gap %v", f.Name, f.Text, f.From.Seconds(), f.To.Seconds(), f.Gap.Round(time.Millisecond)),
		})
	}
	for _, g := range s.Gaps {
		if g.To-g.From < 100*time.Millisecond {
			continue
		}
		d.Bars = append(d.Bars, bar{
			X: at(g.From), W: max(1, (g.To-g.From).Seconds()*perSecond), Y: rowHigh*float64(g.Node+2) - 14, H: 8,
			Class: "gap", Title: fmt.Sprintf("node %d: no write acknowledged for %v from %.2fs", g.Node+1, (g.To - g.From).Round(time.Millisecond), g.From.Seconds()),
		})
	}
	for _, m := range s.Missed {
		d.Bars = append(d.Bars, bar{
			X: at(m.To), W: 2, Y: rowHigh*float64(m.Subscriber+2) - 24, H: 8, Class: "missed",
			Title: fmt.Sprintf("node %d missed %d messages of node %d at %.2fs", m.Subscriber+1, m.Count, m.Publisher+1, m.To.Seconds()),
		})
	}
	step := 5 * time.Second
	for s.Lasted/step > 200 {
		step *= 2
	}
	for t := time.Duration(0); t <= s.Lasted; t += step {
		d.Ticks = append(d.Ticks, bar{X: at(t), Y: d.Height - 8, Title: fmt.Sprintf("%.0fs", t.Seconds())})
	}
	if err := pageTemplate.Execute(w, d); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}

func points(rates []int64, peak int64, y float64) string {
	var b strings.Builder
	for i, n := range rates {
		fmt.Fprintf(&b, "%.1f,%.1f ", at(time.Duration(i)*time.Second+time.Second/2), y+rowHigh-18-float64(n)/float64(peak)*(rowHigh-24))
	}
	return b.String()
}
