package rdbsnap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// metaFormat is the version of the meta file.
const metaFormat = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// meta is the content of a meta file: one line of JSON, then a line with the
// CRC32C of the first.
type meta struct {
	Format             int                  `json:"format"`
	Version            raft.SnapshotVersion `json:"version"`
	Index              uint64               `json:"index"`
	Term               uint64               `json:"term"`
	Configuration      raft.Configuration   `json:"configuration"`
	ConfigurationIndex uint64               `json:"configuration_index"`
	Size               int64                `json:"size"`
	CRC32C             uint32               `json:"crc32c"`
	Saved              time.Time            `json:"saved"`
}

func (m *meta) encode() ([]byte, error) {
	line, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode snapshot meta: %w", err)
	}
	return fmt.Appendf(nil, "%s\n%08x\n", line, crc32.Checksum(line, castagnoli)), nil
}

// decodeMeta decodes a meta file, every byte of which must be as encode wrote it.
func decodeMeta(b []byte) (*meta, error) {
	line, sum, ok := bytes.Cut(b, []byte("\n"))
	if !ok || string(sum) != fmt.Sprintf("%08x\n", crc32.Checksum(line, castagnoli)) {
		return nil, fmt.Errorf("the checksum is wrong")
	}
	m := new(meta)
	if err := json.Unmarshal(line, m); err != nil {
		return nil, err
	}
	if m.Format != metaFormat {
		return nil, fmt.Errorf("format %d, this program knows %d", m.Format, metaFormat)
	}
	return m, nil
}

// snapshotMeta is m as raft knows it.
func (m *meta) snapshotMeta(id string) *raft.SnapshotMeta {
	return &raft.SnapshotMeta{
		Version:            m.Version,
		ID:                 id,
		Index:              m.Index,
		Term:               m.Term,
		Configuration:      m.Configuration.Clone(),
		ConfigurationIndex: m.ConfigurationIndex,
		Size:               m.Size,
	}
}

// snapshotID orders snapshots: by index, then term, then attempt.
type snapshotID struct {
	index, term, attempt uint64
}

func (id snapshotID) String() string {
	return fmt.Sprintf("%d-%d-%d", id.index, id.term, id.attempt)
}

func (id snapshotID) before(other snapshotID) bool {
	if id.index != other.index {
		return id.index < other.index
	}
	if id.term != other.term {
		return id.term < other.term
	}
	return id.attempt < other.attempt
}

// parseID parses what String gives, and nothing else.
func parseID(s string) (snapshotID, bool) {
	parts := strings.Split(s, "-")
	if len(parts) != 3 {
		return snapshotID{}, false
	}
	var n [3]uint64
	for i, part := range parts {
		var err error
		if n[i], err = strconv.ParseUint(part, 10, 64); err != nil {
			return snapshotID{}, false
		}
	}
	id := snapshotID{index: n[0], term: n[1], attempt: n[2]}
	return id, id.String() == s
}
