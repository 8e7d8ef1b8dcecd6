package reply

import (
	"bytes"
	"fmt"
	"strings"
)

// Error is an error reply: a code in capitals, a space, and a sentence.
// Clients match on these texts, so each stands here once.
type Error string

// Error makes a reply usable as a Go error.
func (e Error) Error() string { return string(e) }

// Texts of redis-server 7.0.
const (
	ErrWrongType       Error = "WRONGTYPE Operation against a key holding the wrong kind of value"
	ErrSyntax          Error = "ERR syntax error"
	ErrNoSuchKey       Error = "ERR no such key"
	ErrNotInteger      Error = "ERR value is not an integer or out of range"
	ErrNotInt32        Error = "ERR value is out of range, value must between -2147483648 and 2147483647"
	ErrNotFloat        Error = "ERR value is not a valid float"
	ErrOutOfRange      Error = "ERR value is out of range"
	ErrIndexOutOfRange Error = "ERR index out of range"
	ErrOverflow        Error = "ERR increment or decrement would overflow"
	ErrNaN             Error = "ERR increment would produce NaN or Infinity"
	ErrStringTooLong   Error = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	ErrMinMaxNotFloat  Error = "ERR min or max is not a float"
	ErrMinMaxNotString Error = "ERR min or max not valid string range item"
	ErrBusyScript      Error = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
	ErrBusyFunction    Error = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
	ErrNotBusy         Error = "NOTBUSY No scripts in execution right now."
	ErrUnkillable      Error = "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
	ErrBusyKey         Error = "BUSYKEY Target key name already exists."
	ErrDBIndex         Error = "ERR DB index is out of range"
	ErrSameObject      Error = "ERR source and destination objects are the same"
	ErrNotPositive     Error = "ERR value is out of range, must be positive"
	ErrNegativeTimeout Error = "ERR timeout is negative"
	ErrSaving          Error = "ERR Background save already in progress"
	ErrInvalidCursor   Error = "ERR invalid cursor"
	ErrNoScript        Error = "NOSCRIPT No matching script. Please use EVAL."
	ErrNoAuth          Error = "NOAUTH Authentication required."
	ErrWrongPass       Error = "WRONGPASS invalid username-password pair or user is disabled."
	ErrNoProto         Error = "NOPROTO unsupported protocol version"
	ErrExecAbort       Error = "EXECABORT Transaction discarded because of previous errors."
	ErrNestedMulti     Error = "ERR MULTI calls can not be nested"
	ErrExecNoMulti     Error = "ERR EXEC without MULTI"
	ErrDiscardNoMulti  Error = "ERR DISCARD without MULTI"
	ErrWatchInMulti    Error = "ERR WATCH inside MULTI is not allowed"
	ErrMaxClients      Error = "ERR max number of clients reached"
	ErrScriptUnknown   Error = "ERR Unknown Redis command called from script"
	ErrScriptArity     Error = "ERR Wrong number of args calling Redis command from script"
	ErrOOM             Error = "OOM command not allowed when used memory > 'maxmemory'."
	ErrUserGone        Error = "NOPERM the user of this connection has been deleted"
	ErrUnblocked       Error = "UNBLOCKED client unblocked via CLIENT UNBLOCK"
	ErrMisconf         Error = "MISCONF the disk of this node is nearly full: writes are refused until space is freed or another node leads"
)

// ErrExecOOM refuses a transaction of which a command is refused with ErrOOM.
const ErrExecOOM = "EXECABORT Transaction discarded because of: " + ErrOOM

// Texts of redis-server 7.0 about sorted sets and about commands on several keys.
const (
	ErrNXAndXX        Error = "ERR XX and NX options at the same time are not compatible"
	ErrGTLTAndNX      Error = "ERR GT, LT, and/or NX options at the same time are not compatible"
	ErrIncrOnePair    Error = "ERR INCR option supports a single increment-element pair"
	ErrScoreNaN       Error = "ERR resulting score is not a number (NaN)"
	ErrLimitNeedsBy   Error = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
	ErrScoresByLex    Error = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"
	ErrWeightNotFloat Error = "ERR weight value is not a float"
	ErrLimitNegative  Error = "ERR LIMIT can't be negative"
	ErrNumKeys        Error = "ERR numkeys should be greater than 0"
	ErrCountPositive  Error = "ERR count should be greater than 0"
	ErrCountRange     Error = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
)

// NoInputKeys tells that a command that counts its keys was given none; name
// is lower case.
func NoInputKeys(name string) Error {
	return Error("ERR at least 1 input key is needed for '" + name + "' command")
}

// Errors that only a replicated store gives.
const (
	// ErrNoLeader is definite: the command was not submitted.
	ErrNoLeader Error = "CLUSTERDOWN no leader is known: a majority of the nodes is needed; the command was not executed"
	// ErrBusyQueue is definite: the queue of commands that wait for a leader is full.
	ErrBusyQueue Error = "TRYAGAIN too many commands are waiting for the cluster; the command was not executed"
	// ErrReadNotConfirmed is definite: no reading node could prove that it is fresh.
	ErrReadNotConfirmed Error = "CLUSTERDOWN the read could not be confirmed with a majority; the command was not executed"
	// ErrReadInDoubt answers a read that was queued behind a write in doubt.
	ErrReadInDoubt Error = "TRYAGAIN the read waited behind a write in doubt; it was not executed"
	// ErrTooMuchUnread is definite.
	ErrTooMuchUnread Error = "TRYAGAIN too many replies wait for the client to read them; the command was not executed"
	// ErrNotTrusted is definite: this node's state may be wrong.
	ErrNotTrusted Error = "CLUSTERDOWN the state of this node differs from that of others: it takes no commands until it is known to be right, or rebuilt; the command was not executed"
	// ErrTooManyWait is definite.
	ErrTooManyWait Error = "TRYAGAIN too many commands of the cluster's clients wait already; the command was not executed"
	// ErrRetired tells a client that waited that its node was out of contact for too
	// long. It is definite.
	ErrRetired Error = "UNBLOCKED this node was out of contact with the others for too long, so its clients wait no longer; nothing was taken"
	// ErrTooLarge is definite.
	ErrTooLarge Error = "ERR the command exceeds the largest log entry of 512 MB; it was not executed"
	// ErrReadOnlyContext refuses a write where only reads are possible.
	ErrReadOnlyContext Error = "ERR Write commands are not allowed from read-only scripts."
	// ErrScriptChanged is definite: what did not write when the command was sent does now.
	ErrScriptChanged Error = "TRYAGAIN the script or function was replaced while the command waited; it was not executed"
	// ErrInternal answers a command whose execution panicked.
	// ErrUserName refuses the name of a user.
	ErrUserName Error = "ERR Usernames can't contain spaces or null characters"

	ErrInternal Error = "ERR internal error"
)

// SortDenied refuses an option of SORT that reads keys which the arguments do not name.
func SortDenied(option string) Error {
	return Error("ERR " + option + " option of SORT denied due to insufficient ACL permissions.")
}

// TooNew tells that something came with a semantic version that is not in force
// yet. It is definite.
func TooNew(what string, came, inForce uint16) Error {
	return Error(fmt.Sprintf("ERR %s needs semantic version %d, and the cluster is at %d until all its members know it; nothing was executed", what, came, inForce))
}

// InDoubt tells that a write was sent and its outcome can't be known.
func InDoubt(why string) Error {
	return Error("INDOUBT " + why + "; the write may or may not have been applied")
}

// Moved redirects a cluster client to the node at addr (host:port).
func Moved(slot int, addr string) Error {
	return Error(fmt.Sprintf("MOVED %d %s", slot, addr))
}

// Redirect redirects a client that announced CLIENT CAPA redirect.
func Redirect(addr string) Error { return Error("REDIRECT " + addr) }

// WrongArgs tells that a command got too few or too many arguments; name is
// lower case, with subcommands as "config|get".
func WrongArgs(name string) Error {
	return Error("ERR wrong number of arguments for '" + name + "' command")
}

// UnknownCommand tells that there is no such command, quoting at most 128
// bytes of its name and of its arguments as redis-server does.
func UnknownCommand(args [][]byte) Error {
	quoted := make([]byte, 0, 160)
	for _, arg := range args[1:] {
		if len(quoted) >= 128 {
			break
		}
		quoted = append(quoted, '\'')
		quoted = append(quoted, clip(arg, 128-len(quoted)+1)...)
		quoted = append(quoted, "' "...)
	}
	return Error(fmt.Sprintf("ERR unknown command '%s', with args beginning with: %s", clip(args[0], 128), quoted))
}

// UnknownSubcommand tells that a container command has no such subcommand.
func UnknownSubcommand(container string, sub []byte) Error {
	return Error(fmt.Sprintf("ERR unknown subcommand '%s'. Try %s HELP.", clip(sub, 128), strings.ToUpper(container)))
}

// SubcommandSyntax tells that a subcommand does not exist, or got arguments that it does
// not take. Sub is as the client sent it.
func SubcommandSyntax(container string, sub []byte) Error {
	return Error(fmt.Sprintf("ERR unknown subcommand or wrong number of arguments for '%s'. Try %s HELP.", clip(sub, 128), container))
}

// UnsupportedOption tells that a command does not know an option.
func UnsupportedOption(option []byte) Error {
	return Error("ERR Unsupported option " + string(CText(option)))
}

// clip returns what C prints of b with a precision of n.
func clip(b []byte, n int) []byte { return CText(b[:min(len(b), max(n, 0))]) }

// CText returns b up to its first zero byte: how Redis' error texts quote it.
func CText(b []byte) []byte {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		return b[:end]
	}
	return b
}
