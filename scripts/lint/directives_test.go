package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/transport/config"
)

// root is the module's folder.
const root = "../.."

// composed are directives that the program reads under a name that it puts
// together.
var composed = map[string]bool{"enable-debug-command": true}

// A directive that nobody reads is marked as ignored, so that who sets it is
// warned.
func TestDirectivesHaveAnEffect(t *testing.T) {
	read := stringsOf(t, root)
	for _, pair := range config.New().Get("?*") {
		spec, _ := config.Lookup(pair.Name)
		if pair.Name != spec.Name || spec.Has(config.Ignored) || spec.Has(config.Cluster) || composed[spec.Name] {
			continue
		}
		// An empty value is the only one that some take.
		if !read[spec.Name] {
			t.Errorf("%s is taken, not marked as ignored, and read by nobody", spec.Name)
		}
	}
}

// What the engine takes for cluster-wide the configuration does too.
func TestClusterWideDirectives(t *testing.T) {
	settings := engine.New(engine.Options{}).AllSettings()
	for name, value := range settings {
		spec, ok := config.Lookup(name)
		switch {
		case !ok || spec.Name != name || !spec.Has(config.Cluster):
			t.Errorf("%s: a setting of the engine is no cluster-wide directive", name)
		case spec.Default != value:
			t.Errorf("%s: the directive's default is %q, the engine's %q", name, spec.Default, value)
		}
	}
	for _, pair := range config.New().Get("?*") {
		if spec, _ := config.Lookup(pair.Name); spec.Has(config.Cluster) && settings[spec.Name] == "" && spec.Default != "" {
			t.Errorf("%s: a cluster-wide directive is no setting of the engine", spec.Name)
		}
	}
}

// A value that the configuration takes must not be refused by the engine: at the
// start there is nobody left to tell.
func TestEngineTakesWhatTheConfigurationTakes(t *testing.T) {
	e := engine.New(engine.Options{})
	for name := range e.AllSettings() {
		spec, ok := config.Lookup(name)
		if !ok || spec.Kind == config.Text {
			continue
		}
		values := spec.Words
		if spec.Kind != config.Enum {
			values = []string{strconv.FormatInt(spec.Min, 10), strconv.FormatInt(spec.Max, 10)}
		}
		for _, value := range values {
			e.Apply(func(s *engine.Step) {
				if err := s.Set([][]byte{[]byte(name), []byte(value)}); err != nil {
					t.Errorf("%s %s: %v", name, value, err)
				}
			})
		}
	}
}

// stringsOf returns the string literals in the program's files below dir: not
// those of tests, nor of the table of directives itself.
func stringsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			strings.HasPrefix(filepath.ToSlash(path), root+"/transport/config/table") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					found[text] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
