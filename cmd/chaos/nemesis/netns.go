package nemesis

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// namespaces gives every node a network namespace, joined by a bridge, which has
// one of its own: this machine's firewall may forbid bridged traffic. Clients
// come from this machine over one more leg of the bridge. Node i has the address
// subnet.(i+1), this machine subnet.254.
//
// Names begin with nemesis's mark and the id of this process, so that what a
// killed process left behind can be found.
type namespaces struct {
	prefix string
	subnet string // its first three bytes
	names  map[int]string
}

// nsMark begins the names of namespaces. An interface's name has 15 bytes at
// most, and begins so too.
const nsMark = "qn"

const (
	nsClientPort = 6379
	nsPeerPort   = 16379
	nsTable      = "nemesis" // in nftables
)

func newNamespaces() (_ *namespaces, err error) {
	if err := needs("network namespaces", "ip", "nft", "nsenter"); err != nil {
		return nil, err
	}
	w := &namespaces{prefix: nsMark + strconv.Itoa(os.Getpid()), names: make(map[int]string)}
	if w.subnet, err = freeSubnet(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	hub, own := w.hub(), w.prefix+"o"
	for _, args := range []string{
		"netns add " + hub,
		"-n " + hub + " link add br0 type bridge",
		"-n " + hub + " link set br0 up",
		"link add " + own + " type veth peer name " + own + " netns " + hub,
		"-n " + hub + " link set " + own + " master br0 up",
		"addr add " + w.subnet + ".254/24 dev " + own,
		"link set " + own + " up",
	} {
		if err := run("ip", strings.Fields(args)...); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// needs returns an error that is ErrUnavailable unless this is root and the
// programs are there.
func needs(what string, programs ...string) error {
	if os.Getuid() != 0 {
		return unavailable("%s: only root may", what)
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return unavailable("%s: there is no %s command", what, p)
		}
	}
	return nil
}

// freeSubnet returns a subnet that no interface of this machine has.
func freeSubnet() (string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("nemesis: %w", err)
	}
	used := make(map[string]bool)
	for _, a := range addrs {
		if ip, _, err := net.ParseCIDR(a.String()); err == nil && ip.To4() != nil {
			used[ip.String()[:strings.LastIndexByte(ip.String(), '.')]] = true
		}
	}
	for i := range 250 {
		if subnet := fmt.Sprintf("10.213.%d", (os.Getpid()+i)%250+1); !used[subnet] {
			return subnet, nil
		}
	}
	return "", errors.New("nemesis: no subnet of 10.213 is free")
}

func (w *namespaces) hub() string       { return w.prefix + "h" }
func (w *namespaces) host(i int) string { return fmt.Sprintf("%s.%d", w.subnet, i+1) }
func (w *namespaces) client(i int) string {
	return net.JoinHostPort(w.host(i), strconv.Itoa(nsClientPort))
}

func (w *namespaces) peer(i int) string      { return net.JoinHostPort(w.host(i), strconv.Itoa(nsPeerPort)) }
func (w *namespaces) namespace(i int) string { return fmt.Sprintf("%sn%d", w.prefix, i) }

func (w *namespaces) args(i int) []string {
	return []string{
		"--bind", w.host(i), "--port", strconv.Itoa(nsClientPort), "--cluster-port", strconv.Itoa(nsPeerPort),
		"--protected-mode", "no", "--cluster-secret", "between the nodes",
	}
}

func (w *namespaces) command(i int, binary string, args []string) *exec.Cmd {
	// Not "ip netns exec": that gives each node mounts of its own, which keep the disk
	// of another alive after it was unmounted to be repaired.
	return exec.Command("nsenter", append([]string{"--net=/run/netns/" + w.namespace(i), binary}, args...)...)
}

func (w *namespaces) attach(i int) error {
	name, port := w.namespace(i), fmt.Sprintf("port%d", i)
	if err := run("ip", "netns", "add", name); err != nil {
		return err
	}
	w.names[i] = name
	for _, args := range []string{
		"-n " + w.hub() + " link add " + port + " type veth peer name eth0 netns " + name,
		"-n " + w.hub() + " link set " + port + " master br0 up",
		"-n " + name + " addr add " + w.host(i) + "/24 dev eth0",
		"-n " + name + " link set eth0 up",
		"-n " + name + " link set lo up",
	} {
		if err := run("ip", strings.Fields(args)...); err != nil {
			return err
		}
	}
	return w.nft(i, "add table inet "+nsTable, "add chain inet "+nsTable+" in { type filter hook input priority 0; }")
}

func (w *namespaces) detach(i int) error {
	if w.names[i] == "" {
		return nil
	}
	delete(w.names, i)
	return run("ip", "netns", "del", w.namespace(i))
}

// nft changes the filter of node i.
func (w *namespaces) nft(i int, commands ...string) error {
	cmd := exec.Command("ip", "netns", "exec", w.namespace(i), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nemesis: nft on node %d: %w: %s", i, err, out)
	}
	return nil
}

// refuse puts a rule for what comes from node from to node to: it is dropped,
// always or with a probability in percent.
func (w *namespaces) refuse(from, to, percent int) error {
	rule := fmt.Sprintf("add rule inet %s in ip saddr %s ", nsTable, w.host(from))
	if percent < 100 {
		rule += fmt.Sprintf("numgen random mod 100 < %d ", percent)
	}
	return w.nft(to, rule+"drop")
}

// pass takes all rules away.
func (w *namespaces) pass() error {
	var errs []error
	for i := range w.names {
		errs = append(errs, w.nft(i, fmt.Sprintf("flush chain inet %s in", nsTable)))
	}
	return errors.Join(errs...)
}

func (w *namespaces) close() error {
	var errs []error
	for i := range w.names {
		errs = append(errs, w.detach(i))
	}
	return errors.Join(append(errs, run("ip", "netns", "del", w.hub()))...)
}

// sweepNamespaces removes namespaces of processes that are gone. The interfaces
// go with them.
func sweepNamespaces() {
	if os.Getuid() != 0 {
		return
	}
	found, _ := filepath.Glob("/run/netns/" + nsMark + "*")
	for _, path := range found {
		name := filepath.Base(path)
		digits := strings.TrimLeft(strings.TrimPrefix(name, nsMark), "0123456789")
		pid, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(name, nsMark), digits))
		if err == nil && digits != "" && gone(pid) {
			_ = run("ip", "netns", "del", name) // another process may have been faster
		}
	}
}

// gone reports whether a process lives no more.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
