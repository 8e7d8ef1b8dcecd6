package simulation

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/cluster"
	"github.com/quorate/quorate/cluster/raftlog"
)

// bug is something wrong that is planted into a run, to see that it is found.
type bug struct {
	name string
	seed uint64 // from which on it is looked for
	// lazyLog makes fsyncs of the log do nothing.
	lazyLog bool
	// forgetful keeps terms and votes in memory only.
	forgetful bool
	// noBarrier serves reads without a proof that they are fresh.
	noBarrier bool
	// resend sends again, as something new, what is in doubt.
	resend bool
	// drift makes one node execute something that is not in the log.
	drift bool
}

var bugs = []bug{
	{name: "log entries are not fsynced", seed: 1, lazyLog: true},
	{name: "term and vote are not stored", seed: 21, forgetful: true},
	{name: "reads are not proved fresh", seed: 2, noBarrier: true},
	{name: "a write in doubt is sent again", seed: 27, resend: true},
	{name: "a node executes something that is not in the log", seed: 2, drift: true},
}

// The simulation finds bugs: what is planted here is found within a minute.
func TestPlantedBugsAreFound(t *testing.T) {
	if slowly {
		t.Skip("too slow under the race detector")
	}
	for _, b := range bugs {
		t.Run(strings.ReplaceAll(b.name, " ", "-"), func(t *testing.T) {
			began := time.Now()
			for seed := b.seed; time.Since(began) < time.Minute; seed++ {
				if res := simulate(t, generate(seed, 20*time.Second), b); len(res.problems) > 0 {
					t.Logf("seed %d, after %v: %s", seed, time.Since(began), res.problems[0])
					return
				}
			}
			t.Error("not found")
		})
	}
}

func (b bug) files(disk cluster.FS) cluster.FS {
	if !b.lazyLog {
		return disk
	}
	return lazyDisk{disk}
}

// lazyDisk is a disk on which only the first fsync of a file of the log does
// anything: else the log would notice by itself.
type lazyDisk struct{ cluster.FS }

func (d lazyDisk) OpenFile(path string, flag int, perm fs.FileMode) (raftlog.File, error) {
	f, err := d.FS.OpenFile(path, flag, perm)
	if err != nil || !strings.Contains(path, "/log/") {
		return f, err
	}
	return &lazyFile{File: f}, nil
}

type lazyFile struct {
	raftlog.File
	synced bool
}

func (f *lazyFile) Sync() error {
	if f.synced {
		return nil
	}
	f.synced = true
	return f.File.Sync()
}
