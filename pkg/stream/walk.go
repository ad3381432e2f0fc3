package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// walk reads one search page of the type (R2).
func (o *Object) walk(ctx context.Context, prio hubspot.Priority, q hubspot.SearchQuery) (*cdc.Walk, error) {
	w := cdc.NewWalk(q)
	for q, wait, more := w.Next(); more; q, wait, more = w.Next() {
		if err := sleep(ctx, wait); err != nil {
			return w, err
		}
		page, err := o.search(ctx, prio, q)
		if err != nil {
			return w, fmt.Errorf("search after id %s: %w", q.After, err)
		}
		refused := w.Refused
		w.Take(page)
		o.Metrics.rereads.WithLabelValues(o.Type.Name, unordered).Add(float64(w.Refused - refused))
	}
	return w, w.Err()
}

// search reads a page of a search, as large as HubSpot answers it. Where HubSpot
// does not answer even a page of one row, the page has that row alone, to be read
// whatever its time: see unsearchable.
func (o *Object) search(ctx context.Context, prio hubspot.Priority, q hubspot.SearchQuery) (page hubspot.SearchPage, err error) {
	q.Object, q.ModifiedProperty = o.Type.Path, o.Type.ModifiedProperty
	most := q.Limit
	if most == 0 {
		most = hubspot.MaxSearch
	}
	place := fmt.Sprint(q.Since, q.HasAny, q.After, q.UpTo)
	err = o.stuck.patiently(ctx, func() error {
		if len(q.HasAny) > 0 { // a refusal is about the properties (Refill.giveUp)
			page, err = o.Client.Search(ctx, hubspot.Call{Priority: prio, Tries: cdc.PartTries}, q)
			return err
		}
		err := o.searchPages.halving(place, most, func(size, tries int) (err error) {
			q.Limit = size
			page, err = o.Client.Search(ctx, hubspot.Call{Priority: prio, Tries: tries, Quick: quick(size, tries)}, q)
			return err
		})
		if divisiblePage(err) && !o.searchPages.triedInVain(place) {
			q.Limit = 1
			page, err = o.unsearchable(ctx, prio, q, most, place, err)
		}
		return err
	})
	return page, err
}

// unsearched reports whether a page has only the row at which the search fails.
func unsearched(page *hubspot.SearchPage) bool {
	return len(page.Rows) == 1 && page.Rows[0].Updated == hubspot.AnyTime
}

// farEnd is above every id.
const farEnd hubspot.ID = 1e15

// unsearchable finds the first row that HubSpot's search fails at, by halving the range
// of ids, and returns a page with that row alone. If there are rows before it, the page
// has these, up to most, and the next page comes to it. err is why HubSpot does not
// answer; it is returned if the search fails where there is no row.
func (o *Object) unsearchable(ctx context.Context, prio hubspot.Priority, q hubspot.SearchQuery, most int, place string, err error) (page hubspot.SearchPage, _ error) {
	o.searchPages.inVain(place)
	first := hubspot.SearchPage{}
	answers := func(after, upTo hubspot.ID) (bool, error) {
		q := q
		q.After, q.Started, q.UpTo = after, true, upTo
		return answered(ctx, func(ctx context.Context, sent func(hubspot.Millis)) error {
			page, err := o.Client.Search(ctx, hubspot.Call{Priority: prio, Tries: 1, OnSend: sent}, q)
			if err == nil && first.Date == 0 {
				first = page
			}
			return err
		})
	}
	if ok, lost := answers(q.After+1, q.After+1); lost != nil { // nothing can be there
		return page, lost
	} else if !ok {
		return page, err
	}
	// The search may fail at several rows. Each question begins at the same place, so it
	// fails exactly if it reaches the first of them.
	bad, lost := o.searchPages.bisect(q.After, cmp.Or(q.UpTo, farEnd), func(upTo hubspot.ID) (bool, error) {
		ok, err := answers(q.After, upTo)
		return !ok, err
	})
	if lost != nil {
		return page, lost
	}
	o.searchPages.passed(place)
	if bad > q.After+1 { // whatever the questions above were answered, nothing before it is lost
		q.UpTo, q.Limit = bad-1, most
		page, err := o.search(ctx, prio, q)
		if err != nil || len(page.Rows) > 0 {
			page.Answer, page.Total, page.More = first.Answer, hubspot.NoTotal, true
			return page, err
		}
	}
	o.Log.Debug("HubSpot's search fails at a record; the stream passes over it and reads it directly", "id", bad.String(), "err", err)
	return hubspot.SearchPage{
		Answer: first.Answer, More: true,
		Rows: []hubspot.SearchRow{{ID: bad, Updated: hubspot.AnyTime}},
	}, nil
}

// bisect returns the smallest place above low at or beyond a bad one, which high is. It
// first tries the places that it found before.
func (p *pageSizes) bisect(low, high hubspot.ID, beyond func(hubspot.ID) (bool, error)) (hubspot.ID, error) {
	var guesses []hubspot.ID
	if known := p.knownBetween(low, high); known != 0 {
		guesses = []hubspot.ID{known - 1, known}
	}
	for low+1 < high {
		middle := low + (high-low)/2
		if len(guesses) > 0 {
			middle, guesses = guesses[0], guesses[1:]
			if middle <= low || middle >= high {
				continue
			}
		}
		switch ok, err := beyond(middle); {
		case err != nil:
			return 0, err
		case ok:
			high = middle
		default:
			low = middle
		}
	}
	p.know(high)
	return high, nil
}

// knownBetween returns the lowest bad place between two others, 0 for none.
func (p *pageSizes) knownBetween(low, high hubspot.ID) hubspot.ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, _ := slices.BinarySearch(p.known, low+1)
	if i == len(p.known) || p.known[i] >= high {
		return 0
	}
	return p.known[i]
}

// know remembers a bad place.
func (p *pageSizes) know(place hubspot.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i, known := slices.BinarySearch(p.known, place); !known && len(p.known) < stuckMost {
		p.known = slices.Insert(p.known, i, place)
	}
}

// probePatience is how long HubSpot has for a page of one row.
const probePatience = 20 * time.Second

// answered reports whether HubSpot answers a small request. sent begins its time: until
// then the request may have waited for HubSpot's limits.
func answered(ctx context.Context, ask func(ctx context.Context, sent func(hubspot.Millis)) error) (bool, error) {
	short, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(probePatience, func() { cancel(context.DeadlineExceeded) })
	timer.Stop() // until it is sent
	defer timer.Stop()
	err := ask(short, func(hubspot.Millis) { timer.Reset(probePatience) })
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case hubspot.Divisible(err), errors.Is(context.Cause(short), context.DeadlineExceeded):
		return false, nil
	}
	return false, err
}
