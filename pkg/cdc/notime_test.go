package cdc

import (
	"testing"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestR18_ARecordWithoutATime keeps the version that it had: only its content can
// then be news. What HubSpot says later with a time is not older, and is news if the
// record was published without it.
func TestR18_ARecordWithoutATime(t *testing.T) {
	slots := hubspot.NewSlots([]string{"a"})
	r := &rules{slots: slots, content: NewContent([]string{"a"})}
	read := func(updated hubspot.Millis, a string) *Page {
		record := &hubspot.Record{ID: 1, Created: 1, Updated: updated, Values: [][]byte{[]byte(a)}}
		return &Page{Stream: "leading", Readings: []Reading{{ID: 1, Record: record, Slots: slots, Stamp: 99, SentAt: 1 << 40, Date: 1 << 40}}}
	}
	table := NewTable()
	for i, c := range []struct {
		updated hubspot.Millis
		a       string
		op      Op // 0: no event
		version hubspot.Millis
		source  hubspot.Millis
	}{
		{hubspot.NoTime, "x", Create, 0, 1 << 40},
		{hubspot.NoTime, "x", 0, 0, 0},
		{0, "x", Update, 0, 1 << 40}, // 1970, a time like any other: the record is whole
		{0, "x", 0, 0, 0},
		{5000, "x", Update, 5000, 5000},
		{hubspot.NoTime, "x", 0, 0, 0},
		{5000, "x", 0, 0, 0},
		{hubspot.NoTime, "y", Update, 5000, 1 << 40},
		{hubspot.NoTime, "y", 0, 0, 0},
		{5000, "y", Update, 5000, 1 << 40},
		{6000, "y", Update, 6000, 6000},
	} {
		d := table.Diff(read(c.updated, c.a), r, &absences{})
		var event *Event
		for _, change := range d.changes {
			if change.Event != nil {
				event = change.Event
				if change.Row.Version != c.version {
					t.Errorf("%d: version %v, want %v", i, change.Row.Version, c.version)
				}
			}
		}
		switch {
		case len(d.left.Again) > 0:
			t.Errorf("%d: to be read again: %v", i, d.left.Again)
		case (event == nil) != (c.op == 0):
			t.Errorf("%d: event %v, want op %q", i, event, c.op)
		case event != nil && (event.Op != c.op || event.SourceMs != c.source):
			t.Errorf("%d: %q at %v, want %q at %v", i, event.Op, event.SourceMs, c.op, c.source)
		}
		table.apply(d.changes, uint64(i+1))
	}
}
