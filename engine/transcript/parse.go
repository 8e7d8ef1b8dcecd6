package transcript

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

const (
	mark2 = "----"
	mark3 = "---- resp3"
)

// step is one step of a file.
type step struct {
	line int      // of head, counted from 1
	lead []string // comments and blank lines before it, as written
	head string   // as written; empty for what trails the last step

	verb        string        // run, script, config, advance, reset
	sortBy      int           // of run: 0 ordered, else sort in groups of so many
	clock       bool          // of run: times read "now"
	local       string        // of run: why redis-server's replies do not count
	ours        string        // of run: why redis-server is not asked
	name, value string        // of config; of script its name
	duration    time.Duration // of advance

	script       []string // lines of script
	commands     []line
	want2, want3 []string // want3 is nil when RESP3 reads as want2
}

// line is a command, or many alike.
type line struct {
	text  string // as written
	words []string
	times int
}

// args returns the arguments of the i-th time.
func (l *line) args(i int) [][]byte {
	args := make([][]byte, len(l.words))
	for j, w := range l.words {
		if l.times > 1 {
			w = strings.ReplaceAll(w, "$i", strconv.Itoa(i))
		}
		args[j] = []byte(w)
	}
	return args
}

func (s *step) want(proto reply.Proto) []string {
	if proto == reply.RESP3 && s.want3 != nil {
		return s.want3
	}
	return s.want2
}

// put makes got what is wanted. RESP2 comes first.
func (s *step) put(proto reply.Proto, got []string) {
	switch {
	case proto == reply.RESP2:
		s.want2, s.want3 = got, nil
	case !slices.Equal(got, s.want2):
		s.want3 = got
	}
}

// parse reads a file. Errors begin with the line's number.
func parse(text string) ([]step, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	var steps []step
	scripts := make(map[string]string) // what words of later commands stand for
	for i := 0; i < len(lines); {
		var s step
		for i < len(lines) && (lines[i] == "" || lines[i][0] == '#') {
			s.lead = append(s.lead, lines[i])
			i++
		}
		end := i
		for end < len(lines) && lines[end] != "" {
			end++
		}
		s.line = i + 1
		if i < end {
			if err := s.parse(lines[i:end]); err != nil {
				return nil, fmt.Errorf("%d: %w", s.line, err)
			}
			s.useScripts(scripts)
		}
		steps = append(steps, s)
		i = end
	}
	return steps, nil
}

func (s *step) parse(lines []string) error {
	s.head = lines[0]
	if err := s.parseHead(); err != nil {
		return err
	}
	if s.verb == "script" {
		s.script = lines[1:]
		return nil
	}
	if s.verb != "run" {
		if len(lines) > 1 {
			return fmt.Errorf("%s takes one line; a blank line ends a step", s.verb)
		}
		return nil
	}
	into := &s.want2
	for i, l := range lines[1:] {
		switch {
		case l == mark2:
			return s.parseReplies(into, lines[i+2:])
		case l[0] == '#':
			return errors.New("a comment inside a step")
		}
		c, err := parseLine(l)
		if err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
		s.commands = append(s.commands, c)
	}
	return nil // no replies yet: -rewrite fills them in
}

// useScripts adds the script of s to scripts, or puts them into its commands.
func (s *step) useScripts(scripts map[string]string) {
	if s.verb == "script" {
		text := strings.Join(s.script, "\n")
		scripts["@"+s.name] = text
		scripts["sha@"+s.name] = fmt.Sprintf("%x", sha1.Sum([]byte(text)))
	}
	for _, c := range s.commands {
		for i, w := range c.words {
			if text, ok := scripts[w]; ok {
				c.words[i] = text
			}
		}
	}
}

func (s *step) parseReplies(into *[]string, lines []string) error {
	for _, l := range lines {
		if l == mark3 {
			s.want3 = []string{}
			into = &s.want3
			continue
		}
		*into = append(*into, l)
	}
	return nil
}

func (s *step) parseHead() error {
	words := strings.Fields(s.head)
	s.verb = words[0]
	switch {
	case s.verb == "run":
		return s.parseRun(words[1:])
	case s.verb == "reset" && len(words) == 1:
		return nil
	case s.verb == "script" && len(words) == 2:
		s.name = words[1]
		return nil
	case s.verb == "config" && len(words) >= 2:
		s.name = words[1]
		s.value = strings.Trim(strings.Join(words[2:], " "), `"`)
		return nil
	case s.verb == "advance" && len(words) == 2:
		var err error
		s.duration, err = time.ParseDuration(words[1])
		return err
	}
	return fmt.Errorf("no such step: %s", s.head)
}

func (s *step) parseRun(options []string) error {
	for i, o := range options {
		name, n, grouped := strings.Cut(o, "=")
		switch {
		case o == "local", o == "ours":
			reason := strings.Join(options[i+1:], " ")
			if reason == "" {
				return fmt.Errorf("%s needs a reason", o)
			}
			if o == "local" {
				s.local = reason
			} else {
				s.ours = reason
			}
			return nil
		case o == "clock":
			s.clock = true
		case name == "unordered" && !grouped:
			s.sortBy = 1
		case name == "unordered":
			var err error
			if s.sortBy, err = strconv.Atoi(n); err != nil || s.sortBy < 1 {
				return fmt.Errorf("%s: not a count", o)
			}
		default:
			return fmt.Errorf("no such option of run: %s", o)
		}
	}
	return nil
}

func parseLine(text string) (line, error) {
	words, err := split(text)
	if err != nil {
		return line{}, err
	}
	l := line{text: text, words: words, times: 1}
	if words[0] != "times" {
		return l, nil
	}
	if len(words) < 3 {
		return line{}, errors.New("times N COMMAND")
	}
	if l.times, err = strconv.Atoi(words[1]); err != nil || l.times < 1 {
		return line{}, fmt.Errorf("%s: not a count", words[1])
	}
	l.words = words[2:]
	return l, nil
}

// format is the opposite of parse.
func format(steps []step) string {
	var b strings.Builder
	put := func(lines ...string) {
		for _, l := range lines {
			b.WriteString(l)
			b.WriteByte('\n')
		}
	}
	for i := range steps {
		s := &steps[i]
		put(s.lead...)
		if s.head == "" {
			continue
		}
		put(s.head)
		put(s.script...)
		for _, c := range s.commands {
			put(c.text)
		}
		if s.verb != "run" {
			continue
		}
		put(mark2)
		put(s.want2...)
		if s.want3 != nil {
			put(mark3)
			put(s.want3...)
		}
	}
	return b.String()
}

// split takes a command line apart, with redis-cli's quotes and escapes.
func split(text string) ([]string, error) {
	var words []string
	for rest := strings.TrimLeft(text, " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		var word string
		var err error
		switch rest[0] {
		case '"':
			word, rest, err = unquoteDouble(rest[1:])
		case '\'':
			word, rest, err = unquoteSingle(rest[1:])
		default:
			word, rest, _ = strings.Cut(rest, " ")
		}
		if err != nil {
			return nil, err
		}
		words = append(words, word)
	}
	return words, nil
}

var errQuote = errors.New("unbalanced quotes")

func unquoteSingle(s string) (word, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'':
			return b.String(), s[i+1:], nil
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '\'':
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", errQuote
}

func unquoteDouble(s string) (word, rest string, err error) {
	const escapes = "n\nr\rt\tb\ba\a"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], nil
		case s[i] != '\\' || i+1 == len(s):
			b.WriteByte(s[i])
			continue
		}
		i++
		if s[i] == 'x' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		if at := strings.IndexByte(escapes, s[i]); at >= 0 && at%2 == 0 {
			b.WriteByte(escapes[at+1])
			continue
		}
		b.WriteByte(s[i])
	}
	return "", "", errQuote
}
