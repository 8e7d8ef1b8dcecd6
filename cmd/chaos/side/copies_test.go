package side

import (
	"strings"
	"testing"
)

// One writer of keys a and b, and a client of its copies: what it reads makes what was
// written before due.
func TestCopies(t *testing.T) {
	const a, b = "0.0", "0.1"
	write := func(w *Author, o Outcome, places ...int) string {
		v, _ := w.Begin(places...)
		w.End(o, "", places...)
		return w.Value(v)
	}
	for _, c := range []struct {
		name  string
		story func(w *Author, c *Copies, read func(key, value string), proven func())
		wrong string
	}{
		{"a copy that is the newest", func(w *Author, c *Copies, read func(string, string), proven func()) {
			read(a, write(w, Acked, 0))
			proven()
		}, ""},
		{"a copy that went in time", func(w *Author, c *Copies, read func(string, string), proven func()) {
			read(a, write(w, Acked, 0))
			write(w, Acked, 0)
			c.Drop(a)
			proven()
		}, ""},
		{"nothing was read since", func(w *Author, c *Copies, read func(string, string), proven func()) {
			read(a, write(w, Acked, 0))
			write(w, Acked, 0)
		}, ""},
		{"what was in doubt is not due", func(w *Author, c *Copies, read func(string, string), proven func()) {
			read(a, write(w, Acked, 0))
			write(w, Doubted, 0)
			read(b, write(w, Acked, 1))
			proven()
		}, ""},
		{"what was refused is not due", func(w *Author, c *Copies, read func(string, string), proven func()) {
			read(a, write(w, Acked, 0))
			write(w, Refused, 0)
			read(b, write(w, Acked, 1))
		}, ""},
		{"what is under way is not due", func(w *Author, c *Copies, read func(string, string), proven func()) {
			read(a, write(w, Acked, 0))
			w.Begin(0)
			proven()
		}, ""},
		{"what was in doubt is read", func(w *Author, c *Copies, read func(string, string), proven func()) {
			read(a, write(w, Doubted, 0))
		}, ""},
		{"all went", func(w *Author, c *Copies, read func(string, string), proven func()) {
			read(a, write(w, Acked, 0))
			write(w, Acked, 0)
			c.DropAll()
			proven()
		}, ""},

		{"the writer's next was read", func(w *Author, c *Copies, read func(string, string), proven func()) {
			read(a, write(w, Acked, 0))
			write(w, Acked, 0)
			read(b, write(w, Acked, 1))
		}, "the copy of 0.0"},
		{"anything was read", func(w *Author, c *Copies, read func(string, string), proven func()) {
			read(a, write(w, Acked, 0))
			write(w, Acked, 0)
			proven()
		}, "the copy of 0.0"},
		{"the other key of the same write", func(w *Author, c *Copies, read func(string, string), proven func()) {
			read(a, write(w, Acked, 0))
			v, _ := w.Begin(0, 1)
			read(b, w.Value(v))
		}, "the copy of 0.0"},
		{"an old value was read", func(w *Author, c *Copies, read func(string, string), proven func()) {
			old := write(w, Acked, 0)
			read(a, write(w, Acked, 0))
			read(a, old)
		}, "version 1 of 0.0 was read"},
		{"a copy that came too late", func(w *Author, c *Copies, read func(string, string), proven func()) {
			old := write(w, Acked, 0)
			write(w, Acked, 0)
			proven()
			read(a, old)
		}, "version 1 of 0.0 was read"},
		{"never written", func(w *Author, c *Copies, read func(string, string), proven func()) {
			read(a, "0/7")
		}, "never written"},
		{"written to another key", func(w *Author, c *Copies, read func(string, string), proven func()) {
			read(b, write(w, Acked, 0))
		}, "not written"},
		{"refused", func(w *Author, c *Copies, read func(string, string), proven func()) {
			read(a, write(w, Refused, 0))
		}, "definite"},
		{"no value", func(w *Author, c *Copies, read func(string, string), proven func()) {
			read(a, "x")
		}, "never written"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := NewAuthor(0, 2, "")
			copies := NewCopies([]*Author{w})
			var wrong []string
			read := func(key, value string) {
				fresh, err := copies.Read(key, value, true)
				if err != nil {
					wrong = append(wrong, err.Error())
				}
				wrong = append(wrong, copies.Stale(fresh)...)
			}
			c.story(w, copies, read, func() { wrong = append(wrong, copies.Stale(copies.Proven(0, w.Acked()))...) })
			got := strings.Join(wrong, "; ")
			if c.wrong == "" && got != "" || !strings.Contains(got, c.wrong) {
				t.Errorf("got %q, want %q", got, c.wrong)
			}
		})
	}
}
