package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// A segment file begins with a header of 64 bytes, little-endian:
//
//	 0  u32  CRC32C of the rest of the header
//	 4  u32  magic
//	 8  u32  format version
//	12  u32  zero
//	16  u64  sequence number, as in the name
//	24  u64  generation: random, another one each time the file is used
//	32  u64  size of the file
//	40  u64  oldest segment needed when this one was made
//	48  16 bytes zero
const (
	segmentHeader  = 64
	segmentMagic   = 0x474c5251 // "QRLG"
	segmentVersion = 1

	// controlReserve is kept free of entries in each segment, so that cutting and
	// compacting work without a new segment even on a full disk.
	controlReserve = 16 * recordHeader
)

// segment is a live segment file.
type segment struct {
	// use is held for reading while the file is read or synced outside the
	// store's locks, and for writing when a freed segment is used again.
	use sync.RWMutex

	file       File
	path       string
	seq        uint64
	generation uint64
	size       int64
	oldest     uint64 // as the header says
}

func segmentName(seq uint64) string { return fmt.Sprintf("log-%016x.seg", seq) }

// parseSegmentName returns the sequence number in a segment's file name.
func parseSegmentName(name string) (seq uint64, ok bool) {
	hex, ok := strings.CutPrefix(name, "log-")
	if !ok {
		return 0, false
	}
	if hex, ok = strings.CutSuffix(hex, ".seg"); !ok || len(hex) != 16 {
		return 0, false
	}
	seq, err := strconv.ParseUint(hex, 16, 64)
	return seq, err == nil && segmentName(seq) == name
}

// header encodes the segment's header.
func (g *segment) header() []byte {
	le := binary.LittleEndian
	b := make([]byte, segmentHeader)
	le.PutUint32(b[4:], segmentMagic)
	le.PutUint32(b[8:], segmentVersion)
	le.PutUint64(b[16:], g.seq)
	le.PutUint64(b[24:], g.generation)
	le.PutUint64(b[32:], uint64(g.size))
	le.PutUint64(b[40:], g.oldest)
	le.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	return b
}

// corrupt returns the error for damage at offset of this segment.
func (g *segment) corrupt(offset int64, index uint64, reason string) *CorruptError {
	return &CorruptError{File: g.path, Offset: offset, Index: index, Reason: reason}
}

// readHeader fills in the segment from its file's header and checks the file
// against it. A segment gets its name only once header and size are durable, so
// anything amiss is damage.
func (g *segment) readHeader() error {
	var b [segmentHeader]byte
	if _, err := g.file.ReadAt(b[:], 0); errors.Is(err, io.EOF) {
		return g.corrupt(0, 0, "the file is shorter than its header")
	} else if err != nil {
		return fmt.Errorf("read %s: %w", g.path, err)
	}
	le := binary.LittleEndian
	if le.Uint32(b[:]) != crc32.Checksum(b[4:], castagnoli) || le.Uint32(b[4:]) != segmentMagic {
		return g.corrupt(0, 0, "the segment header is damaged")
	}
	if v := le.Uint32(b[8:]); v != segmentVersion {
		return fmt.Errorf("%s has format version %d, this program knows %d: start the program that wrote it", g.path, v, segmentVersion)
	}
	if seq := le.Uint64(b[16:]); seq != g.seq {
		return g.corrupt(0, 0, fmt.Sprintf("the file is segment %d under another's name", seq))
	}
	g.generation, g.size, g.oldest = le.Uint64(b[24:]), int64(le.Uint64(b[32:])), le.Uint64(b[40:])
	size, err := g.file.Size()
	if err != nil {
		return fmt.Errorf("stat %s: %w", g.path, err)
	}
	if size < g.size {
		return g.corrupt(size, 0, fmt.Sprintf("the file has been cut from %d to %d bytes", g.size, size))
	}
	return nil
}

// openSegment opens segment seq in dir and reads its header.
func openSegment(fsys FS, dir string, seq uint64) (*segment, error) {
	g := &segment{path: filepath.Join(dir, segmentName(seq)), seq: seq}
	file, err := fsys.OpenFile(g.path, openExisting, 0)
	if err != nil {
		return nil, fmt.Errorf("open log segment: %w", err)
	}
	g.file = file
	if err := g.readHeader(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return g, nil
}

// window reads a file front to back through one buffer.
type window struct {
	file File
	size int64
	buf  []byte
	base int64
}

// windowBytes is how much a window reads ahead.
const windowBytes = 256 << 10

// at returns n bytes from offset on, valid until the next call; false past the end.
func (w *window) at(offset, n int64) ([]byte, bool, error) {
	if offset+n > w.size {
		return nil, false, nil
	}
	if offset < w.base || offset+n > w.base+int64(len(w.buf)) {
		want := min(max(n, windowBytes), w.size-offset)
		if int64(cap(w.buf)) < want {
			w.buf = make([]byte, want)
		}
		w.buf, w.base = w.buf[:want], offset
		if _, err := w.file.ReadAt(w.buf, offset); err != nil {
			w.buf = w.buf[:0]
			return nil, false, err
		}
	}
	from := offset - w.base
	return w.buf[from : from+n], true, nil
}

// scan is what reading a segment from its start to its end found.
type scan struct {
	end     int64  // behind the last good record
	durable int64  // the largest durable offset that a good record states
	session uint32 // the newest session
	records int    // good ones
	sealed  bool
	oldest  uint64 // oldest segment needed, by the header and the compaction records
}

// scan calls visit with each good record, in order, until the seal or the first
// place where no good record stands. The record is valid during the call only.
func (g *segment) scan(visit func(record) error) (scan, error) {
	found := scan{end: segmentHeader, oldest: g.oldest}
	w := window{file: g.file, size: g.size}
	for !found.sealed {
		r, ok, err := g.recordAt(&w, found.end)
		if err != nil {
			return found, fmt.Errorf("read %s: %w", g.path, err)
		}
		if !ok || !found.follows(r) {
			return found, nil
		}
		if r.kind == kindCompact {
			found.oldest = max(found.oldest, r.term)
		}
		found.session, found.durable = r.session, max(found.durable, r.durable)
		found.sealed = r.kind == kindSeal
		found.records++
		if err := visit(r); err != nil {
			return found, err
		}
		found.end += r.size
	}
	return found, nil
}

// follows tells whether r may stand behind what was found so far. A record of
// an older session is what a torn write left behind the place where this session
// began; only a new session's opening may have a larger number.
func (s *scan) follows(r record) bool {
	if r.kind == kindOpen {
		return r.session > s.session
	}
	return r.session == s.session
}

// recordAt returns the intact record of this generation at offset, if there is one.
func (g *segment) recordAt(w *window, offset int64) (record, bool, error) {
	h, ok, err := w.at(offset, recordHeader)
	if !ok || !belongs(h, g.generation, offset) {
		return record{}, false, err
	}
	size, ok := sizeAt(h)
	if !ok {
		return record{}, false, nil
	}
	b, ok, err := w.at(offset, size)
	if !ok {
		return record{}, false, err
	}
	r, ok := decodeRecord(b)
	return r, ok && r.durable <= offset, nil
}

// lookBeyond searches what follows the end of the scan, where no good record
// stands, for intact records of the present or a later session. A torn write may
// leave some; but one that calls the end durable proves that acknowledged data
// was there. It returns the newest session seen, and whether there is anything
// of this generation at all.
func (g *segment) lookBeyond(found scan, lastIndex uint64) (session uint32, remains bool, err error) {
	session = found.session
	w := window{file: g.file, size: g.size}
	for offset := found.end; offset+recordHeader <= g.size; offset += recordAlign {
		h, _, err := w.at(offset, recordHeader)
		if err != nil {
			return session, remains, fmt.Errorf("read %s: %w", g.path, err)
		}
		if !belongs(h, g.generation, offset) {
			continue
		}
		remains = true
		r, ok, err := g.recordAt(&w, offset)
		if err != nil {
			return session, remains, fmt.Errorf("read %s: %w", g.path, err)
		}
		if !ok || r.session < found.session {
			continue
		}
		if r.durable > found.end {
			return session, remains, g.corrupt(found.end, lastIndex+1,
				fmt.Sprintf("damaged, though the record at offset %d says that it was durable", offset))
		}
		session = max(session, r.session)
	}
	return session, remains, nil
}
