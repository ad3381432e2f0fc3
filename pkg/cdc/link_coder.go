package cdc

import (
	"cmp"
	"encoding/binary"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// linkCoder writes a link in four or five bytes. Its first byte has two flags and the
// low bits of the difference to the other end of the link before; what differs from
// the link before follows.
type linkCoder struct{ table *LinkTable }

const (
	otherFrom = 1 << iota // the difference of from follows; else it is the same
	otherFace             // the face follows; else it is the same
	moreBits  = 1 << 7    // the high bits of the difference of to follow
	lowBits   = 5
	lowShift  = 2
)

func (c linkCoder) compare(a, b *link) int {
	if a.from != b.from {
		return cmp.Compare(a.from, b.from)
	}
	if a.to != b.to {
		return cmp.Compare(a.to, b.to)
	}
	if a.face == b.face {
		return 0
	}
	x, y := &c.table.faces[a.face], &c.table.faces[b.face]
	return cmp.Or(strings.Compare(x.category, y.category), cmp.Compare(x.typeID, y.typeID))
}

func (c linkCoder) isLive(l *link) bool { return c.table.faces[l.face].reason == NoReason }

func (linkCoder) append(b []byte, prev, l *link) []byte {
	to := uint64(l.to - prev.to)
	var head byte
	if l.from != prev.from {
		head |= otherFrom
		to = to<<1 ^ uint64(int64(to)>>63) // it may be negative
	}
	if l.face != prev.face {
		head |= otherFace
	}
	head |= byte(to&(1<<lowBits-1)) << lowShift
	if high := to >> lowBits; high != 0 {
		b = binary.AppendUvarint(append(b, head|moreBits), high)
	} else {
		b = append(b, head)
	}
	if head&otherFrom != 0 {
		b = binary.AppendUvarint(b, uint64(l.from-prev.from))
	}
	if head&otherFace != 0 {
		b = binary.AppendUvarint(b, uint64(l.face))
	}
	return b
}

func (linkCoder) next(b []byte, l *link) []byte {
	head := b[0]
	b = b[1:]
	to := uint64(head>>lowShift) & (1<<lowBits - 1)
	if head&moreBits != 0 {
		high, n := binary.Uvarint(b)
		to, b = to|high<<lowBits, b[n:]
	}
	if head&otherFrom != 0 {
		to = to>>1 ^ -(to & 1)
		from, n := binary.Uvarint(b)
		l.from, b = l.from+hubspot.ID(from), b[n:]
	}
	if head&otherFace != 0 {
		face, n := binary.Uvarint(b)
		l.face, b = uint32(face), b[n:]
	}
	l.to += hubspot.ID(to)
	return b
}
