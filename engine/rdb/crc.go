package rdb

import "hash/crc64"

// jones is the polynomial of Redis' checksums, reflected as the standard
// library wants it. Redis neither begins nor ends with inverted bits, which the
// standard library does.
var jones = crc64.MakeTable(0x95ac9329ac4bc9b5)

// checksum goes on with the CRC64 of what came before p. For inputs above two
// kilobytes it builds its tables anew, so few large pieces are best.
func checksum(crc uint64, p []byte) uint64 {
	return ^crc64.Update(^crc, jones, p)
}
