package commands

import (
	"math"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
)

const (
	popFlags  = command.RW | command.Access | command.Delete
	pushFlags = command.RW | command.Insert
)

var listRows = []call.Row{
	{Spec: command.Spec{Name: "lpush", Group: command.List, Arity: -3, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(pushFlags)}, Do: lpush},
	{Spec: command.Spec{Name: "rpush", Group: command.List, Arity: -3, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(pushFlags)}, Do: rpush},
	{Spec: command.Spec{Name: "lpushx", Group: command.List, Arity: -3, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(pushFlags)}, Do: lpushx},
	{Spec: command.Spec{Name: "rpushx", Group: command.List, Arity: -3, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(pushFlags)}, Do: rpushx},
	{Spec: command.Spec{Name: "lpop", Group: command.List, Arity: -2, Flags: command.Write | command.Fast, Keys: command.One(popFlags)}, Do: lpop},
	{Spec: command.Spec{Name: "rpop", Group: command.List, Arity: -2, Flags: command.Write | command.Fast, Keys: command.One(popFlags)}, Do: rpop},
	{Spec: command.Spec{Name: "llen", Group: command.List, Arity: 2, Flags: command.ReadOnly | command.Fast, Keys: command.One(command.RO)}, Do: llen},
	{Spec: command.Spec{Name: "lindex", Group: command.List, Arity: 3, Flags: command.ReadOnly, Keys: command.One(command.RO | command.Access)}, Do: lindex},
	{Spec: command.Spec{Name: "lrange", Group: command.List, Arity: 4, Flags: command.ReadOnly, Keys: command.One(command.RO | command.Access)}, Do: lrange},
	{Spec: command.Spec{Name: "lpos", Group: command.List, Arity: -3, Flags: command.ReadOnly, Keys: command.One(command.RO | command.Access)}, Do: lpos},
	{Spec: command.Spec{Name: "lset", Group: command.List, Arity: 4, Flags: command.Write | command.DenyOOM, Keys: command.One(command.RW | command.Update)}, Do: lset},
	{Spec: command.Spec{Name: "linsert", Group: command.List, Arity: 5, Flags: command.Write | command.DenyOOM, Keys: command.One(pushFlags)}, Do: linsert},
	{Spec: command.Spec{Name: "lrem", Group: command.List, Arity: 4, Flags: command.Write, Keys: command.One(command.RW | command.Delete)}, Do: lrem},
	{Spec: command.Spec{Name: "ltrim", Group: command.List, Arity: 4, Flags: command.Write, Keys: command.One(command.RW | command.Delete)}, Do: ltrim},
	{Spec: command.Spec{Name: "lmove", Group: command.List, Arity: 5, Flags: command.Write | command.DenyOOM, Keys: moveKeys}, Do: lmove},
	{Spec: command.Spec{Name: "rpoplpush", Group: command.List, Arity: 3, Flags: command.Write | command.DenyOOM, Keys: moveKeys}, Do: rpoplpush},
	{Spec: command.Spec{Name: "lmpop", Group: command.List, Arity: -4, Flags: command.Write, Keys: []command.KeySpec{command.Counted(popFlags, 1)}}, Do: lmpop},
}

var moveKeys = []command.KeySpec{command.Range(popFlags, 1, 0, 1), command.Range(pushFlags, 2, 0, 1)}

// listEnd is an end of a list.
type listEnd bool

const (
	head listEnd = false
	tail listEnd = true
)

// first returns the index of the first element at the end.
func (e listEnd) first() int {
	if e == tail {
		return -1
	}
	return 0
}

// step returns the direction away from the end.
func (e listEnd) step() int {
	if e == tail {
		return -1
	}
	return 1
}

func (e listEnd) pushEvent() string {
	if e == tail {
		return "rpush"
	}
	return "lpush"
}

func (e listEnd) popEvent() string {
	if e == tail {
		return "rpop"
	}
	return "lpop"
}

func (l *listKey) push(e listEnd, val []byte) {
	if e == tail {
		l.PushBack(val)
		return
	}
	l.PushFront(val)
}

// drop removes the n elements at an end.
func (l *listKey) drop(e listEnd, n int) {
	if e == tail {
		l.Delete(l.Len()-n, n)
		return
	}
	l.Delete(0, n)
}

// lpush puts elements in front, one after the other, and replies with the length.
func lpush(c *call.Call) { pushList(c, head, false) }

// rpush puts elements behind and replies with the length.
func rpush(c *call.Call) { pushList(c, tail, false) }

// lpushx is lpush if there is a list.
func lpushx(c *call.Call) { pushList(c, head, true) }

// rpushx is rpush if there is a list.
func rpushx(c *call.Call) { pushList(c, tail, true) }

func pushList(c *call.Call, end listEnd, mustExist bool) {
	l, ok := openList(c, c.Args[1])
	if !ok {
		return
	}
	if mustExist && !l.exists {
		c.Out.Int(0)
		return
	}
	l.write()
	for _, val := range c.Args[2:] {
		l.push(end, val)
	}
	c.Out.Int(int64(l.Len()))
	l.save(end.pushEvent())
}

// lpop takes the first element, or the first so many, and replies with them.
func lpop(c *call.Call) { popList(c, head) }

// rpop takes the last element, or the last so many, last first.
func rpop(c *call.Call) { popList(c, tail) }

func popList(c *call.Call, end listEnd) {
	counted, count := len(c.Args) == 3, int64(1)
	if len(c.Args) > 3 {
		c.Fail(reply.WrongArgs(end.popEvent()))
		return
	}
	if counted {
		var ok bool
		if count, ok = call.ParseInt(c.Args[2]); !ok || count < 0 {
			c.Fail(reply.ErrNotPositive)
			return
		}
	}
	l, ok := openList(c, c.Args[1])
	switch {
	case !ok:
		return
	case !l.exists && counted:
		c.Out.NullArray()
		return
	case !l.exists:
		c.Out.Null()
		return
	case count == 0:
		c.Out.Array(0)
		return
	}
	l.write()
	n := int(min(count, int64(l.Len())))
	if counted {
		l.reply(end.first(), n, end.step())
	} else {
		replyElement(c, &l, end.first())
	}
	l.drop(end, n)
	l.save(end.popEvent())
}

// lmpop takes elements from the first of several lists that is there.
func lmpop(c *call.Call) {
	if p, ok := parseLmpop(c, 1); ok && !p.popFirst(c) {
		c.Out.NullArray()
	}
}

// multiPop is what LMPOP and BLMPOP want.
type multiPop struct {
	keys  [][]byte
	end   listEnd
	count int64
}

// parseLmpop reads numkeys, keys, LEFT or RIGHT and the options, from argument i on,
// or replies with an error.
func parseLmpop(c *call.Call, i int) (p multiPop, ok bool) {
	numKeys, ok := call.ParseInt(c.Args[i])
	if !ok || numKeys < 1 {
		c.Fail(reply.ErrNumKeys)
		return p, false
	}
	i++
	if numKeys >= int64(len(c.Args)-i) {
		c.Fail(reply.ErrSyntax)
		return p, false
	}
	p.keys, i = c.Args[i:i+int(numKeys)], i+int(numKeys)
	if p.end, ok = listEndArg(c, i); !ok {
		return p, false
	}
	p.count, ok = popCount(c, i+1)
	return p, ok
}

// popFirst takes elements from the first list that is there, and reports whether it
// has replied: with them, or that a key holds no list.
func (p *multiPop) popFirst(c *call.Call) bool {
	for _, key := range p.keys {
		l, ok := openList(c, key)
		if !ok {
			return true
		}
		if !l.exists {
			continue
		}
		l.write()
		n := int(min(p.count, int64(l.Len())))
		c.Out.Array(2)
		c.Out.Bulk(key)
		l.reply(p.end.first(), n, p.end.step())
		l.drop(p.end, n)
		l.save(p.end.popEvent())
		if c.Followed() {
			c.Become(p.end.popEvent(), key, n)
		}
		return true
	}
	return false
}

// popCount reads the COUNT of LMPOP and ZMPOP, 1 if there is none, from argument
// i on, or replies with an error: of a bad count before what may follow it.
func popCount(c *call.Call, i int) (int64, bool) {
	count, given := int64(1), false
	for ; i < len(c.Args); i += 2 {
		if given || i+1 == len(c.Args) || !c.Is(i, "COUNT") {
			c.Fail(reply.ErrSyntax)
			return 0, false
		}
		if count, given = call.ParseInt(c.Args[i+1]); !given || count < 1 {
			c.Fail(reply.ErrCountPositive)
			return 0, false
		}
	}
	return count, true
}

// listEndArg returns argument i as LEFT or RIGHT, or replies with an error.
func listEndArg(c *call.Call, i int) (listEnd, bool) {
	switch {
	case c.Is(i, "LEFT"):
		return head, true
	case c.Is(i, "RIGHT"):
		return tail, true
	}
	c.Fail(reply.ErrSyntax)
	return head, false
}

// lmove takes an element from an end of one list, puts it at an end of another,
// and replies with it.
func lmove(c *call.Call) {
	if from, to, ok := moveEnds(c); ok {
		moveElement(c, from, to)
	}
}

// moveEnds returns the ends that LMOVE and BLMOVE name, or replies with an error.
func moveEnds(c *call.Call) (from, to listEnd, ok bool) {
	if from, ok = listEndArg(c, 3); ok {
		to, ok = listEndArg(c, 4)
	}
	return from, to, ok
}

// rpoplpush is LMOVE ... RIGHT LEFT.
func rpoplpush(c *call.Call) { moveElement(c, tail, head) }

func moveElement(c *call.Call, from, to listEnd) {
	source, ok := openList(c, c.Args[1])
	if !ok {
		return
	}
	if !source.exists {
		c.Out.Null()
		return
	}
	if string(c.Args[1]) == string(c.Args[2]) {
		rotate(c, &source, from, to)
		return
	}
	target, ok := openList(c, c.Args[2])
	if !ok {
		return
	}
	source.write() // its element must outlive the change of the target
	target.write()
	var buf [20]byte
	at := source.At(from.first())
	val := at.Text(buf[:])
	c.Out.Bulk(val)
	target.push(to, val)
	target.save(to.pushEvent())
	source.drop(from, 1)
	source.save(from.popEvent())
}

// rotate moves an element within a list.
func rotate(c *call.Call, l *listKey, from, to listEnd) {
	l.write()
	at := l.At(from.first())
	val := append([]byte(nil), at.Text(nil)...)
	c.Out.Bulk(val)
	l.drop(from, 1)
	l.push(to, val)
	l.save(to.pushEvent())
	c.Notify(call.EventList, from.popEvent(), l.key)
}

// llen replies with the number of elements.
func llen(c *call.Call) {
	if l, ok := openList(c, c.Args[1]); ok {
		c.Out.Int(int64(l.Len()))
	}
}

// lindex replies with the element at an index, or null.
func lindex(c *call.Call) {
	l, ok := openList(c, c.Args[1])
	if !ok {
		return
	}
	if !l.exists {
		c.Out.Null()
		return
	}
	index, ok := c.Int(2)
	if !ok {
		return
	}
	replyElement(c, &l, clampIndex(index))
}

// replyElement writes the element at index, or null.
func replyElement(c *call.Call, l *listKey, index int) {
	at := l.At(index)
	if !at.Valid() {
		c.Out.Null()
		return
	}
	var buf [20]byte
	c.Out.Bulk(at.Text(buf[:]))
}

// clampIndex makes an index that may be far outside one that no sum overflows.
func clampIndex(index int64) int {
	const far = math.MaxInt64 / 4
	return int(min(max(index, -far), far))
}

// lrange replies with the elements between two indexes, both included.
func lrange(c *call.Call) {
	start, ok := c.Int(2)
	if !ok {
		return
	}
	stop, ok := c.Int(3)
	if !ok {
		return
	}
	l, ok := openList(c, c.Args[1])
	if !ok {
		return
	}
	from, n := spanOf(start, stop, l.Len())
	l.reply(from, n, 1)
}

// spanOf returns where the range from start to stop, both included, begins among
// length elements, and how many it has. Negative indexes count from the end.
func spanOf(start, stop int64, length int) (from, n int) {
	i, j := clampIndex(start), clampIndex(stop)
	if i < 0 {
		i = max(i+length, 0)
	}
	if j < 0 {
		j += length
	}
	return i, max(min(j, length-1)-i+1, 0)
}

// lset replaces the element at an index.
func lset(c *call.Call) {
	l, ok := openList(c, c.Args[1])
	if !ok {
		return
	}
	if !l.exists {
		c.Fail(reply.ErrNoSuchKey)
		return
	}
	i, ok := c.Int(2)
	if !ok {
		return
	}
	index := clampIndex(i)
	if at := l.At(index); !at.Valid() {
		c.Fail(reply.ErrIndexOutOfRange)
		return
	}
	l.write()
	l.Set(index, c.Args[3])
	c.Out.OK()
	l.save("lset")
}

// linsert puts an element before or after the first that is the pivot, and
// replies with the length, -1 if there is no such element.
func linsert(c *call.Call) {
	after := c.Is(2, "AFTER")
	if !after && !c.Is(2, "BEFORE") {
		c.Fail(reply.ErrSyntax)
		return
	}
	l, ok := openList(c, c.Args[1])
	switch {
	case !ok:
		return
	case !l.exists:
		c.Out.Int(0)
		return
	case !l.contains(c.Args[3]):
		c.Out.Int(-1)
		return
	}
	l.write()
	l.InsertBeside(c.Args[3], c.Args[4], after)
	c.Out.Int(int64(l.Len()))
	l.save("linsert")
}

// lrem removes elements that are a value and replies with how many.
func lrem(c *call.Call) {
	count, ok := c.Int(2)
	if !ok {
		return
	}
	if count == math.MinInt64 {
		count = 0 // no positive number is as large: redis-server removes all
	}
	l, ok := openList(c, c.Args[1])
	if !ok {
		return
	}
	if !l.contains(c.Args[3]) {
		c.Out.Int(0)
		return
	}
	l.write()
	c.Out.Int(int64(l.Remove(c.Args[3], int(count))))
	l.save("lrem")
}

// ltrim removes all elements but those between two indexes.
func ltrim(c *call.Call) {
	start, ok := c.Int(2)
	if !ok {
		return
	}
	stop, ok := c.Int(3)
	if !ok {
		return
	}
	l, ok := openList(c, c.Args[1])
	if !ok {
		return
	}
	c.Out.OK()
	if !l.exists {
		return
	}
	l.write()
	length := l.Len()
	from, n := spanOf(start, stop, length)
	if n == 0 {
		from = 0
	}
	l.drop(tail, length-from-n)
	l.drop(head, from)
	l.save("ltrim")
}
