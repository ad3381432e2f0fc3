package cdc

import (
	"errors"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Walk reads one page of a search (R2). Every search is sorted by id, and its next
// page begins after the last id. So it needs no order in time, and passes any
// number of ties and HubSpot's end of paging at 10,000 results. Walk reads a page
// again that is out of order, or that has no rows although more follow.
type Walk struct {
	Page hubspot.SearchPage
	End  hubspot.ID // the id after which the next page begins
	// Refused counts the pages that were out of order.
	Refused int

	query hubspot.SearchQuery
	done  bool
}

// ErrUnordered reports that HubSpot did not sort by id, so that the walk would lose
// rows if it continued.
var ErrUnordered = errors.New("HubSpot does not return the rows of a search in the order of their ids")

// pageTries is how often Walk reads a page whose rows are out of order.
const pageTries = 5

// NewWalk returns the walk for the page that q asks for.
func NewWalk(q hubspot.SearchQuery) *Walk { return &Walk{query: q} }

// Next is the search to make, after a wait; more is false at the end.
func (w *Walk) Next() (q hubspot.SearchQuery, wait time.Duration, more bool) {
	return w.query, time.Duration(w.Refused) * time.Second, !w.done && w.Refused < pageTries
}

// Take takes the answer.
func (w *Walk) Take(page hubspot.SearchPage) {
	if w.End, w.done = Ascending(&page, w.query.After, w.query.Started); !w.done {
		w.Refused++
		return
	}
	w.Page = page
}

// Err is ErrUnordered if no try was in order.
func (w *Walk) Err() error {
	if !w.done {
		return ErrUnordered
	}
	return nil
}

// Ascending checks that every row's id is above the one before it, and that a page
// has rows if more follow. The first row must be above last if the walk has
// started. It returns the last id.
func Ascending(page *hubspot.SearchPage, last hubspot.ID, started bool) (end hubspot.ID, ok bool) {
	for _, row := range page.Rows {
		if started && row.ID <= last {
			return 0, false
		}
		last, started = row.ID, true
	}
	return last, len(page.Rows) > 0 || !page.More
}
