package connector

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// follower decides which object types, pairs and reference lists a run follows;
// they come, change and go while it lasts. It is the stream `schema`: only its
// goroutine changes what the run follows.
type follower struct {
	shared     *run
	types      *types
	pairs      *pairs
	references *references
	signals    *stream.Signals
	journal    *stream.Journal // nil: there is none
	pace       *stream.Patient // of the reads of the schemas
	asked      atomic.Int64    // how many calls the latest one took
}

func newFollower(r *run, learnt *learntPairs) (*follower, error) {
	types, err := newTypes(r)
	if err != nil {
		return nil, err
	}
	f := &follower{shared: r, types: types, pairs: newPairs(r, types, learnt)}
	f.pace = r.pace.Patient("", stream.SchemaStream, func() stream.Demand {
		return r.setup.Config.Sync.SchemaDemand(int(f.asked.Load()))
	})
	if f.signals, err = newSignals(r); err != nil {
		return nil, err
	}
	return f, nil
}

// run follows what the portal has shown first, and then reads the portal's
// schemas again at every interval.
func (f *follower) run(ctx context.Context, seen stream.Seen) error {
	r := f.shared
	err := r.moveOwedBack(ctx)
	if err != nil {
		return err
	}
	if f.references, err = startReferences(ctx, r); err != nil {
		return err
	}
	f.signals.References = f.references.collections()
	var labelled time.Time
	began, heard := time.Now(), false
	for first := true; ; first = false {
		changed, err := f.take(ctx, seen)
		if err != nil {
			return err
		}
		f.references.follow(f.types.streamed(), f.types.shown())
		if changed || time.Since(labelled) >= f.pairs.pace.Interval() {
			if err := f.pairs.take(ctx, first); err != nil {
				return err
			}
			labelled = time.Now()
		}
		heard = heard || !f.types.awaited() || time.Since(began) >= signalsPatience
		if heard {
			f.signals.Follow(f.types.streamed(), f.pairs.streamed())
		}
		if f.journal != nil {
			f.journal.Follow(f.types.streamed(), f.pairs.streamed(), f.types.lacking() || f.pairs.lacking())
		}
		if first {
			r.status.Settle()
			f.references.republish()
			f.sayLeftAlone()
			r.log.Info("streaming", "objects", len(seen.Found), "pairs", len(f.pairs.byName))
		}
		wait := f.pace.Interval()
		if len(seen.Unanswered) > 0 {
			wait = min(wait, partialInterval)
		}
		if len(seen.Later) > 0 {
			wait = min(wait, laterInterval)
		}
		if soon := f.types.soon(); soon > 0 {
			wait = min(wait, soon)
		}
		if err := f.wait(ctx, wait); err != nil {
			return err
		}
		err = stream.TellPass(ctx, r.log, stream.SchemaStream, func(ctx context.Context) (err error) {
			seen, err = f.types.ask.Look(ctx)
			return err
		})
		if err != nil {
			return fmt.Errorf("read the portal's schemas: %w", err)
		}
	}
}

// explainWithin is how long it takes at most until the schemas are read after a
// change that nothing that was read explains.
const explainWithin = 15 * time.Minute

// wait waits until the schemas are to be read again: after d, or sooner where a
// record changed without showing how. Such changes may come all the time, because
// HubSpot has properties that it does not show.
func (f *follower) wait(ctx context.Context, d time.Duration) error {
	began := time.Now()
	unexplained := f.shared.unexplained
	if f.shared.setup.Config.Sync.SchemaInterval > 0 {
		unexplained = nil // the interval is fixed
	}
	for {
		timer := time.NewTimer(d - time.Since(began))
		select {
		case <-timer.C:
			return nil
		case <-unexplained:
			timer.Stop()
			d, unexplained = min(d, explainWithin), nil
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// take makes the run follow what the portal shows. changed reports whether types
// came or went.
func (f *follower) take(ctx context.Context, seen stream.Seen) (changed bool, err error) {
	shrunk := f.types.note(seen)
	f.asked.Store(int64(seen.Calls(len(f.types.ask.Sensitivities))))
	there := map[string]bool{}
	for _, found := range seen.Found {
		there[found.Type.Name] = true
		if o := f.types.byName[found.Type.Name]; o.replacedBy(found.Type) {
			if ended, err := f.takeReplaced(ctx, o, shrunk); err != nil {
				return false, err
			} else if !ended {
				continue
			}
		}
		started, err := f.types.take(ctx, found, shrunk)
		if err != nil {
			return false, err
		}
		changed = changed || started
	}
	if f.types.changed {
		f.pace.Changed()
	}
	f.types.sayRefused(seen)
	for _, name := range slices.Sorted(maps.Keys(f.types.byName)) {
		o := f.types.byName[name]
		if there[name] || seen.Refused[name] != nil || !o.records.Type.Custom || !f.types.wanted(o.records.Type) {
			continue
		}
		ended, err := f.takeMissing(ctx, o, seen.Custom && !shrunk)
		if err != nil {
			return false, err
		}
		changed = changed || ended
	}
	f.types.begun = true
	return changed, nil
}

// takeMissing watches a custom type that HubSpot does not list, and ends it once
// it is certain that the type is gone (R9).
func (f *follower) takeMissing(ctx context.Context, o *objectType, evidence bool) (ended bool, err error) {
	if left, err := f.left(ctx, o); err != nil || !left {
		return false, err
	}
	if !evidence || f.shared.status.Paused(o.records.Type.Name) {
		f.types.removals.Back(o.records.Type)
		return false, nil
	}
	removed, err := f.types.removals.Removed(ctx, o.records.Type, false)
	if err != nil || !removed {
		return false, err
	}
	return f.endType(ctx, o)
}

// takeReplaced ends a custom type whose name now belongs to another id.
func (f *follower) takeReplaced(ctx context.Context, o *objectType, shrunk bool) (ended bool, err error) {
	if o.records.Lane.Live() == 0 && o.streams == nil { // what else is left is read as the new type's
		return true, nil
	}
	if shrunk || f.shared.status.Paused(o.records.Type.Name) {
		return false, nil
	}
	removed, err := f.types.removals.Removed(ctx, o.records.Type, true)
	if err != nil || !removed {
		return false, err
	}
	return f.endType(ctx, o)
}

// left reports whether a removed type still has something to end. Each of its topics ends
// on its own: a run that was killed meanwhile has left those that were to follow.
func (f *follower) left(ctx context.Context, o *objectType) (bool, error) {
	name := o.records.Type.Name
	if o.streams != nil || o.records.Lane.Live() > 0 || slices.ContainsFunc(f.pairs.of(name), func(p *pair) bool { return p.lane.Live() > 0 }) {
		return true, nil
	}
	return f.references.pipelines.Left(ctx, name)
}

// endType publishes a delete for everything of a removed type. What a topic does not take
// now is left to a later look.
func (f *follower) endType(ctx context.Context, o *objectType) (ended bool, err error) {
	name := o.records.Type.Name
	for _, p := range f.pairs.of(name) {
		p.stop()
	}
	o.stop()
	ready := o.streams != nil && !o.refused
	if !o.removed {
		f.shared.log.Warn("an object type was removed from the portal; its records and their associations are published as deleted",
			"object", name, "records", o.records.Lane.Live())
		f.shared.tellSchema(name, map[string][]string{"removed_object_type": {name}})
		o = f.types.forget(o)
		o.removed = true
	}
	err = f.endTopics(ctx, o, ready)
	if refusedTopic(err) {
		f.shared.notFollowed(name, err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	f.types.forget(o)
	return true, nil
}

// endTopics ends the records of a type, their links, its pipelines and their stages. The
// links follow the records, because they have their reason.
func (f *follower) endTopics(ctx context.Context, o *objectType, ready bool) error {
	name := o.records.Type.Name
	date := f.shared.setup.HubSpot.Now() // after the last event of a stream
	if err := o.end(ctx, date, ready); err != nil {
		return err
	}
	var refused error
	for _, p := range f.pairs.of(name) {
		err := p.end(ctx, date)
		if err != nil && !refusedTopic(err) {
			return err
		}
		refused = cmp.Or(refused, err)
	}
	return cmp.Or(f.references.end(ctx, name, date), refused)
}

// newSignals resumes the signals where the last run stopped reading them.
func newSignals(r *run) (*stream.Signals, error) {
	s := &stream.Signals{
		Prefix: r.setup.Config.Kafka.TopicPrefix, Committer: r.out, Status: r.status, Metrics: r.counts, Log: r.log, Tell: r.tell,
		Open: func(ctx context.Context, offset int64) (stream.Inbox, error) { return r.out.Signals(ctx, offset) },
	}
	if v := r.cursor("", offsets.SignalsStream); v != nil {
		place, err := offsets.ParseSignals(v)
		if err != nil {
			return nil, err
		}
		s.Place = &place
	}
	signals := stream.NewSignals(s)
	var paused offsets.Paused
	if v := r.cursor("", offsets.PausedStream); v != nil {
		var err error
		if paused, err = offsets.ParsePaused(v); err != nil {
			return nil, err
		}
	}
	signals.Resume(paused)
	return signals, nil
}
