package engine

// Watcher is told of every change of keys, for clients of this node that keep
// copies of what they have read. Its methods must not block.
type Watcher interface {
	// Changed tells that a key of some database is about to change on behalf of
	// by, which is nil for the clients of other nodes and for what the log does
	// of itself. It is called with the lock held for writing.
	Changed(by any, key string)
	// Flushed tells that all keys may have changed. It is called as Changed is.
	Flushed(by any)
	// Applied follows, without the lock, when what was told has been done.
	Applied()
}

// WatchWith makes w the one that is told of changes while Watch is on, and of
// new states in any case.
func (e *Engine) WatchWith(w Watcher) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watcher = w
}

// Watch tells whether changes are watched. It may be called at any time, also
// by the watcher; whoever reads the state after Watch(true) is told of every
// change from that state on.
func (e *Engine) Watch(on bool) { e.watch.On.Store(on) }

// watched tells the watcher that an Apply or Restore is over.
func (e *Engine) watched() {
	e.mu.RLock()
	w := e.watcher
	e.mu.RUnlock()
	if w != nil {
		w.Applied()
	}
}
