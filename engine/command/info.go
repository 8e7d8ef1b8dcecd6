package command

// Out takes a description, part by part; a reply.Writer is one.
type Out interface {
	Array(n int)
	Map(n int)
	Set(n int)
	Int(n int64)
	Status(s string)
	BulkString(s string)
}

// WriteInfo writes what COMMAND INFO says of a command: s, and the
// subcommands of a container.
func WriteInfo(out Out, s *Spec, subcommands []*Spec) {
	first, last, step := s.KeyRange()
	out.Array(10)
	out.BulkString(s.Name)
	out.Int(int64(s.Arity))
	writeStatuses(out, s.infoFlags().Names(), "")
	out.Int(int64(first))
	out.Int(int64(last))
	out.Int(int64(step))
	writeStatuses(out, s.AllCategories().Names(), "@")
	out.Set(len(s.Tips))
	for _, tip := range s.Tips {
		out.BulkString(tip)
	}
	out.Set(len(s.Keys))
	for i := range s.Keys {
		s.Keys[i].write(out)
	}
	out.Set(len(subcommands))
	for _, sub := range subcommands {
		WriteInfo(out, sub, nil)
	}
}

func writeStatuses(out Out, names []string, prefix string) {
	out.Set(len(names))
	for _, name := range names {
		out.Status(prefix + name)
	}
}

// unshown are flags that COMMAND INFO of redis-server 7.0 does not tell.
const unshown = MayReplicate | Protected | Looks

// infoFlags returns the flags with MovableKeys, which follows from the key
// specifications.
func (s *Spec) infoFlags() Flags {
	flags := s.Flags &^ unshown
	for i := range s.Keys {
		if !s.Keys[i].fixed() {
			flags |= MovableKeys
		}
	}
	return flags
}

// fixed reports whether the keys stand at places known beforehand.
func (k *KeySpec) fixed() bool { return k.Index != 0 && k.Keyword == "" && !k.NumKeys }

// KeyRange returns the first and the last key's position and the distance
// between keys, as clients before Redis 7 know it: zeros when there are no
// keys at fixed places. A negative last counts from the end.
func (s *Spec) KeyRange() (first, last, step int) {
	for i := range s.Keys {
		k := &s.Keys[i]
		switch {
		case !k.fixed():
			continue
		case first == 0:
			first, last, step = k.Index, k.lastIndex(), k.Step
		case step == 1 && last == k.Index-1:
			last = k.lastIndex()
		default:
			return first, last, step
		}
	}
	return first, last, step
}

// lastIndex returns the last key's position, negative from the end.
func (k *KeySpec) lastIndex() int {
	if k.Last < 0 {
		return k.Last
	}
	return k.Index + k.Last
}

func (k *KeySpec) write(out Out) {
	if k.Notes == "" {
		out.Map(3)
	} else {
		out.Map(4)
		out.BulkString("notes")
		out.BulkString(k.Notes)
	}
	out.BulkString("flags")
	writeStatuses(out, k.Flags.Names(), "")
	out.BulkString("begin_search")
	writeFacts(out, k.beginFacts())
	out.BulkString("find_keys")
	writeFacts(out, k.findFacts())
}

// facts is one half of a key specification: its kind, and numbers by name.
type facts struct {
	kind    string
	names   []string
	numbers []int
	keyword string
}

func (k *KeySpec) beginFacts() facts {
	switch {
	case k.Index == 0:
		return facts{kind: "unknown"}
	case k.Keyword != "":
		return facts{kind: "keyword", keyword: k.Keyword, names: []string{"startfrom"}, numbers: []int{k.Index}}
	}
	return facts{kind: "index", names: []string{"index"}, numbers: []int{k.Index}}
}

func (k *KeySpec) findFacts() facts {
	switch {
	case k.Index == 0:
		return facts{kind: "unknown"}
	case k.NumKeys:
		return facts{kind: "keynum", names: []string{"keynumidx", "firstkey", "keystep"}, numbers: []int{0, k.FirstKey, k.Step}}
	}
	return facts{kind: "range", names: []string{"lastkey", "keystep", "limit"}, numbers: []int{k.Last, k.Step, k.Limit}}
}

func writeFacts(out Out, f facts) {
	out.Map(2)
	out.BulkString("type")
	out.BulkString(f.kind)
	out.BulkString("spec")
	if f.keyword == "" {
		out.Map(len(f.names))
	} else {
		out.Map(len(f.names) + 1)
		out.BulkString("keyword")
		out.BulkString(f.keyword)
	}
	for i, name := range f.names {
		out.BulkString(name)
		out.Int(int64(f.numbers[i]))
	}
}
