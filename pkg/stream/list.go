package stream

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// pageSizes remember how large the pages of a type may be: where HubSpot does not
// answer a whole page of its list, it may answer half of it (R18).
type pageSizes struct {
	mu     sync.Mutex
	size   int // 0: HubSpot's maximum
	halved time.Time
	trial  time.Time            // when to try a page of twice the size
	wait   time.Duration        // from then to the next trial
	vain   map[string]time.Time // places at which nothing helped, and when
	known  []hubspot.ID         // places at which HubSpot did not answer a single record, ascending
}

// smallFor is how long pages stay smaller after HubSpot did not answer a larger
// one. Finding that out again may take three time-outs.
const smallFor = time.Hour

// firstTrial is how long the connector waits before it tries a page of twice the
// size, doubling while HubSpot does not answer it. If HubSpot was ill for a moment,
// pages that are far too small would take hours otherwise.
const firstTrial = time.Minute

// now is how large the next page may be.
func (p *pageSizes) now(most int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.size == 0 || time.Since(p.halved) >= smallFor {
		return most
	}
	return min(p.size, most)
}

// halve notes that HubSpot does not answer a page of this size, and returns half of
// it.
func (p *pageSizes) halve(size int) int {
	size = max(1, size/2)
	p.set(size)
	return size
}

// passed notes that it was one record at this place that HubSpot did not answer.
func (p *pageSizes) passed(place string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.size = 0
	delete(p.vain, place)
}

// set notes how large a page may be.
func (p *pageSizes) set(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.size == 0 || time.Since(p.halved) >= smallFor {
		p.wait = firstTrial
	}
	p.size, p.halved = size, time.Now()
	p.trial = p.halved.Add(p.wait)
}

// larger is twice the size, when it is time to try that.
func (p *pageSizes) larger(most int) (size int, due bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.size == 0 || p.size >= most || now.Before(p.trial) || now.Sub(p.halved) >= smallFor {
		return 0, false
	}
	p.wait = min(2*p.wait, smallFor)
	p.trial = now.Add(p.wait)
	return min(2*p.size, most), true
}

// grew notes that HubSpot answered the larger size. The next page tries twice that.
func (p *pageSizes) grew(size, most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.size = size; size >= most {
		p.size = 0
	}
	p.wait, p.trial = max(p.wait/2, firstTrial), time.Now()
}

// inVain notes that nothing helps at a place: it is not worth trying again for a
// while.
func (p *pageSizes) inVain(place string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.vain == nil {
		p.vain = map[string]time.Time{}
	}
	maps.DeleteFunc(p.vain, func(_ string, at time.Time) bool { return time.Since(at) >= smallFor })
	p.vain[place] = time.Now()
}

func (p *pageSizes) triedInVain(place string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.vain[place]
	return ok && time.Since(at) < smallFor
}

// halving asks for the page at a place. While HubSpot does not answer, it asks for
// ever smaller ones, if it answers one of a single record.
func (p *pageSizes) halving(place string, most int, ask func(size, tries int) error) error {
	if size, due := p.larger(most); due {
		err := ask(size, 1)
		if err == nil {
			p.grew(size, most)
		}
		if !divisiblePage(err) {
			return err
		}
	}
	size := p.now(most)
	err := ask(size, cdc.PartTries)
	if size == 1 || !divisiblePage(err) || p.triedInVain(place) {
		return err
	}
	if err := ask(1, cdc.PartTries); err != nil {
		return err
	}
	for divisiblePage(err) {
		size = p.halve(size)
		err = ask(size, 1)
		if size == 1 {
			break
		}
	}
	return err
}

// quick reports whether a page need not be waited for: a smaller one is asked for
// if HubSpot does not answer it in time.
func quick(size, tries int) bool { return tries == 1 && size > 1 }

// divisiblePage reports whether HubSpot may answer a smaller page.
func divisiblePage(err error) bool {
	return hubspot.Divisible(err) && !hubspot.TooLong(err) && !hubspot.ArchivedUnsupported(err)
}

// passMost is how many records in a row a list passes over.
const passMost = 16

// beyond finds out how a list goes on after the id from, at a place where HubSpot does not
// answer even a page of one record: the search names the ids that come next. It
// returns those that the list passes over, and the place after them. err is why
// HubSpot does not answer, and is returned where nothing helps.
//
// A place of ours counts only if a page there begins above those ids: HubSpot may begin
// anywhere else. An empty page shows no place. It is the list's end if the search has
// nothing more either.
func (o *Object) beyond(ctx context.Context, prio hubspot.Priority, slots *hubspot.Slots, at string, from hubspot.ID, err error) (ids []hubspot.ID, after string, _ error) {
	if o.pages.triedInVain(at) {
		return nil, "", err
	}
	o.pages.inVain(at)
	var rows []hubspot.SearchRow
	more := true
	for more && len(rows) < passMost { // several pages only where the search fails too
		w, lost := o.walk(ctx, prio, hubspot.SearchQuery{After: from, Started: from != 0, Limit: passMost - len(rows)})
		switch {
		case refused(lost):
			return nil, "", err
		case lost != nil:
			return nil, "", lost
		}
		rows, more, from = append(rows, w.Page.Rows...), w.Page.More, w.End
	}
	for i, row := range rows {
		ids = append(ids, row.ID)
		end := i == len(rows)-1 && !more
		if i&(i+1) != 0 && !end { // try after 1, 2, 4, 8 … records
			continue
		}
		// HubSpot does not say whether its places are the last id or the one after
		// it (docs/hubspot.md section 2).
		for _, place := range []hubspot.ID{row.ID, row.ID + 1} {
			page, refused := o.Client.List(ctx, hubspot.Call{Priority: prio, Tries: 1}, o.Type.Path, slots, place.String(), false, 1)
			after := place.String()
			switch {
			case refused != nil && !hubspot.Divisible(refused):
				return nil, "", refused
			case refused != nil:
				continue
			case len(page.Records) == 0 && end:
				after = ""
			case len(page.Records) == 0 || page.Records[0].ID < row.ID:
				continue
			case page.Records[0].ID == row.ID: // answered meanwhile
				after = page.After
			}
			o.pages.passed(at)
			return ids, after, nil
		}
	}
	return nil, "", err
}

// trail has the places of a list whose pages were read. If HubSpot led back to one of
// them, a stream would read them over and over, as fast as HubSpot answers.
type trail map[string]bool

// errCircle says that HubSpot's pages of a list lead in a circle.
var errCircle = errors.New("a page of HubSpot's list leads back to an earlier one")

// circleTries is how often a page is read that leads back.
const circleTries = 3

// list reads a page of the type's list, or of its archived records, as large as
// HubSpot answers it, and adds its place to the trail. It reads a page again that leads
// back to its own place or to one of the trail, and returns errCircle if it still does.
func (o *Object) list(ctx context.Context, call hubspot.Call, slots *hubspot.Slots, after string, archived bool, seen trail) (page hubspot.ListPage, err error) {
	pages := o.pages
	if archived {
		pages = o.binPages
	}
	for try := range circleTries {
		if err := sleep(ctx, time.Duration(try)*time.Second); err != nil {
			return page, err
		}
		err = pages.halving(after, hubspot.MaxList, func(size, tries int) error {
			call.Tries, call.Quick = tries, quick(size, tries)
			page, err = o.Client.List(ctx, call, o.Type.Path, slots, after, archived, size)
			return err
		})
		if err != nil || page.After == "" || page.After != after && !seen[page.After] {
			if seen != nil {
				seen[after] = true
			}
			return page, err
		}
	}
	return page, errCircle
}
