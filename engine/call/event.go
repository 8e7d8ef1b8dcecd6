package call

import (
	"bytes"
	"strconv"

	"github.com/quorate/quorate/engine/keyspace"
)

// Event is a set of classes of keyspace events (notify-keyspace-events).
type Event uint16

// The classes, with their letters.
const (
	EventKeyspace Event = 1 << iota // K
	EventKeyevent                   // E
	EventGeneric                    // g
	EventString                     // $
	EventList                       // l
	EventSet                        // s
	EventHash                       // h
	EventZset                       // z
	EventExpired                    // x
	EventEvicted                    // e
	EventStream                     // t
	EventKeyMiss                    // m
	EventModule                     // d
	EventNew                        // n

	EventAll = EventGeneric | EventString | EventList | EventSet | EventHash | EventZset |
		EventExpired | EventEvicted | EventStream | EventModule // A
)

const eventLetters = "KEg$lshzxetmdn"

// ParseEvents reads a value of notify-keyspace-events.
func ParseEvents(s string) (Event, bool) {
	var set Event
	for i := range len(s) {
		if s[i] == 'A' {
			set |= EventAll
			continue
		}
		bit := -1
		for j := range len(eventLetters) {
			if eventLetters[j] == s[i] {
				bit = j
			}
		}
		if bit < 0 {
			return 0, false
		}
		set |= 1 << bit
	}
	return set, true
}

// String returns the value of notify-keyspace-events that means e, in Redis'
// order; n, which Redis forgets to tell beside A, is told.
func (e Event) String() string {
	order := "g$lshzxetdnKEm"
	var s []byte
	if e&EventAll == EventAll {
		order = "nKEm"
		s = append(s, 'A')
	}
	for i := range len(order) {
		if bit, _ := ParseEvents(order[i : i+1]); e&bit != 0 {
			s = append(s, order[i])
		}
	}
	return string(s)
}

// Notify tells subscribers of keyspace events that event happened to key of
// the selected database. It costs a comparison while nobody asked for it.
func (c *Call) Notify(class Event, event string, key []byte) {
	c.NotifyDB(c.DB.Index(), class, event, key)
}

// NotifyLoss tells what a key of database db has lost because it was due.
func (c *Call) NotifyLoss(db int, key []byte, loss keyspace.Loss) {
	if loss != keyspace.Nothing && c.Followed() {
		c.Stream.losses++
		if loss != keyspace.FieldsDue { // of those FieldsLost has told
			c.Stream.Add(db, "DEL", key)
		}
	}
	switch loss {
	case keyspace.KeyDue:
		c.NotifyDB(db, EventExpired, "expired", key)
	case keyspace.FieldsDue:
		c.NotifyDB(db, EventHash, "hexpired", key)
	case keyspace.AllFieldsDue:
		c.NotifyDB(db, EventHash, "hexpired", key)
		c.NotifyDB(db, EventGeneric, "del", key)
	}
}

// FieldsLost tells which fields a hash is about to lose because they are due.
func (c *Call) FieldsLost(db int, key []byte, fields [][]byte) {
	args := append(make([]any, 0, 2+len(fields)), "HDEL", key)
	for _, field := range fields {
		args = append(args, field)
	}
	c.Stream.Add(db, args...)
}

// NotifyDB is Notify for a key of database db.
func (c *Call) NotifyDB(db int, class Event, event string, key []byte) {
	on := c.Settings.NotifyKeyspaceEvents
	if on&class == 0 || on&(EventKeyspace|EventKeyevent) == 0 || !c.MayWrite {
		return
	}
	on.messages(db, event, key, func(channel, text []byte) { c.Effects.Publish(channel, text, false) })
}

// notifyMiss tells that a key was not there to be read. What changes the data is carried
// out by all nodes, and each tells its own subscribers; a read is carried out here alone,
// and who carries it out tells those of all nodes.
func (c *Call) notifyMiss(key []byte) {
	switch {
	case c.MayWrite:
		c.Notify(EventKeyMiss, "keymiss", key)
	case c.Lookups != nil:
		c.Lookups.Missed = append(c.Lookups.Missed, Missed{DB: c.DB.Index(), Key: bytes.Clone(key)})
	}
}

// MissedMessages calls publish with the events of a key that was missed, under the classes
// that are on.
func (e Event) MissedMessages(m Missed, publish func(channel, text []byte)) {
	if e&EventKeyMiss != 0 {
		e.messages(m.DB, "keymiss", m.Key, publish)
	}
}

// messages calls publish with what subscribers of keyspace and of key events are told.
func (e Event) messages(db int, event string, key []byte, publish func(channel, text []byte)) {
	at := "@" + strconv.Itoa(db) + "__:"
	if e&EventKeyspace != 0 {
		publish([]byte("__keyspace"+at+string(key)), []byte(event))
	}
	if e&EventKeyevent != 0 {
		publish([]byte("__keyevent"+at+event), key)
	}
}
