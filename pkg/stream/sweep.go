package stream

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Sweep reads every live record of a type from the object store, in order of ids.
// Its list pages are readings themselves, and what they lack goes to confirm (R11).
// The tiers run beside it from the start and find the records that change after the
// sweep has passed them (R5).
type Sweep struct {
	Object   *Object
	Stream   string
	Priority hubspot.Priority
	Place    offsets.Sweep
	// Pause is the time between two pages.
	Pause time.Duration

	gaps      cdc.Gaps
	restarted bool // HubSpot refused to continue the list, so it is read from the beginning
}

// Run is the backfill: it sweeps once and returns when the sweep is done.
func (s *Sweep) Run(ctx context.Context) error {
	return supervise(ctx, s.Object, s.Stream, func() time.Duration { return 0 }, s.pass)
}

func (s *Sweep) pass(ctx context.Context) error {
	o := s.Object
	if !s.Place.Done {
		defer o.Metrics.snapshot(o.Type.Name)()
		if err := s.sweep(ctx); err != nil {
			return err
		}
		o.Log.Info("backfill done", "stream", s.Stream, "records", o.Lane.Live())
	}
	o.Status.backfillDone(o.Type.Name)
	close(o.swept)
	return errFinished
}

// sweep reads what is left of the ranges.
func (s *Sweep) sweep(ctx context.Context) error {
	for i := range s.Place.Ranges {
		if err := s.sweepRange(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// sweepPage is a list page and the readings of its records.
type sweepPage struct {
	readings []cdc.Reading
	after    string // "" on the last page
	last     hubspot.ID
	date     hubspot.Millis
}

// sweepRange reads the pages of a range ahead and publishes them in order.
func (s *Sweep) sweepRange(ctx context.Context, i int) error {
	g, ctx := errgroup.WithContext(ctx)
	pages := make(chan sweepPage)
	g.Go(func() error {
		defer close(pages)
		after, last := s.Place.Ranges[i].After, s.Place.Ranges[i].ID
		from, _ := hubspot.ParseID(last) // none before the first page
		for {
			page, err := s.fetch(ctx, after, from)
			if hubspot.BadRequest(err) && after != "" && !s.restarted {
				// HubSpot does not promise to continue from an old place in its
				// list. Start over only once: if it refuses again, the place is
				// not the reason.
				s.restarted = true
				s.Object.Log.Warn("HubSpot refuses to continue its list; the stream reads it from the beginning", "stream", s.Stream, "err", err)
				after, from = "", 0
				continue
			}
			if err != nil {
				return err
			}
			from = max(from, page.last)
			select {
			case pages <- page:
			case <-ctx.Done():
				return ctx.Err()
			}
			if after = page.after; after == "" {
				return nil
			}
			if err := sleep(ctx, s.Pause); err != nil {
				return err
			}
		}
	})
	g.Go(func() error {
		for page := range pages {
			if err := s.publish(ctx, i, page); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// publish commits a page and the place after it.
func (s *Sweep) publish(ctx context.Context, i int, page sweepPage) error {
	next := s.Place
	next.Ranges = append([]offsets.Range(nil), s.Place.Ranges...)
	r := &next.Ranges[i]
	r.After = page.after
	if page.last != 0 {
		r.ID = page.last.String()
	}
	if page.after == "" && i == len(next.Ranges)-1 {
		next.Done, next.Completed = true, page.date
	}
	err := s.Object.publish(ctx, cdc.Page{
		Stream: s.Stream, Readings: page.readings, Sync: next.Done,
		Cursors: []cdc.Cursor{{Object: s.Object.Type.Name, Stream: s.Stream, Value: next.Bytes()}},
	})
	if err == nil {
		s.Place = next
	}
	return err
}

// fetch reads one page, of the ids above from.
func (s *Sweep) fetch(ctx context.Context, after string, from hubspot.ID) (page sweepPage, err error) {
	err = s.Object.stuck.patiently(ctx, func() error {
		page, err = s.page(ctx, after, from)
		return err
	})
	return page, err
}

// passOver reads, one by one, the records of which HubSpot answers no page, and goes
// on after them (R18). Such a page shows nothing to be missing.
func (s *Sweep) passOver(ctx context.Context, slots *hubspot.Slots, at string, from hubspot.ID, err error) (sweepPage, error) {
	o := s.Object
	ids, after, err := o.beyond(ctx, s.Priority, slots, at, from, err)
	if err != nil {
		return sweepPage{}, err
	}
	page := sweepPage{after: after, last: ids[len(ids)-1], date: o.Client.Now()}
	page.readings, err = o.read(ctx, s.Priority, ids)
	o.Log.Debug("HubSpot answers no page of its list that has these records; the stream reads them one by one", "stream", s.Stream, "ids", idList(ids))
	return page, err
}

// page reads one page, of the ids above from, and confirms what it lacks (R11).
// Where the names of all properties make the URL too long for HubSpot, it lists ids
// and reads the records by batch.
func (s *Sweep) page(ctx context.Context, after string, from hubspot.ID) (sweepPage, error) {
	o := s.Object
	sent := cdc.Sent{Slots: o.Lane.Slots()}
	whole, asked := hubspot.ListFits(sent.Slots) && !o.narrow.Load(), sent.Slots
	if !whole {
		asked = nil
	}
	list, err := o.list(ctx, o.call(s.Priority, &sent, 0), asked, after, false)
	if whole && hubspot.TooLong(err) { // HubSpot does not say how long is too long
		o.narrow.Store(true)
		return s.page(ctx, after, from)
	}
	if err != nil {
		err = fmt.Errorf("list after %q: %w", after, err)
	}
	if hubspot.Divisible(err) {
		return s.passOver(ctx, asked, after, from, err)
	}
	if err != nil {
		return sweepPage{}, err
	}
	page := sweepPage{after: list.After, date: list.Date}
	ids := make([]hubspot.ID, 0, len(list.Records))
	for i := range list.Records {
		r := &list.Records[i]
		ids = append(ids, r.ID)
		if whole {
			page.readings = append(page.readings, sent.Reading(r.ID, cdc.IsLive, r, list.Date))
		}
	}
	if whole {
		page.readings, err = o.complete(ctx, page.readings, nil)
	} else {
		page.readings, err = o.read(ctx, s.Priority, ids)
	}
	if err == nil && len(list.Unread) > 0 {
		var readings []cdc.Reading
		readings, err = o.read(ctx, s.Priority, list.Unread)
		page.readings = append(page.readings, readings...)
		ordered := slices.IsSorted(ids)
		if ids = append(ids, list.Unread...); ordered {
			slices.Sort(ids)
		}
	}
	if err != nil {
		return sweepPage{}, err
	}
	if len(ids) > 0 {
		page.last = slices.Max(ids)
	}
	said := s.gaps.Unordered
	in, covered := s.gaps.Covered(from, ids, page.after != "")
	if s.gaps.Unordered && !said {
		o.Log.Warn("HubSpot's list is not in order of ids; the stream does not find deletes by it", "stream", s.Stream)
	}
	if !covered {
		return page, nil
	}
	lacking, err := o.Lane.Lacking(ctx, in.After, in.UpTo, ids, sent.Stamp)
	if err != nil {
		return page, err
	}
	gone, err := o.complete(ctx, nil, lacking)
	page.readings = append(page.readings, gone...)
	return page, err
}
