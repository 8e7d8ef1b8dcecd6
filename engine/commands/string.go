package commands

import (
	"math"
	"math/big"
	"strconv"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
)

const (
	readKey      = command.RO | command.Access
	overwriteKey = command.OW | command.Update
	replaceKey   = command.RW | command.Access | command.Update
)

var stringRows = []call.Row{
	{Spec: command.Spec{Name: "set", Group: command.String, Arity: -3, Flags: command.Write | command.DenyOOM, Keys: setKeys}, Do: setString},
	{Spec: command.Spec{Name: "get", Group: command.String, Arity: 2, Flags: command.ReadOnly | command.Fast, Keys: command.One(readKey)}, Do: get},
	{Spec: command.Spec{Name: "setex", Group: command.String, Arity: 4, Flags: command.Write | command.DenyOOM, Keys: command.One(overwriteKey)}, Do: setex},
	{Spec: command.Spec{Name: "psetex", Group: command.String, Arity: 4, Flags: command.Write | command.DenyOOM, Keys: command.One(overwriteKey)}, Do: psetex},
	{Spec: command.Spec{Name: "setnx", Group: command.String, Arity: 3, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(command.OW | command.Insert)}, Do: setnx},
	{Spec: command.Spec{Name: "getset", Group: command.String, Arity: 3, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(replaceKey)}, Do: getset},
	{Spec: command.Spec{Name: "getdel", Group: command.String, Arity: 2, Flags: command.Write | command.Fast, Keys: command.One(command.RW | command.Access | command.Delete)}, Do: getdel},
	{Spec: command.Spec{Name: "getex", Group: command.String, Arity: -2, Flags: command.Write | command.Fast, Keys: command.One(replaceKey)}, Do: getex},
	{Spec: command.Spec{Name: "mget", Group: command.String, Arity: -2, Flags: command.ReadOnly | command.Fast, Keys: command.All(readKey), Tips: []string{"request_policy:multi_shard"}}, Do: mget},
	{Spec: command.Spec{Name: "mset", Group: command.String, Arity: -3, Flags: command.Write | command.DenyOOM, Keys: pairKeys(overwriteKey), Tips: []string{"request_policy:multi_shard", "response_policy:all_succeeded"}}, Do: mset},
	{Spec: command.Spec{Name: "msetnx", Group: command.String, Arity: -3, Flags: command.Write | command.DenyOOM, Keys: pairKeys(command.OW | command.Insert), Tips: []string{"request_policy:multi_shard", "response_policy:agg_min"}}, Do: msetnx},
	{Spec: command.Spec{Name: "append", Group: command.String, Arity: 3, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(command.RW | command.Insert)}, Do: appendString},
	{Spec: command.Spec{Name: "strlen", Group: command.String, Arity: 2, Flags: command.ReadOnly | command.Fast, Keys: command.One(command.RO)}, Do: strlen},
	{Spec: command.Spec{Name: "getrange", Group: command.String, Arity: 4, Flags: command.ReadOnly, Keys: command.One(readKey)}, Do: getrange},
	{Spec: command.Spec{Name: "substr", Group: command.String, Arity: 4, Flags: command.ReadOnly, Keys: command.One(readKey)}, Do: getrange},
	{Spec: command.Spec{Name: "setrange", Group: command.String, Arity: 4, Flags: command.Write | command.DenyOOM, Keys: command.One(command.RW | command.Update)}, Do: setrange},
	{Spec: command.Spec{Name: "incr", Group: command.String, Arity: 2, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(replaceKey)}, Do: incr},
	{Spec: command.Spec{Name: "decr", Group: command.String, Arity: 2, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(replaceKey)}, Do: decr},
	{Spec: command.Spec{Name: "incrby", Group: command.String, Arity: 3, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(replaceKey)}, Do: incrby},
	{Spec: command.Spec{Name: "decrby", Group: command.String, Arity: 3, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(replaceKey)}, Do: decrby},
	{Spec: command.Spec{Name: "incrbyfloat", Group: command.String, Arity: 3, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(replaceKey)}, Do: incrbyfloat},
	{Spec: command.Spec{Name: "lcs", Group: command.String, Arity: -3, Flags: command.ReadOnly, Keys: []command.KeySpec{command.Range(readKey, 1, 1, 1)}}, Do: lcs},
}

// setKeys says that SET reads what it overwrites only with GET.
var setKeys = []command.KeySpec{{
	Flags: replaceKey | command.VariableFlags, Index: 1, Step: 1,
	Narrow: func(args [][]byte) command.KeyFlags {
		for _, arg := range args[min(3, len(args)):] {
			if call.EqualFold(arg, "GET") {
				return replaceKey
			}
		}
		return overwriteKey
	},
}}

// pairKeys says that keys and values take turns.
func pairKeys(flags command.KeyFlags) []command.KeySpec {
	return []command.KeySpec{command.Range(flags, 1, -1, 2)}
}

const (
	// embstrMax is the length of the longest string that redis-server keeps in one piece with its header.
	embstrMax = 44
	// intLenMax is the length of the longest decimal integer of 64 bits.
	intLenMax = 20
)

// stringValue returns b as SET stores it.
func stringValue(b []byte) keyspace.Value {
	v := unparsedValue(b)
	if len(b) <= intLenMax {
		if _, ok := call.ParseInt(b); ok {
			v.Enc = keyspace.Int
		}
	}
	return v
}

// unparsedValue returns b as a string that is not looked at as a number.
func unparsedValue(b []byte) keyspace.Value {
	if len(b) <= embstrMax {
		return keyspace.Value{Type: keyspace.String, Enc: keyspace.Embstr, Packed: b}
	}
	return keyspace.Value{Type: keyspace.String, Enc: keyspace.Raw, Packed: b}
}

// putValue stores v over whatever key holds, and tells if the key is new.
func putValue(c *call.Call, key []byte, v keyspace.Value, expireAt int64, existed bool) {
	c.DB.Put(key, v, expireAt)
	if !existed {
		c.Notify(call.EventNew, "new", key)
	}
}

// storeString stores value over whatever key holds, as SET does.
func storeString(c *call.Call, key, value []byte, expireAt int64) {
	_, existed := c.Get(key)
	putValue(c, key, stringValue(value), expireAt, existed)
	c.Notify(call.EventString, "set", key)
}

// setOptions are the options of SET and GETEX.
type setOptions struct {
	nx, xx, get, keepTTL, persist bool
	unit                          string // EX, PX, EXAT, PXAT; "" without an expiry time
	expire                        int    // the argument that holds it
}

// parse reads the options from argument i on, or replies with an error. SET and GETEX share only the expiry times.
func (o *setOptions) parse(c *call.Call, i int, isSet bool) bool {
	for ; i < len(c.Args); i++ {
		unit := expiryUnit(c, i)
		switch {
		case isSet && !o.xx && c.Is(i, "NX"):
			o.nx = true
		case isSet && !o.nx && c.Is(i, "XX"):
			o.xx = true
		case isSet && c.Is(i, "GET"):
			o.get = true
		case isSet && o.unit == "" && c.Is(i, "KEEPTTL"):
			o.keepTTL = true
		case !isSet && o.unit == "" && c.Is(i, "PERSIST"):
			o.persist = true
		case unit != "" && !o.keepTTL && !o.persist && (o.unit == "" || o.unit == unit) && i+1 < len(c.Args):
			o.unit = unit
			i++
			o.expire = i
		default:
			c.Fail(reply.ErrSyntax)
			return false
		}
	}
	return true
}

// expiryUnit returns argument i in capitals if it announces an expiry time, or "".
func expiryUnit(c *call.Call, i int) string {
	for _, unit := range [...]string{"EX", "PX", "EXAT", "PXAT"} {
		if c.Is(i, unit) {
			return unit
		}
	}
	return ""
}

// expireAt returns the expiry time that the options ask for, in ms, or NoExpiry. It replies with an error itself.
func (o *setOptions) expireAt(c *call.Call, name string) (int64, bool) {
	if o.unit == "" {
		return keyspace.NoExpiry, true
	}
	return expiryArg(c, o.expire, o.unit, name)
}

// expiryArg returns argument i, a time in the given unit, in ms since the epoch. It replies with an error itself.
func expiryArg(c *call.Call, i int, unit, name string) (int64, bool) {
	n, ok := c.Int(i)
	if !ok {
		return 0, false
	}
	inSeconds := unit == "EX" || unit == "EXAT"
	relative := unit == "EX" || unit == "PX"
	switch {
	case n <= 0 || inSeconds && n > math.MaxInt64/1000:
		c.Fail(errExpireTime(name))
		return 0, false
	case inSeconds:
		n *= 1000
	}
	if relative {
		if n > math.MaxInt64-c.Now {
			c.Fail(errExpireTime(name))
			return 0, false
		}
		n += c.Now
	}
	return n, true
}

func errExpireTime(name string) reply.Error {
	return reply.Error("ERR invalid expire time in '" + name + "' command")
}

// setString implements SET key value [NX|XX] [GET] [EX s|PX ms|EXAT s|PXAT ms|KEEPTTL].
func setString(c *call.Call) {
	var o setOptions
	if !o.parse(c, 3, true) {
		return
	}
	at, ok := o.expireAt(c, "set")
	if !ok {
		return
	}
	key := c.Args[1]
	if !o.nx && !o.xx && !o.get && !o.keepTTL && c.Settings.NotifyKeyspaceEvents == 0 {
		// What was there makes no difference, and nobody is to be told of it:
		// half of the work is to look it up.
		c.DB.Put(key, stringValue(c.Args[2]), at)
		o.become(c, at)
		c.Out.OK()
		return
	}
	e, found := c.Get(key)
	if o.get {
		c.LookedUp(key, found)
		if found && e.Type != keyspace.String {
			c.Fail(reply.ErrWrongType)
			return
		}
		bulkOrNull(c.Out, e.Packed, found)
	}
	if o.nx && found || o.xx && !found {
		if !o.get {
			c.Out.Null()
		}
		return
	}
	if o.keepTTL && found {
		at = e.ExpireAt
	}
	putValue(c, key, stringValue(c.Args[2]), at, found)
	o.become(c, at)
	c.Notify(call.EventString, "set", key)
	if o.unit != "" {
		c.Notify(call.EventGeneric, "expire", key)
	}
	if !o.get {
		c.Out.OK()
	}
}

// become tells followers the time that SET's relative one comes to.
func (o *setOptions) become(c *call.Call, at int64) {
	if o.unit != "" && c.Followed() {
		c.Become("SET", c.Args[1], c.Args[2], "PXAT", at)
	}
}

func bulkOrNull(out *reply.Writer, b []byte, found bool) {
	if !found {
		out.Null()
		return
	}
	out.Bulk(b)
}

// setex implements SETEX key seconds value.
func setex(c *call.Call) { setExpiring(c, "EX", "setex") }

// psetex implements PSETEX key milliseconds value.
func psetex(c *call.Call) { setExpiring(c, "PX", "psetex") }

func setExpiring(c *call.Call, unit, name string) {
	at, ok := expiryArg(c, 2, unit, name)
	if !ok {
		return
	}
	storeString(c, c.Args[1], c.Args[3], at)
	if c.Followed() {
		c.Become("SET", c.Args[1], c.Args[3], "PXAT", at)
	}
	c.Notify(call.EventGeneric, "expire", c.Args[1])
	c.Out.OK()
}

// setnx implements SETNX key value.
func setnx(c *call.Call) {
	if _, found := c.Get(c.Args[1]); found {
		c.Out.Int(0)
		return
	}
	storeString(c, c.Args[1], c.Args[2], keyspace.NoExpiry)
	c.Out.Int(1)
}

// get implements GET key.
func get(c *call.Call) { replyString(c) }

// replyString replies with the string at the first argument or null, and returns what is there. It replies WRONGTYPE
// itself, and then returns failed.
func replyString(c *call.Call) (e keyspace.Entry, found, failed bool) {
	e, found, failed = c.GetType(c.Args[1], keyspace.String)
	if !failed {
		bulkOrNull(c.Out, e.Packed, found)
	}
	return e, found, failed
}

// getset implements GETSET key value.
func getset(c *call.Call) {
	_, found, failed := replyString(c)
	c.LookedUp(c.Args[1], found || failed)
	if failed {
		return
	}
	storeString(c, c.Args[1], c.Args[2], keyspace.NoExpiry)
	if c.Followed() {
		c.Become("SET", c.Args[1], c.Args[2])
	}
}

// getdel implements GETDEL key.
func getdel(c *call.Call) {
	_, found, failed := replyString(c)
	c.LookedUp(c.Args[1], found || failed)
	if failed || !found {
		return
	}
	deleteKey(c, c.Args[1])
	becomeDel(c, c.Args[1])
}

// becomeDel tells followers that a command came to the deletion of a key.
func becomeDel(c *call.Call, key []byte) {
	if c.Followed() {
		c.Become("DEL", key)
	}
}

// becomeExpiry tells followers that a command came to an expiry time of a key, or to
// none.
func becomeExpiry(c *call.Call, key []byte, at int64) {
	switch {
	case !c.Followed():
	case at == keyspace.NoExpiry:
		c.Become("PERSIST", key)
	default:
		c.Become("PEXPIREAT", key, at)
	}
}

// getex implements GETEX key [EX s|PX ms|EXAT s|PXAT ms|PERSIST].
func getex(c *call.Call) {
	var o setOptions
	if !o.parse(c, 2, false) {
		return
	}
	key := c.Args[1]
	e, found, failed := c.GetType(key, keyspace.String)
	c.LookedUp(key, found || failed)
	if failed {
		return
	}
	if !found {
		c.Out.Null()
		return
	}
	at, ok := o.expireAt(c, "getex")
	if !ok {
		return
	}
	c.Out.Bulk(e.Packed)
	switch {
	case o.unit != "" && at <= c.Now:
		deleteKey(c, key)
		becomeDel(c, key)
	case o.unit != "":
		c.DB.SetExpire(key, at)
		becomeExpiry(c, key, at)
		c.Notify(call.EventGeneric, "expire", key)
	case o.persist && e.ExpireAt != keyspace.NoExpiry:
		c.DB.SetExpire(key, keyspace.NoExpiry)
		becomeExpiry(c, key, keyspace.NoExpiry)
		c.Notify(call.EventGeneric, "persist", key)
	}
}

// mget implements MGET key [key ...].
func mget(c *call.Call) {
	mark := c.Out.Mark()
	c.Out.Array(len(c.Args) - 1)
	for _, key := range c.Args[1:] {
		e, found := c.Get(key)
		if bulkOrNull(c.Out, e.Packed, found && e.Type == keyspace.String); tooLong(c, mark) {
			return
		}
	}
}

// mset implements MSET key value [key value ...].
func mset(c *call.Call) {
	if len(c.Args)%2 == 0 {
		c.Fail(reply.WrongArgs("mset"))
		return
	}
	storePairs(c)
	c.Out.OK()
}

// msetnx implements MSETNX key value [key value ...].
func msetnx(c *call.Call) {
	if len(c.Args)%2 == 0 {
		c.Fail(reply.WrongArgs("msetnx"))
		return
	}
	for i := 1; i < len(c.Args); i += 2 {
		if _, found := c.Get(c.Args[i]); found {
			c.Out.Int(0)
			return
		}
	}
	storePairs(c)
	c.Out.Int(1)
}

func storePairs(c *call.Call) {
	for i := 1; i < len(c.Args); i += 2 {
		storeString(c, c.Args[i], c.Args[i+1], keyspace.NoExpiry)
	}
}

// appendString implements APPEND key value.
func appendString(c *call.Call) {
	key, tail := c.Args[1], c.Args[2]
	e, found, failed := c.GetType(key, keyspace.String)
	if failed || !fitsString(c, int64(len(e.Packed)), len(tail)) {
		return
	}
	n := len(tail)
	if found {
		n = c.DB.Splice(key, len(e.Packed), tail, keyspace.Raw)
	} else {
		putValue(c, key, stringValue(tail), keyspace.NoExpiry, false)
	}
	c.Notify(call.EventString, "append", key)
	c.Out.Int(int64(n))
}

// fitsString reports whether a string of n + more bytes may be stored. It replies with an error itself.
func fitsString(c *call.Call, n int64, more int) bool {
	if longest := int64(c.Settings.ProtoMaxBulkLen); n > longest || int64(more) > longest-n {
		c.Fail(reply.ErrStringTooLong)
		return false
	}
	return true
}

// strlen implements STRLEN key.
func strlen(c *call.Call) {
	if e, _, failed := c.GetType(c.Args[1], keyspace.String); !failed {
		c.Out.Int(int64(len(e.Packed)))
	}
}

// getrange implements GETRANGE and SUBSTR key start end.
func getrange(c *call.Call) {
	start, ok := c.Int(2)
	if !ok {
		return
	}
	end, ok := c.Int(3)
	if !ok {
		return
	}
	e, _, failed := c.GetType(c.Args[1], keyspace.String)
	if failed {
		return
	}
	if start < 0 && end < 0 && start > end {
		c.Out.Bulk(nil)
		return
	}
	from, limit := byteRange(start, end, int64(len(e.Packed)))
	c.Out.Bulk(e.Packed[from:limit])
}

// byteRange returns the half-open range that the inclusive range from start to end, counted from the end of n units
// where negative, stands for. An empty one is 0, 0. What lies before the first unit is taken for that unit.
func byteRange(start, end, n int64) (from, limit int64) {
	if start < 0 {
		start = max(0, n+start)
	}
	if end < 0 {
		end = max(0, n+end)
	}
	end = min(end, n-1)
	if start > end {
		return 0, 0
	}
	return start, end + 1
}

// setrange implements SETRANGE key offset value.
func setrange(c *call.Call) {
	off, ok := c.Int(2)
	if !ok {
		return
	}
	if off < 0 {
		c.Fail("ERR offset is out of range")
		return
	}
	key, data := c.Args[1], c.Args[3]
	e, found, failed := c.GetType(key, keyspace.String)
	if failed {
		return
	}
	if len(data) == 0 {
		c.Out.Int(int64(len(e.Packed)))
		return
	}
	if !fitsString(c, off, len(data)) {
		return
	}
	n := spliceOrCreate(c, key, found, int(off), data)
	c.Notify(call.EventString, "setrange", key)
	c.Out.Int(int64(n))
}

// incr implements INCR key.
func incr(c *call.Call) { addInt(c, 1) }

// decr implements DECR key.
func decr(c *call.Call) { addInt(c, -1) }

// incrby implements INCRBY key increment.
func incrby(c *call.Call) {
	if n, ok := c.Int(2); ok {
		addInt(c, n)
	}
}

// decrby implements DECRBY key decrement.
func decrby(c *call.Call) {
	n, ok := c.Int(2)
	if !ok {
		return
	}
	if n == math.MinInt64 {
		c.Fail("ERR decrement would overflow")
		return
	}
	addInt(c, -n)
}

func addInt(c *call.Call, n int64) {
	key := c.Args[1]
	e, found, failed := c.GetType(key, keyspace.String)
	if failed {
		return
	}
	old, ok := int64(0), true
	if found {
		old, ok = call.ParseInt(e.Packed)
	}
	if !ok {
		c.Fail(reply.ErrNotInteger)
		return
	}
	if old < 0 && n < 0 && n < math.MinInt64-old || old > 0 && n > 0 && n > math.MaxInt64-old {
		c.Fail(reply.ErrOverflow)
		return
	}
	var text [intLenMax]byte
	storeResult(c, keyspace.Value{
		Type: keyspace.String, Enc: keyspace.Int, Packed: strconv.AppendInt(text[:0], old+n, 10),
	}, found)
	c.Notify(call.EventString, "incrby", key)
	c.Out.Int(old + n)
}

// storeResult stores v at the first argument and keeps the expiry time.
func storeResult(c *call.Call, v keyspace.Value, found bool) {
	if found {
		c.DB.Replace(c.Args[1], v)
		return
	}
	putValue(c, c.Args[1], v, keyspace.NoExpiry, false)
}

// incrbyfloat implements INCRBYFLOAT key increment.
func incrbyfloat(c *call.Call) {
	e, found, failed := c.GetType(c.Args[1], keyspace.String)
	if failed {
		return
	}
	old, ok := new(big.Float), true
	if found {
		old, ok = parseLongDouble(e.Packed)
	}
	n, valid := parseLongDouble(c.Args[2])
	if !ok || !valid {
		c.Fail(reply.ErrNotFloat)
		return
	}
	sum, finite := addLongDouble(old, n)
	if !finite {
		c.Fail(reply.ErrNaN)
		return
	}
	text := appendLongDouble(nil, sum)
	storeResult(c, unparsedValue(text), found)
	if c.Followed() {
		c.Become("SET", c.Args[1], text, "KEEPTTL")
	}
	c.Notify(call.EventString, "incrbyfloat", c.Args[1])
	c.Out.Bulk(text)
}
