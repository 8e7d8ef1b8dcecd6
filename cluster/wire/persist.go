package wire

import (
	"io"
	"math"
	"time"

	"github.com/hashicorp/raft"
)

// After a message with entries has failed, raft waits before the next one, up to
// ten seconds, and nothing ends that wait: a follower that comes back after a
// minute would be told of nothing new for so long, though it hears heartbeats and
// takes its clients' writes. So failures that say no more than that a follower is
// out of reach are kept from raft while this node leads and the follower is a
// member: the message is sent again until it arrives.

const (
	// persistEvery is the longest pause between attempts to reach a follower.
	persistEvery = 200 * time.Millisecond
	// snapshotPatience is how long a snapshot is kept open for a follower that is
	// out of reach; raft then takes a newer one.
	snapshotPatience = 5 * time.Minute
)

// persist calls send until it succeeds, this node does not lead the term any
// more or has resigned, the follower is no member any more, or the time is over. It returns
// send's last error.
func (t *Transport) persist(id raft.ServerID, term uint64, within time.Duration, send func() error) error {
	began := time.Now()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, persistEvery) {
		err := send()
		if err == nil || !t.leads(term) || t.resigned.silent(term) || !t.isMember(id) || time.Since(began) > within {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-t.closing:
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

func (t *Transport) isMember(id raft.ServerID) bool {
	for _, s := range t.servers() {
		if s.ID == id {
			return true
		}
	}
	return false
}

// isHeartbeat reports whether a message is one of raft's heartbeats, which have
// their own pace and hold nobody up.
func isHeartbeat(args *raft.AppendEntriesRequest) bool {
	return len(args.Entries) == 0 && args.PrevLogEntry == 0
}

// AppendEntries sends a heartbeat or entries and waits for the answer.
func (t *Transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if isHeartbeat(args) {
		return t.appendOnce(id, target, args, resp)
	}
	return t.persist(id, args.Term, math.MaxInt64, func() error { return t.appendOnce(id, target, args, resp) })
}

// InstallSnapshot sends a snapshot of args.Size bytes. Unless the follower is
// out of reach it is tried once: the data can be read once.
func (t *Transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	var c *rpcConn
	err := t.persist(id, args.Term, snapshotPatience, func() (err error) {
		c, err = t.dial(id, target)
		return err
	})
	if err != nil {
		return err
	}
	return t.sendSnapshot(c, args, resp, data)
}
