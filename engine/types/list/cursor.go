package list

import "github.com/quorate/quorate/engine/types/listpack"

// Cursor stands on an element of a list, or on none. Any change of the list
// invalidates it. It may be copied.
type Cursor struct {
	data  []byte // listpack, or, if plain, the element itself
	pos   int    // in data; -1 on no element
	plain bool

	list        *Chunked // nil in a packed list
	chunk, node int
}

// Valid reports whether the cursor is on an element. The other methods need that.
func (c *Cursor) Valid() bool { return c.pos >= 0 }

// Next moves to the following element.
func (c *Cursor) Next() {
	if !c.plain {
		if c.pos = listpack.Next(c.data, c.pos); c.pos >= 0 {
			return
		}
	}
	c.step(1)
}

// Prev moves to the preceding element.
func (c *Cursor) Prev() {
	if !c.plain {
		if c.pos = listpack.Prev(c.data, c.pos); c.pos >= 0 {
			return
		}
	}
	c.step(-1)
}

// step goes to the near end of the next node in the given direction.
func (c *Cursor) step(direction int) {
	c.pos = -1
	if c.list == nil {
		return
	}
	c.node += direction
	if n := len(c.list.chunks[c.chunk].nodes); c.node < 0 || c.node >= n {
		c.chunk += direction
		if c.chunk < 0 || c.chunk >= len(c.list.chunks) {
			return
		}
		c.node = 0
		if direction < 0 {
			c.node = len(c.list.chunks[c.chunk].nodes) - 1
		}
	}
	c.load()
	if direction > 0 || c.plain {
		c.pos = c.first()
	} else {
		c.pos = listpack.Last(c.data)
	}
}

// load takes over the data of the node that the cursor's numbers name.
func (c *Cursor) load() {
	n := &c.list.chunks[c.chunk].nodes[c.node]
	c.data, c.plain = n.data, n.plain
}

func (c *Cursor) first() int {
	if c.plain {
		return 0
	}
	return listpack.First(c.data)
}

// Text returns the element. The result aliases the list or, for an integer, is
// written to buf[:0]; 20 bytes of capacity are enough.
func (c *Cursor) Text(buf []byte) []byte {
	if c.plain {
		return c.data
	}
	return listpack.Text(c.data, c.pos, buf)
}

// Equal reports whether the element is val.
func (c *Cursor) Equal(val []byte) bool {
	if c.plain {
		return string(c.data) == string(val)
	}
	return listpack.Equal(c.data, c.pos, val)
}
