package commands

import (
	"sync"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/types/hll"
)

var hllRows = []call.Row{
	{Spec: command.Spec{Name: "pfadd", Semantic: semantic.Geo, Group: command.HyperLogLog, Arity: -2, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(command.RW | command.Insert)}, Do: pfadd},
	{Spec: command.Spec{Name: "pfcount", Semantic: semantic.Geo, Group: command.HyperLogLog, Arity: -2, Flags: command.ReadOnly | command.MayReplicate, Keys: command.All(command.RW | command.Access)}, Do: pfcount},
	{Spec: command.Spec{Name: "pfmerge", Semantic: semantic.Geo, Group: command.HyperLogLog, Arity: -2, Flags: command.Write | command.DenyOOM, Keys: []command.KeySpec{command.Range(command.RW|command.Access|command.Insert, 1, 0, 1), command.Range(readKey, 2, -1, 1)}}, Do: pfmerge},
	{Spec: command.Spec{Name: "pfdebug", Semantic: semantic.Geo, Group: command.HyperLogLog, Arity: 3, Flags: command.Write | command.DenyOOM | command.Admin, Keys: []command.KeySpec{command.Range(command.RW|command.Access, 2, 0, 1)}}, Do: pfdebug},
}

const (
	errNotHLL     reply.Error = "WRONGTYPE Key is not a valid HyperLogLog string value."
	errCorruptHLL reply.Error = "INVALIDOBJ Corrupted HLL object detected"
)

// hllBuffers holds space for HyperLogLogs under change.
var hllBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}

// openHLL returns what key holds if that is a HyperLogLog. It replies with an error itself.
func openHLL(c *call.Call, key []byte) (e keyspace.Entry, found, failed bool) {
	e, found, failed = c.GetType(key, keyspace.String)
	if found && !hll.Is(e.Packed) {
		c.Fail(errNotHLL)
		failed = true
	}
	return e, found, failed
}

// storeHLL stores b, and keeps the expiry time of what is there.
func storeHLL(c *call.Call, key, b []byte, old keyspace.Entry, found bool) {
	v := keyspace.Value{Type: keyspace.String, Enc: keyspace.Raw, Packed: b}
	switch {
	case !found:
		putValue(c, key, v, keyspace.NoExpiry, false)
	case len(b) == len(old.Packed): // long ones change in place
		c.DB.Splice(key, 0, b, keyspace.Raw)
	default:
		c.DB.Replace(key, v)
	}
}

// pfadd implements PFADD key [element ...].
func pfadd(c *call.Call) {
	key := c.Args[1]
	e, found, failed := openHLL(c, key)
	if failed {
		return
	}
	add := addToCopy
	if found && hll.IsDense(e.Packed) {
		add = addInPlace
	}
	changed, err := add(c, e, found)
	if err != nil {
		c.Fail(errCorruptHLL)
		return
	}
	if changed {
		c.Notify(call.EventString, "pfadd", key)
	}
	c.Out.Flag(changed)
}

// addToCopy adds the elements to a sparse HyperLogLog, or to a new one, and reports whether that changed it.
func addToCopy(c *call.Call, old keyspace.Entry, found bool) (changed bool, err error) {
	buf := hllBuffers.Get().(*[]byte)
	defer hllBuffers.Put(buf)
	if found {
		*buf = append((*buf)[:0], old.Packed...)
	} else {
		*buf = hll.Append((*buf)[:0])
	}
	edit := hll.Edit(*buf, c.Settings.HLLSparseMaxBytes)
	changed = !found
	for _, element := range c.Args[2:] {
		raised, err := edit.Add(element)
		if err != nil {
			return false, err
		}
		changed = changed || raised
	}
	b := edit.Bytes()
	if changed {
		count := hll.Stale(b)
		copy(b[hll.CountAt:], count[:])
	}
	if changed || old.Enc != keyspace.Raw {
		storeHLL(c, c.Args[1], b, old, found)
	}
	return changed, nil
}

// addInPlace adds the elements to a dense HyperLogLog, and reports whether that changed it. One that changes costs
// what its changed registers cost.
func addInPlace(c *call.Call, e keyspace.Entry, _ bool) (changed bool, err error) {
	key := c.Args[1]
	for _, element := range c.Args[2:] {
		index, rank := hll.Place(element)
		patch, less := hll.Raise(e.Packed, index, rank)
		if !less {
			continue
		}
		if _, cached := hll.CachedCount(e.Packed); cached {
			count := hll.Stale(e.Packed)
			c.DB.Splice(key, hll.CountAt, count[:], keyspace.Raw)
		}
		c.DB.Splice(key, patch.Off, patch.Bytes(), keyspace.Raw)
		e, _ = c.DB.Get(key, c.Now) // what was there may have moved
		changed = true
	}
	return changed, nil
}

// pfcount implements PFCOUNT key [key ...]. The count of a single key is cached in its value, as in Redis: so this
// read may change the state, and goes through the log.
func pfcount(c *call.Call) {
	if len(c.Args) > 2 {
		countUnion(c)
		return
	}
	key := c.Args[1]
	e, found, failed := openHLL(c, key)
	if failed {
		return
	}
	if !found {
		c.Out.Int(0)
		return
	}
	n, cached := hll.CachedCount(e.Packed)
	if !cached {
		var err error
		if n, err = hll.Count(e.Packed); err != nil {
			c.Fail(errCorruptHLL)
			return
		}
	}
	if !cached || e.Enc != keyspace.Raw {
		count := hll.Fresh(n)
		c.DB.Splice(key, hll.CountAt, count[:], keyspace.Raw)
	}
	c.Out.Int(int64(n))
}

// countUnion replies with the count of several keys together, which is cached nowhere.
func countUnion(c *call.Call) {
	var u hll.Union
	for _, key := range c.Args[1:] {
		e, found, failed := openHLL(c, key)
		if failed || found && !merge(c, &u, e.Packed) {
			return
		}
	}
	c.Out.Int(int64(u.Count()))
}

// merge adds b to the union. It replies with an error itself.
func merge(c *call.Call, u *hll.Union, b []byte) bool {
	if err := u.Merge(b); err != nil {
		c.Fail(errCorruptHLL)
		return false
	}
	return true
}

// pfmerge implements PFMERGE destkey [sourcekey ...].
func pfmerge(c *call.Call) {
	var u hll.Union
	dense := false
	for _, key := range c.Args[1:] {
		e, found, failed := openHLL(c, key)
		c.LookedUp(key, found || failed)
		if failed || found && !merge(c, &u, e.Packed) {
			return
		}
		dense = dense || found && hll.IsDense(e.Packed)
	}
	key := c.Args[1]
	old, found := c.Peek(key)
	b, err := mergedInto(old.Packed, &u, dense, c.Settings.HLLSparseMaxBytes)
	if err != nil {
		c.Fail(errCorruptHLL)
		return
	}
	storeHLL(c, key, b, old, found)
	c.Notify(call.EventString, "pfadd", key)
	c.Out.OK()
}

// mergedInto returns a copy of old, or an empty HyperLogLog if that is nothing, with its registers raised to those
// of the union.
func mergedInto(old []byte, u *hll.Union, dense bool, sparseMax int) (b []byte, err error) {
	if b = append(b, old...); old == nil {
		b = hll.Append(b)
	}
	if dense {
		if b, err = hll.Dense(b); err != nil {
			return nil, err
		}
	}
	edit := hll.Edit(b, sparseMax)
	for i, rank := range u {
		if rank == 0 {
			continue
		}
		if _, err := edit.Raise(i, rank); err != nil {
			return nil, err
		}
	}
	b = edit.Bytes()
	count := hll.Stale(b)
	copy(b[hll.CountAt:], count[:])
	return b, nil
}

// pfdebug implements PFDEBUG GETREG|DECODE|ENCODING|TODENSE key.
func pfdebug(c *call.Call) {
	key := c.Args[2]
	e, found, failed := openHLL(c, key)
	switch {
	case failed:
	case !found:
		c.Fail("ERR The specified key does not exist")
	case c.Is(1, "GETREG"):
		if b, _, ok := makeDense(c, key, e); ok {
			replyRegisters(c, b)
		}
	case c.Is(1, "DECODE"):
		decodeHLL(c, e.Packed)
	case c.Is(1, "ENCODING") && hll.IsDense(e.Packed):
		c.Out.Status("dense")
	case c.Is(1, "ENCODING"):
		c.Out.Status("sparse")
	case c.Is(1, "TODENSE"):
		if _, converted, ok := makeDense(c, key, e); ok {
			c.Out.Flag(converted)
		}
	default:
		c.Fail(reply.Error("ERR Unknown PFDEBUG subcommand '" + string(reply.CText(c.Args[1])) + "'"))
	}
}

// makeDense converts what key holds to the dense form, and returns it. It replies with an error itself.
func makeDense(c *call.Call, key []byte, e keyspace.Entry) (b []byte, converted, ok bool) {
	if hll.IsDense(e.Packed) {
		return e.Packed, false, true
	}
	b, err := hll.Dense(e.Packed)
	if err != nil {
		c.Fail(errCorruptHLL)
		return nil, false, false
	}
	storeHLL(c, key, b, e, true)
	return b, true, true
}

func replyRegisters(c *call.Call, b []byte) {
	c.Out.Array(hll.Registers)
	for i := range hll.Registers {
		c.Out.Int(int64(hll.Register(b, i)))
	}
}

func decodeHLL(c *call.Call, b []byte) {
	if hll.IsDense(b) {
		c.Fail("ERR HLL encoding is not sparse")
		return
	}
	text, err := hll.AppendOpcodes(nil, b)
	if err != nil {
		c.Fail(errCorruptHLL)
		return
	}
	c.Out.Bulk(text)
}
