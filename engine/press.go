//go:build !mutant_press

package engine

// pressedBy reports whether memory is short, as the leader has logged, on this node, which
// uses so many bytes: it is so for all, whatever they measure.
func (e *Engine) pressedBy(int64) bool { return true }
