package stream

import (
	"context"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Tier finds created, updated and restored records through the search index (R3).
// The leading tier has lag 0. A trailing tier starts each walk its lag further back,
// because the index shows some changes late.
type Tier struct {
	Object *Object
	// Stream is "leading" or "trailing-<lag>", with the lag as the operator
	// wrote it.
	Stream string
	Lag    time.Duration
	Window cdc.Window
	// Interval returns how long to wait between two walks.
	Interval func() time.Duration
	// Seen, unless nil, takes how many records each walk had to read.
	Seen func(records int)
}

// Run walks until ctx ends.
func (t *Tier) Run(ctx context.Context) error {
	return supervise(ctx, t.Object, t.Stream, t.Interval, t.pass)
}

// pass is one walk, or the rest of one that a restart interrupted. It commits every
// page with the place after it.
func (t *Tier) pass(ctx context.Context) error {
	prio := hubspot.Trailing
	if t.Lag == 0 {
		prio = hubspot.Leading
	}
	o := t.Object
	read := 0
	for {
		w, err := o.walk(ctx, prio, t.Window.Search(hubspot.SearchQuery{}))
		if err != nil {
			return err
		}
		ids, err := o.Lane.Unskipped(ctx, w.Page.Rows, t.Window.Start)
		if err != nil {
			return err
		}
		readings, err := o.read(ctx, prio, ids)
		if err != nil {
			return err
		}
		t0, place := t.Window.Begin(w.Page.Date).T0, t.Window.Past(w, t.Lag)
		if err := o.publish(ctx, cdc.Page{
			Stream: t.Stream, Readings: readings, Searched: true,
			Cursors: []cdc.Cursor{tierCursor(o.Type.Name, t.Stream, place)},
		}); err != nil {
			return err
		}
		t.Window = place
		read += len(ids)
		if !w.Page.More {
			o.Status.reached(o.Type.Name, t.Stream, t0)
			if t.Seen != nil {
				t.Seen(read)
			}
			return nil
		}
	}
}

func tierCursor(object, stream string, w cdc.Window) cdc.Cursor {
	c := offsets.Tier{At: w.Start, T0: w.T0, ID: w.Last, Walking: w.Walking()}
	return cdc.Cursor{Object: object, Stream: stream, Value: c.Bytes()}
}
