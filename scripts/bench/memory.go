package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// memory loads keys of 16 bytes with values of 16 to 64 bytes into redis-server
// and into the cluster, and compares what a key costs in resident memory.
func (b *bench) memory(keys int) error {
	fmt.Printf("\n| %d keys of 16 bytes, values of 16-64 | RSS bytes a key | ratio |\n|---|---|---|\n", keys)
	var base float64
	for _, name := range []string{memoryDB, leader} {
		port, _, err := b.target(name)
		if err != nil {
			return err
		}
		c, err := connect(port)
		if err != nil {
			return err
		}
		defer c.Close()
		before := b.rss(port)
		if err := fill(c, keys); err != nil {
			return err
		}
		perKey := (b.rss(port) - before) / float64(keys)
		if base == 0 {
			base = perKey
		}
		fmt.Printf("| %s | %.0f | %.2f |\n", name, perKey, perKey/base)
	}
	return nil
}

// client sends commands that are all answered by OK.
type client struct {
	net.Conn
	r *bufio.Reader
	w *bufio.Writer
}

func connect(port int) (*client, error) {
	c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return nil, err
	}
	return &client{c, bufio.NewReaderSize(c, 1<<16), bufio.NewWriterSize(c, 1<<16)}, nil
}

// send sends n commands in one pipeline and waits for the replies.
func (c *client) send(n int, command func(i int) string) error {
	for i := range n {
		if _, err := c.w.WriteString(command(i)); err != nil {
			return err
		}
	}
	if err := c.w.Flush(); err != nil {
		return err
	}
	for range n {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return err
		}
		if line != "+OK\r\n" {
			return fmt.Errorf("%s: %s", c.RemoteAddr(), line)
		}
	}
	return nil
}

// fill sets so many keys.
func fill(c *client, keys int) error {
	const deep = 500
	value := strings.Repeat("v", 64)
	for done := 0; done < keys; done += deep {
		err := c.send(min(deep, keys-done), func(i int) string {
			v := value[:16+(done+i)%49]
			return fmt.Sprintf("*3\r\n$3\r\nSET\r\n$16\r\n%016d\r\n$%d\r\n%s\r\n", done+i, len(v), v)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rss returns the resident memory, in bytes, of the process on a port.
func (b *bench) rss(port int) float64 {
	for _, s := range b.servers {
		if s.port != port {
			continue
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
		if err != nil {
			return 0
		}
		for line := range strings.Lines(string(status)) {
			if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
				return kib * 1024
			}
		}
	}
	return 0
}
