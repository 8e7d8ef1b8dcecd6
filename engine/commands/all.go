// Package commands holds what each data command does: a row that describes
// it, and the function that carries it out.
package commands

import (
	"slices"

	"github.com/quorate/quorate/engine/call"
)

// All returns the rows of all data commands but the scripting ones. Each
// group's file opens with its rows.
func All() []call.Row {
	return slices.Concat(
		stringRows,
		bitmapRows,
		genericRows,
		sortRows,
		dumpRows,
		memoryRows,
		listRows,
		hashRows,
		hashExpireRows,
		setRows,
		zsetRows,
		geoRows,
		streamRows,
		streamGroupRows,
		hllRows,
		publishRows,
		aclRows,
		blockingRows,
	)
}
