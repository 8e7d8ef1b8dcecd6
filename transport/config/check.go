package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

func canonicalBind(_, value string) (string, error) {
	addrs := strings.Fields(value)
	if len(addrs) > 16 {
		return "", refusal("at most 16 addresses can be bound")
	}
	return strings.Join(addrs, " "), nil
}

// canonicalFileName takes a name without a path.
func canonicalFileName(_, value string) (string, error) {
	if value == "" || strings.ContainsAny(value, "/\\") {
		return "", refusal("dbfilename can't be a path, just a filename")
	}
	return value, nil
}

func canonicalOctal(_, value string) (string, error) {
	mode, err := strconv.ParseUint(value, 8, 32)
	if err != nil || mode > 0o777 {
		return "", refusal("argument must be an octal number between 0 and 777")
	}
	return strconv.FormatUint(mode, 8), nil
}

func canonicalMemoryOrPercent(_, value string) (string, error) {
	if digits, ok := strings.CutSuffix(value, "%"); ok {
		n, ok := parseInt(digits)
		if !ok || n < 0 {
			return "", errPercent
		}
		if n > 100 {
			return "", refusal("percentage argument must be less or equal to 100")
		}
		return value, nil
	}
	n, ok := ParseMemory(value)
	if !ok {
		return "", errPercent
	}
	return strconv.FormatInt(n, 10), nil
}

// canonicalSave takes pairs of seconds and changes; none means never.
func canonicalSave(_, value string) (string, error) {
	fields := strings.Fields(value)
	const err = refusal("Invalid save parameters")
	if len(fields)%2 != 0 {
		return "", err
	}
	for i, field := range fields {
		n, ok := parseInt(field)
		if !ok || n < int64(1-i%2) {
			return "", err
		}
	}
	return strings.Join(fields, " "), nil
}

// bufferClasses are the classes of client-output-buffer-limit in the order in
// which they are shown.
var bufferClasses = []string{"normal", "slave", "pubsub"}

// canonicalBufferLimits takes groups of class, hard limit, soft limit and
// seconds. Classes that are not named keep what they had.
func canonicalBufferLimits(old, value string) (string, error) {
	fields := strings.Fields(value)
	if len(fields)%4 != 0 {
		return "", refusal("Wrong number of arguments in buffer limit configuration.")
	}
	limits := strings.Fields(old)
	for group := range slices.Chunk(fields, 4) {
		name := strings.ToLower(group[0])
		if name == "replica" {
			name = "slave"
		}
		class := slices.Index(bufferClasses, name)
		if class < 0 {
			return "", refusal("Invalid client class specified in buffer limit configuration.")
		}
		hard, ok1 := ParseMemory(group[1])
		soft, ok2 := ParseMemory(group[2])
		seconds, ok3 := parseInt(group[3])
		if !ok1 || !ok2 || !ok3 || seconds < 0 {
			return "", refusal("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
		}
		copy(limits[4*class+1:], strings.Fields(fmt.Sprint(hard, soft, seconds)))
	}
	return strings.Join(limits, " "), nil
}

// BufferLimit bounds what a client of a class may leave unread.
type BufferLimit struct {
	Hard, Soft int64 // bytes; 0: none
	SoftFor    time.Duration
}

// BufferLimits returns client-output-buffer-limit: of normal clients, of replicas, and of
// those that subscribe.
func (c *Config) BufferLimits() (limits [3]BufferLimit) {
	fields := strings.Fields(c.String("client-output-buffer-limit")) // canonical: class hard soft seconds
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		return n
	}
	for class := range limits {
		at := 4 * class
		limits[class] = BufferLimit{number(at + 1), number(at + 2), time.Duration(number(at+3)) * time.Second}
	}
	return limits
}

func canonicalPercentiles(_, value string) (string, error) {
	fields := strings.Fields(value)
	for i, field := range fields {
		p, err := strconv.ParseFloat(field, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return "", refusal("Invalid latency-tracking-info-percentiles parameters")
		}
		if !(p >= 0 && p <= 100) {
			return "", refusal("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
		}
		fields[i] = strconv.FormatFloat(p, 'g', 17, 64)
		if short := strconv.FormatFloat(p, 'f', -1, 64); len(short) < len(fields[i]) {
			fields[i] = short
		}
	}
	return strings.Join(fields, " "), nil
}

func canonicalOOMScores(_, value string) (string, error) {
	fields := strings.Fields(value)
	if len(fields) != 3 {
		return "", refusal("wrong number of arguments")
	}
	for _, field := range fields {
		n, ok := parseInt(field)
		if !ok || n < -2000 || n > 2000 {
			return "", refusal("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
		}
	}
	return strings.Join(fields, " "), nil
}

// canonicalEvents orders event classes as redis-server shows them.
func canonicalEvents(_, value string) (string, error) {
	const all = "g$lshzxetd"   // what 'A' means
	const known = all + "nKEm" // in the order shown
	has := make(map[rune]bool)
	for _, c := range value {
		switch {
		case c == 'A':
			for _, class := range all {
				has[class] = true
			}
		case strings.ContainsRune(known, c):
			has[c] = true
		default:
			return "", refusal("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
		}
	}
	var out strings.Builder
	rest := known
	if !strings.ContainsFunc(all, func(class rune) bool { return !has[class] }) {
		out.WriteByte('A')
		rest = "nKEm" // n too, which redis-server forgets to show
	}
	for _, class := range rest {
		if has[class] {
			out.WriteRune(class)
		}
	}
	return out.String(), nil
}

// canonicalName takes what may name a cluster: it is sent to other nodes and
// shown in logs.
func canonicalName(_, value string) (string, error) {
	ok := value != "" && len(value) <= 64
	for _, c := range value {
		ok = ok && (c == '-' || c == '_' || c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z')
	}
	if !ok {
		return "", refusal("argument must be 1 to 64 letters, digits, '.', '-' or '_'")
	}
	return value, nil
}

// Rename is a command that clients call by another name.
type Rename struct{ From, To string } // in lower case; an empty To: not at all

// noName stands for the empty name in the value of rename-command.
const noName = `""`

// Renames returns the commands that clients of this node call by another name.
func (c *Config) Renames() []Rename {
	var all []Rename
	words := strings.Fields(c.String("rename-command"))
	for i := 0; i < len(words); i += 2 {
		to := words[i+1]
		if to == noName {
			to = ""
		}
		all = append(all, Rename{words[i], to})
	}
	return all
}

// canonicalRenames takes pairs of names.
func canonicalRenames(_, value string) (string, error) {
	words := strings.Fields(strings.ToLower(value))
	if len(words)%2 != 0 {
		return "", refusal("write a command's name and the one by which it is called instead, or \"\"")
	}
	for _, w := range words {
		if len(w) > 64 || w != noName && strings.ContainsAny(w, "|\"'\\") {
			return "", refusal("argument must be names of commands")
		}
	}
	return strings.Join(words, " "), nil
}

func canonicalJoin(_, value string) (string, error) {
	addrs := strings.FieldsFunc(value, func(c rune) bool { return c == ',' || c == ' ' })
	for _, addr := range addrs {
		if err := checkHostPort(addr); err != nil {
			return "", err
		}
	}
	return strings.Join(addrs, ","), nil
}

func checkHostPort(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not host:port", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return fmt.Errorf("%q is not host:port", addr)
	}
	return nil
}
