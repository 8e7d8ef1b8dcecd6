package call

import "github.com/quorate/quorate/engine/acl"

// Settings are the configuration values that change results. They are cluster
// state: set through the log, part of every snapshot, equal on all nodes.
//
// The names in the comments are redis.conf's.
type Settings struct {
	HashMaxListpackEntries int // hash-max-listpack-entries
	HashMaxListpackValue   int // hash-max-listpack-value, bytes
	ListMaxListpackSize    int // list-max-listpack-size: entries, or -1..-5 for 4..64 KiB
	SetMaxIntsetEntries    int // set-max-intset-entries
	ZsetMaxListpackEntries int // zset-max-listpack-entries
	ZsetMaxListpackValue   int // zset-max-listpack-value, bytes
	StreamNodeMaxBytes     int // stream-node-max-bytes
	StreamNodeMaxEntries   int // stream-node-max-entries
	HLLSparseMaxBytes      int // hll-sparse-max-bytes
	ProtoMaxBulkLen        int // proto-max-bulk-len, bytes: the longest string
	NotifyKeyspaceEvents   Event
	LuaInstructionsMax     int // lua-instructions-max, a script's budget
	LuaBytesMax            int // lua-bytes-max, what a script may allocate in all
	LuaResultMax           int // lua-result-max, bytes: the largest reply of a script

	MaxMemory        int    // maxmemory, bytes; 0: no limit
	MaxMemoryPolicy  Policy // maxmemory-policy
	MaxMemorySamples int    // maxmemory-samples: keys that a victim is chosen among
	EvictionTenacity int    // maxmemory-eviction-tenacity: 0 to 100
	LFULogFactor     int    // lfu-log-factor
	LFUDecayMinutes  int    // lfu-decay-time

	// Users are who may do what. They never are nil.
	Users *acl.Users
	// ACLPubsubAll: users begin with all channels (acl-pubsub-default).
	ACLPubsubAll bool

	// ScriptsMayCallAll lets scripts call what is kept from them. It is
	// set by DEBUG SET-DISABLE-DENY-SCRIPTS.
	ScriptsMayCallAll bool
	// KeepsDue leaves what is due where it is, absent for readers, until it is in
	// the way of a write. It is set by DEBUG SET-ACTIVE-EXPIRE.
	KeepsDue bool
}

// DefaultSettings returns the defaults of redis-server 7.0, and our own where
// it has none.
func DefaultSettings() Settings {
	return Settings{
		HashMaxListpackEntries: 512,
		HashMaxListpackValue:   64,
		ListMaxListpackSize:    -2,
		SetMaxIntsetEntries:    512,
		ZsetMaxListpackEntries: 128,
		ZsetMaxListpackValue:   64,
		StreamNodeMaxBytes:     4096,
		StreamNodeMaxEntries:   100,
		HLLSparseMaxBytes:      3000,
		ProtoMaxBulkLen:        512 << 20,
		LuaInstructionsMax:     20_000_000,
		LuaBytesMax:            256 << 20,
		LuaResultMax:           128 << 20, // all that lua-bytes-max lets through
		MaxMemoryPolicy:        NoEviction,
		MaxMemorySamples:       5,
		EvictionTenacity:       10,
		LFULogFactor:           10,
		LFUDecayMinutes:        1,
		Users:                  acl.Initial(),
	}
}

// ACLDefaults returns what the settings say of new users.
func ACLDefaults(s *Settings) acl.Defaults { return acl.Defaults{AllChannels: s.ACLPubsubAll} }
