package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

// The names of the reference lists, as in topics.
const (
	ReferenceOwners    = "owners"
	ReferencePipelines = "pipelines"
	ReferenceStages    = "pipeline_stages"
)

// References returns the names of all reference lists.
func References() []string { return []string{ReferenceOwners, ReferencePipelines, ReferenceStages} }

// Reference is what the streams of the reference lists share.
type Reference struct {
	Client  *hubspot.Client
	Status  *Status
	Metrics *Metrics
	Log     *slog.Logger
	// Selection says which fields of entries are published, and how.
	Selection *schema.Selection
	// Frontiers hear of what is verified; nil = nobody does.
	Frontiers Frontiers
	// Pace says how often a list is read.
	Pace *Patient
}

// ReferenceList is one reference list: its lane, and when it was last read whole.
type ReferenceList struct {
	Lane  *cdc.ReferenceLane
	Place offsets.Reference

	watched bool           // the status shows it
	shown   hubspot.Millis // when the last pass began that read everything
	ended   func()         // ends the metric of the first sweep
	problem string         // what the last pass could not read; empty: nothing
	held    int            // entries that the last pass held back (R19)
}

// repeat repeats a pass until ctx ends. The pass returns how soon the next one has
// to come, zero for after the interval.
func (r *Reference) repeat(ctx context.Context, pass func(context.Context) (time.Duration, error), lists ...*ReferenceList) error {
	for _, l := range lists {
		if l.Place.Completed != 0 {
			r.watch(l)
			r.Status.backfillDone(l.Lane.Reference())
		}
	}
	published := func() (sum uint64) {
		for _, l := range lists {
			sum += l.Lane.Now()
		}
		return sum
	}
	for {
		before, soon := published(), time.Duration(0)
		err := TellPass(ctx, r.Log.With("object", lists[0].Lane.Reference()), offsets.ReferenceStream, func(ctx context.Context) (err error) {
			soon, err = pass(ctx)
			found(ctx, int(published()-before))
			return err
		})
		if err != nil {
			return err
		}
		if published() != before {
			r.Pace.Changed()
		}
		wait := r.Pace.Interval()
		if soon > 0 {
			wait = min(wait, soon)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// watch adds a list that HubSpot lets us read to the status.
func (r *Reference) watch(l *ReferenceList) {
	if l.watched {
		return
	}
	l.watched = true
	r.Status.Watch(l.Lane.Reference(), l.Lane)
	r.Status.begins(l.Lane.Reference(), offsets.ReferenceStream, l.Place.Started)
	r.Metrics.follow(l.Lane.Reference(), cdc.Stale.String(), cdc.Older.String())
	if l.ended = r.Metrics.snapshot(l.Lane.Reference()); l.Place.Completed != 0 {
		l.ended()
	}
}

// publish publishes a complete reading of a list, or of one object type's part of
// it. Where the lane wants to see a reading again, it calls read (R1). soon is when
// the lane wants the next one, zero for after the interval.
func (r *Reference) publish(ctx context.Context, l *ReferenceList, reading cdc.ReferenceReading, read func(context.Context) (cdc.ReferenceReading, error)) (soon time.Duration, err error) {
	name := l.Lane.Reference()
	r.watch(l)
	for {
		left, err := l.Lane.Publish(ctx, cdc.ReferencePage{Stream: offsets.ReferenceStream, Readings: []cdc.ReferenceReading{reading}})
		if err != nil {
			return 0, fmt.Errorf("publish %s: %w", name, err)
		}
		if !left.Again {
			l.held += left.Held
			return left.After, nil
		}
		r.Metrics.rereads.WithLabelValues(name, left.Cause.String()).Inc()
		if left.Cause == cdc.Older {
			if err := sleep(ctx, cdc.OlderWait); err != nil {
				return 0, err
			}
		}
		if reading, err = read(ctx); err != nil {
			return 0, err
		}
		reading.Second = left.Cause == cdc.Older
	}
}

// sayHeld keeps log and status up to date about what a pass held back.
func (r *Reference) sayHeld(l *ReferenceList) {
	name, held := l.Lane.Reference(), l.held
	l.held = 0
	r.Metrics.held.WithLabelValues(name).Set(float64(held))
	if held == 0 {
		r.Status.Held(r.Log.With("object", name), name, brakePart, nil)
		return
	}
	r.Status.Held(r.Log.With("object", name), name, brakePart, &HeldError{
		What: fmt.Sprintf("HubSpot's answers lack %d of the published entries", held),
		Wait: "their deletes are held back until they have been missing for an hour, and as long as HubSpot shows them where it is asked for one alone",
	})
}

// askedAlone is how many of the entries that a list lacks HubSpot is asked for one
// by one. If it shows one of them, the list is short.
const askedAlone = 5

// finish commits the place of a list that was read from beginning to end.
func (r *Reference) finish(ctx context.Context, l *ReferenceList, began hubspot.Millis) error {
	name, first := l.Lane.Reference(), l.Place.Completed == 0
	next := offsets.Reference{Started: began, Completed: max(r.Client.Now(), began)}
	if _, err := l.Lane.Publish(ctx, cdc.ReferencePage{
		Stream: offsets.ReferenceStream, Sync: first, Swept: true,
		Cursors: []cdc.Cursor{{Object: name, Stream: offsets.ReferenceStream, Value: next.Bytes()}},
	}); err != nil {
		return fmt.Errorf("publish the place of %s: %w", name, err)
	}
	l.Place = next
	if first {
		r.watch(l)
		l.ended()
		r.Status.backfillDone(name)
	}
	return nil
}

// verify notes a complete reading of a list, unless something of it waits: an entry
// that it lacks, and that is still published. at is the time for which it shows
// everything. The next such reading makes that verified: nothing shows that one alone
// lacks an entry that was never published.
func (r *Reference) verify(l *ReferenceList, at hubspot.Millis, soon time.Duration) {
	if r.Frontiers == nil || soon > 0 || l.held > 0 {
		return
	}
	if l.shown != 0 {
		r.Frontiers.SetVerified(l.Lane.Reference(), l.shown, l.shown)
	}
	l.shown = at
}

// told reports how a pass over a list went. A list that HubSpot refuses shows as a
// problem, but the connector is still ready.
func (r *Reference) told(l *ReferenceList, began hubspot.Millis, problem *referenceError) {
	name, before := l.Lane.Reference(), l.problem
	if problem == nil {
		l.problem = ""
		r.Status.started(name, offsets.ReferenceStream)
		r.Status.reached(name, offsets.ReferenceStream, began)
		if before != "" {
			r.Log.Info("a reference list can be read completely again", "object", name, "stream", offsets.ReferenceStream)
		}
		return
	}
	problem = &referenceError{problem.of, problem.err, r.Pace.Interval()}
	l.problem = problem.of
	if before == "" {
		r.Status.idle(name, offsets.ReferenceStream)
	}
	r.Status.Problem(name, offsets.ReferenceStream, problem)
	if problem.of != before { // the rest of its text differs each time
		r.Log.Warn("a reference list cannot be read completely; what was published of it stays, and the connector asks again", "object", name, "stream", offsets.ReferenceStream, "err", problem)
	}
}

// referenceError says what keeps a reference list from being read completely.
type referenceError struct {
	of    string // the list, or the object types whose parts of it are refused
	err   error
	again time.Duration // after which the list is read again, or sooner
}

func (e *referenceError) Error() string { return e.of + ": " + e.err.Error() }
func (e *referenceError) Unwrap() error { return e.err }

// refusedTopic reports whether the list's topic cannot be written for now.
func (e *referenceError) refusedTopic() bool {
	var topic *cdc.RefusedError
	return e != nil && errors.As(e.err, &topic)
}

func (e *referenceError) action() string {
	again := "the connector asks again within " + e.again.String() + " (SYNC_REFERENCE_INTERVAL)"
	var topic *cdc.RefusedError
	switch {
	case errors.As(e.err, &topic) && topic.Cure != "":
		return topic.Cure + "; " + again
	case e.refusedTopic():
		return "look at what else was registered under that subject; if it is the connector's alone, set its compatibility to BACKWARD or FULL. The connector asks the registry again with every reading of the list"
	case hubspot.MissingScopes(e.err) && e.of == ReferenceOwners:
		return "give the token the scope " + hubspot.ScopeOwners + ", or do without the owners; " + again
	case hubspot.MissingScopes(e.err):
		return "give the token the read scope of this object type, or do without its pipelines; " + again
	}
	return "see HubSpot's status page; what was published stays, and " + again
}
