package workload

import "github.com/quorate/quorate/scripts/differential/compare"

var streams = []Row{
	{Grammar: "XADD stream newid (field value)...", Weight: 40},
	{Grammar: "XADD stream [NOMKSTREAM] [MAXLEN count | MAXLEN '=' count | MAXLEN '~' count [LIMIT count] | MINID id | MINID '~' id [LIMIT count]] newid (field value)...", Weight: 20},
	{Grammar: "XADD clockstream '*' (field value)...", Rule: compare.StreamID, Alone: true, Settle: CopyTheKey, Weight: 1},
	{Grammar: "XLEN stream"},
	{Grammar: "XRANGE stream rangeid rangeid [COUNT count]", Weight: 20},
	{Grammar: "XREVRANGE stream rangeid rangeid [COUNT count]"},
	{Grammar: "XDEL stream id..."},
	{Grammar: "XTRIM stream (MAXLEN | MAXLEN '=') count", Weight: 5},
	{Grammar: "XTRIM stream (MINID | MINID '=') id", Weight: 5},
	{Grammar: "XTRIM stream (MAXLEN '~' count | MINID '~' id) [LIMIT count]", Weight: 5},
	{Grammar: "XREAD [COUNT count] STREAMS stream id"},
	{Grammar: "XREAD [COUNT count] STREAMS stream stream id id"},
	{Grammar: "XREAD [COUNT count] STREAMS stream '$'", Weight: 3},
	{Grammar: "XSETID stream newid [ENTRIESADDED count] [MAXDELETEDID id]", Weight: 4},
	{Grammar: "XGROUP|CREATE stream group (id | '$') [MKSTREAM] [ENTRIESREAD count]", Weight: 15},
	{Grammar: "XGROUP|SETID stream group (id | '$') [ENTRIESREAD count]", Weight: 5},
	{Grammar: "XGROUP|DESTROY stream group", Weight: 2},
	{Grammar: "XGROUP|CREATECONSUMER stream group consumer", Weight: 5},
	{Grammar: "XGROUP|DELCONSUMER stream group consumer", Weight: 4},
	{Grammar: "XGROUP|HELP", Weight: 1},
	{Grammar: "XREADGROUP GROUP group consumer [COUNT count] [NOACK] STREAMS stream '>'", Weight: 25},
	{Grammar: "XREADGROUP GROUP group consumer [COUNT count] [NOACK] STREAMS stream stream ('>' | id) ('>' | id)"},
	{Grammar: "XREADGROUP GROUP group consumer [COUNT count] STREAMS stream id"},
	{Grammar: "XACK stream group id..."},
	{Grammar: "XPENDING stream group"},
	{Grammar: "XPENDING stream group [IDLE minidle] rangeid rangeid count [consumer]", Rule: compare.StreamTimes},
	{Grammar: "XCLAIM stream group consumer minidle id... [IDLE count | TIME past] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id]"},
	{Grammar: "XAUTOCLAIM stream group consumer minidle id [COUNT positive] [JUSTID]"},
	{Grammar: "XINFO|STREAM stream", Rule: compare.StreamTimes},
	{Grammar: "XINFO|STREAM stream FULL [COUNT count]", Rule: compare.StreamTimes},
	{Grammar: "XINFO|GROUPS stream", Rule: compare.StreamTimes},
	{Grammar: "XINFO|CONSUMERS stream group", Rule: compare.StreamTimes},
	{Grammar: "XINFO|HELP", Weight: 1},
}

// scripts are those that answer alike whatever the data is; commands in scripts
// are drawn by wrap.
var scripts = []Row{
	{Grammar: "EVAL conversion '0' value", Weight: 10},
	{Grammar: "EVAL_RO conversion '0' value", Alone: true, Settle: LoadTheScript, Weight: 1},
	{Grammar: "SCRIPT|LOAD conversion", Weight: 3},
	{Grammar: "SCRIPT|EXISTS digest...", Weight: 2},
	{Grammar: "SCRIPT|FLUSH [SYNC | ASYNC]", Weight: 1},
	{Grammar: "SCRIPT|HELP", Weight: 1},
	{Grammar: "SCRIPT|KILL", Weight: 1},
	{Grammar: "EVALSHA digest '0' value", Weight: 5},
	{Grammar: "EVALSHA_RO digest '0' value", Weight: 2},
	{Grammar: "PUBLISH value value", Weight: 1},
	{Grammar: "SPUBLISH value value", Weight: 1},
	{Grammar: "ECHO value", Weight: 2},
	{Grammar: "PING [value]", Weight: 2},
	{Grammar: "TIME", Rule: compare.Clock, Alone: true, Weight: 1},
	{Grammar: "COMMAND|GETKEYS 'zunionstore' value '2' value value", Alone: true, Weight: 1},
}

// functions are libraries of one function each, whose order a list can hide, and calls of
// them. What a library keeps between calls is redis-server's alone: these keep nothing.
var functions = []Row{
	{Grammar: "FUNCTION|LOAD [REPLACE] library", Weight: 3},
	{Grammar: "FUNCTION|LOAD REPLACE library", Weight: 10},
	{Grammar: "FUNCTION|DELETE libraryname", Weight: 1},
	{Grammar: "FUNCTION|FLUSH [SYNC | ASYNC]", Weight: 1},
	{Grammar: "FUNCTION|LIST [LIBRARYNAME librarypattern] [WITHCODE]", Rule: unordered, Weight: 2},
	{Grammar: "FUNCTION|RESTORE dumped [APPEND | REPLACE | FLUSH]", Weight: 2},
	{Grammar: "FUNCTION|STATS", Weight: 2},
	{Grammar: "FUNCTION|KILL", Weight: 1},
	{Grammar: "FUNCTION|DUMP", Rule: compare.Kind, Weight: 1}, // in redis-server libraries have no order
	{Grammar: "FUNCTION|HELP", Rule: compare.Any, Weight: 1},  // the text is our own
	{Grammar: "FCALL function '0' value", Weight: 15},
	{Grammar: "FCALL function '1' string value", Weight: 5},
	{Grammar: "FCALL_RO function '0' value", Weight: 5},
}
