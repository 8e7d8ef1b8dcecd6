package keyspace

// A Freezer is a large value of type T, a pointer, that knows nothing of keyspaces: its Freeze and MemBytes
// promise what those of [Object] do.
type Freezer[T any] interface {
	Freeze() T
	MemBytes() int
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
