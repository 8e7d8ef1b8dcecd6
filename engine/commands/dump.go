package commands

import (
	"errors"
	"math"
	"sync"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
)

var dumpRows = []call.Row{
	{Spec: command.Spec{Name: "dump", Group: command.Generic, Arity: 2, Flags: command.ReadOnly, Keys: command.One(readKey), Tips: wallClockTip}, Do: dump},
	{Spec: command.Spec{Name: "restore", Group: command.Generic, Arity: -4, Flags: command.Write | command.DenyOOM, Categories: command.CatDangerous, Keys: command.One(command.OW | command.Update)}, Do: restore},
	{Spec: command.Spec{Name: "restore-asking", Semantic: semantic.Geo, Group: command.Server, Arity: -4, Flags: command.Write | command.DenyOOM | command.Asking, Categories: command.CatKeyspace | command.CatDangerous, Keys: command.One(command.OW | command.Update)}, Do: restore},
}

var dumpers = sync.Pool{New: func() any { return new(rdb.Dumper) }}

// dump implements DUMP key.
func dump(c *call.Call) {
	e, found := c.Get(c.Args[1])
	if !found {
		c.Out.Null()
		return
	}
	c.Out.BulkOf(func(dst []byte) []byte {
		d := dumpers.Get().(*rdb.Dumper)
		defer dumpers.Put(d)
		return d.Append(dst, &e.Value)
	})
}

const errBadFormat reply.Error = "ERR Bad data format"

// restoreOptions are the options of RESTORE. How long ago or how often a key was
// used is told to all nodes, but is no state.
type restoreOptions struct {
	replace  bool
	absolute bool  // the time to live is a time
	idle     int64 // seconds; -1: not told
	freq     int64 // -1: not told
}

// parse reads the options. It replies with an error itself.
func (o *restoreOptions) parse(c *call.Call) bool {
	idle, used := false, false
	o.idle, o.freq = -1, -1
	for i := 4; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		switch {
		case c.Is(i, "REPLACE"):
			o.replace = true
		case c.Is(i, "ABSTTL"):
			o.absolute = true
		case c.Is(i, "IDLETIME") && more && !used:
			i++
			idle = true
			var ok bool
			if o.idle, ok = c.IntIn(i, 0, math.MaxInt64, "ERR Invalid IDLETIME value, must be >= 0"); !ok {
				return false
			}
		case c.Is(i, "FREQ") && more && !idle:
			i++
			used = true
			var ok bool
			if o.freq, ok = c.IntIn(i, 0, math.MaxUint8, "ERR Invalid FREQ value, must be >= 0 and <= 255"); !ok {
				return false
			}
		default:
			c.Fail(reply.ErrSyntax)
			return false
		}
	}
	return true
}

// restore implements RESTORE, and RESTORE-ASKING, which a source in cluster mode sends:
// here all slots are served, so it is the same. Both are: key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency].
func restore(c *call.Call) {
	var o restoreOptions
	if !o.parse(c) {
		return
	}
	key := c.Args[1]
	_, taken := c.Get(key)
	if taken && !o.replace {
		c.Fail(reply.ErrBusyKey)
		return
	}
	ttl, ok := c.IntIn(2, 0, math.MaxInt64, "ERR Invalid TTL value, must be >= 0")
	if !ok {
		return
	}
	v, err := rdb.Undump(c.Args[3], rdb.Build{Seed: c.Keyspace.Seed(), Settings: *c.Settings, Derive: true})
	switch {
	case errors.Is(err, rdb.ErrPayload):
		c.Fail("ERR DUMP payload version or checksum are wrong")
		return
	case err != nil:
		c.Fail(errBadFormat)
		return
	case rdb.HoldsFieldTimes(c.Args[3]) && c.TooNew(semantic.Fields, errBadFormat):
		return
	}
	expireAt := keyspace.NoExpiry
	if ttl != 0 {
		expireAt = ttl
		if !o.absolute {
			// redis-server's sum wraps around; such a key is gone at once.
			expireAt += c.Now
		}
		if expireAt <= c.Now {
			if taken {
				deleteKey(c, key)
				becomeDel(c, key)
			}
			c.Out.OK()
			return
		}
	}
	if c.Followed() && (ttl != 0 && !o.absolute || !rdb.IsPlain(c.Args[3])) {
		becomeRestore(c, &o, expireAt, &v)
	}
	c.DB.Put(key, v, expireAt)
	switch lfu := c.Settings.MaxMemoryPolicy.LFU(); {
	case lfu && o.freq >= 0:
		c.Heat.SetFreq(c.DB.Heat(key), uint8(o.freq))
	case !lfu && o.idle >= 0:
		c.Heat.SetIdle(c.DB.Heat(key), o.idle)
	}
	c.Notify(call.EventNew, "new", key)
	c.Notify(call.EventGeneric, "restore", key)
	c.Out.OK()
}

// becomeRestore makes a RESTORE of v what redis-server 7.0 carries out to the same effect.
func becomeRestore(c *call.Call, o *restoreOptions, expireAt int64, v *keyspace.Value) {
	payload := c.Args[3]
	if !rdb.IsPlain(payload) {
		d := dumpers.Get().(*rdb.Dumper)
		defer dumpers.Put(d)
		payload = d.AppendPlain(nil, v)
	}
	args := []any{"RESTORE", c.Args[1], 0, payload}
	if expireAt != keyspace.NoExpiry {
		args[2] = expireAt
		args = append(args, "ABSTTL")
	}
	if o.replace {
		args = append(args, "REPLACE")
	}
	c.Become(args...)
}
