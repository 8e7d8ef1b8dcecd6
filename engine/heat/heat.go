// Package heat remembers when and how often keys were used, for the policies of
// maxmemory and for OBJECT IDLETIME and FREQ.
//
// It is no state: each node knows what it has seen itself, and nothing that the log
// makes of the data may depend on it. Its clock is set from outside.
//
// The naive way is a clock in every key's record, as Redis has it: reads would have to
// write to memory that snapshots and other readers look at, and every key would take
// more. Here is a table beside the keys, like a cache of a processor: a key's hash leads
// to a bucket of eight words, one line of memory, and twelve more bits of it tell whose a
// word is. What is used takes the place of what was not for the longest time. A key that
// is not in its bucket was not used for longer than those that are.
//
// While no policy asks for that there is a small table of times that keys share, for
// OBJECT IDLETIME alone: reads are not to become slower by it.
//
// A word is read and written atomically, by readers beside each other. That two of them
// at the same time may lose one use is of no account.
package heat

import (
	"math"
	"sync/atomic"
)

// A word of a bucket:
//
//	tag       12 bits  of the hash; never 0
//	frequency  8       logarithmic, as in Redis
//	minute    16       when the frequency was last changed
//	untold     1       this node has read the key since it told the leader so: see Tell
//	used      27       when the key was last used, in ticks
const (
	usedBits   = 27
	untoldBits = 1
	minuteBits = 16
	freqBits   = 8

	usedMask   = 1<<usedBits - 1
	minuteMask = 1<<minuteBits - 1
	freqMask   = 1<<freqBits - 1
	untoldBit  = 1 << usedBits

	minuteShift = usedBits + untoldBits
	freqShift   = minuteShift + minuteBits
	tagShift    = freqShift + freqBits
)

const (
	// TickMs is the resolution of times.
	TickMs = 100

	// sharedBits is the logarithm of how many times there are for keys to share.
	sharedBits = 14
	// ticksPerSecond: the shared times are in seconds.
	ticksPerSecond = 1000 / TickMs

	ways = 8
	// bucketsMin is the least number of buckets, where a policy asks for them.
	bucketsMin = 1 << 10
	// bucketsMax bounds them: 1 GiB.
	bucketsMax = 1 << 24

	// FreqInit is the frequency of a new key.
	FreqInit = 5
)

// Mode says what the policy asks for.
type Mode uint8

// The modes.
const (
	Plain Mode = iota // nothing: times are kept for OBJECT IDLETIME
	LRU
	LFU
)

// Rules are the settings that matter here.
type Rules struct {
	Mode         Mode
	LogFactor    int // lfu-log-factor
	DecayMinutes int // lfu-decay-time; 0: frequencies do not decay
}

// Map is the table. Its methods may be called by several goroutines at once, but for
// Follow, Fit, Clear and SetLogged.
type Map struct {
	words []atomic.Uint64 // a power of two of buckets; none in the mode Plain
	// shared holds when the keys of a part of all hashes were last used, in seconds; 0: not
	// since began. It is for the mode Plain.
	shared [1 << sharedBits]atomic.Uint32
	shift  uint // of a hash, to its bucket
	rules  Rules
	logged bool          // what is done now all nodes do
	told   int           // the word that Tell goes on with
	began  atomic.Uint64 // tick at which it was empty

	// rises holds how likely a frequency rises with one more use, of 1<<32.
	rises [freqMask + 1]uint64

	now    atomic.Uint64 // ticks
	second atomic.Uint32 // the same, in seconds
	dice   atomic.Uint64 // see chance
}

// New returns a Map in which nothing was ever used, at a time in Unix milliseconds.
func New(nowMs int64) *Map {
	m := new(Map)
	m.SetNow(nowMs)
	m.began.Store(m.now.Load())
	return m
}

func (m *Map) make(buckets int) {
	m.words = make([]atomic.Uint64, buckets*ways)
	m.shift = 64
	for n := buckets; n > 1; n >>= 1 {
		m.shift--
	}
}

// Bytes returns the memory that the table takes.
func (m *Map) Bytes() int64 { return int64(len(m.words))*8 + int64(len(m.shared))*4 }

// SetNow sets the clock, in Unix milliseconds. It never goes back.
func (m *Map) SetNow(ms int64) {
	next := uint64(max(ms, 0)) / TickMs
	for now := m.now.Load(); next > now; now = m.now.Load() {
		if !m.now.CompareAndSwap(now, next) {
			continue
		}
		if now == 0 { // nobody had said what time it is
			m.began.Store(next)
		}
		m.second.Store(uint32(next / ticksPerSecond))
	}
}

// Follow sets the rules.
func (m *Map) Follow(r Rules) {
	m.rules = r
	for freq := range m.rises {
		m.rises[freq] = uint64((1 << 32) / (float64(max(freq-FreqInit, 0))*float64(r.LogFactor) + 1))
	}
	m.rises[freqMask] = 0
}

// Rules returns the rules.
func (m *Map) Rules() Rules { return m.rules }

// Fit makes the table large enough for so many keys, where the policy asks for that. It
// keeps what is known, and gives the table up where the policy does not ask for it.
func (m *Map) Fit(keys int) {
	if m.rules.Mode == Plain {
		m.words = nil
		return
	}
	buckets, want := len(m.words)/ways, bucketsMin
	for want < bucketsMax && want*ways < keys {
		want *= 2
	}
	old := m.words
	switch {
	case buckets == 0:
		m.began.Store(m.now.Load())
		m.make(want)
	case want > buckets:
		m.make(want)
		for i := range m.words { // a bucket's words are of all that it becomes
			b := i / ways * buckets / want
			m.words[i].Store(old[b*ways+i%ways].Load())
		}
	case want*4 < buckets:
		m.make(want)
		for i := range old {
			m.insert(i/ways*want/buckets*ways, old[i].Load())
		}
	}
}

// insert puts a word into the bucket at first, if it is newer than the oldest there.
func (m *Map) insert(first int, word uint64) {
	oldest := first
	for i := first; i < first+ways; i++ {
		if m.age(m.words[i].Load()) > m.age(m.words[oldest].Load()) {
			oldest = i
		}
	}
	if word != 0 && m.age(word) < m.age(m.words[oldest].Load()) {
		m.words[oldest].Store(word)
	}
}

// Clear forgets all. A large table is given up: Fit makes another one.
func (m *Map) Clear() {
	m.began.Store(m.now.Load())
	if m.words != nil {
		m.make(bucketsMin)
	}
	for i := range m.shared {
		m.shared[i].Store(0)
	}
}

// touchPlain is Touch while no policy asks for more.
func (m *Map) touchPlain(h uint64) {
	last, now := &m.shared[h>>(64-sharedBits)], m.second.Load()
	if last.Load() != now {
		last.Store(now)
	}
}

// place returns the first word of the hash's bucket, and its tag.
func (m *Map) place(h uint64) (first int, tag uint64) {
	if m.shift < 64 {
		first = int(h>>m.shift) * ways
	}
	return first, h&0xfff | 1
}

// find returns the place of the hash's word, or -1.
func (m *Map) find(first int, tag uint64) int {
	bucket := m.words[first : first+ways : first+ways]
	for i := range bucket {
		if bucket[i].Load()>>tagShift == tag {
			return first + i
		}
	}
	return -1
}

// Touch notes that the key with hash h was used.
func (m *Map) Touch(h uint64) {
	if m.rules.Mode == Plain {
		m.touchPlain(h)
		return
	}
	first, tag := m.place(h)
	i := m.find(first, tag)
	if i < 0 {
		i = m.add(first, tag, FreqInit)
		if !m.logged {
			m.words[i].Or(untoldBit)
		}
		return
	}
	w := m.words[i].Load()
	now := m.now.Load()
	next := w&^usedMask | now&usedMask
	if !m.logged {
		next |= untoldBit
	}
	if m.rules.Mode == LFU {
		next = m.counted(next, now)
	}
	if next != w {
		m.words[i].Store(next)
	}
}

// Overwritten notes that the key with hash h has another value. How often it is used was
// counted when it was looked up.
func (m *Map) Overwritten(h uint64) {
	if m.rules.Mode != LFU {
		m.Touch(h)
	}
}

// Created notes that the key with hash h is new.
func (m *Map) Created(h uint64) {
	if m.rules.Mode == Plain {
		m.touchPlain(h)
		return
	}
	first, tag := m.place(h)
	if i := m.find(first, tag); i >= 0 {
		m.words[i].Store(m.word(tag, FreqInit, m.now.Load(), m.now.Load()))
		return
	}
	m.add(first, tag, FreqInit)
}

// Forget notes that the key with hash h is gone.
func (m *Map) Forget(h uint64) {
	if m.rules.Mode == Plain {
		return // others may have the same place
	}
	first, tag := m.place(h)
	if i := m.find(first, tag); i >= 0 {
		m.words[i].Store(0)
	}
}

// Moved notes that the key with hash from is the one with hash to now.
func (m *Map) Moved(from, to uint64) {
	if m.rules.Mode == Plain {
		return // it was created
	}
	first, tag := m.place(from)
	i := m.find(first, tag)
	if i < 0 {
		return
	}
	w := m.words[i].Swap(0)
	first, tag = m.place(to)
	if i = m.find(first, tag); i < 0 {
		i = m.leastOf(first)
	}
	m.words[i].Store(w&(1<<tagShift-1) | tag<<tagShift)
}

// SetIdle has the key with hash h have been used so many seconds ago.
func (m *Map) SetIdle(h uint64, seconds int64) {
	const secondsMax = usedMask * TickMs / 1000
	now := m.now.Load()
	m.set(h, FreqInit, now-min(uint64(min(seconds, secondsMax))*1000/TickMs, now))
}

// SetFreq gives the key with hash h a frequency.
func (m *Map) SetFreq(h uint64, freq uint8) { m.set(h, freq, m.now.Load()) }

func (m *Map) set(h uint64, freq uint8, used uint64) {
	if m.rules.Mode == Plain {
		m.shared[h>>(64-sharedBits)].Store(uint32(used / ticksPerSecond))
		return
	}
	first, tag := m.place(h)
	i := m.find(first, tag)
	if i < 0 {
		i = m.add(first, tag, freq)
	}
	m.words[i].Store(m.word(tag, freq, m.now.Load(), used))
}

// word packs a word. changed and used are ticks.
func (m *Map) word(tag uint64, freq uint8, changed, used uint64) uint64 {
	return tag<<tagShift | uint64(freq)<<freqShift | minuteOf(changed)<<minuteShift | used&usedMask
}

func minuteOf(tick uint64) uint64 { return tick / (60_000 / TickMs) & minuteMask }

// add puts a word for a key into its bucket, in the place of the one that matters least,
// and returns where it is.
func (m *Map) add(first int, tag uint64, freq uint8) int {
	least := m.leastOf(first)
	now := m.now.Load()
	m.words[least].Store(m.word(tag, freq, now, now))
	return least
}

// leastOf returns which word of the bucket at first matters least, an empty one before all
// others.
func (m *Map) leastOf(first int) int {
	least, worst := first, uint64(0)
	for i := first; i < first+ways; i++ {
		w := m.words[i].Load()
		if w == 0 {
			return i
		}
		if s := m.score(w); s >= worst {
			least, worst = i, s
		}
	}
	return least
}

// age returns for how many ticks a word was not used: the most for an empty one.
func (m *Map) age(w uint64) uint64 {
	if w == 0 {
		return math.MaxUint64
	}
	return (m.now.Load() - w) & usedMask
}

// Score tells how little a key matters by the policy: the more, the sooner it may go.
func (m *Map) Score(h uint64) uint64 {
	if m.rules.Mode == Plain {
		return uint64(m.IdleMs(h))
	}
	first, tag := m.place(h)
	if i := m.find(first, tag); i >= 0 {
		return m.score(m.words[i].Load())
	}
	if m.rules.Mode != LFU {
		return m.now.Load() - m.began.Load() + usedMask
	}
	if m.full(first) { // others were used more often
		return uint64(freqMask+1) << usedBits
	}
	return m.score(m.word(tag, FreqInit, m.began.Load(), m.began.Load()))
}

func (m *Map) score(w uint64) uint64 {
	if m.rules.Mode == LFU {
		return uint64(freqMask-m.freq(w))<<usedBits | m.age(w)
	}
	return m.age(w)
}

func (m *Map) full(first int) bool {
	for i := first; i < first+ways; i++ {
		if m.words[i].Load() == 0 {
			return false
		}
	}
	return true
}

// IdleMs returns for how long the key with hash h was not used, in milliseconds, as far as
// this node knows.
func (m *Map) IdleMs(h uint64) int64 {
	if m.rules.Mode == Plain {
		if last := m.shared[h>>(64-sharedBits)].Load(); last != 0 {
			return int64(m.second.Load()-last) * 1000
		}
		return int64(m.now.Load()-m.began.Load()) * TickMs
	}
	first, tag := m.place(h)
	if i := m.find(first, tag); i >= 0 {
		return int64(m.age(m.words[i].Load())) * TickMs
	}
	return int64(m.now.Load()-m.began.Load()) * TickMs
}

// Freq returns how often the key with hash h was used, 0 to 255, logarithmic and less the
// longer ago that was.
func (m *Map) Freq(h uint64) uint8 {
	if m.rules.Mode == Plain {
		return FreqInit
	}
	first, tag := m.place(h)
	if i := m.find(first, tag); i >= 0 {
		return uint8(m.freq(m.words[i].Load()))
	}
	if m.full(first) {
		return 0
	}
	return uint8(m.freq(m.word(tag, FreqInit, m.began.Load(), m.began.Load())))
}

// freq returns the frequency in a word as of now: it is one less for each period of decay.
func (m *Map) freq(w uint64) uint64 {
	freq := w >> freqShift & freqMask
	if m.rules.DecayMinutes == 0 {
		return freq
	}
	passed := (minuteOf(m.now.Load()) - w>>minuteShift) & minuteMask
	return freq - min(freq, passed/uint64(m.rules.DecayMinutes))
}

// counted returns a word with one more use in its frequency: the higher that is, the less
// likely it rises.
func (m *Map) counted(w, now uint64) uint64 {
	freq := m.freq(w)
	if m.chance() < m.rises[freq] {
		freq++
	}
	return w&^(freqMask<<freqShift|minuteMask<<minuteShift) | freq<<freqShift | minuteOf(now)<<minuteShift
}

// chance returns a number below 1<<32. What it is good for needs no better chance: this
// package may not ask the machine for it.
func (m *Map) chance() uint64 {
	x := m.dice.Add(0x9e3779b97f4a7c15)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x >> 32
}

// Of returns the hash under which a key of a database is remembered; h is of its name.
func Of(db int, h uint64) uint64 { return h + uint64(db)*0x9e3779b97f4a7c15 }
