package acl

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
)

// hashLen is the length of a password's hash in hexadecimal digits.
const hashLen = 2 * sha256.Size

// Hash returns what is kept of a password.
func Hash(password []byte) string {
	sum := sha256.Sum256(password)
	return hex.EncodeToString(sum[:])
}

// isHash reports whether a text can be what Hash returns.
func isHash(text string) bool {
	return len(text) == hashLen && strings.Trim(text, "0123456789abcdef") == ""
}

// equal compares in a time that tells nothing of where they differ.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// Hashed returns rules with hashes in the place of passwords. Only that may go into
// the log.
func Hashed(rules []string) []string {
	hashed := make([]string, len(rules))
	for i, rule := range rules {
		switch {
		case strings.HasPrefix(rule, ">"):
			rule = "#" + Hash([]byte(rule[1:]))
		case strings.HasPrefix(rule, "<"):
			rule = "!" + Hash([]byte(rule[1:]))
		}
		hashed[i] = rule
	}
	return hashed
}
