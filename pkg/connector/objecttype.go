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
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// objectType is one object type of the portal: the properties in force, and the
// streams that run for it.
type objectType struct {
	run     *run
	records *stream.Object
	set     *schema.Set // in force, or the last one that was; nil: never published
	refused bool        // the topic is not ready for the next set
	removed bool        // from the portal, as the log has said; a topic has not taken its deletes yet
	doubts  schema.Doubts
	changed bool          // its properties were not those of the look before
	again   time.Duration // when its properties are to be listed again; zero for after the interval

	started hubspot.Millis // HubSpot's time of the type's first start
	// streams is nil while none runs. Refill (nil: there is none) and reconcile run
	// as rereading, a task of their own, because they end when the properties that
	// they read change.
	streams   *task
	rereading *task
	refill    *stream.Refill
	reconcile *stream.Reconcile
}

// newObjectType makes an object type that no stream reads yet. lane is that of an
// earlier type of the same name in this run, or nil.
func newObjectType(r *run, t hubspot.ObjectType, set *schema.Set, lane *cdc.Lane) *objectType {
	if lane == nil {
		lane = cdc.NewLane(cdc.LaneConfig{
			Object: t.Name, Table: r.loaded.Rows[t.Name], Patience: r.timings.Confirm,
			SkipUnchanged: r.setup.Config.Event.SkipUnchanged, Committer: r.out,
		})
	}
	r.out.Follow(t.Name)
	return &objectType{run: r, set: set, doubts: schema.Doubts{Second: r.timings.Property.Second, Repeat: r.timings.Property.Repeat}, records: stream.NewObject(stream.Object{
		Type: t, Client: r.setup.HubSpot, Sensitivities: r.setup.Config.HubSpot.Sensitivities(), Status: r.status, Metrics: r.counts, Log: r.log.With("object", t.Name), Lane: lane,
		Readers: r.readers, Rounds: r.rounds, Audit: r.audit, Unread: r.unread(t.Name), Unexplained: r.sayUnexplained, Frontiers: r.out,
	})}
}

// unread are the records of an object type or a pair that earlier runs could not
// read (R18).
func (r *run) unread(object string) []hubspot.ID {
	s, err := offsets.ParseStuck(r.cursor(object, offsets.StuckStream))
	if err != nil { // there is no cursor: sink.Load has checked those that there are
		return nil
	}
	return s.IDs
}

// replacedBy reports whether a custom type's name now belongs to another id.
func (o *objectType) replacedBy(t hubspot.ObjectType) bool {
	return o != nil && o.set != nil && o.records.Type.Custom && o.records.Type.TypeID != t.TypeID
}

// take follows a type's properties as HubSpot shows them now (R13). shrunk means
// that the token has lost scopes since: a missing property is then no evidence
// (R9). first means that the run has only just begun: what keeps a topic from being made
// ready then ends it, unless it concerns that topic alone.
func (o *objectType) take(ctx context.Context, found stream.Found, shrunk, first bool) (started bool, err error) {
	l, useless, err := o.listing(ctx, found, shrunk)
	if err != nil {
		return false, err
	}
	if useless != nil {
		o.run.notFollowed(found.Type.Name, useless)
		return false, nil
	}
	set, diff := schema.Next(o.set, found.Type, l, o.run.setup.Selection)
	same := o.set != nil && o.set.Same(set)
	o.changed = !same && !first
	o.records.Listed(l.Properties)
	if o.streams != nil && !o.refused && same {
		o.set = set // with today's labels
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

// evolve moves the lane to a property set and makes the streams read again what
// that affects. If no stream runs, it starts them: one transaction commits all
// their first cursors before anything is read (R5).
//
// While the topic or its schema is refused, nothing is written to the topic. If the
// type was published before, its streams run anyway and wait, so that the
// associations of its records are still followed. Where the topic may be ready soon,
// they begin then.
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
		o.sayAlike()
		o.run.status.Clear(name, stream.SchemaStream)
	case topic == nil || ctx.Err() != nil || permanent(err) || sink.Lost(err) || first && !refusedTopic(err):
		return err
	default:
		o.refused = true
		o.records.Listed(nil) // they are not those that are read
		o.run.notFollowed(name, err)
		if o.streams == nil && !refusedTopic(err) { // only a refusal keeps the streams from writing
			o.again = o.run.setup.Config.Sync.soon()
			return nil
		}
		if o.set == nil {
			return nil
		}
		if places, err = o.places(stream.Changed{}); err != nil {
			return err
		}
		if o.streams == nil {
			read := o.set
			if !read.Keyed(o.run.setup.Selection) { // its key is gone, and nothing that the streams read is published
				read = set
			}
			asItIs := func(context.Context) error { return nil }
			if err := o.adopt(ctx, read, nil, places, asItIs); err != nil {
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

// adopt makes the lane read and write with a set from now on, once accept has
// made the topic ready. text is what the state remembers of the set, nil if that
// does not change.
func (o *objectType) adopt(ctx context.Context, set *schema.Set, text []byte, p stream.Places, accept func(context.Context) error) error {
	o.started = p.Sweep.Started
	return o.records.Lane.Evolve(ctx, cdc.Evolution{
		Slots: set.Slots(o.run.setup.Selection), Content: cdc.NewContent(set.Content(o.run.setup.Volatile)),
		Started: o.started, Accept: accept, Set: text, Cursors: p.First,
	})
}

// places gives the places where the streams continue: where the last run left
// them or, if they run, where they are now, and what a change makes them read
// again. It ends the streams that would otherwise continue from their old places.
func (o *objectType) places(changed stream.Changed) (p stream.Places, err error) {
	name := o.records.Type.Name
	clock := o.run.clock()
	if o.streams == nil {
		saved := func(s string) []byte { return o.run.cursor(name, s) }
		if p, err = stream.Resume(name, o.run.setup.Lags, saved, clock); err != nil {
			return p, err
		}
		o.run.sayAhead(name, p.Ahead...)
	} else {
		o.rereading.end()
		if o.refill != nil {
			p.Refill = o.refill.Left()
		}
		p.Reconcile, p.Sweep.Completed = o.reconcile.Place, o.reconcile.Since
		p.Sweep.Started = o.started
		o.rereading = nil
	}
	p.Renew(name, changed, clock.Now)
	return p, nil
}

// start runs the streams that are not running.
func (o *objectType) start(p stream.Places) {
	r := o.run
	if o.streams == nil {
		r.out.FollowFrontier(o.records.Type.Name)
		r.status.Watch(o.records.Type.Name, o.records.Lane)
		o.streams = r.tasks.spawn(o.finders(p)...)
	}
	if o.rereading == nil {
		o.reconcile = &stream.Reconcile{
			Object: o.records, Place: p.Reconcile, Interval: r.setup.Config.Sync.ReconcileInterval,
			Since: p.Sweep.Completed, Short: p.Sweep.Done && p.Sweep.Short,
		}
		again := []stream.Runner{o.reconcile}
		if o.refill = nil; p.Refill != nil {
			o.refill = &stream.Refill{Object: o.records, Place: *p.Refill, Lag: stream.Longest(r.setup.Lags)}
			again = append(again, o.refill)
		}
		o.rereading = r.tasks.spawn(again...)
	}
}

// finders lists the streams that name ids of this type; a new one is one line
// here. Refill and reconcile are in start instead: they begin again when the
// properties change.
func (o *objectType) finders(p stream.Places) []stream.Runner {
	r, sync, name := o.run, &o.run.setup.Config.Sync, o.records.Type.Name
	r.rounds.Add(name)
	var out []stream.Runner
	r.pace.Add(name)
	for i, t := range stream.NewTiers(o.records, r.setup.Lags, p.Windows) {
		lag := r.setup.Lags[i]
		t.Interval = func(carried bool) time.Duration {
			leading := r.pace.Interval(name)
			if lag.By == 0 {
				return leading
			}
			return sync.Trailing(lag, carried, leading)
		}
		if lag.By == 0 {
			t.Seen, t.Sooner = func(changes int) { r.pace.Seen(name, changes) }, r.pace.Sooner(name)
		}
		r.status.Expect(name, lag.Stream)
		out = append(out, t)
	}
	o.demand()
	if !p.Sweep.Done {
		r.status.Expect(name, offsets.BackfillStream)
	}
	if at := r.republish(name); at != nil {
		out = append(out, stream.NewObjectRepublish(o.records, r.setup.Config.Kafka.TopicPrefix, *at))
	}
	return append(out,
		&stream.Sweep{Object: o.records, Stream: offsets.BackfillStream, Priority: hubspot.Backfill, Place: p.Sweep},
		&stream.Census{Object: o.records, Interval: sync.CensusInterval, Recent: r.timings.Recent, Recheck: r.timings.Disputed},
		&stream.Archive{Object: o.records, Place: p.Archive, Interval: sync.ArchiveInterval},
		&stream.Recheck{Object: o.records},
		o.records.Stuck(),
	)
}

// demand tells the pace what the type's patient streams cost.
func (o *objectType) demand() {
	sync, name, lane := &o.run.setup.Config.Sync, o.records.Type.Name, o.records.Lane
	o.run.pace.Patient(name, stream.CensusStream, func() stream.Demand { return sync.CensusDemand(lane.Live()) })
	o.run.pace.Patient(name, offsets.ArchiveStream, func() stream.Demand { return sync.ArchiveDemand(1) })
	o.run.pace.Patient(name, offsets.ReconcileStream, func() stream.Demand {
		return sync.ReconcileDemand(stream.ReconcileCalls(lane.Live(), lane.Slots(), len(o.records.Sensitivities)))
	})
}

// stop ends the type's streams.
func (o *objectType) stop() {
	o.streams.end()
	o.rereading.end()
}

// end publishes a delete for every record, because the type was removed. Its
// streams have been stopped. ready: they wrote to the topic.
func (o *objectType) end(ctx context.Context, date hubspot.Millis, ready bool) error {
	name := o.records.Type.Name
	streams := []string{offsets.BackfillStream, offsets.ReconcileStream, offsets.ArchiveStream, offsets.RefillStream, offsets.StuckStream}
	for _, lag := range o.run.setup.Lags {
		streams = append(streams, lag.Stream)
	}
	return o.run.forget(name, streams, func(cursors []cdc.Cursor) error {
		if o.records.Lane.Live() > 0 && !ready { // it was already missing when the run began, or waits for another set
			if err := o.run.out.Topic(ctx, name, o.set); err != nil {
				return fmt.Errorf("end %s: %w", name, err)
			}
		}
		return stream.End(ctx, o.records.Lane, date, cursors)
	})
}

// forget drops the cursors of an object that ends; end commits their tombstones. What the
// topic has lost is forgotten only then: the object may come back while its end waits.
func (r *run) forget(name string, streams []string, end func(cursors []cdc.Cursor) error) error {
	key := func(s string) offsets.Key { return offsets.Key{Portal: r.portal, Object: name, Stream: s} }
	cursors := []cdc.Cursor{{Object: name, Stream: offsets.RepublishStream}}
	for _, s := range streams {
		delete(r.loaded.Cursors, key(s))
		cursors = append(cursors, cdc.Cursor{Object: name, Stream: s})
	}
	if err := end(cursors); err != nil {
		return err
	}
	delete(r.loaded.Cursors, key(offsets.RepublishStream))
	r.out.Forget(name)
	return nil
}

// sayChanged logs and tells a change of the properties. It warns of volatile properties
// that are no longer published, or published in another way: they are not part of
// a record's content, so nothing shows which records still have old values in the
// topic. Where hs_object_id is left out too, every record is published again
// anyway.
func (o *objectType) sayChanged(diff *schema.Diff) {
	o.records.Log.Info("properties changed", "added", strings.Join(diff.Added, ","), "removed", strings.Join(diff.Removed, ","),
		"excluded", strings.Join(diff.Excluded, ","), "treated", strings.Join(diff.Treated, ","), "withheld", strings.Join(diff.Withheld, ","))
	o.run.tellSchema(o.records.Type.Name, map[string][]string{
		"added": diff.Added, "removed": diff.Removed, "excluded": diff.Excluded, "treated": diff.Treated, "withheld": diff.Withheld,
	})
	var stale []string
	for _, name := range slices.Concat(diff.Excluded, diff.Treated, diff.Removed) {
		if !schema.Counts(o.records.Type.Name, name, o.run.setup.Volatile) {
			stale = append(stale, name)
		}
	}
	if len(stale) > 0 && !slices.Contains(diff.Excluded, "hs_object_id") {
		slices.Sort(stale)
		o.records.Log.Warn("old values of these properties stay in the topic until their record changes, because a change of these alone makes no event (HUBSPOT_VOLATILE); "+
			"a snapshot signal for this object type replaces them at once", "properties", strings.Join(stale, ","))
	}
}

// sayAlike warns of fields that SQL takes for one, once in the life of the process.
func (o *objectType) sayAlike() {
	for _, pair := range o.set.AlikeButForCase() {
		if key := o.records.Type.Name + " " + pair[1]; !o.run.alike[key] {
			o.run.alike[key] = true
			o.records.Log.Warn("two fields differ in case alone: a sink that folds case, as SQL does, takes them for one column; leave one out with HUBSPOT_PROPERTIES_EXCLUDE, or have the sink quote names",
				"fields", strings.Join(pair[:], ","))
		}
	}
}
