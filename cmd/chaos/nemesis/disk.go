package nemesis

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// diskBytes is the size of a node's own file system: room for its data under a
// checker's load, and small enough to be filled at once.
const diskBytes = 768 << 20

// mountMark begins the names by which our mounts are found: the device of a
// tmpfs, the image file of an ext4. The id of this process follows.
const mountMark = "quorate-nemesis-"

// disk is where nodes keep their data.
type disk interface {
	mount(home string) error // makes home a place for one node's data
	unmount(home string) error
	close() error
}

func newDisk(o *Options) (disk, error) {
	switch o.Disk {
	case PlainDir:
		return plain{}, nil
	case Tmpfs:
		return &mounts{mounted: make(map[string]bool), attach: mountTmpfs}, needs("a small file system", "mount", "umount")
	case Ext4:
		return &mounts{mounted: make(map[string]bool), attach: mountExt4}, needs("a small file system", "mount", "umount", "mkfs.ext4", "e2fsck")
	}
	return nil, fmt.Errorf("nemesis: disk %q is none of \"\", %s, %s", o.Disk, Tmpfs, Ext4)
}

// plain is folders.
type plain struct{}

func (plain) mount(string) error   { return nil }
func (plain) unmount(string) error { return nil }
func (plain) close() error         { return nil }

// mounts is a file system for each node.
type mounts struct {
	attach  func(home string) error
	mounted map[string]bool
}

func (m *mounts) mount(home string) error {
	if err := m.attach(home); err != nil {
		return err
	}
	m.mounted[home] = true
	return nil
}

func (m *mounts) unmount(home string) error {
	if !m.mounted[home] {
		return nil
	}
	delete(m.mounted, home)
	return errors.Join(run("umount", home), remove(image(home)))
}

func (m *mounts) close() error {
	var errs []error
	for home := range m.mounted {
		errs = append(errs, m.unmount(home))
	}
	return errors.Join(errs...)
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func mountTmpfs(home string) error {
	return run("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", diskBytes), mountMark+strconv.Itoa(os.Getpid()), home)
}

// image returns the file of a node's ext4.
func image(home string) string {
	return fmt.Sprintf("%s/%s%d-%s.img", filepath.Dir(home), mountMark, os.Getpid(), filepath.Base(home))
}

func mountExt4(home string) error {
	path := image(home)
	if err := errors.Join(remove(path), os.WriteFile(path, nil, 0o600), os.Truncate(path, diskBytes)); err != nil {
		return fmt.Errorf("nemesis: %w", err)
	}
	if err := run("mkfs.ext4", "-q", "-F", "-m", "0", path); err != nil {
		return err
	}
	return remountExt4(home)
}

// remountExt4 mounts a node's image after it was made or checked.
func remountExt4(home string) error {
	return run("mount", "-o", "loop,errors=remount-ro", image(home), home)
}

// sweep removes what killed processes left behind.
func sweep(o *Options) {
	sweepNamespaces()
	if os.Getuid() != 0 {
		return
	}
	text, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		source := fields[0]
		if device, ok := strings.CutPrefix(source, "/dev/loop"); ok {
			backing, _ := os.ReadFile("/sys/block/loop" + device + "/loop/backing_file")
			source = filepath.Base(strings.TrimSpace(string(backing)))
		}
		rest, ours := strings.CutPrefix(source, mountMark)
		digits, _, _ := strings.Cut(rest, "-")
		if pid, err := strconv.Atoi(digits); ours && err == nil && gone(pid) {
			fmt.Fprintf(o.Log, "nemesis: unmounting %s, which process %d left behind\n", fields[1], pid)
			_ = run("umount", fields[1])
		}
	}
}
