package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// bbolt checks nothing of a page: one flipped bit makes it walk in circles until
// the memory is used up, write over pages in use, or miss keys. So its file is
// walked here first, every step of it bounded: each page is reached once, lies in
// the file and is of the right kind, its elements lie in it, and keys ascend, over
// the pages too; what is listed as free is not in use.

// The form of a bbolt file, version 2; numbers are in the machine's order, which
// is little-endian wherever this runs.
const (
	boltMagic        = 0xED0CDAED
	boltVersion      = 2
	boltPageHeader   = 16 // id u64, flags u16, count u16, overflow u32
	boltElement      = 16
	boltBucketHeader = 16 // root u64, sequence u64
	boltBranch       = 1
	boltLeaf         = 2
	boltFreelist     = 16
	boltIsBucket     = 1
	boltNoFreelist   = ^uint64(0)
)

// boltCheck is a walk over a bbolt file.
type boltCheck struct {
	file     io.ReaderAt
	pageSize int64
	limit    uint64              // pages from here on are not in use
	seen     map[uint64]struct{} // pages reached
}

// boltMeta is what a meta page says.
type boltMeta struct {
	pageSize       int64
	root, freelist uint64
	limit, tx      uint64
}

// checkBolt returns what is wrong with the bbolt file at path.
func checkBolt(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	meta, err := readBoltMeta(f)
	if err != nil {
		return err
	}
	c := &boltCheck{file: f, pageSize: meta.pageSize, limit: meta.limit, seen: make(map[uint64]struct{})}
	if err := c.tree(meta.root, nil, nil); err != nil {
		return err
	}
	return c.free(meta.freelist)
}

// readBoltMeta returns the newer of the two meta pages, of those that are whole.
func readBoltMeta(f io.ReaderAt) (newest boltMeta, err error) {
	found := false
	for _, at := range []int64{0, int64(os.Getpagesize())} {
		var b [boltPageHeader + 64]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			continue
		}
		m, ok := decodeBoltMeta(b[boltPageHeader:])
		if ok && (!found || m.tx > newest.tx) {
			newest, found = m, true
		}
	}
	if !found {
		return newest, errors.New("neither meta page is whole")
	}
	return newest, nil
}

func decodeBoltMeta(b []byte) (m boltMeta, ok bool) {
	le := binary.LittleEndian
	sum := fnv.New64a()
	sum.Write(b[:56])
	if le.Uint32(b) != boltMagic || le.Uint32(b[4:]) != boltVersion || le.Uint64(b[56:]) != sum.Sum64() {
		return m, false
	}
	return boltMeta{
		pageSize: int64(le.Uint32(b[8:])),
		root:     le.Uint64(b[16:]),
		freelist: le.Uint64(b[32:]),
		limit:    le.Uint64(b[40:]),
		tx:       le.Uint64(b[48:]),
	}, true
}

// page reads a page that nobody else refers to.
func (c *boltCheck) page(id uint64) ([]byte, error) {
	var h [boltPageHeader]byte
	if id < 2 || id >= c.limit {
		return nil, fmt.Errorf("a reference to page %d of %d", id, c.limit)
	}
	if _, err := c.file.ReadAt(h[:], int64(id)*c.pageSize); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	le := binary.LittleEndian
	more := uint64(le.Uint32(h[12:]))
	if le.Uint64(h[:]) != id || id+more >= c.limit {
		return nil, fmt.Errorf("page %d calls itself %d and has %d more", id, le.Uint64(h[:]), more)
	}
	for i := id; i <= id+more; i++ {
		if _, twice := c.seen[i]; twice {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		c.seen[i] = struct{}{}
	}
	b := make([]byte, int64(more+1)*c.pageSize)
	if _, err := c.file.ReadAt(b, int64(id)*c.pageSize); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return b, nil
}

// tree walks the pages from id on, whose keys lie from low on and before high; nil
// is no limit.
func (c *boltCheck) tree(id uint64, low, high []byte) error {
	b, err := c.page(id)
	if err != nil {
		return err
	}
	if err := c.elements(b, low, high); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// elements walks the elements of a branch or leaf page.
func (c *boltCheck) elements(b, low, high []byte) error {
	le := binary.LittleEndian
	flags, count := le.Uint16(b[8:]), int(le.Uint16(b[10:]))
	if flags != boltBranch && flags != boltLeaf || flags == boltBranch && count == 0 {
		return fmt.Errorf("a page of kind %#x with %d elements", flags, count)
	}
	if boltPageHeader+count*boltElement > len(b) {
		return fmt.Errorf("%d elements are too many", count)
	}
	keys := make([][]byte, count+1)
	keys[count] = high
	values := make([][]byte, count)
	for i := range count {
		at := boltPageHeader + i*boltElement
		e := b[at:]
		position, keySize, valueSize := le.Uint32(e), le.Uint32(e[4:]), uint32(0)
		if flags == boltLeaf {
			position, keySize, valueSize = le.Uint32(e[4:]), le.Uint32(e[8:]), le.Uint32(e[12:])
		}
		from := int64(at) + int64(position)
		end := from + int64(keySize) + int64(valueSize)
		if from < int64(boltPageHeader+count*boltElement) || end > int64(len(b)) {
			return fmt.Errorf("element %d lies outside", i)
		}
		keys[i] = b[from : from+int64(keySize)]
		values[i] = b[from+int64(keySize) : end]
		// A branch's first key may be larger than the keys below it.
		if i > 0 && bytes.Compare(keys[i-1], keys[i]) >= 0 || i == 0 && flags == boltLeaf && bytes.Compare(keys[i], low) < 0 {
			return fmt.Errorf("the key of element %d is not in order", i)
		}
	}
	if count > 0 && high != nil && bytes.Compare(keys[count-1], high) >= 0 {
		return errors.New("the last key is not in order")
	}
	for i := range count {
		e := b[boltPageHeader+i*boltElement:]
		if err := c.element(flags, e, values[i], low, keys, i); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	return nil
}

// element follows element i, if it leads on.
func (c *boltCheck) element(flags uint16, e, value, low []byte, keys [][]byte, i int) error {
	le := binary.LittleEndian
	if flags == boltBranch {
		if i > 0 {
			low = keys[i]
		}
		return c.tree(le.Uint64(e[8:]), low, keys[i+1])
	}
	switch le.Uint32(e) {
	case 0:
		return nil
	case boltIsBucket:
	default:
		return fmt.Errorf("flags %#x", le.Uint32(e))
	}
	if len(value) < boltBucketHeader {
		return errors.New("a bucket without a header")
	}
	if root := le.Uint64(value); root != 0 {
		return c.tree(root, nil, nil)
	}
	inline := value[boltBucketHeader:]
	if len(inline) < boltPageHeader || le.Uint16(inline[8:]) != boltLeaf {
		return errors.New("a bucket that is no leaf page")
	}
	return c.elements(inline, nil, nil)
}

// free checks the list of free pages. One that is missing in it is lost, and no harm.
func (c *boltCheck) free(id uint64) error {
	if id == boltNoFreelist {
		return nil
	}
	b, err := c.page(id)
	if err != nil {
		return fmt.Errorf("free list: %w", err)
	}
	le := binary.LittleEndian
	list, count := b[boltPageHeader:], uint64(le.Uint16(b[10:]))
	if le.Uint16(b[8:]) != boltFreelist {
		return fmt.Errorf("free list: page %d is of kind %#x", id, le.Uint16(b[8:]))
	}
	if count == 0xFFFF { // the number does not fit there
		count, list = le.Uint64(list), list[8:]
	}
	if count > uint64(len(list)/8) {
		return fmt.Errorf("free list: %d pages are too many", count)
	}
	for i := range count {
		page := le.Uint64(list[8*i:])
		if _, used := c.seen[page]; used || page < 2 || page >= c.limit {
			return fmt.Errorf("free list: page %d is in use, or none", page)
		}
		c.seen[page] = struct{}{}
	}
	return nil
}
