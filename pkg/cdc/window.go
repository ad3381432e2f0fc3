package cdc

import (
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// overlap is what a tier's next walk reads again: HubSpot's servers do not
// share one clock, and a change is not in the index the moment it is stamped
// (R3).
const overlap = 2 * time.Second

// Window is a tier's place: it has seen every change up to start that the
// index showed after t0 of the walk before. Only a finished walk moves it, and
// only HubSpot's Date does: no row's time and no clock of ours (R3).
type Window struct {
	Start hubspot.Millis
	// T0 is HubSpot's Date of the walk's first answer; zero between walks.
	T0 hubspot.Millis
	// Last is the last id of the walk so far.
	Last hubspot.ID
}

// NewWindow is the place of a tier that begins, with a Date of HubSpot's from
// before the first page of any stream (R5). It looks back as every later walk
// does: a change may be stamped just before that Date and be readable only
// after the backfill has passed its record.
func NewWindow(date hubspot.Millis) Window { return Window{Start: date.Add(-overlap)} }

// Walking says that a walk is under way.
func (w Window) Walking() bool { return w.T0 != 0 }

// Begin starts a walk with the Date of its first answer.
func (w Window) Begin(date hubspot.Millis) Window {
	if !w.Walking() {
		w.T0, w.Last = date, 0
	}
	return w
}

// Finish ends the walk of a tier of this lag.
func (w Window) Finish(lag time.Duration) Window {
	return Window{Start: max(w.Start, w.T0.Add(-lag-overlap))}
}

// Search is q for the walk's next page.
func (w Window) Search(q hubspot.SearchQuery) hubspot.SearchQuery {
	q.Since, q.After, q.Started = w.Start, w.Last, w.Walking() && w.Last != 0
	return q
}

// Past is the place after a page of the walk of a tier of this lag.
func (w Window) Past(page *Walk, lag time.Duration) Window {
	w = w.Begin(page.Page.Date)
	w.Last = page.End
	if !page.Page.More {
		w = w.Finish(lag)
	}
	return w
}

// skip says that a search row need not be read (R4): its key is live, at least
// the row's version is published, from a reading after which that version
// could not change any more, and the row belongs to the window (a row from
// before it was matched by an index entry newer than what it shows).
func skip(row Row, updated, start hubspot.Millis) bool {
	return row.Live && row.Settled && row.Version >= updated && updated >= start
}
