package workload

import "github.com/quorate/quorate/scripts/differential/compare"

// Row is a command, or one use of it.
type Row struct {
	Grammar string
	Rule    compare.Rule // nil: the same bytes
	// Packed, if not 0, is the size of the groups of a reply that has an order as
	// long as the first key is encoded compactly.
	Packed int
	// Probe names what is asked, of the first key, before the command; the rule
	// sees the answer.
	Probe []string
	// Alone keeps a command out of transactions and scripts: its outcome hangs on
	// chance and must be settled, or scripts don't have it.
	Alone bool
	// Intact says that it is never damaged, for what it could leave behind.
	Intact bool
	// Settle brings both sides to the same state after chance had its way.
	Settle Settle
	// Weight is how often it comes; 0 means 10.
	Weight int
}

// Settle is a way to bring the cluster to redis-server's state.
type Settle int

// What a step can ask for once it is answered.
const (
	Nothing       Settle = iota
	PopTheSame           // if they popped different members, the set is loaded again and copied
	CopyTheKey           // the key is copied from redis-server
	TouchTheKey          // redis-server deletes a key whose time is over when it is asked for it
	PackTheKey           // redis-server loads its sorted set again, which SORT has unpacked, and the cluster copies it
	LoadTheScript        // the cluster loads the script, which EVAL_RO leaves no trace of
	DropTheKey           // if both sides took the value it must be the same; then the key is deleted
	NearScores           // scores may differ in their last digits; then the key is copied from redis-server
	WalkTheScan          // the command is repeated with its cursor, on each side, to the end
)

var (
	unordered = compare.Unordered(1)
	pairs     = compare.Unordered(2)
	seconds   = compare.Within(5)
	millis    = compare.Within(5000)
	members   = []string{"SMEMBERS"}
	fields    = []string{"HGETALL"}
	scores    = []string{"ZRANGE", "0", "-1", "WITHSCORES"}
)

// rows are all commands that are drawn. Those that a server does not have are
// left out.
var rows = concat(stringRows, bitmaps, generic, lists, hashes, sets, zsets, streams, sketches, scripts, functions)

func concat(groups ...[]Row) []Row {
	var all []Row
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

var stringRows = []Row{
	{Grammar: "SET string value [NX | XX] [GET] [EX ttl | PX pttl | EXAT future | PXAT faraway | KEEPTTL]", Weight: 30},
	{Grammar: "SET string value [NX | XX] [GET] (EXAT at | PXAT pat)", Alone: true, Settle: TouchTheKey, Weight: 2},
	{Grammar: "SET numeric integer"},
	{Grammar: "GET string", Weight: 20},
	{Grammar: "GETSET string value"},
	{Grammar: "GETDEL string"},
	{Grammar: "GETEX string [EX ttl | PX pttl | EXAT at | PXAT pat | PERSIST]"},
	{Grammar: "SETNX string value"},
	{Grammar: "SETEX string ttl value"},
	{Grammar: "PSETEX string pttl value"},
	{Grammar: "MGET (string | any)..."},
	{Grammar: "MSET (string value)..."},
	{Grammar: "MSETNX (string value)...", Weight: 5},
	{Grammar: "APPEND string value"},
	{Grammar: "STRLEN string"},
	{Grammar: "GETRANGE string index index"},
	{Grammar: "SUBSTR string index index", Weight: 5},
	{Grammar: "SETRANGE string offset value"},
	{Grammar: "INCR numeric"},
	{Grammar: "DECR numeric"},
	{Grammar: "INCRBY numeric integer"},
	{Grammar: "DECRBY numeric integer"},
	{Grammar: "INCRBYFLOAT numeric float"},
	{Grammar: "LCS string string [LEN] [IDX] [MINMATCHLEN count] [WITHMATCHLEN]"},
}

var bitmaps = []Row{
	{Grammar: "SETBIT bitmap bit bitvalue", Weight: 20},
	{Grammar: "GETBIT bitmap bit"},
	{Grammar: "BITCOUNT bitmap [index index [BYTE | BIT]]"},
	{Grammar: "BITPOS bitmap bitvalue [index [index [BYTE | BIT]]]"},
	{Grammar: "BITOP (AND | OR | XOR) bitmap bitmap..."},
	{Grammar: "BITOP NOT bitmap bitmap", Weight: 5},
	{Grammar: "BITFIELD bitmap (GET bittype bitoffset | SET bittype bitoffset integer | INCRBY bittype bitoffset integer | OVERFLOW (WRAP | SAT | FAIL) INCRBY bittype bitoffset integer)...", Weight: 20},
	{Grammar: "BITFIELD_RO bitmap (GET bittype bitoffset)..."},
}

var generic = []Row{
	{Grammar: "DEL any..."},
	{Grammar: "UNLINK any...", Weight: 5},
	{Grammar: "EXISTS any..."},
	{Grammar: "TOUCH any...", Weight: 5},
	{Grammar: "TYPE any"},
	{Grammar: "RENAME any same"},
	{Grammar: "RENAMENX any same"},
	{Grammar: "COPY any same [DB db] [REPLACE]"},
	{Grammar: "MOVE any db"},
	{Grammar: "EXPIRE any ttl [NX | XX | GT | LT]"},
	{Grammar: "PEXPIRE any pttl [NX | XX | GT | LT]"},
	{Grammar: "EXPIREAT any at [NX | XX | GT | LT]"},
	{Grammar: "PEXPIREAT any pat [NX | XX | GT | LT]"},
	{Grammar: "TTL any", Rule: seconds},
	{Grammar: "PTTL any", Rule: millis},
	{Grammar: "EXPIRETIME any", Rule: seconds},
	{Grammar: "PEXPIRETIME any", Rule: millis},
	{Grammar: "PERSIST any"},
	{Grammar: "DUMP any", Rule: compare.Kind, Weight: 5},
	{Grammar: "RESTORE restored restorettl payload [REPLACE] [IDLETIME count | FREQ count]"},
	{Grammar: "RESTORE restored absttl payload ABSTTL [REPLACE]", Weight: 4},
	// Which damage is noticed is each server's own; redis-server reads beyond the end, say.
	{Grammar: "RESTORE restored restorettl resealed REPLACE", Rule: compare.Any, Alone: true, Intact: true, Settle: DropTheKey, Weight: 2},
	{Grammar: "RESTORE-ASKING restored restorettl payload [REPLACE]", Weight: 1},
	{Grammar: "OBJECT|ENCODING any", Weight: 20},
	{Grammar: "OBJECT|REFCOUNT any", Rule: compare.Kind, Weight: 2},
	// Small integers share an object in redis-server, and its time.
	{Grammar: "OBJECT|IDLETIME any", Rule: compare.Kind, Weight: 2},
	{Grammar: "OBJECT|FREQ any", Weight: 2},
	{Grammar: "OBJECT|HELP", Weight: 1},
	{Grammar: "MEMORY|USAGE any [SAMPLES count]", Rule: compare.Kind, Weight: 3},
	{Grammar: "KEYS pattern", Rule: unordered, Weight: 5},
	{Grammar: "SCAN '0' COUNT big [MATCH pattern] [TYPE ('string' | 'list' | 'hash' | 'set' | 'zset' | 'stream')]", Rule: unordered, Weight: 5},
	{Grammar: "SCAN '0' [COUNT small] [MATCH pattern] [TYPE ('string' | 'hash')]", Rule: compare.Any, Alone: true, Settle: WalkTheScan, Weight: 1},
	{Grammar: "RANDOMKEY", Rule: compare.Either, Alone: true, Weight: 3},
	// Keys that are due count until they are deleted, which each server does in its time.
	{Grammar: "DBSIZE", Rule: compare.Kind, Weight: 5},
	{Grammar: "SELECT db", Weight: 5},
	{Grammar: "SWAPDB db db", Weight: 1},
	{Grammar: "FLUSHDB [SYNC | ASYNC]", Weight: 1},
	{Grammar: "FLUSHALL [SYNC | ASYNC]", Weight: 1},
	{Grammar: "SORT listorset BY weightpattern [LIMIT index count] [GET getpattern] [GET getpattern] [ASC | DESC]", Weight: 8},
	{Grammar: "SORT listorset [LIMIT index count] [GET getpattern] [ASC | DESC] ALPHA [STORE list]", Rule: compare.CStrings, Weight: 8},
	{Grammar: "SORT list BY 'nosort' [LIMIT index count] [GET getpattern] [ASC | DESC]", Probe: []string{"TYPE"}, Rule: compare.InListOrder("set"), Alone: true, Weight: 5},
	{Grammar: "SORT numlist [LIMIT index count] [ASC | DESC] [STORE list]", Weight: 8},
	{Grammar: "SORT_RO numlist [LIMIT index count] [GET getpattern] [ASC | DESC]", Weight: 5},
	{Grammar: "SORT_RO listorset [LIMIT index count] [GET getpattern] [ASC | DESC] ALPHA", Rule: compare.CStrings, Weight: 5},
	// Elements with equal weights have no order, but in the set or list that they come from.
	{Grammar: "SORT_RO listorset BY weightpattern [ASC | DESC] ALPHA", Rule: unordered, Weight: 3},
	{Grammar: "SORT_RO listorset BY weightpattern [LIMIT index count] [GET getpattern] [ASC | DESC] ALPHA", Probe: []string{"TYPE"}, Rule: compare.InListOrder("set", "zset"), Alone: true, Weight: 5},
	{Grammar: "SORT zset BY weightpattern [LIMIT index count] [GET getpattern] [ASC | DESC]", Alone: true, Settle: PackTheKey, Weight: 1},
	{Grammar: "SORT zset BY 'nosort' [LIMIT index count] [GET getpattern] [ASC | DESC]", Probe: []string{"TYPE"}, Rule: compare.InListOrder("set"), Alone: true, Settle: PackTheKey, Weight: 1},
	{Grammar: "SORT zset ALPHA [LIMIT index count] [ASC | DESC] [STORE list]", Alone: true, Settle: PackTheKey, Weight: 1},
}

var lists = []Row{
	{Grammar: "LPUSH list value...", Weight: 20},
	{Grammar: "RPUSH list value...", Weight: 20},
	{Grammar: "RPUSH numlist integer...", Weight: 10},
	{Grammar: "LPUSHX list value..."},
	{Grammar: "RPUSHX list value..."},
	{Grammar: "LPOP list [count]"},
	{Grammar: "RPOP list [count]"},
	{Grammar: "LLEN list"},
	{Grammar: "LRANGE list index index", Weight: 20},
	{Grammar: "LINDEX list index"},
	{Grammar: "LSET list index value"},
	{Grammar: "LINSERT list (BEFORE | AFTER) value value"},
	{Grammar: "LREM list index value"},
	{Grammar: "LTRIM list index index"},
	{Grammar: "LPOS list value [RANK rank] [COUNT count] [MAXLEN count]"},
	{Grammar: "LMOVE list list (LEFT | RIGHT) (LEFT | RIGHT)"},
	{Grammar: "RPOPLPUSH list list"},
	{Grammar: "LMPOP #(list) (LEFT | RIGHT) [COUNT positive]"},
	{Grammar: "BLPOP list... timeout", Intact: true, Weight: 1},
	{Grammar: "BRPOP list... timeout", Intact: true, Weight: 1},
	{Grammar: "BLMOVE list list (LEFT | RIGHT) (LEFT | RIGHT) timeout", Intact: true, Weight: 1},
	{Grammar: "BRPOPLPUSH list list timeout", Intact: true, Weight: 1},
	{Grammar: "BLMPOP timeout #(list) (LEFT | RIGHT) [COUNT positive]", Intact: true, Weight: 1},
}

var hashes = []Row{
	{Grammar: "HSET hash (field value)...", Weight: 30},
	{Grammar: "HMSET hash (field value)..."},
	{Grammar: "HSETNX hash field value"},
	{Grammar: "HGET hash field"},
	{Grammar: "HMGET hash field..."},
	{Grammar: "HDEL hash field..."},
	{Grammar: "HEXISTS hash field"},
	{Grammar: "HLEN hash"},
	{Grammar: "HSTRLEN hash field"},
	{Grammar: "HGETALL hash", Packed: 2},
	{Grammar: "HKEYS hash", Packed: 1},
	{Grammar: "HVALS hash", Packed: 1},
	{Grammar: "HINCRBY hash field integer"},
	{Grammar: "HINCRBYFLOAT hash field float"},
	{Grammar: "HSCAN hash '0' COUNT big [MATCH pattern]", Packed: 2},
	{Grammar: "HSCAN hash '0' [COUNT small] [MATCH pattern]", Rule: compare.Any, Alone: true, Settle: WalkTheScan, Weight: 1},
	{Grammar: "HRANDFIELD hash", Rule: compare.Picked(1), Probe: fields, Alone: true, Weight: 3},
	{Grammar: "HRANDFIELD hash count", Rule: compare.Picked(1), Probe: fields, Alone: true, Weight: 3},
	{Grammar: "HRANDFIELD hash count WITHVALUES", Rule: compare.Picked(2), Probe: fields, Alone: true, Weight: 3},
	{Grammar: "HRANDFIELD hash big", Rule: unordered, Weight: 3},
	{Grammar: "HRANDFIELD hash big WITHVALUES", Rule: pairs, Weight: 3},
}

var sets = []Row{
	{Grammar: "SADD set member...", Weight: 30},
	{Grammar: "SADD intset integer...", Weight: 20},
	{Grammar: "SREM set member..."},
	{Grammar: "SISMEMBER set member"},
	{Grammar: "SMISMEMBER set member..."},
	{Grammar: "SCARD set"},
	{Grammar: "SMEMBERS (set | intset)", Packed: 1},
	{Grammar: "SMOVE set set member"},
	{Grammar: "SINTER set...", Rule: unordered},
	{Grammar: "SUNION set...", Rule: unordered},
	{Grammar: "SDIFF set...", Rule: unordered},
	{Grammar: "SINTERSTORE set set..."},
	{Grammar: "SUNIONSTORE set set..."},
	{Grammar: "SDIFFSTORE set set..."},
	{Grammar: "SINTERCARD #(set) [LIMIT count]"},
	{Grammar: "SSCAN set '0' COUNT big [MATCH pattern]", Packed: 1},
	{Grammar: "SSCAN set '0' [COUNT small] [MATCH pattern]", Rule: compare.Any, Alone: true, Settle: WalkTheScan, Weight: 1},
	{Grammar: "SPOP set", Rule: compare.Picked(1), Probe: members, Alone: true, Settle: PopTheSame, Weight: 1},
	{Grammar: "SPOP set count", Rule: compare.Picked(1), Probe: members, Alone: true, Settle: PopTheSame, Weight: 1},
	{Grammar: "SPOP set big", Rule: unordered, Weight: 3},
	{Grammar: "SRANDMEMBER set", Rule: compare.Picked(1), Probe: members, Alone: true, Weight: 3},
	{Grammar: "SRANDMEMBER set count", Rule: compare.Picked(1), Probe: members, Alone: true, Weight: 3},
	{Grammar: "SRANDMEMBER set big", Rule: unordered, Weight: 3},
}
