//go:build race

package simulation

func init() { slowly = true }
