package commands

import (
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/semantic"
)

// errReplyLong ends a reply that would be longer than tooLong allows.
const errReplyLong = "ERR the reply would be longer than the longest string may be (proto-max-bulk-len); ask for less at once"

// tooLong reports whether what a command has written since mark is longer than the longest string may be, 64 MB at
// least, and puts an error in its place. It is for those that reply with the same value as often as it is named: any
// number of bytes could be asked for of one large value. Redis has no such bound but the memory of its process. Nothing
// must have been changed.
func tooLong(c *call.Call, mark int) bool {
	if c.Out.Len()-mark <= max(repeatsBytesMax, c.Settings.ProtoMaxBulkLen) || c.Semantic < semantic.Conversation {
		return false
	}
	c.Out.Truncate(mark)
	c.Fail(errReplyLong)
	return true
}
