package keyspace

import "github.com/quorate/quorate/engine/types/chain"

// A Freezer is a large value of type T, a pointer, that knows nothing of keyspaces: its methods promise what
// those of [Object] do.
type Freezer[T any] interface {
	Freeze() T
	MemBytes() int
	Join(c *chain.Chain)
	Mix(c *chain.Chain)
}

// Boxed is a Freezer as an [Object]. It takes no memory of its own.
type Boxed[T Freezer[T]] struct{ Of T }

// Box returns v as an Object.
func Box[T Freezer[T]](v T) Object { return Boxed[T]{v} }

// Unbox returns the value in an Object that [Box] made of a T.
func Unbox[T Freezer[T]](o Object) T { return o.(Boxed[T]).Of }

// Freeze boxes the value's frozen copy.
func (b Boxed[T]) Freeze() Object { return Boxed[T]{b.Of.Freeze()} }

// MemBytes returns the value's memory in bytes.
func (b Boxed[T]) MemBytes() int { return b.Of.MemBytes() }

// Join tells the value its keyspace's chain.
func (b Boxed[T]) Join(c *chain.Chain) { b.Of.Join(c) }

// Mix mixes the value into c.
func (b Boxed[T]) Mix(c *chain.Chain) { b.Of.Mix(c) }
