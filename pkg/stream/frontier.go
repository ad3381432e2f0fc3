package stream

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Frontiers keep the time for which everything of an object type, a pair or a
// reference list is published that HubSpot had then (R17).
type Frontiers interface {
	Verified(object string) hubspot.Millis
	SetVerified(object string, began, at hubspot.Millis)
}

// verification says when a sweep has shown everything. That is not when it ends: what
// it found missing may wait for another confirm or another reading, and HubSpot may
// not answer about some records.
type verification struct {
	object    string
	frontiers Frontiers // nil: nobody asks
	// waiting returns the records about which nothing is decided now.
	waiting func(context.Context) ([]hubspot.ID, error)
	some    atomic.Bool // there are sweeps in ended
	// shown is when the latest sweep began that has shown everything in this run.
	shown atomic.Int64

	turn  chan struct{} // one slot; who has put something in may use ended
	ended []endedSweep  // that have not shown everything yet, in order
}

// endedSweep is a sweep whose last page is committed.
type endedSweep struct {
	began hubspot.Millis
	at    hubspot.Millis // for which time it shows everything; 0: none
	left  []hubspot.ID   // what was not decided when it ended, and still is not
}

// endedKept is how many sweeps wait at most. The later ones show more.
const endedKept = 64

func newVerification(object string, f Frontiers, waiting func(context.Context) ([]hubspot.ID, error)) *verification {
	return &verification{object: object, frontiers: f, waiting: waiting, turn: make(chan struct{}, 1)}
}

// at is the time for which everything is published; 0 = none.
func (v *verification) at() hubspot.Millis {
	if v.frontiers == nil {
		return 0
	}
	return v.frontiers.Verified(v.object)
}

// end takes a sweep that began at a time and has read everything. at is the time for
// which that shows everything; 0: none.
func (v *verification) end(ctx context.Context, began, at hubspot.Millis) error {
	if v.frontiers == nil {
		return nil
	}
	return v.with(ctx, func(waiting []hubspot.ID) {
		v.ended = append(v.ended, endedSweep{began, at, waiting})
		v.ended = v.ended[max(0, len(v.ended)-endedKept):]
	})
}

// shownSince reports whether a sweep that began at a time or later has shown
// everything in this run.
func (v *verification) shownSince(at hubspot.Millis) bool {
	return hubspot.Millis(v.shown.Load()) >= at
}

// settle looks which sweeps have shown everything by now. Call it when something was
// decided. That is committed, so there is no error: if ctx ends first, as in a pause, the
// next decision looks.
func (v *verification) settle(ctx context.Context) {
	if v.some.Load() {
		_ = v.with(ctx, func([]hubspot.ID) {})
	}
}

func (v *verification) with(ctx context.Context, change func(waiting []hubspot.ID)) error {
	select {
	case v.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-v.turn }()
	waiting, err := v.waiting(ctx)
	if err != nil {
		return err
	}
	change(waiting)
	v.ended = slices.DeleteFunc(v.ended, func(e endedSweep) bool {
		shown := !slices.ContainsFunc(e.left, func(id hubspot.ID) bool { return slices.Contains(waiting, id) })
		if shown {
			if e.at != 0 {
				v.frontiers.SetVerified(v.object, e.began, e.at)
			}
			v.shown.Store(max(v.shown.Load(), int64(e.began)))
		}
		return shown
	})
	v.some.Store(len(v.ended) > 0)
	return nil
}
