package stream

import (
	"context"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// RecheckLinks reads the sets again that lacked published links: a delete needs a
// second witness (R19). It reads some other sets along: where none of these is whole
// either, the answer shows nothing. It is no finder: an event names the stream that
// found the set.
type RecheckLinks struct{ Pair *Pair }

// Run reads sets as they become due, until ctx ends.
func (r *RecheckLinks) Run(ctx context.Context) error {
	return superviseAs(ctx, r.Pair.subject(), recheckStream, func() time.Duration { return 0 }, r.pass)
}

func (r *RecheckLinks) pass(ctx context.Context) error {
	p := r.Pair
	stream, ids, err := p.recheck.next(ctx, nil)
	if err != nil {
		return err
	}
	for len(ids) > 0 {
		n := min(len(ids), cdc.LinkWitnesses)
		if err := r.read(ctx, stream, ids[:n]); err != nil {
			p.recheck.add(stream, later(ids))
			return err
		}
		ids = ids[n:]
	}
	p.From.Status.started(p.Name(), recheckStream)
	return nil
}

func (r *RecheckLinks) read(ctx context.Context, stream string, ids []hubspot.ID) error {
	p := r.Pair
	controls, err := p.Lane.Controls(ctx, ids)
	if err != nil {
		return err
	}
	readings, err := p.read(ctx, hubspot.Confirm, slices.Concat(ids, controls))
	if err != nil {
		return err
	}
	return p.publish(ctx, cdc.LinkPage{Stream: stream, Readings: readings, Controlled: true})
}
