package config

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/quorate/quorate/engine/glob"
	"github.com/quorate/quorate/engine/words"
)

// includeDepthMax bounds files that include each other.
const includeDepthMax = 16

// lineMax is the longest line of a configuration file, in bytes.
const lineMax = 1 << 20

// Parse returns the configuration that a command line gives, in the manner of
// redis-server: an optional file, or "-" for standard input, then directives
// as --name value ..., which override the file's, or are added to them where the lines of
// a file would be. A name and its values may be one argument.
//
// An error is one line that names the place and says what to change.
func Parse(args []string) (*Config, error) {
	c := New()
	if len(args) > 0 && !strings.HasPrefix(args[0], "--") {
		if err := c.loadFile(args[0]); err != nil {
			return nil, err
		}
		args = args[1:]
	}
	for len(args) > 0 {
		name, ok := strings.CutPrefix(args[0], "--")
		if !ok || name == "" {
			return nil, fmt.Errorf("command line: %q is not a directive; write --name value", args[0])
		}
		values := args[1:]
		for i, word := range values {
			if strings.HasPrefix(word, "--") {
				values = values[:i]
				break
			}
		}
		if s, ok := Lookup(name); ok && len(values) == 0 && len(args) > 1 && s.Kind != Bool && !s.Has(Repeats) {
			values = args[1:2] // it must have one, whatever it begins with
		}
		args = args[1+len(values):]
		if strings.Contains(name, " ") { // "--name value" in one argument
			line, ok := words.Split([]byte(name))
			if !ok || len(line) == 0 {
				return nil, fmt.Errorf("command line: unbalanced quotes in %q", name)
			}
			name = string(line[0])
			var inside []string
			for _, word := range line[1:] {
				inside = append(inside, string(word))
			}
			values = append(inside, values...)
		}
		if s, ok := Lookup(name); ok && len(values) == 0 {
			switch {
			case s.Kind == Bool:
				values = []string{"yes"}
			case s.Has(Repeats):
				values = []string{""}
			}
		}
		if err := c.directive(name, values); err != nil {
			return nil, fmt.Errorf("command line: %w", err)
		}
	}
	return c, nil
}

func (c *Config) loadFile(path string) error {
	if path == "-" {
		return c.load(os.Stdin, "standard input", 0)
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("configuration file %s: %w", path, err)
	}
	c.path = full
	return c.include(path, 0)
}

func (c *Config) include(path string, depth int) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("configuration file: %w", err)
	}
	defer f.Close()
	return c.load(f, path, depth)
}

// load reads one file. source names it in errors.
func (c *Config) load(r io.Reader, source string, depth int) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, lineMax)
	for n := 1; lines.Scan(); n++ {
		if err := c.line(lines.Bytes(), depth); err != nil {
			return fmt.Errorf("%s:%d: %w", source, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	return nil
}

func (c *Config) line(line []byte, depth int) error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] == '#' {
		return nil
	}
	list, ok := words.Split(line)
	if !ok {
		return errors.New("unbalanced quotes")
	}
	if len(list) == 0 {
		return nil
	}
	values := make([]string, len(list)-1)
	for i := range values {
		values[i] = string(list[i+1])
	}
	if strings.EqualFold(string(list[0]), "include") {
		return c.includeAll(values, depth+1)
	}
	return c.directive(string(list[0]), values)
}

func (c *Config) includeAll(paths []string, depth int) error {
	if len(paths) != 1 {
		return errors.New("include takes one path")
	}
	if depth > includeDepthMax {
		return fmt.Errorf("files include each other more than %d deep", includeDepthMax)
	}
	files := paths
	if hasGlob(paths[0]) {
		var err error
		if files, err = matching(paths[0]); err != nil {
			return err
		}
	}
	for _, path := range files {
		if err := c.include(path, depth); err != nil {
			return err
		}
	}
	return nil
}

func hasGlob(path string) bool { return strings.ContainsAny(path, "*?[") }

// matching returns the files of a folder whose names match, sorted by name.
// Only the last part of the path may be a pattern.
func matching(path string) ([]string, error) {
	dir, pattern := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("include: %w", err)
	}
	var files []string
	for _, entry := range entries {
		if glob.Match(pattern, entry.Name()) && !entry.IsDir() {
			files = append(files, filepath.Join(dir, entry.Name()))
		}
	}
	return files, nil
}

// userDirective defines a user. It is no setting: CONFIG does not know of it.
const userDirective = "user"

// Users returns the lines of the file and the command line that define users: "user", a
// name, and rules.
func (c *Config) Users() []string { return c.users }

// directive takes one directive with its values.
func (c *Config) directive(name string, values []string) error {
	if strings.EqualFold(name, userDirective) {
		c.users = append(c.users, strings.Join(append([]string{userDirective}, values...), " "))
		return nil
	}
	s, ok := Lookup(name)
	if !ok {
		if why, known := refused[strings.ToLower(name)]; known {
			return fmt.Errorf("%s: %s", name, why)
		}
		return fmt.Errorf("unknown directive %q%s", name, suggestion(name))
	}
	if len(values) == 0 && s.Name == "save" {
		values = []string{""} // none, as redis-server reads it
	}
	if len(values) == 0 || len(values) > 1 && !s.Has(Many) {
		return fmt.Errorf("%s takes one value, %d were given", name, len(values))
	}
	if len(values) > 1 {
		values = slices.Clone(values)
		for i, v := range values {
			if v == "" {
				values[i] = noName // a word that is there
			}
		}
	}
	value := strings.Join(values, " ")
	if err := c.give(s, value); err != nil {
		return fmt.Errorf("%s %q: %w%s", name, value, err, s.hint())
	}
	if s.Has(Ignored) && c.values[s] != s.Default {
		c.warned = append(c.warned, fmt.Sprintf("%s has no effect here and is ignored", s.Name))
	}
	return nil
}

// suggestion names the directive that an unknown one may have meant.
func suggestion(name string) string {
	best, distance := "", 3
	for _, known := range names {
		if d := editDistance(strings.ToLower(name), known, distance); d < distance {
			best, distance = known, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance counts the bytes to insert, delete or replace to turn a into
// b. It returns most when there are that many or more.
func editDistance(a, b string, most int) int {
	if len(a) > 64 || len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j+1]+1, row[j]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return min(row[len(b)], most)
}
