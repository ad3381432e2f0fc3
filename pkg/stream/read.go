package stream

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// batchSize is HubSpot's limit for the inputs of one batch read.
const batchSize = 100

// read asks the object store for ids, however many, and returns what can be
// decided. An id that HubSpot does not have is confirmed before it becomes a
// delete, and only if it is published as live (R7).
func (o *Object) read(ctx context.Context, prio hubspot.Priority, ids []hubspot.ID) ([]cdc.Reading, error) {
	answers := make([]lookup, (len(ids)+batchSize-1)/batchSize)
	g, gctx := errgroup.WithContext(ctx)
	next := answers
	for chunk := range slices.Chunk(ids, batchSize) {
		answer := &next[0]
		next = next[1:]
		g.Go(func() (err error) {
			*answer, err = o.lookUp(gctx, prio, chunk)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var readings []cdc.Reading
	var missing []hubspot.ID
	for _, a := range answers {
		readings = append(readings, a.readings...)
		missing = append(missing, a.missing...)
	}
	gone, err := o.Lane.LiveAmong(ctx, missing)
	if err != nil {
		return nil, err
	}
	confirmed, err := o.confirm(ctx, gone)
	if err != nil {
		return nil, err
	}
	return o.withLosers(ctx, append(readings, confirmed...))
}

// lookup is what a live batch read says of the ids it was asked for (R8).
type lookup struct {
	slots    *hubspot.Slots // the property set that was asked for
	stamp    uint64         // Lane.Now when the last attempt of the first read was sent
	sentAt   hubspot.Millis // HubSpot's time then, at least
	date     hubspot.Millis // HubSpot's Date of the answer
	readings []cdc.Reading  // live, or merged
	doubtful bool           // a control id was not answered live (R7)
	missing  []hubspot.ID   // HubSpot said, naming the id, that it is not there
}

// lookUp reads at most batchSize ids. An id that HubSpot neither answers nor
// reports is read alone: answered by another id, it was merged.
func (o *Object) lookUp(ctx context.Context, prio hubspot.Priority, ids []hubspot.ID) (lookup, error) {
	a, unanswered, err := o.lookUpOnce(ctx, prio, ids)
	if err != nil {
		return a, err
	}
	for _, id := range unanswered {
		alone, err := o.lookUpAlone(ctx, prio, id)
		if err != nil {
			return a, err
		}
		a.readings = append(a.readings, alone.readings...)
		a.missing = append(a.missing, alone.missing...)
	}
	return a, nil
}

func (o *Object) lookUpOnce(ctx context.Context, prio hubspot.Priority, ids []hubspot.ID) (a lookup, unanswered []hubspot.ID, err error) {
	page, err := o.batchRead(ctx, prio, &a, ids, false)
	if err != nil {
		return a, nil, err
	}
	for i := range page.Records {
		if r := &page.Records[i]; !r.Archived {
			a.readings = append(a.readings, o.reading(&a, cdc.IsLive, r, page.Date))
		}
	}
	a.missing = page.Missing
	if len(ids) == 1 && len(page.Foreign) == 1 && len(page.Unanswered) == 1 {
		merged := o.reading(&a, cdc.IsMerged, nil, page.Date)
		merged.ID, merged.Into = ids[0], page.Foreign[0].ID
		a.readings = append(a.readings, merged)
		return a, nil, nil
	}
	return a, page.Unanswered, nil
}

// aloneTries bounds how often an id is read alone while HubSpot neither
// answers nor reports it. That is no reading: the id stays as it is, and the
// next finder that names it asks again.
const aloneTries = 4

func (o *Object) lookUpAlone(ctx context.Context, prio hubspot.Priority, id hubspot.ID) (lookup, error) {
	for try := range aloneTries {
		if err := sleep(ctx, time.Duration(try)*time.Second); err != nil {
			return lookup{}, err
		}
		a, unanswered, err := o.lookUpOnce(ctx, prio, []hubspot.ID{id})
		if err != nil || len(unanswered) == 0 {
			return a, err
		}
	}
	o.Metrics.unresolved.WithLabelValues(o.Type.Name).Inc()
	o.Log.Warn("HubSpot neither answers a record nor reports it missing; its key stays as it is")
	return lookup{}, nil
}

// batchRead makes one request and notes in a when it was sent.
func (o *Object) batchRead(ctx context.Context, prio hubspot.Priority, a *lookup, ids []hubspot.ID, archived bool) (hubspot.BatchPage, error) {
	a.slots = o.Lane.Slots()
	page, err := o.Client.BatchRead(ctx, o.call(prio, a), o.Type.Path, a.slots, ids, archived)
	a.date = page.Date
	if err != nil {
		return page, fmt.Errorf("read %d records: %w", len(ids), err)
	}
	return page, nil
}

// call notes the moment of sending: a reading is as old as its last attempt.
func (o *Object) call(prio hubspot.Priority, a *lookup) hubspot.Call {
	return hubspot.Call{Priority: prio, OnSend: func(now hubspot.Millis) {
		a.stamp, a.sentAt = o.Lane.Now(), now
	}}
}

func (o *Object) reading(a *lookup, outcome cdc.Outcome, r *hubspot.Record, date hubspot.Millis) cdc.Reading {
	reading := cdc.Reading{
		Outcome: outcome, Record: r, Slots: a.slots,
		Stamp: a.stamp, SentAt: a.sentAt, Date: date,
	}
	if r != nil {
		reading.ID = r.ID
	}
	return reading
}
