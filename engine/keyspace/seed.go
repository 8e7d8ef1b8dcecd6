package keyspace

import "github.com/quorate/quorate/engine/types/seed"

// Seed returns the cluster's hash seed, under which large values order what
// they hold.
func (k *Keyspace) Seed() seed.Seed { return k.seed }
