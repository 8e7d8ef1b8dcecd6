package script

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/quorate/quorate/engine/lua"
	"github.com/quorate/quorate/engine/reply"
)

// Fields of the tables that stand for replies.
var (
	okField       = lua.Constant("ok")
	errField      = lua.Constant("err")
	doubleField   = lua.Constant("double")
	mapField      = lua.Constant("map")
	setField      = lua.Constant("set")
	bigField      = lua.Constant("big_number")
	verbatimField = lua.Constant("verbatim_string")
	formatField   = lua.Constant("format")
	stringField   = lua.Constant("string")

	// countedField marks an error that came from a command.
	countedField = lua.Constant("ignore_error_stats_update")

	keysName = lua.Constant("KEYS")
	argvName = lua.Constant("ARGV")
)

// fromReply returns a command's reply as Lua sees it, and whether it is an error.
func (r *runner) fromReply(b []byte) (v lua.Value, failed bool) {
	answer, rest, err := reply.Read(b)
	if err != nil || len(rest) > 0 {
		panic(fmt.Sprintf("script: %q replied %q: %v", r.args[0], b, err))
	}
	return r.toLua(&answer), answer.Kind == reply.KindError
}

func (r *runner) toLua(v *reply.Value) lua.Value {
	switch v.Kind {
	case reply.KindInt:
		return lua.Num(float64(v.Int))
	case reply.KindBulk:
		return r.text(v.Text)
	case reply.KindStatus:
		return r.field(okField, r.text(v.Text))
	case reply.KindError, reply.KindBlobError:
		return r.errorTable(string(v.Text))
	case reply.KindNull:
		if r.resp3 {
			return lua.Value{}
		}
		return lua.Bool(false)
	case reply.KindBool:
		return lua.Bool(v.Int != 0)
	case reply.KindDouble:
		f, _ := lua.ParseNumber(string(v.Text))
		return r.field(doubleField, lua.Num(f))
	case reply.KindBigNumber:
		return r.field(bigField, r.text(v.Text))
	case reply.KindVerbatim:
		return r.verbatim(v.Text)
	case reply.KindMap:
		t := r.vm.NewTable(0, 0)
		for i := 0; i < len(v.Elems); i += 2 {
			r.put(t, r.toLua(&v.Elems[i]), r.toLua(&v.Elems[i+1]))
		}
		return r.field(mapField, t.Value())
	case reply.KindSet:
		t := r.vm.NewTable(0, 0)
		for i := range v.Elems {
			r.put(t, r.toLua(&v.Elems[i]), lua.Bool(true))
		}
		return r.field(setField, t.Value())
	}
	t := r.vm.NewTable(len(v.Elems), 0)
	for i := range v.Elems {
		t.SetInt(i+1, r.toLua(&v.Elems[i]))
	}
	return t.Value()
}

// put stores an element of a map or set; a null cannot be a key.
func (r *runner) put(t *lua.Table, key, val lua.Value) {
	if !key.IsNil() {
		t.Set(key, val)
	}
}

func (r *runner) text(b []byte) lua.Value { return r.vm.NewString(string(b)) }

// field returns a table with one field.
func (r *runner) field(key, val lua.Value) lua.Value {
	t := r.vm.NewTable(0, 1)
	t.Set(key, val)
	return t.Value()
}

func (r *runner) verbatim(text []byte) lua.Value {
	format, body := text[:min(3, len(text))], text[min(4, len(text)):]
	t := r.vm.NewTable(0, 2)
	t.Set(stringField, r.text(body))
	t.Set(formatField, r.text(format))
	return r.field(verbatimField, t.Value())
}

// Redis' Lua stack ends where a reply is nested so deep. A level takes one slot, and more where a map or a
// set is traversed.
const (
	replyDepthMax = 7995
	levelArray    = 1
	levelValue    = 3
	levelKey      = 4
)

const (
	replyBytes  = 32 // charged for an element of a reply, beside its text
	resultBytes = 16 // what an element counts for towards lua-result-max, beside its text
)

// errResult is what a script ends with whose reply is larger than lua-result-max. What it has written stays, as with
// the other budgets.
var errResult = errors.New("script exceeded its result budget")

// takeResult counts n bytes towards lua-result-max.
func (r *runner) takeResult(n int) {
	if r.result -= n; r.result < 0 {
		panic(&lua.Error{Fatal: errResult})
	}
}

const errDepth reply.Error = "ERR reached lua stack limit"

// reply writes a value as the reply of the script.
func (r *runner) reply(v lua.Value, depth int) {
	out := r.call.Out
	r.vm.Charge(1)
	r.vm.ChargeBytes(replyBytes)
	r.takeResult(resultBytes)
	if depth >= replyDepthMax {
		out.Error(errDepth)
		return
	}
	switch v.Kind() {
	case lua.String:
		s, _ := v.Str()
		r.vm.ChargeText(2 * len(s)) // on followers, too, which write nothing
		r.takeResult(len(s))
		out.BulkString(s)
	case lua.Number:
		f, _ := v.Float()
		out.Int(truncate(f))
	case lua.Boolean:
		switch {
		case r.resp3:
			out.Bool(v.Truth())
		case v.Truth():
			out.Int(1)
		default:
			out.Null()
		}
	case lua.TableKind:
		r.replyTable(v.Table(), depth)
	default:
		out.Null()
	}
}

// truncate converts to an integer as x86 does in C.
func truncate(f float64) int64 {
	if f >= -1<<63 && f < 1<<63 {
		return int64(f)
	}
	return math.MinInt64
}

// oneLine makes text fit for a reply that is a line.
var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

func (r *runner) replyTable(t *lua.Table, depth int) {
	out := r.call.Out
	if s, ok := t.Get(errField).Str(); ok {
		r.takeResult(len(s))
		out.Error(reply.Error(string(reply.CText([]byte(s)))))
		return
	}
	if s, ok := t.Get(okField).Str(); ok {
		r.takeResult(len(s))
		out.Status(oneLine.Replace(string(reply.CText([]byte(s)))))
		return
	}
	if f, ok := t.Get(doubleField).Float(); ok {
		out.Double(f)
		return
	}
	if m := t.Get(mapField).Table(); m != nil {
		r.replyPairs(m, depth, true)
		return
	}
	if m := t.Get(setField).Table(); m != nil {
		r.replyPairs(m, depth, false)
		return
	}
	if s, ok := t.Get(bigField).Str(); ok {
		r.takeResult(len(s))
		out.BigNumber(oneLine.Replace(s))
		return
	}
	if vt := t.Get(verbatimField).Table(); vt != nil {
		format, isFormat := vt.Get(formatField).Str()
		text, isText := vt.Get(stringField).Str()
		if isFormat && isText {
			r.takeResult(len(text))
			out.Verbatim((format + "   ")[:3], text)
			return
		}
	}
	n := 0
	for !t.GetInt(n + 1).IsNil() {
		n++
	}
	r.vm.Charge(n)
	out.Array(n)
	for i := 1; i <= n; i++ {
		r.reply(t.GetInt(i), depth+levelArray)
	}
}

// replyPairs writes a table as a map, or its keys as a set.
func (r *runner) replyPairs(t *lua.Table, depth int, values bool) {
	n := 0
	for k, _, _ := t.Next(lua.Value{}); !k.IsNil(); k, _, _ = t.Next(k) {
		n++
	}
	r.vm.Charge(n)
	keyLevel := levelKey
	if values {
		r.call.Out.Map(n)
	} else {
		r.call.Out.Set(n)
		keyLevel = levelValue
	}
	for k, v, _ := t.Next(lua.Value{}); !k.IsNil(); k, v, _ = t.Next(k) {
		r.reply(k, depth+keyLevel)
		if values {
			r.reply(v, depth+levelValue)
		}
	}
}
