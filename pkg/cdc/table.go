package cdc

import (
	"cmp"
	"encoding/binary"
	"iter"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Table holds what is published of one object type: the last row of every key. A nil
// Table is empty.
type Table struct {
	rows    blocks[keyedRow]
	decided decisions
	// deleted are the keys whose delete this run published and that are not live
	// again, with the lane's counter then.
	deleted map[hubspot.ID]uint64
}

type keyedRow struct {
	id hubspot.ID
	Row
}

// NewTable returns an empty table.
func NewTable() *Table {
	return &Table{rows: blocks[keyedRow]{coder: rowCoder{}}, deleted: map[hubspot.ID]uint64{}}
}

// Put sets the row of a key.
func (t *Table) Put(id hubspot.ID, row Row) { t.rows.put(keyedRow{id, row}) }

// Remove forgets a key.
func (t *Table) Remove(id hubspot.ID) { t.rows.remove(keyedRow{id: id}) }

// Get returns the row of a key; the zero Row if there is none.
func (t *Table) Get(id hubspot.ID) (row Row, known bool) {
	if t == nil {
		return row, false
	}
	r, known := t.rows.get(keyedRow{id: id})
	return r.Row, known
}

// Len is the number of keys, deleted ones too.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	t.rows.settle()
	return t.rows.n
}

// Live is the number of keys that are published as live.
func (t *Table) Live() int {
	if t == nil {
		return 0
	}
	t.rows.settle()
	return t.rows.live
}

// All yields every key with its row, in order.
func (t *Table) All() iter.Seq2[hubspot.ID, Row] {
	return func(yield func(hubspot.ID, Row) bool) {
		if t == nil {
			return
		}
		for r := range t.rows.from(keyedRow{}) {
			if !yield(r.id, r.Row) {
				return
			}
		}
	}
}

// liveAfter yields the live ids above after, in order.
func (t *Table) liveAfter(after hubspot.ID) iter.Seq[hubspot.ID] {
	return func(yield func(hubspot.ID) bool) {
		if after++; after == 0 {
			return
		}
		for r := range t.rows.from(keyedRow{id: after}) {
			if r.Live && !yield(r.id) {
				return
			}
		}
	}
}

// LiveIn yields the live ids of a range, in order.
func (t *Table) LiveIn(in Range) iter.Seq[hubspot.ID] {
	return func(yield func(hubspot.ID) bool) {
		for id := range t.liveAfter(in.After) {
			if in.UpTo != 0 && id > in.UpTo || !yield(id) {
				return
			}
		}
	}
}

// rowCoder writes a row in about twenty bytes: the id, the version and the sequence
// number as differences, the flags with the reason, and the hash as it is.
type rowCoder struct{}

func (rowCoder) compare(a, b *keyedRow) int { return cmp.Compare(a.id, b.id) }

func (rowCoder) isLive(r *keyedRow) bool { return r.Live }

const (
	codedLive = 1 << iota
	codedSettled
	codedReason = iota // bits before the reason
)

func (rowCoder) append(b []byte, prev, r *keyedRow) []byte {
	flags := byte(r.Reason) << codedReason
	if r.Live {
		flags |= codedLive
	}
	if r.Settled {
		flags |= codedSettled
	}
	b = binary.AppendUvarint(b, uint64(r.id-prev.id))
	b = appendDelta(append(b, flags), uint64(prev.Version), uint64(r.Version))
	b = binary.LittleEndian.AppendUint64(b, r.Hash)
	return appendDelta(b, uint64(prev.Seq), uint64(r.Seq))
}

func (rowCoder) next(b []byte, r *keyedRow) []byte {
	id, n := binary.Uvarint(b)
	r.id += hubspot.ID(id)
	flags := b[n]
	r.Live, r.Settled, r.Reason = flags&codedLive != 0, flags&codedSettled != 0, Reason(flags>>codedReason)
	version, b := delta(b[n+1:], uint64(r.Version))
	r.Version, r.Hash = hubspot.Millis(version), binary.LittleEndian.Uint64(b)
	seq, b := delta(b[8:], uint64(r.Seq))
	r.Seq = int64(seq)
	return b
}

// rules are the parts of the decision that do not change from page to page.
type rules struct {
	content *Content
	slots   *hubspot.Slots
	// started is HubSpot's time of the type's first start: a record created before
	// it is a snapshot's (R10).
	started       hubspot.Millis
	skipUnchanged bool
	patience      Patience
}

// decision is what becomes of a page.
type decision struct {
	changes []Change
	repeats []Change // published already, and again for a snapshot (Page.Snapshot)
	left    Left
	dropped bool // nothing of the page is published now (Page.Snapshot)
	older   int  // records published with an older version than before
}

// Diff compares a page's readings with the table (R1, R10, R13). It changes
// nothing. It decides a key once that a page reads twice: the second reading was
// sent before the first was decided.
func (t *Table) Diff(p *Page, r *rules, a *absences) decision {
	var d decision
	var decidedHere map[hubspot.ID]Row
	for i := range p.Readings {
		rd := &p.Readings[i]
		if rd.Slots != r.slots {
			d.left.Again = append(d.left.Again, Again{rd.ID, Generation})
			continue
		}
		e, known := t.Get(rd.ID)
		stale := t.decided.stale(rd.ID, rd.Stamp)
		if row, ok := decidedHere[rd.ID]; ok {
			e, known, stale = row, true, true
		}

		row := Row{Version: e.Version, Live: rd.Outcome == IsLive, Seq: e.Seq}
		if row.Live {
			if rd.Record.Updated != hubspot.NoTime {
				row.Version = rd.Record.Updated
			}
			row.Hash, row.Settled = r.content.Hash(rd.Record), rd.settled()
			if rd.incomplete() && (!known || !e.Live || row.Version != e.Version || row.Hash != e.Hash) {
				row.Hash ^= incompleteHash // the times are published when HubSpot tells them
			}
		} else {
			row.Reason = deletes[rd.Outcome]
		}

		repeat := p.Snapshot && row.Live && known && same(e, row)
		if !repeat && (!known && !row.Live || known && same(e, row)) {
			if row.Settled && !e.Settled && !stale {
				e.Settled = true
				d.changes = append(d.changes, Change{ID: rd.ID, Row: e, was: e.Live})
			}
			continue
		}
		if stale {
			d.left.Again = append(d.left.Again, Again{rd.ID, Stale})
			continue
		}
		if rd.Outcome == IsGone {
			if later, wait := a.wait(rd, t.Live(), &r.patience); wait {
				d.left.Later = append(d.left.Later, later)
				continue
			}
		}
		if row.Live && row.Version < e.Version {
			if !rd.Second {
				d.left.Again = append(d.left.Again, Again{rd.ID, Older})
				continue
			}
			d.older++
		}
		change := Change{ID: rd.ID, Row: row, Event: decide(p, rd, e, known, row, r), was: e.Live}
		change.Unexplained = known && e.Live && row.Live && row.Hash == e.Hash && row.Version > e.Version
		if repeat {
			change.Row.Settled = row.Settled || e.Settled
			d.repeats = append(d.repeats, change)
		} else {
			d.changes = append(d.changes, change)
		}
		if decidedHere == nil {
			decidedHere = make(map[hubspot.ID]Row, len(p.Readings))
		}
		decidedHere[rd.ID] = row
	}
	return d
}

// same reports whether a reading tells nothing new: both live with one version and
// content, or both deleted.
func same(a, b Row) bool {
	return a.Live == b.Live && (!a.Live || a.Version == b.Version && a.Hash == b.Hash)
}

// decide returns the event of a key's difference (R10), or nil if only the modified
// time moved and such events are not wanted. In a snapshot that an operator asked
// for, whatever is published as live is an r. What is not published as live gets
// its usual op.
func decide(p *Page, rd *Reading, old Row, known bool, row Row, r *rules) *Event {
	e := &Event{Stream: p.Stream, SourceMs: rd.Date}
	if !row.Live {
		e.Op, e.Reason, e.Into = Delete, row.Reason, rd.Into
		if rd.Outcome == IsArchived && rd.Record.ArchivedAt != 0 {
			e.SourceMs, e.Dated = rd.Record.ArchivedAt, true
		}
		return e
	}
	e.Record = rd.Record
	if (!known || row.Version != old.Version) && rd.Record.Updated != hubspot.NoTime {
		e.SourceMs, e.Dated = row.Version, true
	}
	switch {
	case known && old.Live && (p.Snapshot || old.unknown()):
		e.Op = Read
	case known && old.Live:
		if r.skipUnchanged && old.Hash == row.Hash {
			return nil
		}
		e.Op = Update
	case known:
		e.Op, e.Reason = Create, Restored
	case rd.Record.Created < r.started:
		e.Op = Read
	default:
		e.Op = Create
	}
	e.Incremental = p.Snapshot && e.Op == Read
	return e
}

// apply takes over what was committed.
func (t *Table) apply(changes []Change, counter uint64) {
	for i := range changes {
		c := &changes[i]
		if c.Row.Live {
			delete(t.deleted, c.ID)
		} else {
			t.deleted[c.ID] = counter
		}
		t.Put(c.ID, c.Row)
		t.decided.note(c.ID, counter)
	}
}

// lacking returns the live ids above after, up to and including upTo, that are not
// among present (in ascending order) and were decided no later than stamp: a list
// page that was sent then and ends at upTo is complete for them (R11). With upTo 0
// the range has no end.
func (t *Table) lacking(after, upTo hubspot.ID, present []hubspot.ID, stamp uint64) []hubspot.ID {
	var out []hubspot.ID
	for id := range t.LiveIn(Range{After: after, UpTo: upTo}) {
		for len(present) > 0 && present[0] < id {
			present = present[1:]
		}
		if (len(present) == 0 || present[0] != id) && !t.decided.stale(id, stamp) {
			out = append(out, id)
		}
	}
	return out
}
