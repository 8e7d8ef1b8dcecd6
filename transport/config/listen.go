package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Redirect says what a listener answers to keyed commands on a follower.
type Redirect uint8

// The ways.
const (
	RedirectAuto   Redirect = iota // MOVED to connections that showed that they follow it
	RedirectAlways                 // MOVED, as in Redis Cluster
	RedirectNever                  // every node serves every command
)

// The names of listeners that have directives of their own.
const (
	defaultListener = "default" // bind and port
	tlsListener     = "tls"     // tls-port
	// SentinelListener is that of sentinel-port.
	SentinelListener = "sentinel"
)

// Listener is a place where clients connect.
type Listener struct {
	Name string
	// Network is "tcp" or "unix".
	Network string
	// Addrs are host:port, or one path. An address that begins with '-' need
	// not exist. An empty host is every address of the machine.
	Addrs []string
	TLS   bool
	// Advertise is the host:port by which clients of this listener reach the
	// node; the host or the whole may be empty: as they came.
	Advertise string
	Redirect  Redirect
}

// Listeners returns the places where clients connect: the default one made of
// bind and port, those of tls-port and sentinel-port, the unix socket, and those of
// listen.
func (c *Config) Listeners() []Listener {
	var all []Listener
	bind := strings.Fields(c.String("bind"))
	main := Listener{Network: "tcp", Advertise: c.String("advertise"), Redirect: parseRedirect(c.String("redirect"))}
	if port := c.Int("port"); port != 0 {
		l := main
		l.Name, l.Addrs = defaultListener, bindAddrs(bind, port)
		all = append(all, l)
	}
	if port := c.Int("tls-port"); port != 0 {
		l := main
		l.Name, l.Addrs, l.TLS = tlsListener, bindAddrs(bind, port), true
		all = append(all, l)
	}
	if port := c.Int("sentinel-port"); port != 0 {
		l := Listener{Name: SentinelListener, Network: "tcp", Addrs: bindAddrs(bind, port), Advertise: hostOf(main.Advertise), Redirect: RedirectNever}
		l.TLS = c.DataListener() == tlsListener
		all = append(all, l)
	}
	if path := c.String("unixsocket"); path != "" {
		all = append(all, Listener{Name: "unix", Network: "unix", Addrs: []string{path}, Redirect: main.Redirect})
	}
	if rows := c.String("listen"); rows != "" {
		for row := range strings.SplitSeq(rows, ", ") {
			l, err := parseListen(row)
			if err != nil {
				panic(fmt.Sprintf("config: listen %q was accepted: %v", row, err))
			}
			all = append(all, l)
		}
	}
	return all
}

// DataListener returns the name of the listener whose addresses those are told
// who came by sentinel-port.
func (c *Config) DataListener() string {
	if c.Int("port") == 0 && c.Int("tls-port") != 0 {
		return tlsListener
	}
	return defaultListener
}

// hostOf returns the host of an advertised address, which may lack the port.
func hostOf(advertise string) string {
	if host, _, err := net.SplitHostPort(advertise); err == nil {
		return host
	}
	return advertise
}

// bindAddrs joins the addresses of bind with a port. "*" is every IPv4
// address, and "::*" every IPv6 address. No address is none to connect to.
func bindAddrs(bind []string, port int64) []string {
	addrs := make([]string, len(bind))
	for i, host := range bind {
		optional := ""
		if rest, ok := strings.CutPrefix(host, "-"); ok {
			optional, host = "-", rest
		}
		switch host {
		case "*":
			host = "0.0.0.0"
		case "::*":
			host = "::"
		}
		addrs[i] = optional + net.JoinHostPort(host, strconv.FormatInt(port, 10))
	}
	return addrs
}

// canonicalListen takes NAME ADDR:PORT [advertise HOST:PORT]
// [redirect auto|always|never] [tls], several separated by ", ".
func canonicalListen(_, value string) (string, error) {
	if value == "" {
		return "", nil
	}
	seen := map[string]bool{defaultListener: true, tlsListener: true, "unix": true, SentinelListener: true}
	var rows []string
	for row := range strings.SplitSeq(value, ",") {
		l, err := parseListen(row)
		if err != nil {
			return "", err
		}
		if seen[l.Name] {
			return "", fmt.Errorf("there is another listener named %q", l.Name)
		}
		seen[l.Name] = true
		rows = append(rows, strings.Join(strings.Fields(row), " "))
	}
	return strings.Join(rows, ", "), nil
}

func parseListen(row string) (Listener, error) {
	l := Listener{Network: "tcp"}
	words := strings.Fields(row)
	if len(words) < 2 {
		return l, fmt.Errorf("write NAME ADDR:PORT [advertise HOST:PORT] [redirect auto|always|never] [tls]")
	}
	l.Name = words[0]
	if _, err := canonicalName("", l.Name); err != nil {
		return l, fmt.Errorf("name %q: %w", l.Name, err)
	}
	host, port, err := net.SplitHostPort(words[1])
	if err != nil {
		return l, fmt.Errorf("%q is not ADDR:PORT", words[1])
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return l, fmt.Errorf("%q is not ADDR:PORT", words[1])
	}
	l.Addrs = []string{net.JoinHostPort(host, port)}
	for words = words[2:]; len(words) > 0; {
		option := strings.ToLower(words[0])
		if option == "tls" {
			l.TLS = true
			words = words[1:]
			continue
		}
		if len(words) < 2 {
			return l, fmt.Errorf("option %q is unknown or lacks its value", words[0])
		}
		switch option {
		case "advertise":
			if err := checkHostPort(words[1]); err != nil {
				return l, err
			}
			l.Advertise = words[1]
		case "redirect":
			l.Redirect = parseRedirect(strings.ToLower(words[1]))
			if l.Redirect == RedirectAuto && !strings.EqualFold(words[1], "auto") {
				return l, fmt.Errorf("redirect %q: write auto, always or never", words[1])
			}
		default:
			return l, fmt.Errorf("unknown option %q", words[0])
		}
		words = words[2:]
	}
	return l, nil
}

func parseRedirect(word string) Redirect {
	switch word {
	case "always":
		return RedirectAlways
	case "never":
		return RedirectNever
	}
	return RedirectAuto
}
