package reply

// Sample writes a value of the kind that DEBUG PROTOCOL calls name, for trying
// out what clients make of it. It returns false, and writes nothing, if there is
// no such kind.
func (w *Writer) Sample(name string) bool {
	switch name {
	case "string":
		w.BulkString("Hello World")
	case "integer":
		w.Int(12345)
	case "double":
		w.Double(3.141)
	case "null":
		w.Null()
	case "array":
		w.Array(3)
		for i := range int64(3) {
			w.Int(i)
		}
	case "set":
		w.Set(3)
		for i := range int64(3) {
			w.Int(i)
		}
	case "map":
		w.Map(3)
		for i := range int64(3) {
			w.Int(i)
			w.Bool(i == 1)
		}
	case "attrib":
		w.sampleAttribute()
	case "push":
		w.samplePush()
	case "bignum":
		w.BigNumber("1234567999999999999999999999999999999")
	case "true":
		w.Bool(true)
	case "false":
		w.Bool(false)
	case "verbatim":
		w.Verbatim("txt", "This is a verbatim\nstring")
	default:
		return false
	}
	return true
}

// sampleAttribute writes an attribute, of which RESP2 knows nothing, and the
// reply that it belongs to.
func (w *Writer) sampleAttribute() {
	if w.proto == RESP3 {
		w.header('|', 1)
		w.BulkString("key-popularity")
		w.Array(2)
		w.BulkString("key:123")
		w.Int(90)
	}
	w.BulkString("Some real reply following the attribute")
}

func (w *Writer) samplePush() {
	if w.proto == RESP2 {
		w.Error("ERR RESP2 is not supported by this command")
		return
	}
	w.Push(2)
	w.BulkString("server-cpu-usage")
	w.Int(42)
	w.BulkString("Some real reply following the push reply")
}
