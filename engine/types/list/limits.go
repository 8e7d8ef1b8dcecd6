package list

// Limits returns the limits that the list was made with, which it keeps.
func (l *Chunked) Limits() Limits { return l.limits }
