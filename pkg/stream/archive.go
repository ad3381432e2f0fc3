package stream

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Archive finds deletes. It pages through the recycle bin, which HubSpot cannot
// filter by the time of the delete, and names the records that are published as
// live, and those that an archived survivor of a merge names. Direct reads confirm
// each one before its delete is published (R7).
type Archive struct {
	Object   *Object
	Place    offsets.Archive
	Interval time.Duration // between two sweeps; zero: Object.Rounds says

	last      time.Time // when the last pass began that ended a sweep; zero: none has
	begun     bool      // a sweep is under way: after a refusal or a pause it goes on without a wait
	began     time.Time // when the sweep began; zero: in an earlier run
	pages     int       // of the sweep, in this run
	restarted time.Time // when HubSpot refused to continue the list, so that it is read from the beginning
}

// Run sweeps the recycle bin, the more often the shorter it is. It ends when ctx
// does, or when HubSpot does not list archived records of the type.
func (a *Archive) Run(ctx context.Context) error {
	a.Object.Status.begins(a.Object.Type.Name, offsets.ArchiveStream, a.Place.Started)
	return supervise(ctx, a.Object, offsets.ArchiveStream, func() time.Duration { return 0 }, a.pass)
}

func (a *Archive) pass(ctx context.Context) error {
	o := a.Object
	if !a.begun {
		if err := o.due(ctx, a.Interval, a.last, a.pages, ReliedArchive); err != nil {
			return err
		}
	}
	a.begun = true
	began, seen := time.Now(), trail{}
	for {
		sent := time.Now()
		list, err := o.archived(ctx, hubspot.Archive, a.Place.After, seen)
		if hubspot.ArchivedUnsupported(err) {
			o.Log.Info("HubSpot does not list archived records of this type; the census (by counting) and the reconcile (by reading everything) find its deletes", "stream", offsets.ArchiveStream)
			o.Status.Clear(o.Type.Name, offsets.ArchiveStream) // nothing is behind
			return errFinished
		}
		if hubspot.BadRequest(err) && a.Place.After != "" && !justRestarted(a.restarted) { // as in reading.next
			a.restarted = time.Now()
			o.Log.Warn("HubSpot refuses to continue its list of archived records; the stream reads it from the beginning", "stream", offsets.ArchiveStream, "err", err)
			a.Place.After, seen = "", trail{}
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
		if a.pages++; a.Place.After == "" {
			a.pages, a.began = 1, sent
		}
		o.went(list.Records)
		ids := slices.Clone(list.Unread)
		for _, r := range list.Records {
			ids = append(ids, r.ID)
		}
		o.bin.note(list.Records)
		if err := a.publish(ctx, ids, list.Records, cdc.Cursor{Object: o.Type.Name, Stream: offsets.ArchiveStream, Value: next.Bytes()}); err != nil {
			return err
		}
		a.Place = next
		if next.After == "" {
			a.restarted, a.last, a.begun = time.Time{}, began, false
			if !a.began.IsZero() {
				o.bin.whole(a.began, a.pages)
			}
			o.Status.reached(o.Type.Name, offsets.ArchiveStream, next.Started)
			return nil
		}
	}
}

// publish confirms the records of a page that are published as live, and commits what
// that shows.
func (a *Archive) publish(ctx context.Context, ids []hubspot.ID, copies []hubspot.Record, cursor cdc.Cursor) error {
	o := a.Object
	release, err := o.claims.claim(ctx, ids)
	if err != nil {
		return err
	}
	defer release()
	readings, err := o.complete(ctx, nil, ids, copies...)
	if err != nil {
		return err
	}
	return o.publish(ctx, cdc.Page{Stream: offsets.ArchiveStream, Readings: readings, Cursors: []cdc.Cursor{cursor}})
}

// went tells Rounds when the latest of these copies was archived.
func (o *Object) went(copies []hubspot.Record) {
	var latest hubspot.Millis
	for i := range copies {
		latest = max(latest, copies[i].ArchivedAt)
	}
	if ago := o.Client.Now() - latest; latest > 0 {
		o.Rounds.Went(o.Type.Name, time.Now().Add(-time.Duration(max(0, ago))*time.Millisecond))
	}
}
