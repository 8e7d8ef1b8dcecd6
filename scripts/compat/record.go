package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// figures are what is kept of a file's results on a stage.
type figures struct {
	stage, file                     string
	passed, known, skipped, leftOut int
}

const resultsHead = "stage\tfile\tpassed\tknown\tskipped\tleft out by the suite\n"

// loadFigures reads the figures kept.
func loadFigures(path string) ([]figures, error) {
	rows, err := readTSV(path)
	if err != nil {
		return nil, err
	}
	var all []figures
	for _, row := range rows {
		f := figures{stage: row[0], file: row[1]}
		for i, n := range []*int{&f.passed, &f.known, &f.skipped, &f.leftOut} {
			if *n, err = strconv.Atoi(row[2+i]); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
		all = append(all, f)
	}
	return all, nil
}

// recordResults puts the figures of a stage's files in the place of those kept.
func recordResults(stage string, all []*results) error {
	kept, err := loadFigures(resultsFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, res := range all {
		kept = slices.DeleteFunc(kept, func(f figures) bool { return f.stage == stage && f.file == res.file })
		kept = append(kept, figures{stage, res.file, len(res.passed), len(res.failed), len(res.skipped), res.leftOut})
	}
	slices.SortFunc(kept, func(a, b figures) int {
		return cmp.Or(cmp.Compare(a.stage, b.stage), cmp.Compare(a.file, b.file))
	})
	var text strings.Builder
	text.WriteString(resultsHead)
	for _, f := range kept {
		fmt.Fprintf(&text, "%s\t%s\t%d\t%d\t%d\t%d\n", f.stage, f.file, f.passed, f.known, f.skipped, f.leftOut)
	}
	return os.WriteFile(resultsFile, []byte(text.String()), 0o644)
}
