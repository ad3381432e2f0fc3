package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// objectType is one object type of the portal: the properties in force, and the
// streams that run for it.
type objectType struct {
	run     *run
	records *stream.Object
	set     *schema.Set // in force, or the last one that was; nil: never published
	refused bool        // the registry does not take the set that would follow

	started hubspot.Millis // HubSpot's time of the type's first start
	// streams is nil while none runs. Refill (nil: there is none) and reconcile end
	// alone, when what they read changes under them.
	streams   *task
	rereading *task
	refill    *stream.Refill
	reconcile *stream.Reconcile
}

// newObjectType makes an object type that no stream reads yet. lane is its lane
// where an earlier type of that name had one in this run.
func newObjectType(r *run, t hubspot.ObjectType, set *schema.Set, lane *cdc.Lane) *objectType {
	if lane == nil {
		lane = cdc.NewLane(cdc.LaneConfig{
			Object: t.Name, Rows: r.loaded.Rows[t.Name], Patience: r.timings.Confirm,
			SkipUnchanged: r.setup.Config.Event.SkipUnchanged, Committer: r.out,
		})
	}
	return &objectType{run: r, set: set, records: stream.NewObject(stream.Object{
		Type: t, Client: r.setup.HubSpot, Status: r.status, Metrics: r.counts, Log: r.log.With("object", t.Name), Lane: lane,
	})}
}

// replacedBy says that a custom type has another id under the same name now.
func (o *objectType) replacedBy(t hubspot.ObjectType) bool {
	return o != nil && o.set != nil && o.records.Type.Custom && o.records.Type.TypeID != t.TypeID
}

// take follows a type's properties as HubSpot shows them now (R13). shrunk says
// that scopes were taken away since: that a property is missing is then no
// evidence (R9). first says that the run has only begun, so that a topic which
// cannot be made ready ends it.
func (o *objectType) take(ctx context.Context, found stream.Found, shrunk, first bool) (started bool, err error) {
	set, diff := schema.Next(o.set, found.Type, schema.Listing{
		Properties: found.Properties, Asked: o.run.setup.Config.HubSpot.Sensitivities(), Refused: o.records.Withheld(&found), Shrunk: shrunk,
	}, o.run.setup.Selection)
	same := o.set != nil && o.set.Same(set)
	if o.streams != nil && !o.refused && same {
		o.set = set // with the labels of today
		return false, nil
	}
	if !diff.Empty() && !o.refused {
		o.sayChanged(&diff)
	}
	started = o.streams == nil
	var text []byte
	if !same {
		if text, err = json.Marshal(set); err != nil {
			return false, err
		}
	}
	err = o.evolve(ctx, set, text, stream.Changed{Ask: diff.Ask(), Gone: diff.Removed}, first)
	return started && o.streams != nil, err
}

// evolve has the lane go over to a property set, and the streams read again
// what that concerns. It starts them, where none runs: all their first cursors
// are committed in one transaction, before anything is read (R5).
//
// While the registry refuses the set the topic is not written. Streams of a type
// that was published before run all the same, and wait: the associations of its
// records go on.
func (o *objectType) evolve(ctx context.Context, set *schema.Set, text []byte, changed stream.Changed, first bool) error {
	name := o.records.Type.Name
	places, err := o.places(changed)
	if err != nil {
		return err
	}
	var topic error
	err = o.adopt(ctx, set, text, places, func(ctx context.Context) error {
		topic = o.run.out.Topic(ctx, name, set)
		return topic
	})
	switch {
	case err == nil:
		o.set, o.refused = set, false
		o.run.status.Clear(name, stream.SchemaStream)
	case topic == nil || ctx.Err() != nil || permanent(err) || first && !refusedTopic(err):
		return err
	default:
		o.refused = true
		o.run.notFollowed(name, err)
		if o.set == nil {
			return nil
		}
		if places, err = o.places(stream.Changed{}); err != nil {
			return err
		}
		if o.streams == nil {
			asItIs := func(context.Context) error { return nil }
			if err := o.adopt(ctx, o.set, nil, places, asItIs); err != nil {
				return err
			}
		}
	}
	o.start(places)
	return nil
}

func refusedTopic(err error) bool {
	_, ok := errors.AsType[*cdc.RefusedError](err)
	return ok
}

// adopt has the lane read and write with a set from now on, once accept has made
// the topic ready. text is what the state remembers of it, nil where that does
// not change.
func (o *objectType) adopt(ctx context.Context, set *schema.Set, text []byte, p stream.Places, accept func(context.Context) error) error {
	o.started = p.Sweep.Started
	return o.records.Lane.Evolve(ctx, cdc.Evolution{
		Slots: set.Slots(o.run.setup.Selection), Content: cdc.NewContent(set.Content(o.run.setup.Volatile)),
		Started: o.started, Accept: accept, Set: text, Cursors: p.First,
	})
}

// places are where the streams go on: what the last run left, or, while they
// run, what they have come to; and what a change asks to be read again. The
// streams that would go on with the places of before are ended.
func (o *objectType) places(changed stream.Changed) (p stream.Places, err error) {
	name := o.records.Type.Name
	now := o.run.setup.HubSpot.Now()
	if o.streams == nil {
		saved := func(s string) []byte { return o.run.cursor(name, s) }
		if p, err = stream.Resume(name, o.run.setup.Lags, saved, now); err != nil {
			return p, err
		}
	} else {
		o.rereading.end()
		if o.refill != nil {
			p.Refill = o.refill.Left()
		}
		p.Reconcile, p.Sweep.Completed = o.reconcile.Place, o.reconcile.Since
		p.Sweep.Started = o.started
		o.rereading = nil
	}
	p.Renew(name, changed, now)
	return p, nil
}

// start runs the streams that do not run.
func (o *objectType) start(p stream.Places) {
	r := o.run
	if o.streams == nil {
		r.status.Watch(o.records.Type.Name, o.records.Lane)
		o.streams = r.tasks.spawn(o.finders(p)...)
	}
	if o.rereading == nil {
		o.reconcile = &stream.Reconcile{Object: o.records, Place: p.Reconcile, Interval: r.setup.Config.Sync.ReconcileInterval, Since: p.Sweep.Completed}
		again := []runner{o.reconcile}
		if o.refill = nil; p.Refill != nil {
			o.refill = &stream.Refill{Object: o.records, Place: *p.Refill, Lag: stream.Longest(r.setup.Lags)}
			again = append(again, o.refill)
		}
		o.rereading = r.tasks.spawn(again...)
	}
}

// finders lists the streams that name ids of this type; a new one is one line
// here. Refill and reconcile stand apart, in start: they begin again when the
// properties change.
func (o *objectType) finders(p stream.Places) []runner {
	r, sync, name := o.run, &o.run.setup.Config.Sync, o.records.Type.Name
	var out []runner
	for i, lag := range r.setup.Lags {
		t := &stream.Tier{Object: o.records, Stream: lag.Stream, Lag: lag.By, Window: p.Windows[i]}
		if lag.By == 0 {
			r.pace.Add(name)
			t.Interval = func() time.Duration { return r.pace.Interval(name) }
			t.Seen = func(n int) { r.pace.Seen(name, n) }
		} else {
			interval := sync.Trailing(lag)
			t.Interval = func() time.Duration { return interval }
		}
		r.status.Expect(name, lag.Stream)
		out = append(out, t)
	}
	if !p.Sweep.Done {
		r.status.Expect(name, offsets.BackfillStream)
	}
	return append(out,
		&stream.Sweep{Object: o.records, Stream: offsets.BackfillStream, Priority: hubspot.Backfill, Place: p.Sweep},
		&stream.Census{Object: o.records, Interval: sync.CensusInterval, Recent: r.timings.Recent, Recheck: r.timings.Disputed},
		&stream.Archive{Object: o.records, Place: p.Archive, Interval: sync.ArchiveInterval},
		&stream.Recheck{Object: o.records},
	)
}

// end publishes that every record is gone, because the type was removed.
func (o *objectType) end(ctx context.Context, date hubspot.Millis) error {
	name := o.records.Type.Name
	for _, t := range []*task{o.streams, o.rereading} {
		t.end()
	}
	if o.streams == nil { // it was missing already when the run began
		if err := o.run.out.Topic(ctx, name, o.set); err != nil {
			return fmt.Errorf("end %s: %w", name, err)
		}
	}
	streams := []string{offsets.BackfillStream, offsets.ReconcileStream, offsets.ArchiveStream, offsets.RefillStream}
	for _, lag := range o.run.setup.Lags {
		streams = append(streams, lag.Stream)
	}
	return stream.End(ctx, o.records.Lane, date, o.run.forget(name, streams...))
}

// forget gives the tombstones of cursors.
func (r *run) forget(name string, streams ...string) []cdc.Cursor {
	var out []cdc.Cursor
	for _, s := range streams {
		delete(r.loaded.Cursors, offsets.Key{Portal: r.portal, Object: name, Stream: s})
		out = append(out, cdc.Cursor{Object: name, Stream: s})
	}
	return out
}

// sayChanged says what a change of the properties is, and which of them keep
// their old values in the topic although they are published no more, or in
// another way: they are no part of a record's content, so that nothing shows
// which records still have them there. Where the id is left out too, every
// record is published again anyway.
func (o *objectType) sayChanged(diff *schema.Diff) {
	o.records.Log.Info("properties changed", "added", strings.Join(diff.Added, ","), "removed", strings.Join(diff.Removed, ","),
		"excluded", strings.Join(diff.Excluded, ","), "treated", strings.Join(diff.Treated, ","), "withheld", strings.Join(diff.Withheld, ","))
	var stale []string
	for _, name := range slices.Concat(diff.Excluded, diff.Treated, diff.Removed) {
		if !schema.Counts(o.records.Type.Name, name, o.run.setup.Volatile) {
			stale = append(stale, name)
		}
	}
	if len(stale) > 0 && !slices.Contains(diff.Excluded, "hs_object_id") {
		slices.Sort(stale)
		o.records.Log.Warn("old values of these properties stay in the topic until their record changes, because a change of them is none (HUBSPOT_VOLATILE); "+
			"a snapshot signal for this object type replaces them at once", "properties", strings.Join(stale, ","))
	}
}
