package lint

import (
	"os/exec"
	"testing"
)

// docs/compatibility.md follows the commands and the lists that it is made from.
func TestCompatibilityIsUpToDate(t *testing.T) {
	cmd := exec.Command("go", "run", "./scripts/compat", "doc", "-check")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
