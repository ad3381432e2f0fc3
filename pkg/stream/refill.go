package stream

import (
	"context"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Refill reads the holders of new properties again: the records did not change,
// but what is published of them does (R13). It does so at once and again after the
// longest lag, for holders that the index shows late.
type Refill struct {
	Object *Object
	Place  offsets.Refill
	// Lag is the longest lag of the tiers.
	Lag time.Duration

	due   time.Time      // when the second round begins; zero: not known yet
	asked hubspot.Millis // when it asked for a reconcile instead; 0: it did not
}

const (
	refillRounds = 2
	// refillMost is how many properties one refill can ask for: a search takes
	// five groups of filters (docs/hubspot.md section 1). For more of them a
	// reconcile reads everything instead.
	refillMost = 5
	// reconcileLook is how often a refill that gave up looks whether the reconcile has
	// ended.
	reconcileLook = 10 * time.Second
)

// Left returns what is left to do once Run has ended, or nil for nothing.
func (r *Refill) Left() *offsets.Refill {
	if r.Place.Round > refillRounds {
		return nil
	}
	return &r.Place
}

// Run does both rounds, then returns nil.
func (r *Refill) Run(ctx context.Context) error {
	return supervise(ctx, r.Object, offsets.RefillStream, func() time.Duration { return 0 }, r.pass)
}

// giveUp asks for a reconcile instead. Some properties cannot filter a search, such
// as an e-mail's body (docs/hubspot.md section 1), and HubSpot does not say which. The
// cursor stays until the reconcile has read everything, so that a restart asks for one
// again.
func (r *Refill) giveUp(ctx context.Context, why error) error {
	o := r.Object
	if r.asked == 0 { // else a pause ended the wait for it
		o.Log.Warn("HubSpot cannot search for the holders of these properties; the reconcile reads every record instead",
			"stream", offsets.RefillStream, "properties", strings.Join(r.Place.Properties, ","), "err", why)
		r.asked = o.Client.Now()
		o.askReconcile()
	}
	for !o.sweeps.endedSince(r.asked) {
		if err := sleep(ctx, reconcileLook); err != nil {
			return err
		}
	}
	if err := o.publish(ctx, cdc.Page{Stream: offsets.RefillStream, Cursors: []cdc.Cursor{{Object: o.Type.Name, Stream: offsets.RefillStream}}}); err != nil {
		return err
	}
	r.Place.Round = refillRounds + 1
	return errFinished
}

// pass is one round, or the rest of one.
func (r *Refill) pass(ctx context.Context) error {
	o := r.Object
	if r.Place.Round > 1 && r.Place.After == 0 {
		if r.due.IsZero() { // once: HubSpot may refuse the round, or a pause end its wait
			r.due = time.Now().Add(r.Lag)
		}
		if err := sleep(ctx, time.Until(r.due)); err != nil {
			return err
		}
	}
	for {
		w, err := o.walk(ctx, hubspot.Trailing, hubspot.SearchQuery{
			HasAny: r.Place.Properties, After: r.Place.After, Started: r.Place.After != 0,
		})
		if hubspot.BadRequest(err) {
			return r.giveUp(ctx, err)
		}
		if err != nil {
			return err
		}
		ids := make([]hubspot.ID, len(w.Page.Rows))
		for i, row := range w.Page.Rows {
			ids[i] = row.ID
		}
		readings, err := o.read(ctx, hubspot.Trailing, ids)
		if err != nil {
			return err
		}
		next := r.Place
		next.After = w.End
		if !w.Page.More {
			next.Round, next.After = next.Round+1, 0
		}
		cursor := cdc.Cursor{Object: o.Type.Name, Stream: offsets.RefillStream}
		if next.Round <= refillRounds {
			cursor.Value = next.Bytes()
		}
		if err := o.publish(ctx, cdc.Page{Stream: offsets.RefillStream, Readings: readings, Cursors: []cdc.Cursor{cursor}}); err != nil {
			return err
		}
		r.Place = next
		if next.Round > refillRounds {
			return errFinished
		}
		if !w.Page.More {
			return nil
		}
	}
}
