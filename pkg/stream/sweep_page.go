package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// sweepPage is a list page and the readings of its records.
type sweepPage struct {
	readings []cdc.Reading
	after    string       // "" on the last page
	last     hubspot.ID   // in the range that was asked about; its end, where the page goes beyond it
	ids      []hubspot.ID // in that range
	step     float64      // from one id to the next
	date     hubspot.Millis
	trip     time.Duration // from sending the request to its answer

	chain     *cdc.Chain
	committed chan struct{} // closed when it is
}

func (p *sweepPage) chainPage() cdc.ChainPage {
	return cdc.ChainPage{Chain: p.chain, Place: p.after, Last: p.last, IDs: len(p.ids), Step: p.step}
}

// listPlace is where a page of a list begins.
type listPlace struct {
	after string    // HubSpot's place; "" at the beginning
	in    cdc.Range // the ids that are wanted of it
	// entered says that after is the id in.After, and not a place that HubSpot gave.
	entered bool
	// trial says that nobody needs the page: that HubSpot refuses its place is an answer.
	trial bool
	seen  trail // of the chain
}

// errNoEntry says that a page does not begin at the id that was its place.
var errNoEntry = errors.New("HubSpot's list does not begin at the id that was asked for")

// fetch reads one page.
func (s *Sweep) fetch(ctx context.Context, at listPlace) (page sweepPage, err error) {
	err = s.Object.stuck.patiently(ctx, func() error {
		page, err = s.page(ctx, at)
		return err
	})
	return page, err
}

// passOver reads, one by one, the records of which HubSpot answers no page, and goes
// on after them (R18). Such a page shows nothing to be missing.
func (s *Sweep) passOver(ctx context.Context, slots *hubspot.Slots, at listPlace, err error) (sweepPage, error) {
	o := s.Object
	ids, after, err := o.beyond(ctx, s.Priority, slots, at.after, at.in.After, err)
	if err != nil {
		return sweepPage{}, err
	}
	page := sweepPage{after: after, last: ids[len(ids)-1], date: o.Client.Now()}
	s.setPartly()
	ids = slices.DeleteFunc(ids, func(id hubspot.ID) bool { return !at.in.Contains(id) })
	page.ids = ids
	page.readings, err = o.read(ctx, s.Priority, ids)
	o.Log.Debug("HubSpot answers no page of its list that has these records; the stream reads them one by one", "stream", s.Stream, "ids", idList(ids))
	return page, err
}

// page reads one page, and confirms what it lacks (R11). Where the names of all
// properties make the URL too long for HubSpot, it lists ids and reads the records
// by batch.
func (s *Sweep) page(ctx context.Context, at listPlace) (sweepPage, error) {
	o := s.Object
	sent := cdc.Sent{Slots: o.Lane.Slots()}
	whole, asked := hubspot.ListFits(sent.Slots) && !o.narrow.Load(), sent.Slots
	if !whole {
		asked = nil
	}
	call := o.call(s.Priority, &sent, 0)
	note, began := call.OnSend, time.Now()
	call.OnSend = func(now hubspot.Millis) { note(now); began = time.Now() }
	list, err := o.list(ctx, call, asked, at.after, false, at.seen)
	trip := time.Since(began)
	if whole && hubspot.TooLong(err) { // HubSpot does not say how long is too long
		o.narrow.Store(true)
		return s.page(ctx, at)
	}
	if err != nil {
		err = fmt.Errorf("list after %q: %w", at.after, err)
	}
	if hubspot.Divisible(err) && !at.trial && !(at.entered && hubspot.BadRequest(err)) {
		return s.passOver(ctx, asked, at, err)
	}
	if err != nil {
		return sweepPage{}, err
	}
	page := sweepPage{after: list.After, date: list.Date, trip: trip}
	ids, err := at.ids(&list)
	if err != nil {
		return sweepPage{}, err
	}
	in, covered := s.covered(at.in, ids, page.after != "")
	if n := len(ids); n > 0 {
		page.last = slices.Max(ids)
		page.step = float64(page.last-slices.Min(ids)) / float64(n)
	}
	alone := list.Unread // to be read by batch
	if whole {
		var missing []hubspot.ID
		for i := range list.Records {
			r := &list.Records[i]
			if !at.wants(r.ID) {
				continue
			}
			if page.ids = append(page.ids, r.ID); r.Archived { // as in a batch read (R8)
				missing = append(missing, r.ID)
			} else {
				page.readings = append(page.readings, sent.Reading(r.ID, cdc.IsLive, r, list.Date))
			}
		}
		page.readings, err = o.complete(ctx, page.readings, missing)
	} else {
		alone = ids
	}
	if alone = slices.DeleteFunc(slices.Clone(alone), func(id hubspot.ID) bool { return !at.wants(id) }); err == nil && len(alone) > 0 {
		var readings []cdc.Reading
		readings, err = o.read(ctx, s.Priority, alone)
		page.readings = append(page.readings, readings...)
		page.ids = append(page.ids, alone...)
	}
	if err != nil || !covered {
		return page, err
	}
	lacking, err := o.Lane.Lacking(ctx, in.After, in.UpTo, ids, sent.Stamp)
	if err != nil {
		return page, err
	}
	found, err := o.complete(ctx, nil, lacking)
	page.readings = append(page.readings, found...)
	if slices.ContainsFunc(found, func(r cdc.Reading) bool { return r.Outcome == cdc.IsLive && slices.Contains(lacking, r.ID) }) {
		s.doubt()
	}
	return page, err
}

// doubt notes that the list lacks a record that HubSpot shows when asked for it: it may
// lack others, which nobody can ask for because they were never published (R17).
func (s *Sweep) doubt() {
	s.order.Lock()
	defer s.order.Unlock()
	if !s.short {
		s.partly, s.short = true, true
		s.Object.Log.Warn("HubSpot's list lacks records that HubSpot shows when asked for them; the sweep verifies nothing", "stream", s.Stream)
	}
}

// wants reports whether an id of the page belongs to the range.
func (at listPlace) wants(id hubspot.ID) bool {
	return (!at.entered || id > at.in.After) && (at.in.UpTo == 0 || id <= at.in.UpTo)
}

// ids are those of a page. HubSpot's places are the last id or the one after it, so
// a page that is entered at an id may have that one too; a page with a lower id was
// not entered there.
func (at listPlace) ids(list *hubspot.ListPage) ([]hubspot.ID, error) {
	var ids []hubspot.ID
	for i := range list.Records {
		ids = append(ids, list.Records[i].ID)
	}
	ordered := slices.IsSorted(ids)
	if ids = append(ids, list.Unread...); ordered {
		slices.Sort(ids)
	}
	if at.entered && len(ids) > 0 {
		if !ordered || ids[0] < at.in.After {
			return nil, errNoEntry
		}
		if ids[0] == at.in.After {
			ids = ids[1:]
		}
	}
	return ids, nil
}

// shifted reports whether a page shows that the list's places are no ids: whoever
// counts records begins the next page at a number below the page's last id.
func (p *sweepPage) shifted() bool {
	place, err := strconv.ParseUint(p.after, 10, 64)
	return err == nil && hubspot.ID(place) < p.last
}

// covered is what a page is complete for (R11).
func (s *Sweep) covered(in cdc.Range, ids []hubspot.ID, more bool) (cdc.Range, bool) {
	s.order.Lock()
	defer s.order.Unlock()
	said := s.gaps.Unordered
	in, ok := s.gaps.Covered(in, ids, more)
	if s.gaps.Unordered && !said {
		s.Object.Log.Warn("HubSpot's list is not in order of ids; the stream does not find deletes by it", "stream", s.Stream)
	}
	return in, ok
}

func (s *Sweep) unordered() bool {
	s.order.Lock()
	defer s.order.Unlock()
	return s.gaps.Unordered
}
