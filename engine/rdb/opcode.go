package rdb

// Version is the version of the files and payloads that this package writes:
// redis-server 7.0's.
const Version = 10

// versionMax is the newest version that is read: 7.4's, as long as a file uses
// nothing that only it knows.
const versionMax = 12

const magic = "REDIS"

// Opcodes stand where a value's type may stand.
const (
	opSlotInfo       = 0xF4
	opFunction       = 0xF5
	opFunctionPreGA  = 0xF6
	opModuleAux      = 0xF7
	opIdle           = 0xF8
	opFreq           = 0xF9
	opAux            = 0xFA
	opResizeDB       = 0xFB
	opExpireMs       = 0xFC
	opExpireSeconds  = 0xFD
	opSelectDB       = 0xFE
	opEOF            = 0xFF
	versionChecksum  = 5 // the first version that ends in a checksum
	versionDigits    = 4
	checksumBytes    = 8
	headerBytes      = len(magic) + versionDigits
	moduleOpEnd      = 0
	moduleOpInt      = 1
	moduleOpUint     = 2
	moduleOpFloat    = 3
	moduleOpDouble   = 4
	moduleOpString   = 5
	moduleFloatBytes = 4
)

// Types of values, in the order in which Redis got them.
const (
	typeString          = 0
	typeList            = 1
	typeSet             = 2
	typeZset            = 3 // scores as text
	typeHash            = 4
	typeZset2           = 5 // scores as doubles
	typeModule          = 6
	typeModule2         = 7
	typeHashZipmap      = 9
	typeListZiplist     = 10
	typeSetIntset       = 11
	typeZsetZiplist     = 12
	typeHashZiplist     = 13
	typeQuicklist       = 14 // of ziplists
	typeStream          = 15
	typeHashListpack    = 16
	typeZsetListpack    = 17
	typeQuicklist2      = 18 // of listpacks and plain elements
	typeStream2         = 19 // with counters and the largest deleted ID
	typeSetListpack     = 20
	typeStream3         = 21 // with the time a consumer was active
	typeHashExpiryFirst = 22 // to the last: hashes whose fields expire
	typeHashExpiryLast  = 25
)

// A length begins with two bits that tell its form. The fourth form is not a
// length: it tells how a string is encoded.
const (
	lengthForm6       = 0
	lengthForm14      = 1
	lengthForm32Or64  = 2
	lengthFormString  = 3
	length32          = 0x80
	length64          = 0x81
	stringInt8        = 0
	stringInt16       = 1
	stringInt32       = 2
	stringLZF         = 3
	stringForm        = lengthFormString << 6
	intTextMax        = 11 // longest text that may become an integer
	compressMin       = 20 // longer strings are compressed
	quicklistPlain    = 1
	quicklistPacked   = 2
	zsetScoreNaN      = 253
	zsetScoreInf      = 254
	zsetScoreMinusInf = 255
)
