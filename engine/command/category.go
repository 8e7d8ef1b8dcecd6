package command

// Category is a set of ACL categories.
type Category uint32

// The categories, in the order of ACL CAT.
const (
	CatKeyspace Category = 1 << iota
	CatRead
	CatWrite
	CatSet
	CatSortedSet
	CatList
	CatHash
	CatString
	CatBitmap
	CatHyperLogLog
	CatGeo
	CatStream
	CatPubSub
	CatAdmin
	CatFast
	CatSlow
	CatBlocking
	CatDangerous
	CatConnection
	CatTransaction
	CatScripting

	// AllCategories is every one of them.
	AllCategories Category = 1<<iota - 1

	// NoGroup says that the command's group implies no category.
	NoGroup Category = 1 << 31
)

var categoryNames = []string{
	"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo",
	"stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
}

// Names returns the names of the categories in c.
func (c Category) Names() []string {
	var names []string
	for i, name := range categoryNames {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// ParseCategory returns the category of that name.
func ParseCategory(name string) (Category, bool) {
	for i, known := range categoryNames {
		if name == known {
			return 1 << i, true
		}
	}
	return 0, false
}

var groupCategories = map[Group]Category{
	String: CatString, Bitmap: CatBitmap, List: CatList, Set: CatSet, SortedSet: CatSortedSet, Hash: CatHash,
	Stream: CatStream, HyperLogLog: CatHyperLogLog, Geo: CatGeo, Scripting: CatScripting,
	PubSubGroup: CatPubSub, Transactions: CatTransaction, Connection: CatConnection, Generic: CatKeyspace,
}

// AllCategories returns the command's categories: its own, and those that
// flags and group imply, by the rules of redis-server 7.0.
func (s *Spec) AllCategories() Category {
	c := s.Categories &^ NoGroup
	if s.Categories&NoGroup == 0 {
		c |= groupCategories[s.Group]
	}
	if s.Flags.Has(Write) {
		c |= CatWrite
	}
	if s.Flags.Has(ReadOnly) && s.Group != Scripting {
		c |= CatRead
	}
	if s.Flags.Has(Admin) {
		c |= CatAdmin | CatDangerous
	}
	if s.Flags.Has(PubSub) {
		c |= CatPubSub
	}
	if s.Flags.Has(Blocking) {
		c |= CatBlocking
	}
	if s.Flags.Has(Fast) {
		c |= CatFast
	} else {
		c |= CatSlow
	}
	return c
}
