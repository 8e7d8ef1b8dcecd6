package rdb

// Version is the version of the files and payloads that this package writes:
// redis-server 7.0's.
const Version = 10

// versionMax is the newest version that is read: 7.4's.
const versionMax = 12

// versionExpiring is the version in which hashes came whose fields expire. A payload
// of one has it, so that an older server refuses it for what it is.
const versionExpiring = 12

// A file begins with the magic and its version in digits. From versionChecksum on
// it ends in a checksum.
const (
	magic           = "REDIS"
	versionDigits   = 4
	headerBytes     = len(magic) + versionDigits
	versionChecksum = 5
	checksumBytes   = 8
)

// Opcodes stand where a value's type may stand.
const (
	opSlotInfo      = 0xF4
	opFunction      = 0xF5
	opFunctionPreGA = 0xF6
	opModuleAux     = 0xF7
	opIdle          = 0xF8
	opFreq          = 0xF9
	opAux           = 0xFA
	opResizeDB      = 0xFB
	opExpireMs      = 0xFC
	opExpireSeconds = 0xFD
	opSelectDB      = 0xFE
	opEOF           = 0xFF
)

// Types of values, in the order in which Redis got them.
const (
	typeString           = 0
	typeList             = 1
	typeSet              = 2
	typeZset             = 3 // scores as text
	typeHash             = 4
	typeZset2            = 5 // scores as doubles
	typeModule           = 6
	typeModule2          = 7
	typeHashZipmap       = 9
	typeListZiplist      = 10
	typeSetIntset        = 11
	typeZsetZiplist      = 12
	typeHashZiplist      = 13
	typeQuicklist        = 14 // of ziplists
	typeStream           = 15
	typeHashListpack     = 16
	typeZsetListpack     = 17
	typeQuicklist2       = 18 // of listpacks and plain elements
	typeStream2          = 19 // with counters and the largest deleted ID
	typeSetListpack      = 20
	typeStream3          = 21 // with the time a consumer was active
	typeHashExpiringRC   = 22 // a hash whose fields expire, of a release candidate
	typeHashListpackExRC = 23
	typeHashExpiring     = 24
	typeHashListpackEx   = 25
)

// encodings tells how values of a type are written, where that is not in the value.
var encodings = map[byte]string{
	typeList:             "linkedlist",
	typeSet:              "hashtable",
	typeZset:             "skiplist, scores as text",
	typeHash:             "hashtable",
	typeZset2:            "skiplist",
	typeHashZipmap:       "zipmap",
	typeListZiplist:      "ziplist",
	typeSetIntset:        "intset",
	typeZsetZiplist:      "ziplist",
	typeHashZiplist:      "ziplist",
	typeQuicklist:        "quicklist of ziplists",
	typeStream:           "stream",
	typeHashListpack:     "listpack",
	typeZsetListpack:     "listpack",
	typeQuicklist2:       "quicklist",
	typeStream2:          "stream 2",
	typeSetListpack:      "listpack",
	typeStream3:          "stream 3",
	typeHashExpiringRC:   "hashtable, fields expire, of a release candidate",
	typeHashListpackExRC: "listpackex, of a release candidate",
	typeHashExpiring:     "hashtable, fields expire",
	typeHashListpackEx:   "listpackex",
}

// A length begins with two bits that tell its form. The fourth form is not a
// length: it tells how a string is encoded.
const (
	lengthForm6      = 0
	lengthForm14     = 1
	lengthFormString = 3
	length32         = 0x80
	length64         = 0x81
)

// How strings are encoded, and which.
const (
	stringForm  = lengthFormString << 6
	stringInt8  = 0
	stringInt16 = 1
	stringInt32 = 2
	stringLZF   = 3

	intTextMax  = 11 // longest text that may become an integer
	compressMin = 20 // longer strings are compressed
)

// The kinds of a quicklist's nodes.
const (
	quicklistPlain  = 1
	quicklistPacked = 2
)

// Scores of typeZset begin with the length of their text, or with one of these.
const (
	scoreNaN      = 253
	scoreInf      = 254
	scoreMinusInf = 255
)
