package commands

import (
	"sync"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/list"
)

// listKey is what a key holds or will hold, as a list, while a command works on
// it: open, look, then write, change, save; or nothing after looking.
type listKey struct {
	list.List
	c      *call.Call
	key    []byte
	exists bool
	buf    *[]byte // holds the packed form between write and save
}

// listBuffers holds space for packed lists under change.
var listBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, list.PackedBytesMax+64)
	return &b
}}

// openList returns the list at key for reading, an empty one if there is none.
// It replies WRONGTYPE itself, and then returns false.
func openList(c *call.Call, key []byte) (l listKey, ok bool) {
	e, found, failed := c.GetType(key, keyspace.List)
	if failed {
		return listKey{}, false
	}
	l = listKey{c: c, key: key, exists: found}
	limits := list.Limits{ListpackSize: c.Settings.ListMaxListpackSize}
	switch {
	case !found:
		l.List = list.Empty(limits)
	case e.Object != nil:
		l.List = list.FromObject(keyspace.Unbox[*list.Chunked](e.Object))
	default:
		l.List = list.FromPacked(e.Packed, limits)
	}
	return l, true
}

// write makes the list ready for changes, which must come.
func (l *listKey) write() {
	if l.Object() != nil {
		l.c.DB.Edit(l.key, l.c.Now)
		return
	}
	l.buf = listBuffers.Get().(*[]byte)
	l.List = list.FromPacked(append((*l.buf)[:0], l.Packed()...), list.Limits{ListpackSize: l.c.Settings.ListMaxListpackSize})
}

// save stores the changed list, or deletes the key of one that became empty, and
// tells of event.
func (l *listKey) save(event string) {
	emptied := l.exists && l.Len() == 0
	created := !l.exists && l.Len() > 0
	v := keyspace.Value{Type: keyspace.List, Enc: keyspace.Quicklist, Packed: l.Packed()}
	if o := l.Object(); o != nil {
		v.Object = keyspace.Box(o)
	}
	switch {
	case emptied:
		l.c.DB.Delete(l.key)
	case created:
		l.c.DB.Put(l.key, v, keyspace.NoExpiry)
		l.c.Notify(call.EventNew, "new", l.key)
	case l.buf != nil: // was packed; an object that was one has changed in place
		l.c.DB.Replace(l.key, v)
	}
	if l.buf != nil {
		listBuffers.Put(l.buf)
	}
	l.c.Notify(call.EventList, event, l.key)
	if emptied {
		l.c.Notify(call.EventGeneric, "del", l.key)
	}
}

// reply writes the n elements from index on, in reverse order if step is -1.
func (l *listKey) reply(index, n, step int) {
	out := l.c.Out
	out.Array(n)
	if out.Discards() {
		return
	}
	var buf [20]byte
	at := l.At(index)
	for range n {
		out.Bulk(at.Text(buf[:]))
		if step < 0 {
			at.Prev()
		} else {
			at.Next()
		}
	}
}

// contains reports whether an element is val.
func (l *listKey) contains(val []byte) bool {
	for at := l.At(0); at.Valid(); at.Next() {
		if at.Equal(val) {
			return true
		}
	}
	return false
}
