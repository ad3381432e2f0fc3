package cdc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// LinkChange is a link's new row and its event. The committer sets Row.Seq.
type LinkChange struct {
	Key      LinkKey
	Row      LinkRow
	Label    string // "" on a delete, and where HubSpot has none
	Op       Op
	Reason   Reason
	SourceMs hubspot.Millis
	Stream   string
	// Incremental: see Event.
	Incremental bool

	was       bool      // the link was live before
	witnessed bool      // a delete that follows from a record's own
	revives   [2]uint64 // by end: when the record's delete was decided, if it stands
}

type linkDecision struct {
	sets  []decidedSet
	again []LinkAgain
	// whole counts the sets that have every link that is published of them, and at
	// least one.
	whole int
}

// decidedSet is what became of one reading.
type decidedSet struct {
	reading *LinkReading
	changes []LinkChange
	lacks   bool // links, and it is not certain that they are missing
}

// diff compares the sets that were read with what is published (R1, R14). It
// changes nothing. It drops a set that is equal. One that differs counts only if it
// was sent after the record's links last changed.
func (t *LinkTable) diff(p *LinkPage, decided *decisions, swept bool) linkDecision {
	var d linkDecision
	here := map[hubspot.ID]bool{} // records decided in this page
	for i := range p.Readings {
		rd := &p.Readings[i]
		changes, held, lacks := t.compare(rd, swept, p.Snapshot)
		if held && !lacks && !slices.ContainsFunc(changes, func(c LinkChange) bool { return c.Op == Delete }) {
			d.whole++
		}
		if len(changes) == 0 && !lacks {
			d.sets = append(d.sets, decidedSet{reading: rd})
			continue
		}
		if here[rd.From] || decided.stale(rd.From, rd.Stamp) {
			d.again = append(d.again, LinkAgain{From: rd.From, Cause: Stale})
			continue
		}
		if lacks {
			d.again = append(d.again, LinkAgain{rd.From, Paged, setOf(rd.Links)})
		}
		for j := range changes {
			changes[j].Stream, changes[j].SourceMs = p.Stream, rd.Date
		}
		here[rd.From] = true
		d.sets = append(d.sets, decidedSet{rd, changes, lacks})
	}
	return d
}

// changes are those of all sets.
func (d *linkDecision) changes() []LinkChange {
	n := 0
	for i := range d.sets {
		n += len(d.sets[i].changes)
	}
	out := make([]LinkChange, 0, n)
	for i := range d.sets {
		out = append(out, d.sets[i].changes...)
	}
	return out
}

// compare walks both sets, which are in the same order. held reports that the record
// has published links. lacks reports that a set of several calls lacks one, and that
// this is not enough to delete it.
//
// When a link is removed between two calls, the page border moves and hides another
// link that was there all the time. What was read before the border moved still has
// the removed link, so a second complete reading is another set. Two consecutive
// readings of the same set show that nothing moved (R14).
func (t *LinkTable) compare(rd *LinkReading, swept, snapshot bool) (changes []LinkChange, held, lacks bool) {
	certain := rd.Calls <= 1 || rd.Before == setOf(rd.Links)
	left := rd.Links
	found := func(l *hubspot.Link, old face, known bool) {
		c := LinkChange{
			Key: LinkKey{rd.From, l.To, l.Category, l.TypeID},
			Row: LinkRow{Live: true, Label: LabelHash(l.Label)}, Label: l.Label, was: known && old.reason == NoReason,
		}
		switch {
		case known && old.reason != NoReason:
			c.Op, c.Reason = Create, Restored
		case known && (snapshot || old.label == unknownLabel):
			c.Op = Read
		case known && old.label == c.Row.Label:
			return
		case known:
			c.Op = Update
		case swept:
			c.Op = Create
		default:
			c.Op = Read
		}
		c.Incremental = snapshot && c.Op == Read
		changes = append(changes, c)
	}
	for key, old := range t.of(rd.From) {
		held = held || old.reason == NoReason
		for len(left) > 0 && compareLink(&left[0], &key) < 0 {
			found(&left[0], face{}, false)
			left = left[1:]
		}
		switch {
		case len(left) > 0 && compareLink(&left[0], &key) == 0:
			found(&left[0], old, true)
			left = left[1:]
		case old.reason != NoReason: // it is published as deleted
		case !certain:
			lacks = true
		default:
			changes = append(changes, LinkChange{Key: key, Op: Delete, was: true})
		}
	}
	for i := range left {
		found(&left[i], face{}, false)
	}
	return changes, held, lacks
}

// setOf is a digest of which links a set has, whatever their labels; never 0.
func setOf(links []hubspot.Link) uint64 {
	var d xxhash.Digest
	d.Reset()
	for i := range links {
		digestLink(&d, links[i].To, links[i].Category, links[i].TypeID)
	}
	return d.Sum64() | 1
}

func digestLink(d *xxhash.Digest, to hubspot.ID, category string, typeID int) {
	_, _ = fmt.Fprintf(d, "%d:%s:%d,", to, category, typeID)
}

func compareLink(l *hubspot.Link, k *LinkKey) int {
	return cmp.Or(cmp.Compare(l.To, k.To), strings.Compare(l.Category, k.Category), cmp.Compare(l.TypeID, k.TypeID))
}
