package cdc

import (
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// overlap is how far a tier's next walk looks back: HubSpot's servers do not share
// one clock, and a change is not in the index the moment it is stamped (R3).
const overlap = 2 * time.Second

// Window is a tier's place: the tier has seen every change up to Start that the
// index showed when the last finished walk began. Only a finished walk moves it,
// and only by HubSpot's Date, never by a row's time or a clock of ours (R3).
type Window struct {
	Start hubspot.Millis
	// T0 is HubSpot's Date of the walk's first answer; zero between walks.
	T0 hubspot.Millis
	// Last is the last id that the walk has passed.
	Last hubspot.ID
}

// NewWindow is the place of a tier that begins. date is a Date of HubSpot's from
// before the first page of any stream (R5). The window looks back as every later
// walk does: HubSpot may stamp a change just before that Date and show it only
// after the backfill has passed its record.
func NewWindow(date hubspot.Millis) Window { return Window{Start: date.Add(-overlap)} }

// Walking reports whether a walk is under way.
func (w Window) Walking() bool { return w.T0 != 0 }

// Begin starts a walk with the Date of its first answer. A walk under way keeps its
// own.
func (w Window) Begin(date hubspot.Millis) Window {
	if !w.Walking() {
		w.T0, w.Last = date, 0
	}
	return w
}

// Finish ends the walk of a tier with this lag.
func (w Window) Finish(lag time.Duration) Window {
	return Window{Start: max(w.Start, w.T0.Add(-lag-overlap))}
}

// Search completes q for the walk's next page.
func (w Window) Search(q hubspot.SearchQuery) hubspot.SearchQuery {
	q.Since, q.After, q.Started = w.Start, w.Last, w.Walking() && w.Last != 0
	return q
}

// Past is the place after a page of the walk, for a tier with this lag.
func (w Window) Past(page *Walk, lag time.Duration) Window {
	w = w.Begin(page.Page.Date)
	w.Last = page.End
	if !page.Page.More {
		w = w.Finish(lag)
	}
	return w
}

// skip reports whether a search row need not be read (R4). Its key must be live,
// with at least the row's version published, from a reading after which that
// version could no longer change. And the row must lie in the window: an index
// entry newer than what it shows matched a row from before it.
func skip(row Row, updated, start hubspot.Millis) bool {
	return row.Live && row.Settled && row.Version >= updated && updated >= start
}
