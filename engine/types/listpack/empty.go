package listpack

// AppendEmpty appends an empty listpack to dst, which must be empty itself: how
// a listpack is built in a buffer that is there already.
func AppendEmpty(dst []byte) []byte {
	return append(dst, EmptySize, 0, 0, 0, 0, 0, endByte)
}
