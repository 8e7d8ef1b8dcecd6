package entry

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// NodeID names a node for life: whoever loses its disk comes back under
// another. As text it is 40 hexadecimal digits, and so it is raft's ServerID.
type NodeID [20]byte

// String returns the 40 digits.
func (id NodeID) String() string { return hex.EncodeToString(id[:]) }

// ParseNodeID reads what String wrote.
func ParseNodeID(s string) (NodeID, error) {
	var id NodeID
	if b, err := hex.DecodeString(s); err != nil || copy(id[:], b) != len(id) || len(b) != len(id) {
		return NodeID{}, fmt.Errorf("node id %q is not 40 hexadecimal digits", s)
	}
	return id, nil
}

// BatchHead says whose batch it is and which.
type BatchHead struct {
	Node        NodeID
	Incarnation uint64 // the life of the node's sequencer, from 1
	Seq         uint64 // 1, 2, 3 ... within the incarnation
	// Inherit, in the first batch of an incarnation: the waiting commands of
	// the one before pass over to it.
	Inherit bool
}

const flagInherit = 1

// AppendBatchHead appends the encoded head; the batch's items follow it.
func AppendBatchHead(dst []byte, h BatchHead) []byte {
	dst = append(dst, h.Node[:]...)
	dst = binary.AppendUvarint(dst, h.Incarnation)
	dst = binary.AppendUvarint(dst, h.Seq)
	var flags byte
	if h.Inherit {
		flags |= flagInherit
	}
	return append(dst, flags)
}

// ItemKind tells what an item of a batch is.
type ItemKind uint8

const (
	// ItemCommand is one command.
	ItemCommand ItemKind = 1 + iota
	// ItemTx is a transaction.
	ItemTx
	// ItemSettings changes cluster-wide settings: names and values alternate.
	ItemSettings
	// ItemFragment is a piece of an item that is too large for one entry. The
	// batch after it goes on with it.
	ItemFragment
	// ItemLastFragment is its last piece: the pieces together are an item.
	ItemLastFragment
	// ItemWaiting is one command that may wait.
	ItemWaiting
	// ItemDrop ends the wait of a command whose client has gone.
	ItemDrop
	// ItemUnblock ends the wait of a command at another client's wish.
	ItemUnblock
	// ItemAs is the name of a user, for whom the item that it holds is executed. It is
	// not logged below semantic version 5.
	ItemAs ItemKind = 16
	// ItemOwned is the name of a user and the number of his birth, whose command that may
	// wait it holds. It is not logged below semantic version 5.
	ItemOwned ItemKind = 17
)

// AppendCommand appends an ItemCommand.
func AppendCommand(dst []byte, db int, args [][]byte) []byte {
	return appendCommand(append(dst, byte(ItemCommand)), db, args)
}

// AppendAs begins an ItemAs: the item follows, of a command or a transaction.
func AppendAs(dst []byte, user string) []byte {
	return appendBytes(append(dst, byte(ItemAs)), []byte(user))
}

// AppendOwned begins an ItemOwned: the ItemWaiting follows.
func AppendOwned(dst []byte, user string, born uint64) []byte {
	return binary.AppendUvarint(appendBytes(append(dst, byte(ItemOwned)), []byte(user)), born)
}

// AppendWaiting appends an ItemWaiting.
func AppendWaiting(dst []byte, db int, args [][]byte) []byte {
	return appendCommand(append(dst, byte(ItemWaiting)), db, args)
}

// AppendDrop appends an ItemDrop of the waiter of that number.
func AppendDrop(dst []byte, waiter uint64) []byte {
	return binary.AppendUvarint(append(dst, byte(ItemDrop)), waiter)
}

// AppendUnblock appends an ItemUnblock: the waiter of that number is answered with an
// error, or as if its time were up.
func AppendUnblock(dst []byte, waiter uint64, failed bool) []byte {
	dst = binary.AppendUvarint(append(dst, byte(ItemUnblock)), waiter)
	if failed {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// AppendSettings appends an ItemSettings.
func AppendSettings(dst []byte, pairs [][]byte) []byte {
	return appendCommand(append(dst, byte(ItemSettings)), 0, pairs)
}

// AppendTxHead begins an ItemTx: watches and commands watched follow, as many
// as are announced.
func AppendTxHead(dst []byte, watches, commands int) []byte {
	dst = append(dst, byte(ItemTx))
	dst = binary.AppendUvarint(dst, uint64(watches))
	return binary.AppendUvarint(dst, uint64(commands))
}

// AppendTxWatch appends a watched key to a transaction.
func AppendTxWatch(dst []byte, db int, key []byte, version uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(db))
	dst = appendBytes(dst, key)
	return binary.AppendUvarint(dst, version)
}

// AppendTxCommand appends a command to a transaction.
func AppendTxCommand(dst []byte, db int, args [][]byte) []byte { return appendCommand(dst, db, args) }

// AppendFragment appends a piece of an item.
func AppendFragment(dst, piece []byte, last bool) []byte {
	kind := ItemFragment
	if last {
		kind = ItemLastFragment
	}
	return appendBytes(append(dst, byte(kind)), piece)
}

func appendCommand(dst []byte, db int, args [][]byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(db))
	dst = binary.AppendUvarint(dst, uint64(len(args)))
	for _, arg := range args {
		dst = appendBytes(dst, arg)
	}
	return dst
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// Batch is a decoded batch. Its items alias the bytes decoded.
type Batch struct {
	BatchHead
	items decoder
}

// DecodeBatch reads the payload of a PartBatch.
func DecodeBatch(payload []byte) (Batch, error) {
	d := decoderOf(payload)
	var b Batch
	copy(b.Node[:], d.Take(len(b.Node)))
	b.Incarnation = d.Uvarint()
	b.Seq = d.Uvarint()
	b.Inherit = d.Byte()&flagInherit != 0
	if d.Failed || b.Incarnation == 0 || b.Seq == 0 {
		return Batch{}, fmt.Errorf("%w: head of a batch", ErrCorrupt)
	}
	b.items = d
	return b, nil
}

// Command is a decoded command.
type Command struct {
	DB   int
	Args [][]byte
}

// Watch is a decoded watched key.
type Watch struct {
	DB      int
	Key     []byte
	Version uint64
}

// Item is a decoded item. It is filled again and again by Next, which reuses
// its slices.
type Item struct {
	Kind     ItemKind
	Commands []Command // one of ItemCommand, ItemWaiting and ItemSettings, all of ItemTx
	Watches  []Watch
	Piece    []byte // of the fragments
	// User is for whom a command or a transaction is executed; empty: for one who may do
	// all.
	User string
	// Born, of an ItemWaiting, is the number of that user's birth.
	Born   uint64
	Waiter uint64 // of ItemDrop and ItemUnblock
	Failed bool   // of ItemUnblock

	args [][]byte // backs Commands' Args
}

// Next decodes the next item into it; ok is false after the last.
func (b *Batch) Next(it *Item) (ok bool, err error) {
	if len(b.items.Rest) == 0 {
		return false, nil
	}
	return true, b.items.item(it)
}

// Ahead shows the first arguments of the commands to come, which are most
// often keys, without taking their items: those of plain commands until show
// returns false or anything else comes. It returns how many it showed.
func (b *Batch) Ahead(show func(db int, arg []byte) (more bool)) (n int) {
	d := b.items
	for more := true; more && len(d.Rest) > 0 && ItemKind(d.Byte()) == ItemCommand; n++ {
		db, args := int(d.Uvarint()), d.Count()
		if args < 2 {
			d.Skip(args)
			continue
		}
		d.Skip(1)
		arg := d.Bytes()
		d.Skip(args - 2)
		if d.Failed {
			return n
		}
		more = show(db, arg)
	}
	return n
}

// DecodeItem reads one item, as put together from fragments.
func DecodeItem(b []byte, it *Item) error {
	d := decoderOf(b)
	err := d.item(it)
	if err == nil && len(d.Rest) != 0 {
		err = fmt.Errorf("%w: %d bytes after an item", ErrCorrupt, len(d.Rest))
	}
	return err
}

func (d *decoder) item(it *Item) error {
	it.Commands, it.Watches, it.Piece, it.args = it.Commands[:0], it.Watches[:0], nil, it.args[:0]
	it.User, it.Born = "", 0
	it.Waiter, it.Failed = 0, false
	it.Kind = ItemKind(d.Byte())
	switch it.Kind {
	case ItemAs:
		it.User = string(d.Bytes())
		if it.Kind = ItemKind(d.Byte()); it.Kind != ItemCommand && it.Kind != ItemTx || it.User == "" {
			d.Fail()
		}
	case ItemOwned:
		it.User, it.Born = string(d.Bytes()), d.Uvarint()
		if it.Kind = ItemKind(d.Byte()); it.Kind != ItemWaiting || it.User == "" {
			d.Fail()
		}
	}
	switch it.Kind {
	case ItemCommand, ItemSettings, ItemWaiting:
		d.command(it)
	case ItemDrop:
		it.Waiter = d.Uvarint()
	case ItemUnblock:
		it.Waiter, it.Failed = d.Uvarint(), d.Byte() == 1
	case ItemTx:
		watches, commands := d.Uvarint(), d.Uvarint()
		for i := uint64(0); i < watches && !d.Failed; i++ {
			it.Watches = append(it.Watches, Watch{DB: int(d.Uvarint()), Key: d.Bytes(), Version: d.Uvarint()})
		}
		for i := uint64(0); i < commands && !d.Failed; i++ {
			d.command(it)
		}
	case ItemFragment, ItemLastFragment:
		it.Piece = d.Bytes()
	default:
		d.Fail()
	}
	if d.Failed {
		return fmt.Errorf("%w: item of kind %d", ErrCorrupt, it.Kind)
	}
	return nil
}

func (d *decoder) command(it *Item) {
	db := int(d.Uvarint())
	first := len(it.args)
	for n := d.Count(); n > 0 && !d.Failed; n-- {
		it.args = append(it.args, d.Bytes())
	}
	// Args of earlier commands stay valid when it.args moves: what they
	// point to is in the old memory, unchanged.
	it.Commands = append(it.Commands, Command{DB: db, Args: it.args[first:len(it.args):len(it.args)]})
}
