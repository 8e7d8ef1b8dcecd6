package wire

import (
	"errors"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

func TestSizeSkipsOneReply(t *testing.T) {
	for _, text := range []string{
		"+OK\r\n", "-ERR no\r\n", ":12\r\n", "$-1\r\n", "*-1\r\n", "_\r\n", "$0\r\n\r\n", "$4\r\na\r\nb\r\n",
		"*0\r\n", "*2\r\n:1\r\n*1\r\n$1\r\nx\r\n", "%1\r\n+a\r\n~2\r\n:1\r\n:2\r\n", ",1.5\r\n", "#t\r\n", "=5\r\ntxt:a\r\n",
	} {
		n, err := size([]byte(text + "+more\r\n"))
		if err != nil || n != len(text) {
			t.Errorf("%q: %d, %v; it is %d bytes long", text, n, err, len(text))
		}
		for end := range len(text) {
			if _, err := size([]byte(text[:end])); !errors.Is(err, reply.ErrIncomplete) {
				t.Errorf("%q: %v", text[:end], err)
			}
		}
	}
}
