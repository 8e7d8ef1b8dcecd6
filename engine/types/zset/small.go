package zset

import (
	"bytes"
	"math"
	"strconv"

	"github.com/quorate/quorate/engine/types/listpack"
)

// find returns the position of a small sorted set's member, or -1.
func (z *Zset) find(member []byte) int {
	return listpack.Find(z.packed, listpack.First(z.packed), member, 1)
}

// nextPair returns the position of the member after the one at pos, or -1.
func nextPair(lp []byte, pos int) int {
	return listpack.Next(lp, listpack.Next(lp, pos))
}

// prevPair returns the position of the member before the one at pos, or -1.
func prevPair(lp []byte, pos int) int {
	score := listpack.Prev(lp, pos)
	if score < 0 {
		return -1
	}
	return listpack.Prev(lp, score)
}

// scoreAt returns the score that stands at pos.
func scoreAt(lp []byte, pos int) float64 {
	text, n := listpack.Get(lp, pos)
	if text == nil {
		return float64(n)
	}
	score, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !math.IsInf(score, 0) {
		panic("zset: score of a small sorted set is " + strconv.Quote(string(text)))
	}
	return score
}

// appendScore appends the text that Redis stores for a score. Whole numbers are
// digits alone, and so become integers of the listpack; a negative zero loses
// its sign.
func appendScore(dst []byte, score float64) []byte {
	const exact = 1 << 52 // beyond it Redis prints what a listpack makes the same integers of
	switch {
	case math.IsInf(score, 1):
		return append(dst, "inf"...)
	case math.IsInf(score, -1):
		return append(dst, "-inf"...)
	case score == math.Trunc(score) && math.Abs(score) <= exact:
		return strconv.AppendInt(dst, int64(score), 10)
	}
	return strconv.AppendFloat(dst, score, 'g', 17, 64)
}

// insertPair adds a member that is not there yet at its place.
func insertPair(lp, member []byte, score float64) []byte {
	var scoreBuf [32]byte
	scoreText := appendScore(scoreBuf[:0], score)
	for at := listpack.First(lp); at >= 0; at = nextPair(lp, at) {
		other := scoreAt(lp, listpack.Next(lp, at))
		if other < score || other == score && compareAt(lp, at, member) < 0 {
			continue
		}
		lp = listpack.InsertBefore(lp, at, member)
		return listpack.InsertAfter(lp, at, scoreText)
	}
	lp = listpack.Append(lp, member)
	return listpack.Append(lp, scoreText)
}

// compareAt compares the member at pos with another one.
func compareAt(lp []byte, pos int, member []byte) int {
	var buf [20]byte
	return bytes.Compare(listpack.Text(lp, pos, buf[:]), member)
}
