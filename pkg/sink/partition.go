package sink

import "encoding/binary"

// PartitionOf is where Kafka's default partitioner puts a text: murmur2 without
// its sign. It is written out here so that the partition depends on the object's
// id alone, whatever the format of the key, and so that a new version of the
// client library cannot move keys.
func PartitionOf(text []byte, partitions int32) int32 {
	return int32(murmur2(text)&0x7fffffff) % partitions
}

// murmur2 is the 32-bit hash that Kafka's Java client uses
// (org.apache.kafka.common.utils.Utils.murmur2), with its seed.
func murmur2(b []byte) uint32 {
	const (
		seed = 0x9747b28c
		m    = 0x5bd1e995
	)
	h := uint32(seed) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := binary.LittleEndian.Uint32(b) * m
		k ^= k >> 24
		h = h*m ^ k*m
	}
	if len(b) > 0 {
		var tail [4]byte
		copy(tail[:], b)
		h = (h ^ binary.LittleEndian.Uint32(tail[:])) * m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
