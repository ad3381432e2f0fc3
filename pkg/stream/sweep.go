package stream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Sweep reads every live record of a type from the object store, in order of ids,
// a large type in several ranges at once (reading.go). Its list pages are readings
// themselves, and what they lack goes to confirm (R11). The tiers run beside it from
// the start and find the records that change after the sweep has passed them (R5).
type Sweep struct {
	Object   *Object
	Stream   string
	Priority hubspot.Priority
	Place    offsets.Sweep
	// Pause is the time between two pages.
	Pause time.Duration

	order     sync.Mutex // guards what follows
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

// errAsOne says that the list must be read from its beginning, as one range.
var errAsOne = errors.New("the list must be read from its beginning")

// sweep reads what is left of the ranges.
func (s *Sweep) sweep(ctx context.Context) error {
	for {
		err := s.read(ctx)
		if !errors.Is(err, errAsOne) {
			return err
		}
		s.Object.asOne.Store(true)
		s.setRestarted()
		s.Place.Ranges = []offsets.Range{{From: "0"}}
	}
}

func (s *Sweep) setRestarted() {
	s.order.Lock()
	defer s.order.Unlock()
	s.restarted = true
}

// publish commits pages and the place after them.
func (s *Sweep) publish(ctx context.Context, pages []sweepPage, left []cdc.Chain) error {
	next := s.Place
	next.Ranges = nil
	for _, c := range left {
		next.Ranges = append(next.Ranges, rangeOf(c))
	}
	page := cdc.Page{Stream: s.Stream}
	end := cdc.Chain{Begun: true}
	for _, p := range pages {
		page.Readings = append(page.Readings, p.readings...)
		end.Last = max(end.Last, p.last)
	}
	if len(left) == 0 {
		next.Ranges, next.Done, next.Completed = []offsets.Range{rangeOf(end)}, true, pages[len(pages)-1].date
		page.Sync = true
	}
	page.Cursors = []cdc.Cursor{{Object: s.Object.Type.Name, Stream: s.Stream, Value: next.Bytes()}}
	err := s.Object.publish(ctx, page)
	if err == nil {
		s.Place = next
	}
	if err == nil && next.Done {
		s.Object.sweeps.end(next.Started)
	}
	return err
}

// rangeOf is a chain in the cursor.
func rangeOf(c cdc.Chain) offsets.Range {
	r := offsets.Range{From: c.In.After.String(), After: c.Place}
	if c.In.UpTo != 0 {
		r.To = c.In.UpTo.String()
	}
	if c.Begun && c.Last != 0 {
		r.ID = c.Last.String()
	}
	return r
}

// chainsOf are the ranges of a cursor. restarted says that HubSpot has refused a
// place of this sweep before.
func chainsOf(ranges []offsets.Range, restarted bool) *cdc.Chains {
	var left []cdc.Chain
	for _, r := range ranges {
		from, _ := hubspot.ParseID(r.From) // the cursor was checked when it was read
		to, _ := hubspot.ParseID(r.To)
		id, err := hubspot.ParseID(r.ID)
		c := cdc.Chain{In: cdc.Range{After: from, UpTo: to}, Place: r.After, Last: max(from, id), Begun: err == nil, Restarted: restarted}
		if c.Place == "" && c.Last != 0 {
			c.Place = c.Last.String()
		}
		c.Entered = c.Last != 0 && c.Place == c.Last.String()
		left = append(left, c)
	}
	return cdc.NewChains(left...)
}
