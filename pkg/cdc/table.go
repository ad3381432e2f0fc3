package cdc

import (
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Table holds what is published of one object type: the last row of every key.
type Table struct {
	rows map[hubspot.ID]entry
	live int
}

// entry is a row, and the lane's counter when the row last changed. The
// counter is not stored: readings begin after the table is rebuilt (R1).
type entry struct {
	Row
	decided uint64
}

// NewTable takes over the rows that a previous run published.
func NewTable(rows map[hubspot.ID]Row) *Table {
	t := &Table{rows: make(map[hubspot.ID]entry, len(rows))}
	for id, row := range rows {
		t.rows[id] = entry{Row: row}
		if row.Live {
			t.live++
		}
	}
	return t
}

// rules are the parts of the decision that do not change from page to page.
type rules struct {
	content *Content
	slots   *hubspot.Slots
	// started is HubSpot's time of the type's first start: what was created
	// before it is a snapshot read (R10).
	started       hubspot.Millis
	skipUnchanged bool
}

// decision is what a page comes to.
type decision struct {
	changes []Change
	again   []Again
	older   int // records that went back to an older version, and were published so
}

// Diff compares a page's readings with the table (R1, R10, R13). It changes
// nothing. A key that is read twice in one page is decided once: its second
// reading was sent before the first one was decided.
func (t *Table) Diff(p *Page, r *rules) decision {
	var d decision
	var decidedHere map[hubspot.ID]Row
	for i := range p.Readings {
		rd := &p.Readings[i]
		if rd.Slots != r.slots {
			d.again = append(d.again, Again{rd.ID, Generation})
			continue
		}
		e, known := t.rows[rd.ID]
		stale := known && rd.Stamp < e.decided
		if row, ok := decidedHere[rd.ID]; ok {
			e.Row, known, stale = row, true, true
		}

		row := Row{Version: rd.Record.Updated, Live: rd.Outcome == IsLive, Seq: e.Seq}
		if row.Live {
			row.Hash = r.content.Hash(rd.Record)
			row.Settled = rd.settled()
		} else {
			row.Version = e.Version
			row.Reason = Archived
		}

		if !known && !row.Live || known && same(e.Row, row) {
			if row.Settled && !e.Settled && !stale {
				e.Settled = true
				d.changes = append(d.changes, Change{ID: rd.ID, Row: e.Row})
			}
			continue
		}
		if stale {
			d.again = append(d.again, Again{rd.ID, Stale})
			continue
		}
		if row.Live && row.Version < e.Version {
			if !rd.Second {
				d.again = append(d.again, Again{rd.ID, Older})
				continue
			}
			d.older++
		}
		d.changes = append(d.changes, Change{ID: rd.ID, Row: row, Event: decide(p, rd, e.Row, known, row, r)})
		if decidedHere == nil {
			decidedHere = make(map[hubspot.ID]Row, len(p.Readings))
		}
		decidedHere[rd.ID] = row
	}
	return d
}

// same says that a reading tells nothing new: both live with one version and
// content, or both deleted.
func same(a, b Row) bool {
	return a.Live == b.Live && (!a.Live || a.Version == b.Version && a.Hash == b.Hash)
}

// decide names the op of a key's difference (R10); nil when only the modified
// time moved and such events are not wanted.
func decide(p *Page, rd *Reading, old Row, known bool, row Row, r *rules) *Event {
	e := &Event{Stream: p.Stream, SourceMs: rd.Date}
	if !row.Live {
		e.Op, e.Reason = Delete, row.Reason
		if rd.Record.ArchivedAt != 0 {
			e.SourceMs = rd.Record.ArchivedAt
		}
		return e
	}
	e.Record = rd.Record
	if !known || row.Version != old.Version {
		e.SourceMs = row.Version
	}
	switch {
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
	return e
}

// apply takes over what was committed.
func (t *Table) apply(changes []Change, counter uint64) {
	for i := range changes {
		c := &changes[i]
		e := t.rows[c.ID]
		if e.Live != c.Row.Live {
			if c.Row.Live {
				t.live++
			} else {
				t.live--
			}
		}
		e.Row = c.Row
		e.decided = counter
		t.rows[c.ID] = e
	}
}
