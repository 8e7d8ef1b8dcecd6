package session

import (
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/engine/acl"
)

// denial is what a user was not allowed.
type denial struct {
	reason  acl.Reason
	context string // "toplevel", "multi" or "lua"
	object  string // a command's name, a key or a channel; of AUTH the word itself
	user    string
}

// aclLog keeps what was denied on this node, for ACL LOG.
type aclLog struct {
	mu      sync.Mutex
	entries []deniedEntry // guarded by mu; newest first
	most    int           // guarded by mu; acllog-max-len
}

// deniedEntry is one denial, or several of a kind.
type deniedEntry struct {
	denial
	count  int64
	at     time.Time // of the last
	client string    // whose the last was, as CLIENT INFO shows it
}

const (
	deniedTogether = time.Minute // how long after the last one another of the kind joins it
	deniedScan     = 10          // how many entries it may join
	deniedObject   = 1 << 10     // bytes that are kept of an object
)

// denied notes a denial. It may be called while the data and the client's output are
// locked.
func (s *Server) denied(by *Session, d denial) {
	s.log.Debug("denied", "reason", d.reason.String(), "user", d.user, "addr", by.peer.Addr)
	d.object = d.object[:min(len(d.object), deniedObject)]
	d.user = d.user[:min(len(d.user), deniedObject)]
	now := s.now()
	client := by.line(now, nil)
	l := &s.aclLog
	l.mu.Lock()
	defer l.mu.Unlock()
	entry := deniedEntry{denial: d, count: 1}
	i := slices.IndexFunc(l.entries[:min(len(l.entries), deniedScan)], func(e deniedEntry) bool {
		return e.denial == d && now.Sub(e.at) <= deniedTogether
	})
	if i >= 0 {
		entry.count += l.entries[i].count
		l.entries = slices.Delete(l.entries, i, i+1)
	}
	entry.at, entry.client = now, client
	l.entries = slices.Insert(l.entries, 0, entry)
	l.trimLocked()
}

func (l *aclLog) trimLocked() {
	if len(l.entries) > l.most {
		clear(l.entries[l.most:])
		l.entries = l.entries[:l.most]
	}
}

// setMost bounds the log.
func (l *aclLog) setMost(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = int(min(n, aclLogMax))
	l.trimLocked()
}

// aclLogMax bounds acllog-max-len.
const aclLogMax = 1 << 16

func (l *aclLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = nil
}

// newest returns the newest entries, at most n.
func (l *aclLog) newest(n int64) []deniedEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries[:max(0, min(n, int64(len(l.entries))))])
}
