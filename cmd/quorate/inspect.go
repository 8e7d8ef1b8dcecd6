package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/types/seed"
)

const inspectUsage = "quorate inspect rdb [--json] [--biggest 10] FILE: tell what is in an RDB file, a redis-server's or a snapshot of a node; - is standard input"

// runInspect carries out inspect rdb.
func runInspect(args []string, out io.Writer) error {
	if len(args) == 0 || args[0] != "rdb" {
		return errors.New("inspect: there is " + inspectUsage)
	}
	set := flag.NewFlagSet("inspect rdb", flag.ContinueOnError)
	asJSON := set.Bool("json", false, "print JSON")
	biggest := set.Int("biggest", 10, "`how many` of the biggest keys to show")
	if err := set.Parse(args[1:]); err != nil {
		return exitCode(2)
	}
	if set.NArg() != 1 || *biggest < 0 {
		return errors.New("inspect: there is " + inspectUsage)
	}
	name := set.Arg(0)
	file, size, err := openRDB(name)
	if err != nil {
		return fmt.Errorf("inspect: %w", err)
	}
	defer file.Close()
	progress := newProgress(file, os.Stderr, "reading", size)
	census, err := takeCensus(progress, size, *biggest)
	progress.done()
	if census == nil {
		return fmt.Errorf("inspect: %s: %w", name, err)
	}
	census.File = name
	if *asJSON {
		err = errors.Join(err, json.NewEncoder(out).Encode(census))
	} else {
		err = errors.Join(err, census.print(out))
	}
	if err != nil {
		return fmt.Errorf("inspect: %s: %w", name, err)
	}
	return nil
}

// openRDB opens a file and returns its size; 0 is not known.
func openRDB(name string) (*os.File, int64, error) {
	if name == "-" {
		return os.Stdin, 0, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = fmt.Errorf("%s is a directory: name the RDB file in it, often dump.rdb", name)
	case info.Mode().IsRegular():
		return file, info.Size(), nil
	default:
		return file, 0, nil
	}
	return nil, 0, errors.Join(err, file.Close())
}

// takeCensus reads an RDB file to its end. When that is not reached it returns the
// census of what came before, if it is an RDB file at all, and what can be done.
func takeCensus(in io.Reader, size int64, biggest int) (*census, error) {
	r, err := rdb.NewReader(in)
	if err != nil {
		return nil, advise(err, 0)
	}
	r.Build(rdb.Build{Seed: seed.Seed{}, Settings: call.DefaultSettings()})
	r.Size(size)
	r.ShowModules()
	c := newCensus(r.Version(), biggest, time.Now().UnixMilli())
	err = c.take(r)
	c.close(r)
	if err != nil {
		return c, advise(err, c.Bytes)
	}
	return c, nil
}

// advise tells where reading ended and what can be done about it.
func advise(err error, offset int64) error {
	advice := "the disk or the network that it came from may be at fault"
	switch {
	case offset == 0 && errors.Is(err, rdb.ErrCorrupt):
		advice = "this is no RDB file. An append-only file of Redis is a directory with one in it, whose name ends in base.rdb"
	case errors.Is(err, rdb.ErrTruncated):
		advice = "the file is cut off: it is still being written, or copying it has failed. Copy it again, or take an older one"
	case errors.Is(err, rdb.ErrCorrupt):
		advice = "the file is damaged: take another copy, or an older file. What is shown was before the damage, and may be wrong too"
	case errors.Is(err, rdb.ErrUnsupported):
		advice = "the file may be good. A redis-server that knows what is in it can leave that out and save again"
	}
	return fmt.Errorf("at byte %d: %w: %s", offset, err, advice)
}
