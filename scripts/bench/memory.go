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
		if err := fill(port, "FLUSHALL", 0); err != nil {
			return err
		}
		before := b.rss(port)
		if err := fill(port, "SET", keys); err != nil {
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

// fill sends commands in pipelines; without keys, the command alone.
func fill(port int, command string, keys int) error {
	c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return err
	}
	defer c.Close()
	const deep = 500
	value := strings.Repeat("v", 64)
	r, w := bufio.NewReaderSize(c, 1<<16), bufio.NewWriterSize(c, 1<<16)
	for done := 0; done == 0 || done < keys; done += deep {
		n := min(deep, max(keys-done, 1))
		for i := range n {
			if keys == 0 {
				fmt.Fprintf(w, "*1\r\n$%d\r\n%s\r\n", len(command), command)
				continue
			}
			v := value[:16+(done+i)%49]
			fmt.Fprintf(w, "*3\r\n$3\r\nSET\r\n$16\r\n%016d\r\n$%d\r\n%s\r\n", done+i, len(v), v)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		for range n {
			line, err := r.ReadString('\n')
			if err != nil {
				return err
			}
			if line != "+OK\r\n" {
				return fmt.Errorf("port %d: %s", port, line)
			}
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
