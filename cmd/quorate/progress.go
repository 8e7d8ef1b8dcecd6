package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A progress shows on a terminal how far the reading of something has come: a bar, the
// rate and the time left. On anything else it shows nothing.
type progress struct {
	in    io.Reader
	out   io.Writer // nil: nothing is shown
	what  string
	total int64 // bytes; 0: not known
	read  int64
	now   func() time.Time
	begun time.Time
	shown time.Time
}

const (
	progressEvery = 200 * time.Millisecond
	progressDelay = 500 * time.Millisecond // what takes less time needs no bar
	barWidth      = 30
	lineWidth     = 79
)

// newProgress begins to read from in. The file is the terminal, if it is one.
func newProgress(in io.Reader, file *os.File, what string, total int64) *progress {
	p := &progress{in: in, what: what, total: total, now: time.Now, begun: time.Now()}
	if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		p.out = file
	}
	return p
}

// Read implements io.Reader.
func (p *progress) Read(b []byte) (int, error) {
	n, err := p.in.Read(b)
	p.read += int64(n)
	if p.out == nil {
		return n, err
	}
	now := p.now()
	if now.Sub(p.begun) >= progressDelay && now.Sub(p.shown) >= progressEvery {
		p.shown = now
		fmt.Fprintf(p.out, "\r%-*s", lineWidth, p.line(p.read, now.Sub(p.begun)))
	}
	return n, err
}

// line is what is shown after bytes were read in the time elapsed.
func (p *progress) line(bytes int64, elapsed time.Duration) string {
	rate := float64(bytes) / elapsed.Seconds()
	if p.total <= 0 {
		return fmt.Sprintf("%s %s, %s/s", p.what, bytesText(bytes), bytesText(int64(rate)))
	}
	bytes = min(bytes, p.total)
	filled := int(bytes * barWidth / p.total)
	left := "?"
	if rate > 0 {
		left = time.Duration(float64(p.total-bytes) / rate * float64(time.Second)).Round(time.Second).String()
	}
	return fmt.Sprintf("%s [%s%s] %3d%%, %s/s, %s left", p.what, strings.Repeat("#", filled), strings.Repeat(" ", barWidth-filled),
		bytes*100/p.total, bytesText(int64(rate)), left)
}

// done takes the line away.
func (p *progress) done() {
	if p.out != nil && !p.shown.IsZero() {
		fmt.Fprintf(p.out, "\r%*s\r", lineWidth, "")
	}
}
