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

// The reference lists, by their names in topics.
const (
	ReferenceOwners    = "owners"
	ReferencePipelines = "pipelines"
	ReferenceStages    = "pipeline_stages"
)

// References are the names of all reference lists.
func References() []string { return []string{ReferenceOwners, ReferencePipelines, ReferenceStages} }

// Reference is what the streams of the reference lists share.
type Reference struct {
	Client  *hubspot.Client
	Status  *Status
	Metrics *Metrics
	Log     *slog.Logger
	// Selection says which fields of entries are published, and how.
	Selection *schema.Selection
	// Interval is the time between two readings of a list.
	Interval time.Duration
}

// ReferenceList is a reference list: its lane, and when it was last read as a whole.
type ReferenceList struct {
	Lane  *cdc.ReferenceLane
	Place offsets.Reference

	watched bool   // the status shows it
	ended   func() // of the metric of its first sweep
	problem string // what the last pass did not read
}

// repeat repeats a pass, which gives how soon the next one has to come; zero:
// when it is due.
func (r *Reference) repeat(ctx context.Context, pass func(context.Context) (time.Duration, error), lists ...*ReferenceList) error {
	for _, l := range lists {
		if l.Place.Completed != 0 {
			r.watch(l)
			r.Status.backfillDone(l.Lane.Reference())
		}
	}
	for {
		soon, err := pass(ctx)
		if err != nil {
			return err
		}
		wait := r.Interval
		if soon > 0 {
			wait = min(wait, soon)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// watch has the status show a list that HubSpot lets us read.
func (r *Reference) watch(l *ReferenceList) {
	if l.watched {
		return
	}
	l.watched = true
	r.Status.Watch(l.Lane.Reference(), l.Lane)
	if l.ended = r.Metrics.snapshot(l.Lane.Reference()); l.Place.Completed != 0 {
		l.ended()
	}
}

// publish has a complete reading of a list, or of a part of it, published.
// read reads it once more where that is asked for (R1).
func (r *Reference) publish(ctx context.Context, l *ReferenceList, reading cdc.ReferenceReading, read func(context.Context) (cdc.ReferenceReading, error)) (soon time.Duration, err error) {
	name := l.Lane.Reference()
	r.watch(l)
	for {
		left, err := l.Lane.Publish(ctx, cdc.ReferencePage{Stream: offsets.ReferenceStream, Readings: []cdc.ReferenceReading{reading}})
		if err != nil {
			return 0, fmt.Errorf("publish %s: %w", name, err)
		}
		if !left.Again {
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

// finish commits that a list was read from its beginning to its end.
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

// told reports how a pass over a list went. A list that HubSpot refuses is a
// problem that is shown, and keeps nothing else from being ready.
func (r *Reference) told(l *ReferenceList, began hubspot.Millis, problem *referenceError) {
	name, before := l.Lane.Reference(), l.problem
	if problem == nil {
		l.problem = ""
		r.Status.started(name, offsets.ReferenceStream)
		r.Status.reached(name, offsets.ReferenceStream, began)
		if before != "" {
			r.Log.Info("a list is read whole again", "object", name, "stream", offsets.ReferenceStream)
		}
		return
	}
	l.problem = problem.of
	if before == "" {
		r.Status.started(name, offsets.ReferenceStream)
	}
	r.Status.Problem(name, offsets.ReferenceStream, problem)
	if problem.of != before { // the rest of its text differs each time
		r.Log.Warn("a list is not read whole; what was published of it stays, and it is asked for again", "object", name, "stream", offsets.ReferenceStream, "err", problem)
	}
}

// referenceError says what keeps a list from being read whole.
type referenceError struct {
	of  string // the list, or the object type whose part of it is refused
	err error
}

func (e *referenceError) Error() string { return e.of + ": " + e.err.Error() }
func (e *referenceError) Unwrap() error { return e.err }

// refusedTopic says that it is the registry that refuses the topic's schema.
func (e *referenceError) refusedTopic() bool {
	var topic *cdc.RefusedError
	return e != nil && errors.As(e.err, &topic)
}

func (e *referenceError) action() string {
	switch {
	case e.refusedTopic():
		return "look at what else was registered under that subject; if it is the connector's alone, set its compatibility to BACKWARD or FULL. It is asked again with every reading of the list"
	case hubspot.MissingScopes(e.err) && e.of == ReferenceOwners:
		return "give the token the scope " + hubspot.ScopeOwners + ", or do without the owners; they are asked for again"
	case hubspot.MissingScopes(e.err):
		return "give the token the read scope of this object type, or do without its pipelines; they are asked for again"
	}
	return "see HubSpot's status page; what was published stays, and the list is asked for again"
}
