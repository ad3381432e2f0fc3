package stream

import (
	"fmt"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Lag is a tier: how far behind now it asks, and the name of its stream.
type Lag struct {
	Stream string
	By     time.Duration
}

// Lags returns the tiers: the leading one, then one for each trailing lag, named as
// the operator wrote it.
func Lags(written []string) ([]Lag, error) {
	lags := []Lag{{Stream: offsets.LeadingStream}}
	for _, text := range written {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return nil, fmt.Errorf("SYNC_TRAILING_LAG: %q is not a duration above zero such as 5m", text)
		}
		lags = append(lags, Lag{offsets.TrailingPrefix + text, d})
	}
	return lags, nil
}

// Longest returns the longest lag of a tier.
func Longest(lags []Lag) (longest time.Duration) {
	for _, lag := range lags {
		longest = max(longest, lag.By)
	}
	return longest
}

// Places are where an object type's streams continue.
type Places struct {
	Windows []cdc.Window // one per tier
	Sweep   offsets.Sweep
	Archive offsets.Archive
	// Reconcile is the zero value before the first one.
	Reconcile offsets.Sweep
	Refill    *offsets.Refill // nil: nothing to refill
	// First must be committed before any stream starts (R5): a type's first
	// cursors, and those that a changed configuration or property set needs.
	First []cdc.Cursor
	// Ahead are the streams whose cursors lay ahead of HubSpot's time (R21).
	Ahead []string
}

// Resume works out where the streams of an object type continue. saved returns the
// value of a stream's cursor, nil if there is none. The clock was read before the
// first page of any stream.
//
// A type without a cursor of the backfill is new. A tier without a cursor starts
// now, and the backfill runs again for what the tier did not see (docs/contract.md
// section 4). A cursor ahead of HubSpot's time is moved back (R21): a tier that has
// passed what is still to come may have missed what came meanwhile, so it begins as
// one without a cursor. A cursor that cannot be parsed is an error.
func Resume(object string, lags []Lag, saved func(stream string) []byte, clock Clock) (Places, error) {
	var p Places
	now := clock.Now
	var err error
	again := false
	if v := saved(offsets.BackfillStream); v == nil {
		p.Sweep, again = offsets.Sweep{Started: now}, true
	} else if p.Sweep, err = offsets.ParseSweep(v); err != nil {
		return p, fmt.Errorf("cursor of %s backfill: %w", object, err)
	}
	for _, lag := range lags {
		w := cdc.NewWindow(now)
		if v := saved(lag.Stream); v == nil {
			again = true
			p.First = append(p.First, tierCursor(object, lag.Stream, w))
		} else {
			t, err := offsets.ParseTier(v)
			if err != nil {
				return p, fmt.Errorf("cursor of %s %s: %w", object, lag.Stream, err)
			}
			switch {
			case clock.Back(&t.At):
				again = true
				p.Ahead, p.First = append(p.Ahead, lag.Stream), append(p.First, tierCursor(object, lag.Stream, w))
			case clock.Back(&t.T0): // the walk begins again
				p.Ahead, w = append(p.Ahead, lag.Stream), cdc.Window{Start: t.At}
			default:
				w = cdc.Window{Start: t.At, T0: t.T0, Last: t.ID}
			}
		}
		p.Windows = append(p.Windows, w)
	}
	if v := saved(offsets.ArchiveStream); v != nil {
		if p.Archive, err = offsets.ParseArchive(v); err != nil {
			return p, fmt.Errorf("cursor of %s archive: %w", object, err)
		}
	}
	if v := saved(offsets.ReconcileStream); v != nil {
		if p.Reconcile, err = offsets.ParseSweep(v); err != nil {
			return p, fmt.Errorf("cursor of %s reconcile: %w", object, err)
		}
	}
	if v := saved(offsets.RefillStream); v != nil {
		r, err := offsets.ParseRefill(v)
		if err != nil {
			return p, fmt.Errorf("cursor of %s refill: %w", object, err)
		}
		p.Refill = &r
	}
	p.back(clock)
	if again {
		p.Sweep.Ranges = []offsets.Range{{From: "0"}}
		p.Sweep.Done, p.Sweep.Completed, p.Sweep.Waits, p.Sweep.Short = false, 0, false, false
		p.First = append(p.First, cdc.Cursor{Object: object, Stream: offsets.BackfillStream, Value: p.Sweep.Bytes()})
	}
	return p, nil
}

// Clock is what is known of HubSpot's time: it is Now at least, and Latest at most.
type Clock struct{ Now, Latest hubspot.Millis }

// Back moves the times of a cursor back to HubSpot's time where they lie ahead of it,
// and reports whether one did (R21).
func (c Clock) Back(times ...*hubspot.Millis) (moved bool) {
	for _, at := range times {
		if *at > c.Latest {
			*at, moved = c.Now, true
		}
	}
	return moved
}

// back moves the times of the sweeps back. What such a sweep has read it read before
// its new time, so it verifies nothing (R17).
func (p *Places) back(c Clock) {
	for _, s := range []struct {
		stream             string
		started, completed *hubspot.Millis
		waits              *bool
	}{
		{offsets.BackfillStream, &p.Sweep.Started, &p.Sweep.Completed, &p.Sweep.Waits},
		{offsets.ReconcileStream, &p.Reconcile.Started, &p.Reconcile.Completed, &p.Reconcile.Waits},
		{offsets.ArchiveStream, &p.Archive.Started, &p.Archive.Completed, new(bool)},
	} {
		if c.Back(s.started, s.completed) {
			p.Ahead, *s.waits = append(p.Ahead, s.stream), true
		}
	}
}
