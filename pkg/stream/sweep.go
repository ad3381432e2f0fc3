package stream

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Sweep reads every live record of a type from the object store, in the order
// of ids. Its pages are readings themselves. The tiers run beside it from the
// start, so that a record that changes behind its back is not missed (R5).
type Sweep struct {
	Object *Object
	Stream string
	Place  offsets.Sweep
}

// Run sweeps once, and ends when the sweep is done.
func (s *Sweep) Run(ctx context.Context) error {
	return supervise(ctx, s.Object, s.Stream, func() time.Duration { return 0 }, s.pass)
}

func (s *Sweep) pass(ctx context.Context) error {
	if s.Place.Done {
		return errFinished
	}
	s.Object.Metrics.snapshot(s.Object.Type.Name, true)
	defer s.Object.Metrics.snapshot(s.Object.Type.Name, false)
	for i := range s.Place.Ranges {
		if err := s.sweepRange(ctx, i); err != nil {
			return err
		}
	}
	s.Object.Status.BackfillDone(s.Object.Type.Name)
	s.Object.Log.Info("backfill done", "stream", s.Stream, "records", s.Object.Lane.Live())
	return errFinished
}

// sweepPage is a page of the list, read.
type sweepPage struct {
	readings []cdc.Reading
	after    string // "" on the last page
	last     hubspot.ID
	date     hubspot.Millis
}

// sweepRange reads a range's pages ahead and publishes them in their order.
func (s *Sweep) sweepRange(ctx context.Context, i int) error {
	g, ctx := errgroup.WithContext(ctx)
	pages := make(chan sweepPage)
	g.Go(func() error {
		defer close(pages)
		after := s.Place.Ranges[i].After
		for {
			page, err := s.fetch(ctx, after)
			if err != nil {
				return err
			}
			select {
			case pages <- page:
			case <-ctx.Done():
				return ctx.Err()
			}
			if after = page.after; after == "" {
				return nil
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

// fetch reads one page. Where the names of all properties make the address too
// long for HubSpot, it lists ids and reads the records by batch.
func (s *Sweep) fetch(ctx context.Context, after string) (sweepPage, error) {
	o := s.Object
	slots := o.Lane.Slots()
	whole := hubspot.ListFits(slots)
	asked := slots
	if !whole {
		asked = nil
	}
	var sent lookup
	list, err := o.Client.List(ctx, o.call(hubspot.Backfill, &sent), o.Type.Path, asked, after, false, 0)
	if err != nil {
		return sweepPage{}, fmt.Errorf("list after %q: %w", after, err)
	}
	page := sweepPage{after: list.After, date: list.Date}
	var ids []hubspot.ID
	for i := range list.Records {
		r := &list.Records[i]
		page.last = max(page.last, r.ID)
		if whole {
			page.readings = append(page.readings, o.reading(&sent, cdc.IsLive, r, list.Date))
		} else {
			ids = append(ids, r.ID)
		}
	}
	if !whole {
		page.readings, err = o.read(ctx, hubspot.Backfill, ids)
		return page, err
	}
	page.readings, err = o.withLosers(ctx, page.readings)
	return page, err
}
