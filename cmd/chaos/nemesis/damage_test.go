package nemesis

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestDamagesAreWhatTheySay spoils copies of a directory.
func TestDamagesAreWhatTheySay(t *testing.T) {
	content := map[string][]byte{
		"node-id":                         []byte("0123456789abcdef\n"),
		filepath.Join("log", "log-1.seg"): append(bytes.Repeat([]byte("entry"), 3000), make([]byte, 9000)...),
		filepath.Join("log", "spare-1"):   make([]byte, 5000),
		"LOCK":                            []byte("x"),
	}
	fresh := func() string {
		dir := t.TempDir()
		for name, b := range content {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	all, err := damages(fresh(), 100, rand.New(rand.NewPCG(1, 1)))
	if err != nil || len(all) != 100 {
		t.Fatal(len(all), err)
	}
	kinds := make(map[damageKind]int)
	for _, d := range all {
		kinds[d.kind]++
		if d.file == "LOCK" || filepath.Base(d.file) == "spare-1" {
			t.Errorf("%s: nothing is in that file", d)
		}
		dir := fresh()
		if err := d.do(dir); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		for name, want := range content {
			got, err := os.ReadFile(filepath.Join(dir, name))
			switch changed := err != nil || !bytes.Equal(got, want); {
			case name != d.file && changed:
				t.Errorf("%s changed %s", d, name)
			case name == d.file && !changed:
				t.Errorf("%s changed nothing", d)
			}
		}
	}
	for k := range damageKinds {
		if kinds[k] == 0 {
			t.Errorf("no damage of kind %d", k)
		}
	}
}
