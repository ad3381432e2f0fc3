package stream

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// read reads any number of ids from the object store and returns what the lane can
// decide. An id that HubSpot does not have becomes a delete only after a confirm,
// and only if it is published as live (R7).
func (o *Object) read(ctx context.Context, prio hubspot.Priority, ids []hubspot.ID) ([]cdc.Reading, error) {
	var lookUps []*cdc.LookUp
	g, gctx := errgroup.WithContext(ctx)
	for chunk := range slices.Chunk(ids, hubspot.MaxBatch) {
		l := cdc.NewLookUp(chunk)
		lookUps = append(lookUps, l)
		g.Go(func() error { return o.ask(gctx, prio, l) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var readings []cdc.Reading
	var missing []hubspot.ID
	for _, l := range lookUps {
		readings, missing = append(readings, l.Readings...), append(missing, l.Missing...)
	}
	return o.complete(ctx, readings, missing)
}

// complete makes readings fit to be published: it confirms what was found missing,
// and the losers that survivors of merges name (R7). copies are archived ones that a
// list showed.
func (o *Object) complete(ctx context.Context, readings []cdc.Reading, missing []hubspot.ID, copies ...hubspot.Record) ([]cdc.Reading, error) {
	c := cdc.NewComplete(readings, missing, copies)
	if err := o.ask(ctx, hubspot.Confirm, c); err != nil {
		return nil, fmt.Errorf("confirm records: %w", err)
	}
	return c.Readings, nil
}

// ask drives a protocol: HubSpot and the lane answer its questions.
func (o *Object) ask(ctx context.Context, prio hubspot.Priority, p cdc.Protocol) error {
	err := drive(ctx, p, o.stuck, func(ask cdc.Ask) (cdc.Answer, error) { return o.answer(ctx, prio, ask) })
	if err == nil {
		// The finder that named what was left out goes on, and may never name it again.
		o.Metrics.unresolved.WithLabelValues(o.Type.Name).Add(float64(len(p.Unresolved())))
		err = o.stuck.settle(ctx, p.Stuck(), p.Unresolved())
	}
	return err
}

// drive asks a protocol's questions until it has no more.
func drive(ctx context.Context, p cdc.Protocol, s *stuck, answer func(cdc.Ask) (cdc.Answer, error)) error {
	for ask, more := p.Next(); more; ask, more = p.Next() {
		if err := sleep(ctx, ask.Wait); err != nil {
			return err
		}
		a, err := s.ask(ctx, ask, answer)
		if err != nil {
			return err
		}
		p.Take(a)
	}
	return nil
}

func (o *Object) answer(ctx context.Context, prio hubspot.Priority, ask cdc.Ask) (a cdc.Answer, err error) {
	switch ask.What {
	case cdc.AskLiveAmong:
		a.IDs, err = o.Lane.LiveAmong(ctx, ask.IDs)
	case cdc.AskGoneBefore:
		a.IDs, err = o.Lane.GoneBefore(ctx, ask.IDs)
	case cdc.AskControls:
		a.IDs, err = o.Lane.Controls(ctx, slices.Concat(ask.IDs, o.stuck.all()))
	case cdc.AskList:
		a.List, err = o.list(ctx, hubspot.Call{Priority: prio}, nil, "", false, nil)
		if hubspot.Divisible(err) { // nothing shows whether HubSpot has them
			a.Stuck, err = slices.Clone(ask.IDs), nil
		}
		if err != nil {
			err = fmt.Errorf("list a page as a control: %w", err)
		}
	case cdc.AskBin:
		a.List.Records, err = o.losersInBin(ctx, len(ask.IDs) > 0)
	default:
		archived := ask.What == cdc.AskArchived
		a.Slots = o.Lane.Slots()
		call := o.call(prio, &a.Sent, ask.Tries)
		call.Quick = ask.Quick
		a.Batch, err = o.Client.BatchRead(ctx, call, o.Type.Path, a.Slots, ask.IDs, archived)
		switch {
		case archived && hubspot.ArchivedUnsupported(err):
			err = nil // a type without archived copies
		case err != nil:
			err = fmt.Errorf("read %d records: %w", len(ask.IDs), err)
		}
	}
	return a, err
}

// call notes the moment of sending in sent: a reading is as old as the last
// attempt of its request (R1).
func (o *Object) call(prio hubspot.Priority, sent *cdc.Sent, tries int) hubspot.Call {
	return hubspot.Call{Priority: prio, Tries: tries, OnSend: func(now hubspot.Millis) {
		sent.Stamp, sent.At = o.Lane.Now(), now
	}}
}
