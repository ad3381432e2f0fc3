package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Archive finds deletes: it pages through the recycle bin, which has no filter
// on the time of the delete, and names what is published as live. Each is
// confirmed by direct reads before its delete is published (R7).
type Archive struct {
	Object   *Object
	Place    offsets.Archive
	Interval time.Duration

	anew bool // the bin was begun anew, because HubSpot refused the cursor
}

// Run sweeps the recycle bin again and again.
func (a *Archive) Run(ctx context.Context) error {
	return supervise(ctx, a.Object, offsets.ArchiveStream, func() time.Duration { return a.Interval }, a.pass)
}

func (a *Archive) pass(ctx context.Context) error {
	o := a.Object
	for {
		list, err := o.Client.List(ctx, hubspot.Call{Priority: hubspot.Archive}, o.Type.Path, nil, a.Place.After, true, 0)
		if hubspot.ArchivedUnsupported(err) {
			o.Log.Info("HubSpot does not list archived records of this type; its deletes are found by counting (census) and by reading everything (reconcile)", "stream", offsets.ArchiveStream)
			return errFinished
		}
		if hubspot.BadRequest(err) && a.Place.After != "" && !a.anew { // as in Sweep.sweepRange
			a.anew = true
			o.Log.Warn("HubSpot does not go on with its list of archived records; it is read from its beginning", "stream", offsets.ArchiveStream, "err", err)
			a.Place.After = ""
			continue
		}
		if err != nil {
			return fmt.Errorf("list archived records after %q: %w", a.Place.After, err)
		}
		next := a.Place
		if next.After == "" {
			next.Started = list.Date
		}
		if next.After = list.After; next.After == "" {
			next.Completed = list.Date
		}
		ids := make([]hubspot.ID, len(list.Records))
		for i, r := range list.Records {
			ids[i] = r.ID
		}
		readings, err := o.complete(ctx, nil, ids)
		if err != nil {
			return err
		}
		if err := o.publish(ctx, cdc.Page{
			Stream: offsets.ArchiveStream, Readings: readings,
			Cursors: []cdc.Cursor{{Object: o.Type.Name, Stream: offsets.ArchiveStream, Value: next.Bytes()}},
		}); err != nil {
			return err
		}
		a.Place = next
		if next.After == "" {
			a.anew = false
			o.Status.reached(o.Type.Name, offsets.ArchiveStream, next.Started)
			return nil
		}
	}
}
