package cdc

import (
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
	// back has every link with its ends exchanged and without a face: it finds the
	// records that hold, or once held, a link to another. It is made when somebody
	// asks for the first time; until then ready is false.
	back  blocks[link]
	ready bool
	faces []face
	index map[face]uint32
	last  uint32 // the face that was looked up last
}

// link has as its face everything about it that many links share.
type link struct {
	from, to hubspot.ID
	face     uint32
}

func (l link) reversed() link { return link{from: l.to, to: l.from} }

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
	t.links.coder, t.back.coder = linkCoder{t}, linkCoder{t}
	return t
}

// Live is the number of links that are published and not deleted.
func (t *LinkTable) Live() int {
	t.links.settle()
	return t.links.live
}

// Len is the number of links, deleted ones too.
func (t *LinkTable) Len() int {
	t.links.settle()
	return t.links.n
}

// Put sets a link's row.
func (t *LinkTable) Put(k LinkKey, row LinkRow) {
	l := link{k.From, k.To, t.intern(face{k.Category, k.TypeID, row.Label, row.Reason})}
	t.links.put(l)
	if t.ready {
		t.back.put(l.reversed())
	}
}

// Remove forgets a link.
func (t *LinkTable) Remove(k LinkKey) {
	l := t.probe(k)
	t.links.remove(l)
	if t.ready && !t.knows(k.From, k.To) {
		t.back.remove(l.reversed())
	}
}

// knows reports whether there is, or once was, a link between two records.
func (t *LinkTable) knows(from, to hubspot.ID) bool {
	for range t.between(from, to) {
		return true
	}
	return false
}

// probe is a link that compares equal to the one under k.
func (t *LinkTable) probe(k LinkKey) link {
	return link{k.From, k.To, t.intern(face{category: k.Category, typeID: k.TypeID})}
}

func (t *LinkTable) intern(f face) uint32 {
	if t.last > 0 && t.faces[t.last] == f {
		return t.last
	}
	i, ok := t.index[f]
	if !ok {
		f.category = strings.Clone(f.category)
		i = uint32(len(t.faces))
		t.faces = append(t.faces, f)
		t.index[f] = i
	}
	t.last = i
	return i
}

// of yields the links of a record, deleted ones too, ordered by to, category and
// type: the order of hubspot.LinkSet.
func (t *LinkTable) of(from hubspot.ID) iter.Seq2[LinkKey, face] {
	return t.within(link{from: from}, func(l link) bool { return l.from == from })
}

// LiveOf yields the live links of a record with the hashes of their labels, in the
// order of hubspot.LinkSet.
func (t *LinkTable) LiveOf(from hubspot.ID) iter.Seq2[LinkKey, uint64] {
	return func(yield func(LinkKey, uint64) bool) {
		for k, f := range t.of(from) {
			if f.reason == NoReason && !yield(k, f.label) {
				return
			}
		}
	}
}

// LinkingIn yields the records of a range that have links, in order, each once.
func (t *LinkTable) LinkingIn(in Range) iter.Seq[hubspot.ID] {
	return func(yield func(hubspot.ID) bool) {
		for id := range t.linking(in.After) {
			if in.UpTo != 0 && id > in.UpTo || !yield(id) {
				return
			}
		}
	}
}

// between yields the links from one record to another, deleted ones too.
func (t *LinkTable) between(from, to hubspot.ID) iter.Seq2[LinkKey, face] {
	return t.within(link{from: from, to: to}, func(l link) bool { return l.from == from && l.to == to })
}

// within yields the links from first on, as long as they belong to those in question.
func (t *LinkTable) within(first link, in func(link) bool) iter.Seq2[LinkKey, face] {
	return func(yield func(LinkKey, face) bool) {
		for l := range t.links.from(first) {
			if !in(l) {
				return
			}
			f := t.faces[l.face]
			if !yield(LinkKey{l.from, l.to, f.category, f.typeID}, f) {
				return
			}
		}
	}
}

// holders yields the records that hold, or once held, a link to another.
func (t *LinkTable) holders(to hubspot.ID) iter.Seq[hubspot.ID] {
	if !t.ready {
		for l := range t.links.from(link{}) {
			t.back.put(l.reversed())
		}
		t.ready = true
	}
	return func(yield func(hubspot.ID) bool) {
		for l := range t.back.from(link{from: to}) {
			if l.from != to || !yield(l.to) {
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
		for l := range t.links.from(link{from: after}) {
			if l.from < after || t.faces[l.face].reason != NoReason {
				continue
			}
			if !yield(l.from) {
				return
			}
			if after = l.from + 1; after == 0 {
				return
			}
		}
	}
}

// dangling returns the records with a live link, if they or the record at its other
// end are among the given ones.
func (t *LinkTable) dangling(from, to map[hubspot.ID]bool) (out []hubspot.ID) {
	for l := range t.links.from(link{}) {
		if (from[l.from] || to[l.to]) && t.faces[l.face].reason == NoReason && (len(out) == 0 || out[len(out)-1] != l.from) {
			out = append(out, l.from)
		}
	}
	return out
}
