package client

import (
	"strings"

	"github.com/quorate/quorate/engine/reply"
)

// Class is what an error reply says about its command.
type Class uint8

// The classes.
const (
	Definite   Class = iota // not applied
	InDoubt                 // nobody knows
	Redirect                // not applied; another node takes it
	Unexpected              // nothing that this harness sends may be answered so
)

// definite holds the codes that a client may be told while nodes die.
var definite = map[string]bool{
	"CLUSTERDOWN": true, "TRYAGAIN": true, "MISCONF": true, "LOADING": true, "EXECABORT": true, "READONLY": true, "OOM": true, "MASTERDOWN": true,
}

// Classify returns the class of an error reply, and the address of a redirection.
func Classify(text string) (class Class, addr string) {
	code, rest, _ := strings.Cut(text, " ")
	switch {
	case text == string(reply.ErrNotTrusted):
		return Unexpected, "" // definite, but the states of nodes have parted
	case code == "INDOUBT":
		return InDoubt, ""
	case code == "MOVED" || code == "REDIRECT":
		return Redirect, rest[strings.LastIndexByte(rest, ' ')+1:]
	case definite[code]:
		return Definite, ""
	}
	return Unexpected, ""
}
