package cdc

import (
	"cmp"
	"iter"
	"math"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Pair is two object types, by their names in topics, whose links are
// published in one direction.
type Pair struct{ From, To string }

// String is the pair's object in cursors, metrics and source.table.
func (p Pair) String() string { return p.From + ":" + p.To }

// LinkKey is what makes a link: several types can link the same two records at
// once.
type LinkKey struct {
	From, To hubspot.ID
	Category string
	TypeID   int
}

// LinkRow is what the state topic remembers of a link: its last event.
type LinkRow struct {
	Live   bool
	Reason Reason // of the delete
	Label  uint64 // LabelHash of the label; 0 on a delete
	Seq    int64  // source.seq of the event
}

// LabelAlgorithm numbers the way LabelHash works, as HashAlgorithm does for content.
const LabelAlgorithm = 1

// LabelHash is a digest of a label; 0 if there is none.
func LabelHash(label string) uint64 {
	if label == "" {
		return 0
	}
	return xxhash.Sum64String(label)
}

// LinkTable holds what is published of one pair, deleted links too: the exact set
// of every record (R14). Sequence numbers stay in the state topic.
type LinkTable struct {
	links blocks[link]
	// back finds the records that hold, or once held, a link to another.
	back  blocks[backLink]
	faces []face
	index map[face]uint32
	live  int
}

// link takes 20 bytes. Its face is everything about it that many links share.
type link struct {
	from, to packedID
	face     uint32
}

type backLink struct{ to, from packedID }

// packedID is an id that needs no alignment of eight bytes.
type packedID [2]uint32

func pack(id hubspot.ID) packedID { return packedID{uint32(id >> 32), uint32(id)} }
func (p packedID) id() hubspot.ID { return hubspot.ID(p[0])<<32 | hubspot.ID(p[1]) }
func (p packedID) cmp(q packedID) int {
	return cmp.Or(cmp.Compare(p[0], q[0]), cmp.Compare(p[1], q[1]))
}

type face struct {
	category string
	typeID   int
	label    uint64
	reason   Reason // NoReason: live
}

// NewLinkTable returns an empty table.
func NewLinkTable() *LinkTable {
	t := &LinkTable{index: map[face]uint32{}}
	t.intern(face{typeID: math.MinInt}) // face 0 comes before all others
	t.links.compare = func(a, b link) int {
		if a.from != b.from {
			return a.from.cmp(b.from)
		}
		if a.to != b.to {
			return a.to.cmp(b.to)
		}
		if a.face == b.face {
			return 0
		}
		x, y := &t.faces[a.face], &t.faces[b.face]
		return cmp.Or(strings.Compare(x.category, y.category), cmp.Compare(x.typeID, y.typeID))
	}
	t.back.compare = func(a, b backLink) int {
		if a.to != b.to {
			return a.to.cmp(b.to)
		}
		return a.from.cmp(b.from)
	}
	return t
}

// Live is the number of links that are published and not deleted.
func (t *LinkTable) Live() int { return t.live }

// Len is the number of links, deleted ones too.
func (t *LinkTable) Len() int { return t.links.n }

// Put sets a link's row.
func (t *LinkTable) Put(k LinkKey, row LinkRow) {
	l := t.probe(k)
	if old, known := t.get(l); known {
		t.count(old, -1)
	} else {
		t.back.put(backLink{l.to, l.from})
	}
	l.face = t.intern(face{k.Category, k.TypeID, row.Label, row.Reason})
	t.links.put(l)
	t.count(l, 1)
}

// Remove forgets a link.
func (t *LinkTable) Remove(k LinkKey) {
	l, known := t.get(t.probe(k))
	if !known {
		return
	}
	t.count(l, -1)
	t.links.remove(l)
	for other := range t.links.from(link{from: l.from, to: l.to}) {
		if other.from != l.from || other.to != l.to {
			break
		}
		return // the two records have another link
	}
	t.back.remove(backLink{l.to, l.from})
}

func (t *LinkTable) count(l link, n int) {
	if t.faces[l.face].reason == NoReason {
		t.live += n
	}
}

// probe is a link that compares equal to the one under k.
func (t *LinkTable) probe(k LinkKey) link {
	return link{pack(k.From), pack(k.To), t.intern(face{category: k.Category, typeID: k.TypeID})}
}

func (t *LinkTable) intern(f face) uint32 {
	i, ok := t.index[f]
	if !ok {
		f.category = strings.Clone(f.category)
		i = uint32(len(t.faces))
		t.faces = append(t.faces, f)
		t.index[f] = i
	}
	return i
}

func (t *LinkTable) get(l link) (link, bool) {
	block, at, found := t.links.seek(l)
	if !found {
		return l, false
	}
	return t.links.list[block][at], true
}

// of yields the links of a record, deleted ones too, ordered by to, category and
// type: the order of hubspot.LinkSet.
func (t *LinkTable) of(from hubspot.ID) iter.Seq2[LinkKey, face] {
	return func(yield func(LinkKey, face) bool) {
		p := pack(from)
		for l := range t.links.from(link{from: p}) {
			if l.from != p {
				return
			}
			f := t.faces[l.face]
			if !yield(LinkKey{from, l.to.id(), f.category, f.typeID}, f) {
				return
			}
		}
	}
}

// holders yields the records that hold, or once held, a link to another.
func (t *LinkTable) holders(to hubspot.ID) iter.Seq[hubspot.ID] {
	return func(yield func(hubspot.ID) bool) {
		p := pack(to)
		for b := range t.back.from(backLink{to: p}) {
			if b.to != p || !yield(b.from.id()) {
				return
			}
		}
	}
}

// linking yields the records above after that have links, in order, each once.
func (t *LinkTable) linking(after hubspot.ID) iter.Seq[hubspot.ID] {
	return func(yield func(hubspot.ID) bool) {
		if after++; after == 0 {
			return
		}
		last := hubspot.ID(0)
		for l := range t.links.from(link{from: pack(after)}) {
			if t.faces[l.face].reason != NoReason || l.from.id() == last && last != 0 {
				continue
			}
			if last = l.from.id(); !yield(last) {
				return
			}
		}
	}
}

// linked yields the records to which there is, or once was, a link, in order.
func (t *LinkTable) linked() iter.Seq[hubspot.ID] {
	return func(yield func(hubspot.ID) bool) {
		last := hubspot.ID(0)
		for b := range t.back.from(backLink{}) {
			if id := b.to.id(); id != last {
				if last = id; !yield(id) {
					return
				}
			}
		}
	}
}

// holds reports whether a record has a link to another that is not deleted.
func (t *LinkTable) holds(from, to hubspot.ID) bool {
	for l := range t.links.from(link{from: pack(from), to: pack(to)}) {
		if l.from.id() != from || l.to.id() != to {
			break
		}
		if t.faces[l.face].reason == NoReason {
			return true
		}
	}
	return false
}
