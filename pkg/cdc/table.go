package cdc

import (
	"github.com/tidwall/btree"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Table holds what is published of one object type: the last row of every key, and
// the live ids in order.
type Table struct {
	rows map[hubspot.ID]entry
	live btree.Set[hubspot.ID]
}

// entry is a row, and the lane's counter when the row last changed. The counter is
// not stored: a run begins to read after it has rebuilt the table (R1).
type entry struct {
	Row
	decided uint64
}

// NewTable takes over the rows that previous runs published.
func NewTable(rows map[hubspot.ID]Row) *Table {
	t := &Table{rows: make(map[hubspot.ID]entry, len(rows))}
	for id, row := range rows {
		t.rows[id] = entry{Row: row}
		if row.Live {
			t.live.Insert(id)
		}
	}
	return t
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
	older   int // records published with an older version than before
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
		e, known := t.rows[rd.ID]
		stale := known && rd.Stamp < e.decided
		if row, ok := decidedHere[rd.ID]; ok {
			e.Row, known, stale = row, true, true
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

		repeat := p.Snapshot && row.Live && known && same(e.Row, row)
		if !repeat && (!known && !row.Live || known && same(e.Row, row)) {
			if row.Settled && !e.Settled && !stale {
				e.Settled = true
				d.changes = append(d.changes, Change{ID: rd.ID, Row: e.Row})
			}
			continue
		}
		if stale {
			d.left.Again = append(d.left.Again, Again{rd.ID, Stale})
			continue
		}
		if rd.Outcome == IsGone {
			if later, wait := a.wait(rd, t.live.Len(), &r.patience); wait {
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
		change := Change{ID: rd.ID, Row: row, Event: decide(p, rd, e.Row, known, row, r)}
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
			e.SourceMs = rd.Record.ArchivedAt
		}
		return e
	}
	e.Record = rd.Record
	if (!known || row.Version != old.Version) && rd.Record.Updated != hubspot.NoTime {
		e.SourceMs = row.Version
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
		e := t.rows[c.ID]
		if c.Row.Live {
			t.live.Insert(c.ID)
		} else {
			t.live.Delete(c.ID)
		}
		e.Row = c.Row
		e.decided = counter
		t.rows[c.ID] = e
	}
}

// lacking returns the live ids above after, up to and including upTo, that are not
// among present (in ascending order) and were decided no later than stamp: a list
// page that was sent then and ends at upTo is complete for them (R11). With upTo 0
// the range has no end.
func (t *Table) lacking(after, upTo hubspot.ID, present []hubspot.ID, stamp uint64) []hubspot.ID {
	var out []hubspot.ID
	t.live.Ascend(after+1, func(id hubspot.ID) bool {
		if upTo != 0 && id > upTo {
			return false
		}
		for len(present) > 0 && present[0] < id {
			present = present[1:]
		}
		if (len(present) == 0 || present[0] != id) && t.rows[id].decided <= stamp {
			out = append(out, id)
		}
		return true
	})
	return out
}
