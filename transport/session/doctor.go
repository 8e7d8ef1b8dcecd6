package session

import (
	"fmt"
	"strings"

	"github.com/quorate/quorate/engine/call"
)

// vitals are what MEMORY DOCTOR looks at, in bytes.
type vitals struct {
	used      int64 // that counts against the limit
	limit     int64 // maxmemory; 0: none
	policy    string
	evictable bool // there is a key that the policy lets go

	resident, machine int64 // of the process, of all there is; 0: not known
	held, free        int64 // for keys, and of that free
}

// memoryDoctor implements MEMORY DOCTOR.
func memoryDoctor(s *Session, r *request) {
	e := s.srv.opts.Engine
	data := e.Stats()
	v := vitals{
		used: e.Used(), limit: e.MaxMemory(), policy: s.srv.setting("maxmemory-policy"), evictable: e.Evictable(),
		resident: residentBytes(), machine: systemMemory(), held: data.ArenaTotal, free: data.ArenaFree,
	}
	found := v.complaints()
	if len(found) == 0 {
		found = []string{"The memory of this node is in order."}
	}
	r.out.Verbatim("txt", strings.Join(found, "\n")+"\n")
}

// complaints returns what an operator should know, a sentence or two each.
func (v vitals) complaints() (found []string) {
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	share := fmt.Sprintf("%s of %s (maxmemory)", human(v.used), human(v.limit))
	stays := v.policy == call.NoEviction.String()
	switch {
	case v.limit == 0 && v.machine > 0 && v.resident > v.machine/4*3:
		say("There is no maxmemory, and this process takes %s of the %s that the machine has. Set a limit before the system ends the process.", human(v.resident), human(v.machine))
	case v.limit == 0:
	case v.used > v.limit && v.evictable:
		say("More is used than may be: %s. Keys go by the policy %s until that ends.", share, v.policy)
	case v.used > v.limit && stays:
		say("More is used than may be: %s. The policy noeviction lets no key go, so commands that bring data are refused: delete keys, raise the limit, or choose another policy.", share)
	case v.used > v.limit:
		say("More is used than may be: %s. The policy %s finds no key that may go, so commands that bring data are refused: delete keys, raise the limit, or choose another policy.", share, v.policy)
	case v.used > v.limit/10*9 && stays:
		say("Nine tenths of what may be used are: %s. The policy noeviction lets no key go: at the limit commands that bring data are refused.", share)
	case v.used > v.limit/10*9 && !v.evictable:
		say("Nine tenths of what may be used are: %s. The policy %s finds no key that may go: at the limit commands that bring data are refused.", share, v.policy)
	}
	if v.machine > 0 && v.limit > v.machine/3*2 {
		say("maxmemory is %s of the %s that the machine has. The process takes up to half as much again as its data: lower the limit.", human(v.limit), human(v.machine))
	}
	if v.free > v.held-v.free && v.free > 64<<20 {
		say("More than half of the memory held for keys is free: %s of %s. It is used again by new keys.", human(v.free), human(v.held))
	}
	return found
}
