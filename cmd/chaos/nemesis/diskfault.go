package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// diskFaults make a node's disk fail. A node that is not sure of its disk ends:
// that is what it should do, and it is started again at the end.
var diskFaults = []kind{
	{"disk/full", fullDisk},
	{"disk/read-only", readOnlyDisk},
	{"disk/fsync-fails", failingSync},
	{"disk/fsync-slow", slowSync},
}

// fullDisk fills the file system of a node up to the last byte.
func fullDisk(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	if c.opts.Disk == PlainDir {
		return nil, unavailable("only a disk of a node's own is filled: %s or %s", Tmpfs, Ext4)
	}
	n, role, err := c.half(ctx, r)
	if err != nil {
		return nil, err
	}
	filler := filepath.Join(n.home, "filler")
	if err := fill(filler); err != nil {
		return nil, errors.Join(err, remove(filler))
	}
	return &injected{
		node: n.number, serve: c.others(n), doomed: []*node{n}, text: fmt.Sprintf("disk of node %d, %s, full", n.number, role),
		heal: func(ctx context.Context) error { return errors.Join(remove(filler), starts(n)(ctx)) },
	}, nil
}

// fill takes all room that is left for a file.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("nemesis: %w", err)
	}
	defer f.Close()
	size, step := int64(0), int64(64<<20)
	for step >= 4096 {
		err := syscall.Fallocate(int(f.Fd()), 0, size, step)
		switch {
		case err == nil:
			size += step
		case errors.Is(err, syscall.ENOSPC):
			step /= 2
		case errors.Is(err, syscall.EINTR):
		default:
			return fmt.Errorf("nemesis: fill the disk: %w", err)
		}
	}
	return nil
}

// readOnlyDisk makes the file system of a node read-only, as the kernel does
// that has found an error in it; then it is checked and mounted anew.
func readOnlyDisk(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	if c.opts.Disk != Ext4 {
		return nil, unavailable("a disk becomes read-only while files are open on %s alone", Ext4)
	}
	n, role, err := c.half(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := run("mount", "-o", "remount,abort", n.home); err != nil {
		return nil, err
	}
	return &injected{
		node: n.number, serve: c.others(n), doomed: []*node{n}, text: fmt.Sprintf("disk of node %d, %s, read-only", n.number, role),
		heal: func(context.Context) error {
			n.kill()
			if err := run("umount", n.home); err != nil {
				return err
			}
			// 1 is "errors were corrected".
			err := exec.Command("e2fsck", "-f", "-y", image(n.home)).Run()
			var exit *exec.ExitError
			if err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 1) {
				return fmt.Errorf("nemesis: e2fsck of node %d: %w", n.number, err)
			}
			if err := remountExt4(n.home); err != nil {
				return err
			}
			return n.start()
		},
	}, nil
}

// syncCalls are the system calls by which data is made durable.
const syncCalls = "fsync,fdatasync"

// traced has strace meddle with a node's system calls, and returns what ends
// that.
func traced(n *node, inject string) (detach func(), err error) {
	if err := needs("system calls are meddled with", "strace"); err != nil {
		return nil, err
	}
	cmd := exec.Command("strace", "-f", "-qq", "-o", n.log+".strace", "-e", "trace="+syncCalls,
		"-e", "inject="+syncCalls+":"+inject, "-p", strconv.Itoa(n.cmd.Process.Pid))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("nemesis: strace: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	detach = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	}
	// Over a failed fsync the node may end before it is seen to be traced.
	if err := awaitTraced(n.cmd.Process.Pid, ended); err != nil && n.running() {
		detach()
		return nil, err
	}
	return detach, nil
}

// awaitTraced waits until a process is traced.
func awaitTraced(pid int, ended <-chan struct{}) error {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if tracer(pid) != 0 {
			return nil
		}
		select {
		case <-ended:
			return unavailable("strace does not attach to processes here")
		case <-time.After(5 * time.Millisecond):
		}
	}
	return errors.New("nemesis: strace did not attach")
}

// tracer returns the id of the process that traces one, 0 for none.
func tracer(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	var id int
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "TracerPid:\t%d", &id); err == nil {
			return id
		}
	}
	return 0
}

// failingSync makes every fsync of a node fail.
func failingSync(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	n, role, err := c.half(ctx, r)
	if err != nil {
		return nil, err
	}
	detach, err := traced(n, "error=EIO")
	if err != nil {
		return nil, err
	}
	return &injected{
		node: n.number, serve: c.others(n), doomed: []*node{n}, text: fmt.Sprintf("fsync of node %d, %s, fails", n.number, role),
		heal: func(context.Context) error {
			detach()
			return n.start()
		},
	}, nil
}

// slowSync makes every fsync of a node take longer.
func slowSync(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	n, role, err := c.half(ctx, r)
	if err != nil {
		return nil, err
	}
	d := time.Duration(50+r.IntN(450)) * time.Millisecond
	detach, err := traced(n, fmt.Sprintf("delay_exit=%d", d.Microseconds()))
	if err != nil {
		return nil, err
	}
	return &injected{
		node: n.number, serve: c.others(n), text: fmt.Sprintf("fsync of node %d, %s, takes %v", n.number, role, d),
		heal: func(context.Context) error {
			detach()
			return nil
		},
	}, nil
}
