package nemesis

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// damage is one way to spoil a file of a node that does not run.
type damage struct {
	file   string // relative to the data directory
	kind   damageKind
	offset int64 // of the first byte that is spoilt, or the length that is left
	length int64 // of the bytes that are spoilt
	bit    uint8 // of flip
}

type damageKind uint8

const (
	flip     damageKind = iota // one bit is turned over
	truncate                   // the file is cut off
	zero                       // bytes are zero
	unlink                     // the file is gone
	damageKinds
)

// String says what is done, for logs.
func (d damage) String() string {
	switch d.kind {
	case flip:
		return fmt.Sprintf("bit %d of byte %d of %s turned over", d.bit, d.offset, d.file)
	case truncate:
		return fmt.Sprintf("%s cut off at %d", d.file, d.offset)
	case zero:
		return fmt.Sprintf("%d bytes of %s at %d zeroed", d.length, d.file, d.offset)
	default:
		return d.file + " deleted"
	}
}

// do spoils the file in dir.
func (d damage) do(dir string) error {
	path := filepath.Join(dir, d.file)
	switch d.kind {
	case truncate:
		return os.Truncate(path, d.offset)
	case unlink:
		return os.Remove(path)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, d.length)
	if d.kind == flip {
		b = b[:1]
		if _, err := f.ReadAt(b, d.offset); err != nil {
			return errors.Join(err, f.Close())
		}
		b[0] ^= 1 << d.bit
	}
	_, err = f.WriteAt(b, d.offset)
	return errors.Join(err, f.Close())
}

// pageBytes is what is zeroed at once, as by a disk that lost a page.
const pageBytes = 4096

// used returns how much of a file holds data: segments of the log are longer
// than what is written.
func used(path string) (int64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n := len(b)
	for n > 0 && b[n-1] == 0 {
		n--
	}
	return int64(n), nil
}

// damageFiles are the files of a data directory that hold something.
func damageFiles(dir string) (files []string, lengths []int64, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || name == "LOCK" || strings.HasSuffix(name, ".pid") {
			return err
		}
		n, err := used(path)
		if err != nil || n == 0 {
			return err // a spare segment, say
		}
		files, lengths = append(files, name), append(lengths, n)
		return nil
	})
	return files, lengths, err
}

// damages returns n different damages of a data directory, spread over its files
// and kinds; each file is deleted once.
func damages(dir string, n int, r *rand.Rand) ([]damage, error) {
	files, lengths, err := damageFiles(dir)
	if err != nil {
		return nil, fmt.Errorf("nemesis: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("nemesis: %s holds no files", dir)
	}
	var all []damage
	for _, f := range files {
		all = append(all, damage{file: f, kind: unlink})
	}
	for tries := 0; len(all) < n && tries < 100*n; tries++ {
		i := tries % len(files)
		d := damage{file: files[i], kind: damageKind(r.IntN(int(unlink))), offset: r.Int64N(lengths[i]), bit: uint8(r.IntN(8))}
		switch d.kind {
		case zero:
			d.offset -= d.offset % pageBytes
			d.length = min(pageBytes, lengths[i]-d.offset)
		case flip:
			d.length = 1
		}
		if !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	return all, nil
}
