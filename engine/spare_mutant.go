//go:build mutant_spare

package engine

import "github.com/quorate/quorate/engine/keyspace"

// spares is wrong: a node keeps what its own clients have just used.
func (e *Engine) spares(db *keyspace.DB, key []byte) bool {
	return e.env.Heat.IdleMs(db.Heat(key)) < 1000
}
