package lua

import (
	"fmt"
	"math"
)

// jsonConfig is what the option functions of cjson set. It lasts for one run.
type jsonConfig struct {
	sparseConvert        bool
	sparseRatio          int
	sparseSafe           int
	encodeDepth          int
	decodeDepth          int
	precision            int
	encodeInvalidNumbers string // off, on or null
	decodeInvalidNumbers bool
	keepBuffer           bool
}

var defaultJSON = jsonConfig{
	sparseRatio: 2, sparseSafe: 10, encodeDepth: 1000, decodeDepth: 1000, precision: 14,
	encodeInvalidNumbers: "off", decodeInvalidNumbers: true, keepBuffer: true,
}

func openJSON(vm *VM) {
	vm.json = defaultJSON
	vm.globals.SetText("cjson", Value{o: jsonModule(vm, &vm.json)})
}

// jsonModule returns a table of the cjson functions with a configuration of their own.
func jsonModule(vm *VM, cfg *jsonConfig) *Table {
	t := vm.NewTable(0, 0)
	vm.Register(t, []string{
		"encode", "decode", "encode_sparse_array", "encode_max_depth", "decode_max_depth", "encode_number_precision",
		"encode_keep_buffer", "encode_invalid_numbers", "decode_invalid_numbers", "new",
	}, map[string]Native{
		"encode":                  func(vm *VM, args []Value) []Value { return jsonEncode(vm, cfg, args) },
		"decode":                  func(vm *VM, args []Value) []Value { return jsonDecode(vm, cfg, args) },
		"encode_sparse_array":     func(vm *VM, args []Value) []Value { return cfg.setSparse(vm, args) },
		"encode_max_depth":        intOption(&cfg.encodeDepth, 1, math.MaxInt32),
		"decode_max_depth":        intOption(&cfg.decodeDepth, 1, math.MaxInt32),
		"encode_number_precision": intOption(&cfg.precision, 1, 14),
		"encode_keep_buffer":      switchOption(&cfg.keepBuffer),
		"decode_invalid_numbers":  switchOption(&cfg.decodeInvalidNumbers),
		"encode_invalid_numbers":  func(vm *VM, args []Value) []Value { return cfg.setEncodeInvalid(vm, args) },
		"new": func(vm *VM, _ []Value) []Value {
			own := defaultJSON
			vm.Charge(200)
			return vm.Ret(Value{o: jsonModule(vm, &own)})
		},
	})
	t.SetText("null", Null)
	t.SetText("_NAME", Text("cjson"))
	t.SetText("_VERSION", Text("2.1.0"))
	return t
}

func tooMany(vm *VM, args []Value, most int) {
	if len(args) > most {
		vm.ArgError(most+1, "found too many arguments")
	}
}

// setInt sets an option from an argument, if it is there.
func setInt(vm *VM, args []Value, n int, option *int, low, high int) {
	if n > len(args) || args[n-1].o == nil {
		return
	}
	v := vm.CheckInt(args, n)
	if v < low || v > high {
		vm.ArgError(n, fmt.Sprintf("expected integer between %d and %d", low, high))
	}
	*option = v
}

func setSwitch(vm *VM, args []Value, n int, option *bool) {
	if n > len(args) || args[n-1].o == nil {
		return
	}
	if args[n-1].IsBool() {
		*option = args[n-1].Truth()
		return
	}
	*option = jsonEnum(vm, args, n, "off", "on") == "on"
}

func jsonEnum(vm *VM, args []Value, n int, options ...string) string {
	s := vm.CheckString(args, n)
	for _, o := range options {
		if s == o {
			return s
		}
	}
	vm.ArgError(n, "invalid option '"+s+"'")
	return ""
}

func intOption(option *int, low, high int) Native {
	return func(vm *VM, args []Value) []Value {
		tooMany(vm, args, 1)
		setInt(vm, args, 1, option, low, high)
		return vm.Ret(Num(float64(*option)))
	}
}

func switchOption(option *bool) Native {
	return func(vm *VM, args []Value) []Value {
		tooMany(vm, args, 1)
		setSwitch(vm, args, 1, option)
		return vm.Ret(Bool(*option))
	}
}

func (cfg *jsonConfig) setSparse(vm *VM, args []Value) []Value {
	tooMany(vm, args, 3)
	setSwitch(vm, args, 1, &cfg.sparseConvert)
	setInt(vm, args, 2, &cfg.sparseRatio, 0, math.MaxInt32)
	setInt(vm, args, 3, &cfg.sparseSafe, 0, math.MaxInt32)
	vm.ret = append(vm.ret[:0], Bool(cfg.sparseConvert), Num(float64(cfg.sparseRatio)), Num(float64(cfg.sparseSafe)))
	return vm.ret
}

func (cfg *jsonConfig) setEncodeInvalid(vm *VM, args []Value) []Value {
	tooMany(vm, args, 1)
	if len(args) > 0 && args[0].o != nil {
		switch {
		case args[0].IsBool() && args[0].Truth():
			cfg.encodeInvalidNumbers = "on"
		case args[0].IsBool():
			cfg.encodeInvalidNumbers = "off"
		default:
			cfg.encodeInvalidNumbers = jsonEnum(vm, args, 1, "off", "on", "null")
		}
	}
	if cfg.encodeInvalidNumbers == "null" {
		return vm.Ret(Text("null"))
	}
	return vm.Ret(Bool(cfg.encodeInvalidNumbers == "on"))
}

// jsonWriter encodes values.
type jsonWriter struct {
	vm  *VM
	cfg *jsonConfig
	out []byte
}

func jsonEncode(vm *VM, cfg *jsonConfig, args []Value) []Value {
	if len(args) != 1 {
		vm.ArgError(1, "expected 1 argument")
	}
	w := &jsonWriter{vm: vm, cfg: cfg}
	w.value(args[0], 0)
	vm.ChargeText(len(w.out))
	return vm.Ret(Text(string(w.out)))
}

func (w *jsonWriter) refuse(v Value, why string) {
	w.vm.Fail("Cannot serialise %s: %s", v.Kind(), why)
}

func (w *jsonWriter) value(v Value, depth int) {
	w.vm.Charge(1)
	w.vm.dear(dearJSON)
	switch o := v.o.(type) {
	case nil:
		w.raw("null")
	case *Str:
		w.text(o.s)
	case *numberTag:
		w.number(v)
	case *boolTag:
		if v.n != 0 {
			w.raw("true")
		} else {
			w.raw("false")
		}
	case *Table:
		w.table(o, depth+1)
	case *Token:
		if v != Null {
			w.refuse(v, "type not supported")
		}
		w.raw("null")
	default:
		w.refuse(v, "type not supported")
	}
}

func (w *jsonWriter) raw(s string) { w.out = w.vm.appendText(w.out, s) }

func (w *jsonWriter) number(v Value) {
	if v.n != v.n || math.IsInf(v.n, 0) {
		switch w.cfg.encodeInvalidNumbers {
		case "off":
			w.refuse(v, "must not be NaN or Inf")
		case "null":
			w.raw("null")
			return
		}
	}
	if v.n != v.n {
		w.raw("nan")
		return
	}
	var buf [32]byte
	w.raw(string(appendG(buf[:0], v.n, w.cfg.precision, false)))
}

func (w *jsonWriter) table(t *Table, depth int) {
	if depth > w.cfg.encodeDepth || depth > jsonStackDepth {
		w.vm.Fail("Cannot serialise, excessive nesting (%d)", depth)
	}
	if n := w.arrayLen(t); n > 0 {
		w.raw("[")
		for i := 1; i <= n; i++ {
			if i > 1 {
				w.raw(",")
			}
			w.value(t.GetInt(i), depth)
		}
		w.raw("]")
		return
	}
	w.raw("{")
	separator := ""
	for k, v, _ := t.Next(Value{}); k.o != nil; k, v, _ = t.Next(k) {
		w.raw(separator)
		separator = ","
		switch o := k.o.(type) {
		case *numberTag:
			w.raw(`"`)
			w.number(k)
			w.raw(`":`)
		case *Str:
			w.text(o.s)
			w.raw(":")
		default:
			w.refuse(k, "table key must be a number or string")
		}
		w.value(v, depth)
	}
	w.raw("}")
}

// jsonStackDepth is where the stack of the reference ends, whatever depth a script allows.
const jsonStackDepth = 2600

// arrayLen returns the length of a table that is to be an array, else zero or less.
func (w *jsonWriter) arrayLen(t *Table) int {
	highest, items := 0.0, 0 // highest is an int there: what does not fit becomes the smallest
	for k, _, _ := t.Next(Value{}); k.o != nil; k, _, _ = t.Next(k) {
		f, ok := k.Float()
		if !ok || f < 1 || f != math.Floor(f) {
			return -1
		}
		if f > math.MaxInt32 {
			highest = math.MinInt32
		} else {
			highest = max(highest, f)
		}
		items++
	}
	w.vm.Charge(items)
	ratio := float64(w.cfg.sparseRatio)
	if ratio > 0 && highest > float64(items)*ratio && highest > float64(w.cfg.sparseSafe) {
		if !w.cfg.sparseConvert {
			w.refuse(Value{o: t}, "excessively sparse array")
		}
		return -1
	}
	return truncate(highest)
}

const hexDigits = "0123456789abcdef"

func (w *jsonWriter) text(s string) {
	w.raw(`"`)
	from := 0
	for i := range len(s) {
		escaped := ""
		switch c := s[i]; c {
		case '"':
			escaped = `\"`
		case '\\':
			escaped = `\\`
		case '/':
			escaped = `\/`
		case '\b':
			escaped = `\b`
		case '\t':
			escaped = `\t`
		case '\n':
			escaped = `\n`
		case '\f':
			escaped = `\f`
		case '\r':
			escaped = `\r`
		default:
			if c >= 32 && c != 127 {
				continue
			}
			escaped = `\u00` + hexDigits[c>>4:c>>4+1] + hexDigits[c&15:c&15+1]
		}
		w.raw(s[from:i])
		w.raw(escaped)
		from = i + 1
	}
	w.raw(s[from:])
	w.raw(`"`)
}
