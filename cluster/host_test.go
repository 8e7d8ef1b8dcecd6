package cluster

import (
	"testing"

	"github.com/quorate/quorate/cluster/raftlog/faultfs"
)

// A node that has told others its id must come back under it, or its votes and
// its log are gone with the name of its directory.
func TestFreshDirectoryOutlivesPower(t *testing.T) {
	disk := faultfs.New()
	h := Host{FS: disk}
	if err := h.makeDir("/srv/quorate/n1"); err != nil {
		t.Fatal(err)
	}
	if err := h.writeDurably("/srv/quorate/n1/node-id", []byte("7")); err != nil {
		t.Fatal(err)
	}
	h.FS = disk.Crash(nil)
	if content, err := h.readFile("/srv/quorate/n1/node-id"); string(content) != "7" {
		t.Errorf("after the crash: %q, %v", content, err)
	}
	if err := h.makeDir("/srv/quorate/n1"); err != nil {
		t.Error(err)
	}
}
