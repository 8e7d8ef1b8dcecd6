package session

import "github.com/quorate/quorate/engine/reply"

// Error texts of redis-server 7.0 that only sessions give.
const (
	errNoPassword      reply.Error = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
	errHelloNoAuth     reply.Error = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
	errUsersPending    reply.Error = "LOADING the users of this node's configuration are not in force yet"
	errProtoNoInteger  reply.Error = "ERR Protocol version is not an integer or out of range"
	errClientName      reply.Error = "ERR Client names cannot contain spaces, newlines or special characters."
	errNoSuchClient    reply.Error = "ERR No such client"
	errNoMulti         reply.Error = "ERR Command not allowed inside a transaction"
	errNoClusterBlock  reply.Error = "ERR this command waits for the cluster and can't be used inside a transaction"
	errNoListenersInTx reply.Error = "ERR CONFIG SET moves no listeners inside a transaction"
	errStillInDoubt    reply.Error = "TRYAGAIN a write of this connection is in doubt; the command was not executed"
	errNoReplicas      reply.Error = "NOREPLICAS Not enough good replicas to write."
	errTxTooLarge      reply.Error = "ERR the transaction exceeds client-query-buffer-limit"

	errProtocolType reply.Error = "ERR Wrong protocol type name. Please use one of the following: " +
		"string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
)
