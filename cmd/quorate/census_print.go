package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/quorate/quorate/engine/keyspace"
)

// print writes the census for people.
func (c *census) print(out io.Writer) error {
	state := "read to its end, checksum right"
	switch {
	case !c.Complete:
		state = "NOT read to its end"
	case !c.Checksum:
		state = "read to its end, written without a checksum"
	}
	fmt.Fprintf(out, "%s: RDB version %d, %s, %d keys, %s\n", c.File, c.Version, bytesText(c.Bytes), c.Keys, state)
	if c.Empty > 0 {
		fmt.Fprintf(out, "%d keys with empty collections, which redis-server leaves out too\n", c.Empty)
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	c.printData(w)
	c.printBiggest(w)
	c.printExpiry(w)
	c.printBeside(w)
	return w.Flush()
}

func (c *census) printData(w io.Writer) {
	if c.Keys == 0 {
		return
	}
	fmt.Fprint(w, "\ndatabase\tkeys\twith expiry\tin the file\n")
	for _, db := range c.Databases {
		fmt.Fprintf(w, "%d\t%d\t%d\t%s\n", db.DB, db.Keys, db.Expires, bytesText(db.Bytes))
	}
	fmt.Fprint(w, "\ntype\tencoding\tkeys\telements\tin the file\tlargest\n")
	for _, f := range c.Forms {
		elements := fmt.Sprint(f.Elements)
		if f.Type == "string" || f.Type == "module" {
			elements = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", f.Type, f.Encoding, f.Keys, elements, bytesText(f.Bytes), bytesText(f.Largest))
	}
}

func (c *census) printBiggest(w io.Writer) {
	if len(c.Biggest) == 0 {
		return
	}
	fmt.Fprint(w, "\nbiggest keys\tdatabase\ttype\tencoding\telements\texpires\tkey\n")
	for _, k := range c.Biggest {
		expires := "never"
		if k.ExpireAt != keyspace.NoExpiry {
			expires = time.UnixMilli(k.ExpireAt).UTC().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%d\t%s\t%.80s\n", bytesText(k.Bytes), k.DB, k.Type, k.Encoding, k.Elements, expires, k.Key)
	}
}

func (c *census) printExpiry(w io.Writer) {
	if c.Keys == 0 {
		return
	}
	fmt.Fprint(w, "\nexpires within\tkeys\n")
	for _, class := range c.Expiry {
		if class.Keys > 0 {
			fmt.Fprintf(w, "%s\t%d\n", class.Within, class.Keys)
		}
	}
}

// printBeside tells what is in the file beside the keys.
func (c *census) printBeside(w io.Writer) {
	if len(c.Functions) > 0 {
		fmt.Fprint(w, "\nlibrary of functions\tcode\n")
	}
	for _, l := range c.Functions {
		fmt.Fprintf(w, "%s\t%s\n", orNone(l.Name), bytesText(int64(l.Bytes)))
	}
	if len(c.Modules) > 0 {
		fmt.Fprint(w, "\nmodule\thas written\n")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Modules)) {
		fmt.Fprintf(w, "%s\t%d times\n", name, c.Modules[name])
	}
	if len(c.Aux) > 0 {
		fmt.Fprint(w, "\nfield\tvalue\n")
	}
	for _, f := range c.Aux {
		value := f.Value
		switch {
		case f.Count > 1:
			value = fmt.Sprintf("%d times, %s", f.Count, bytesText(int64(f.Bytes)))
		case value == "" && f.Bytes > 0:
			value = bytesText(int64(f.Bytes))
		case f.Name == "ctime":
			var seconds int64
			if _, err := fmt.Sscan(value, &seconds); err == nil {
				value += time.Unix(seconds, 0).UTC().Format(", that is 2006-01-02 15:04:05 UTC")
			}
		}
		fmt.Fprintf(w, "%s\t%s\n", f.Name, value)
	}
}

// bytesText returns a number of bytes as people read it.
func bytesText(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprint(n, " B")
	}
	f, unit := float64(n)/1024, 0
	for f >= 1024 {
		f /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", f, units[unit])
}
