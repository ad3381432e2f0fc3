package stream

import (
	"context"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// AssociationSweep reads the links of every record of a pair's from type, in
// order of ids. HubSpot cannot say which links have changed, and making one moves
// no modified time (R14).
type AssociationSweep struct {
	Pair  *Pair
	Place offsets.Associations

	begun bool           // this run began the sweep under way
	from  hubspot.Millis // for which time the from type was verified then
	aside uint64         // Pair.aside then

	leftOut leftOut
}

// Run sweeps until ctx ends. The first sweep waits for the backfill of the from
// type, because it asks about that type's records.
func (s *AssociationSweep) Run(ctx context.Context) error {
	p := s.Pair
	p.From.Status.idle(p.Name(), offsets.AssociationsStream) // until the backfill is done
	p.From.Status.begins(p.Name(), offsets.AssociationsStream, s.Place.Started)
	if s.Place.Completed != 0 {
		p.From.Status.backfillDone(p.Name())
	}
	if err := p.From.backfilled(ctx); err != nil {
		return err
	}
	return superviseAs(ctx, p.subject(), offsets.AssociationsStream, func() time.Duration { return 0 }, s.pass)
}

// pass is one sweep, or the rest of one. It commits every page with the place
// after it.
func (s *AssociationSweep) pass(ctx context.Context) error {
	p := s.Pair
	place := cdc.LinkPlace(s.Place)
	if !place.UnderWay() {
		if err := s.due(ctx); err != nil {
			return err
		}
		place = place.Begin(p.From.Client.Now())
		s.Place = offsets.Associations(place)
		if err := p.Lane.Fence(ctx); err != nil {
			return err
		}
		s.begun, s.from, s.aside, s.leftOut = true, p.From.verified.at(), p.aside.Load(), leftOut{}
	}
	p.begun.Store(true)
	p.sweeps.begin(s.Place.Started)
	first := place.Completed == 0
	done, err := p.From.Lane.Count(ctx, cdc.Range{UpTo: max(1, place.ID)}, farFuture)
	if err != nil {
		return err
	}
	p.From.Status.begin(p.Name(), offsets.AssociationsStream, first, done.Certain, p.From.Lane.Live())
	pause := time.Duration(0)
	if !first {
		pages := time.Duration(p.From.Lane.Live()/hubspot.MaxLinks + 1)
		pause = min(p.Pace.Interval()*8/10/pages, longestPause)
	}
	for {
		ids, err := p.Lane.Next(ctx, place.ID, hubspot.MaxLinks)
		if err != nil {
			return err
		}
		readings, silent, err := p.readings(ctx, hubspot.AssociationSweep, ids)
		if err != nil {
			return err
		}
		next := place.Past(ids, hubspot.MaxLinks, p.From.Client.Now())
		ended := !next.UnderWay()
		if err := p.publish(ctx, cdc.LinkPage{
			Stream: offsets.AssociationsStream, Readings: readings, Sync: ended && first, Swept: ended,
			Cursors: []cdc.Cursor{{Object: p.Name(), Stream: offsets.AssociationsStream, Value: offsets.Associations(next).Bytes()}},
		}); err != nil {
			return err
		}
		place, s.Place = next, offsets.Associations(next)
		s.leftOut.add(silent)
		p.From.Status.started(p.Name(), offsets.AssociationsStream)
		p.From.Status.advance(p.Name(), offsets.AssociationsStream, len(ids))
		if ended {
			p.From.Status.end(p.Name(), offsets.AssociationsStream)
			break
		}
		if len(p.wanted) > 0 { // the one that is asked for begins when this one has ended
			continue
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	p.From.Status.reached(p.Name(), offsets.AssociationsStream, s.Place.Started)
	p.sweeps.end(s.Place.Started)
	if err := s.leftOut.say(ctx, p); err != nil {
		return err
	}
	if s.begun && s.aside == p.aside.Load() {
		if err := p.verified.end(ctx, s.Place.Started, min(s.Place.Started, s.from)); err != nil {
			return err
		}
	}
	s.begun = false
	if first {
		p.From.Status.backfillDone(p.Name())
		p.Log.Info("first sweep of associations done", "stream", offsets.AssociationsStream, "links", p.Lane.Live())
	}
	return nil
}

// due waits until the interval is over, or until Pair.SweepNow asks for a sweep. It
// computes the interval again and again, because the first link of a pair, and a
// journal that is no longer relied on, shorten it.
func (s *AssociationSweep) due(ctx context.Context) error {
	for s.Place.Started != 0 {
		wait := time.Duration(s.Place.Started.Add(s.Pair.Pace.Interval())-s.Pair.From.Client.Now()) * time.Millisecond
		if wait <= 0 {
			break
		}
		t := time.NewTimer(min(wait, UntilBeat(shorterLook)))
		select {
		case <-t.C:
		case <-s.Pair.wanted:
			t.Stop()
			return nil
		case <-ctx.Done():
		}
		t.Stop()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// ChangedAssociations reads the links of records that another finder saw
// change: a user who makes a link usually changes something else too (R14).
type ChangedAssociations struct {
	Pair *Pair
	// Wait spaces the calls of all pairs, so that a busy portal does not spend
	// the day's calls on them.
	Wait func(context.Context) error
}

// changedSpacing is the shortest time between two passes over a pair. Records
// that change within it share a call.
const changedSpacing = time.Second

// Run reads the links of records as they become due, until ctx ends.
func (c *ChangedAssociations) Run(ctx context.Context) error {
	return superviseAs(ctx, c.Pair.subject(), changedStream, func() time.Duration { return changedSpacing }, c.pass)
}

func (c *ChangedAssociations) pass(ctx context.Context) error {
	p := c.Pair
	for asked := false; !asked; {
		if err := p.looks.wait(ctx); err != nil {
			return err
		}
		if err := c.Wait(ctx); err != nil {
			return err
		}
		due := p.looks.take()
		var err error
		if asked, err = c.look(ctx, due); err != nil {
			p.looks.retry(due)
			return err
		}
	}
	p.From.Status.started(p.Name(), changedStream)
	return nil
}

// look reads the links of records. It asks nothing where none of them may have any.
func (c *ChangedAssociations) look(ctx context.Context, due []cdc.Look) (asked bool, err error) {
	p := c.Pair
	ids, others := cdc.Ends(due)
	holders, err := p.Lane.Holders(ctx, others)
	if err != nil {
		return false, err
	}
	ids = append(ids, holders...)
	slices.Sort(ids)
	for i, chunk := range slices.Collect(slices.Chunk(slices.Compact(ids), hubspot.MaxLinks)) {
		if i > 0 {
			if err := c.Wait(ctx); err != nil {
				return false, err
			}
		}
		readings, err := p.read(ctx, hubspot.ChangedAssociations, chunk)
		if err != nil {
			return false, err
		}
		if err := p.publish(ctx, cdc.LinkPage{Stream: offsets.AssociationsStream, Readings: readings}); err != nil {
			return false, err
		}
	}
	return len(ids) > 0, nil
}
