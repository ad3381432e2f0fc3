package stream

import (
	"cmp"
	"context"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Reconcile repeats the backfill's sweep, spread over its interval. It finds what
// moves no modified time (calculated properties, restores), and what every other
// finder missed (R11).
type Reconcile struct {
	Object   *Object
	Place    offsets.Sweep
	Interval time.Duration
	// Since is when the backfill ended; zero while it runs.
	Since hubspot.Millis
	// Short says that the backfill ended in an earlier run, and that its list came short.
	Short bool

	// sweep is the one under way, or one that has ended and nobody was told of, because a
	// pause came with the commit of its last page; nil: none in this run.
	sweep *Sweep
}

const (
	// longestPause is the longest pause between two pages: the sweep of a small
	// type need not take a day.
	longestPause = 10 * time.Second
)

// Run sweeps whenever a sweep is due, once the backfill is done, until ctx ends.
func (r *Reconcile) Run(ctx context.Context) error {
	r.Object.Status.begins(r.Object.Type.Name, offsets.ReconcileStream, cmp.Or(r.Place.Started, r.Since))
	if err := r.Object.backfilled(ctx); err != nil {
		return err
	}
	r.Since = cmp.Or(r.Since, r.Object.sweptAt)
	if len(r.Place.Ranges) == 0 { // no reconcile yet: the backfill counts as one
		r.Place = offsets.Sweep{Started: r.Since, Done: true}
	} else if r.Place.Done && !r.Place.Waits { // perhaps the run before ended before it could say so
		if err := r.Object.verified.end(ctx, r.Place.Started, r.Place.Started); err != nil {
			return err
		}
	}
	if r.Short && r.Place.Started <= r.Since {
		r.Object.askReconcile()
	}
	return supervise(ctx, r.Object, offsets.ReconcileStream, func() time.Duration { return 0 }, r.pass)
}

func (r *Reconcile) pass(ctx context.Context) error {
	o := r.Object
	if r.Place.Done {
		if err := r.tell(ctx); err != nil {
			return err
		}
		asked, err := r.due(ctx)
		if err != nil {
			return err
		}
		// HubSpot's servers differ (R21): by the latest answer it may be earlier than when the
		// backfill ended, and what began before that does not show what its list lacked.
		r.Place = offsets.Sweep{Ranges: []offsets.Range{{From: "0"}}, Started: max(o.Client.Now(), r.Since+1), Asked: asked}
	}
	if r.sweep == nil {
		if unbegun(r.Place) {
			if err := o.Lane.Fence(ctx); err != nil {
				return err
			}
		}
		r.sweep = &Sweep{Object: o, Stream: offsets.ReconcileStream, Priority: hubspot.Reconcile, Place: r.Place, partly: r.Place.Waits}
		if !r.Place.Asked {
			r.sweep.Pause = reconcilePause(o.Lane.Live(), r.Interval)
		}
	}
	o.sweeps.begin(r.Place.Started)
	err := r.sweep.sweep(ctx)
	r.Place = r.sweep.Place
	if err == nil {
		err = r.tell(ctx)
	}
	return err
}

// tell tells of a sweep that has ended.
func (r *Reconcile) tell(ctx context.Context) error {
	if r.sweep == nil {
		return nil
	}
	if err := r.sweep.verify(ctx); err != nil {
		return err
	}
	r.Object.Status.reached(r.Object.Type.Name, offsets.ReconcileStream, r.Place.Started)
	r.sweep = nil
	return nil
}

// reconcilePause returns the pause that spreads a sweep's pages over most of its
// interval.
func reconcilePause(records int, interval time.Duration) time.Duration {
	return min(interval*8/10/time.Duration(records/hubspot.MaxList+1), longestPause)
}

// due waits until an interval after the last sweep began, or until askReconcile
// asks for one.
func (r *Reconcile) due(ctx context.Context) (asked bool, err error) {
	wait := r.Place.Started.Add(r.Interval) - r.Object.Client.Now()
	t := time.NewTimer(time.Duration(wait) * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Object.wanted:
		asked = true
	case <-ctx.Done():
	}
	return asked, ctx.Err()
}
