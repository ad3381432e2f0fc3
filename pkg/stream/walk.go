package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// walk is the one way through a search (R2): sorted by id, each page begins
// after the last id. It needs no order in time and passes any number of ties
// and HubSpot's end of paging at 10,000 results.
type walk struct {
	object *Object
	prio   hubspot.Priority
	query  hubspot.SearchQuery
}

// errUnordered says that HubSpot did not sort by id, so that the walk cannot go
// on without losing rows.
var errUnordered = errors.New("HubSpot's search does not answer in the order of ids")

// pageTries is how often a page is read again while its rows are out of order.
const pageTries = 5

// next reads the page after id last (none yet: started is false). It returns
// the page and, unless it was the final one, the id to go on after.
func (w *walk) next(ctx context.Context, last hubspot.ID, started bool) (hubspot.SearchPage, hubspot.ID, error) {
	q := w.query
	q.After, q.Started = last, started
	for try := range pageTries {
		if err := sleep(ctx, time.Duration(try)*time.Second); err != nil {
			return hubspot.SearchPage{}, 0, err
		}
		page, err := w.object.Client.Search(ctx, hubspot.Call{Priority: w.prio}, q)
		if err != nil {
			return page, 0, fmt.Errorf("search after id %s: %w", last, err)
		}
		if end, ok := ascending(page.Rows, last, started); ok && (len(page.Rows) > 0 || !page.More) {
			return page, end, nil
		}
		w.object.Metrics.rereads.WithLabelValues(w.object.Type.Name, "unordered").Inc()
	}
	return hubspot.SearchPage{}, 0, errUnordered
}

// ascending checks that every row's id is above the one before it.
func ascending(rows []hubspot.SearchRow, last hubspot.ID, started bool) (hubspot.ID, bool) {
	for _, row := range rows {
		if started && row.ID <= last {
			return 0, false
		}
		last, started = row.ID, true
	}
	return last, true
}
