package keyspace

// Index returns the database's number.
func (d *DB) Index() int { return 0 }

// Len returns the number of keys, due ones that are not deleted yet included.
func (d *DB) Len() int { return 0 }

// Expires returns the number of keys with an expiry time.
func (d *DB) Expires() int { return 0 }

// Get returns the key's entry; a key that is due at now is absent. It is a read.
func (d *DB) Get(key []byte, now int64) (Entry, bool) { return Entry{}, false }

// Put creates or overwrites a key. expireAt may be NoExpiry.
func (d *DB) Put(key []byte, v Value, expireAt int64) {}

// Replace gives an existing key another value and keeps its expiry time. It reports whether there was such a key;
// a due one counts, so writers call Evict first.
func (d *DB) Replace(key []byte, v Value) bool { return false }

// Splice writes data at byte off of an existing key's packed value, with zero bytes before it where the value is
// shorter, sets the encoding, and returns the new length. Appending costs what data costs, whatever the length.
func (d *DB) Splice(key []byte, off int, data []byte, enc Encoding) int { return 0 }

// Edit returns the entry for a change of its Object in place, which must follow at once: it saves the old content
// for an open snapshot and raises the version. A key that is due at now is absent.
func (d *DB) Edit(key []byte, now int64) (Entry, bool) { return Entry{}, false }

// Move gives the value and expiry time of key to newKey in database to, over what was there, and deletes key. It
// does not copy large values. It reports whether there was such a key; source and target must differ.
func (d *DB) Move(key []byte, to *DB, newKey []byte) bool { return false }

// Delete deletes a key and reports whether it was there, due or not.
func (d *DB) Delete(key []byte) bool { return false }

// Evict deletes the key if it is due at now and reports whether it did.
func (d *DB) Evict(key []byte, now int64) bool { return false }

// SetExpire sets a key's expiry time, or takes it away with NoExpiry, and reports whether there was such a key.
func (d *DB) SetExpire(key []byte, at int64) bool { return false }

// Scan calls visit for at least count keys (if so many are left) from the cursor on, in hash order, due ones
// included, and returns the cursor to go on with; 0 begins, and 0 returned is the end. Every key that is there from
// the first call to the last is visited, whatever happens between the calls and on whatever node they run. Cursors
// are below 2^53. visit must not change the keyspace.
func (d *DB) Scan(cursor uint64, count int, visit func(Entry)) uint64 { return 0 }

// Random returns the first key at or after point in hash order, around the end, that is not due at now. It gives
// up after a fixed number of due keys.
func (d *DB) Random(point uint64, now int64) (Entry, bool) { return Entry{}, false }

// Version returns the number that changes with every change of the key, also of an absent key (WATCH). It may
// change without one.
func (d *DB) Version(key []byte, now int64) uint64 { return 0 }

// Flush deletes all keys and returns how many there were.
func (d *DB) Flush() int { return 0 }

// Load adds a key that is not there yet with a known version: how snapshots are loaded.
func (d *DB) Load(key []byte, v Value, expireAt int64, version uint64) error { return nil }
