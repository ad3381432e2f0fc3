package stream

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Pipelines reads the pipelines of the followed object types and, with them, their
// stages: one call a type. Each answer is complete for its type alone, so a type
// that HubSpot refuses keeps its published entries. NewPipelines makes it.
type Pipelines struct {
	Reference
	Pipelines, Stages ReferenceList

	without map[string]int            // path of a type that cannot have pipelines → passes that still leave it out
	asked   map[string]hubspot.Millis // path of a type → when the latest pass began that asked about it
	known   chan struct{}             // closed once the types are known

	mu    sync.Mutex
	types []hubspot.ObjectType
	shown hubspot.Millis // for which time types are all that there were; 0: for none
}

// NewPipelines completes p; Follow then tells it what to read.
func NewPipelines(p *Pipelines) *Pipelines {
	p.without, p.asked, p.known = map[string]int{}, map[string]hubspot.Millis{}, make(chan struct{})
	return p
}

// seldom is how rarely a type that cannot have pipelines is asked about: in one of
// so many passes.
const seldom = 12

// Follow sets the types whose pipelines are read from now on. shown is a time for
// which these are all that HubSpot had; 0 says that others cannot be read now.
func (p *Pipelines) Follow(types []hubspot.ObjectType, shown hubspot.Millis) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.types == nil {
		close(p.known)
	}
	p.types, p.shown = append([]hubspot.ObjectType{}, types...), shown
}

// Calls returns how many calls a pass takes at most.
func (p *Pipelines) Calls() int {
	types, _ := p.followed()
	return len(types)
}

func (p *Pipelines) followed() (types []hubspot.ObjectType, shown hubspot.Millis) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.types, p.shown
}

// Run reads the pipelines as often as Pace says, from the first Follow until ctx ends.
func (p *Pipelines) Run(ctx context.Context) error {
	select {
	case <-p.known:
	case <-ctx.Done():
		return ctx.Err()
	}
	return p.repeat(ctx, p.pass, &p.Pipelines, &p.Stages)
}

func (p *Pipelines) pass(ctx context.Context) (soon time.Duration, err error) {
	began := p.Client.Now()
	types, shown := p.followed()
	all := min(began, shown) // the time for which the passes show everything that the types were last asked in
	lists := [...]*ReferenceList{&p.Pipelines, &p.Stages}
	var problems [len(lists)]*referenceError
	for _, t := range types {
		if p.without[t.Path] > 0 {
			p.without[t.Path]--
			all = min(all, p.asked[t.Path])
			continue
		}
		p.asked[t.Path] = began
		after, errs, err := p.one(ctx, t)
		if err != nil {
			return 0, err
		}
		for i, err := range errs {
			switch {
			case err == nil:
			case problems[i] == nil:
				problems[i] = &referenceError{of: "pipelines of " + t.Name, err: err}
			default:
				problems[i].of += ", " + t.Name
			}
		}
		soon = sooner(soon, after)
	}
	for i, l := range lists {
		// Where the registry refuses a list's topic, nothing of it was published.
		if !problems[i].refusedTopic() {
			if err := p.finish(ctx, l, began); err != nil {
				return 0, err
			}
		}
		p.told(l, began, problems[i])
		if whole, err := p.whole(ctx, l, types); err != nil {
			return 0, err
		} else if problems[i] == nil && whole && shown != 0 {
			p.verify(l, all, soon)
		}
		p.sayHeld(l)
	}
	return soon, nil
}

// whole reports whether a pass over some types has read everything that is published of
// a list: there may be entries of a type that is not followed now.
func (p *Pipelines) whole(ctx context.Context, l *ReferenceList, types []hubspot.ObjectType) (bool, error) {
	live, err := l.Lane.LiveUnder(ctx, "")
	return !slices.ContainsFunc(live, func(key cdc.EntryKey) bool {
		return !slices.ContainsFunc(types, func(t hubspot.ObjectType) bool { return t.Name == key.Parts()[0] })
	}), err
}

// sooner is the shorter of two waits; zero is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// one reads and publishes the pipelines and stages of a type. errs has the refusal
// of either list, which concerns neither the other list nor other types. soon is
// when the next pass has to come, zero for after the interval.
func (p *Pipelines) one(ctx context.Context, t hubspot.ObjectType) (soon time.Duration, errs [2]error, err error) {
	pipelines, stages, err := p.read(ctx, hubspot.Reference, t)
	if refused(err) {
		there, lost := p.refusal(ctx, t, err)
		if there {
			errs = [2]error{err, err}
		}
		return 0, errs, lost
	}
	if err != nil {
		return 0, errs, err
	}
	for i, reading := range []cdc.ReferenceReading{pipelines, stages} {
		after, err := p.publish(ctx, []*ReferenceList{&p.Pipelines, &p.Stages}[i], reading, func(ctx context.Context) (cdc.ReferenceReading, error) {
			pipelines, stages, err := p.read(ctx, hubspot.Reference, t)
			return [...]cdc.ReferenceReading{pipelines, stages}[i], err
		})
		if err != nil && !refused(err) {
			return 0, errs, err
		}
		soon, errs[i] = sooner(soon, after), err
	}
	return soon, errs, nil
}

// refusal reports whether HubSpot's refusal of a type's pipelines is a problem. It
// is none if the type cannot have pipelines: HubSpot does not say which types can,
// and answers 404 or 400 for the others. The next passes leave such a type out.
func (p *Pipelines) refusal(ctx context.Context, t hubspot.ObjectType, refusal error) (problem bool, err error) {
	if !hubspot.NotFound(refusal) && !hubspot.BadRequest(refusal) {
		return true, nil
	}
	published, err := p.Pipelines.Lane.LiveUnder(ctx, t.Name)
	if err != nil || len(published) > 0 {
		return true, err
	}
	p.without[t.Path] = seldom - 1
	p.Log.Debug("HubSpot has no pipelines for an object type; the connector asks again later", "object", t.Name, "stream", offsets.ReferenceStream, "err", refusal)
	return false, nil
}

// read asks for a type's pipelines and returns a reading of each list.
func (p *Pipelines) read(ctx context.Context, prio hubspot.Priority, t hubspot.ObjectType) (pipelines, stages cdc.ReferenceReading, err error) {
	pipelines.Under, stages.Under = t.Name, t.Name
	answer, err := p.Client.Pipelines(ctx, hubspot.Call{Priority: prio, OnSend: func(now hubspot.Millis) {
		pipelines.Stamp, pipelines.SentAt = p.Pipelines.Lane.Now(), now
		stages.Stamp, stages.SentAt = p.Stages.Lane.Now(), now
	}}, t.Path)
	pipelines.Date, stages.Date = answer.Date, answer.Date
	pipelines.Short, stages.Short = answer.Short, answer.StagesShort
	for i := range answer.Pipelines {
		pl := &answer.Pipelines[i]
		pipelines.Entries = append(pipelines.Entries, p.entry(ReferencePipelines, cdc.NewEntryKey(t.Name, string(pl.ID)), pl.UpdatedAt, map[string]any{
			"label": string(pl.Label), "displayOrder": optionalInt(pl.DisplayOrder), "createdAt": pl.CreatedAt, "archived": pl.Archived,
		}))
		for j := range pl.Stages {
			s := &pl.Stages[j]
			stages.Entries = append(stages.Entries, p.entry(ReferenceStages, cdc.NewEntryKey(t.Name, string(pl.ID), string(s.ID)), s.UpdatedAt, map[string]any{
				"label": string(s.Label), "displayOrder": optionalInt(s.DisplayOrder), "metadata": compactJSON(s.Metadata),
				"createdAt": s.CreatedAt, "archived": s.Archived,
			}))
		}
	}
	if err == nil {
		err = p.alone(ctx, prio, t, &pipelines, &stages)
	}
	return pipelines, stages, err
}

// alone asks for published pipelines that an answer lacks, or whose stages it lacks,
// one by one: HubSpot's list of a type's pipelines may be short, and so may be the
// stages in it.
func (p *Pipelines) alone(ctx context.Context, prio hubspot.Priority, t hubspot.ObjectType, pipelines, stages *cdc.ReferenceReading) error {
	var lacking []cdc.EntryKey // of both lists
	for _, l := range []struct {
		lane    *cdc.ReferenceLane
		reading *cdc.ReferenceReading
	}{{p.Pipelines.Lane, pipelines}, {p.Stages.Lane, stages}} {
		live, err := l.lane.LiveUnder(ctx, t.Name)
		if err != nil {
			return err
		}
		there := map[cdc.EntryKey]bool{}
		for i := range l.reading.Entries {
			there[l.reading.Entries[i].Key] = true
		}
		lacking = append(lacking, slices.DeleteFunc(live, func(k cdc.EntryKey) bool { return there[k] })...)
	}
	asked := map[string]bool{}
	for _, key := range lacking {
		id := key.Parts()[1]
		if asked[id] {
			continue
		}
		if asked[id] = true; len(asked) > askedAlone {
			return nil
		}
		var own hubspot.Pipeline
		shown, err := AskAlone(ctx, func(ctx context.Context) (_ bool, err error) {
			own, err = p.Client.Pipeline(ctx, hubspot.Call{Priority: prio}, t.Path, id)
			return !own.Archived, err
		})
		switch {
		case err != nil:
			return err
		case shown == NoAnswer:
			pipelines.Unsure, stages.Unsure = true, true
			return nil
		case shown == NotShown:
			continue
		}
		pipelines.Short = pipelines.Short || slices.Contains(lacking, cdc.NewEntryKey(t.Name, id))
		stages.Short = stages.Short || slices.ContainsFunc(own.Stages, func(s hubspot.PipelineStage) bool {
			return !s.Archived && slices.Contains(lacking, cdc.NewEntryKey(t.Name, id, string(s.ID)))
		})
	}
	return nil
}

func (p *Pipelines) entry(list string, key cdc.EntryKey, updated hubspot.Moment, values map[string]any) cdc.Entry {
	values["updatedAt"] = updated
	p.Selection.Reference(list, values)
	return cdc.Entry{Key: key, Version: updated.Millis, Hash: cdc.EntryHash(values), Values: values}
}

func optionalInt(n *int32) any {
	if n == nil {
		return nil
	}
	return *n
}

// End publishes the deletes of a removed type's pipelines and stages (R9). date is
// HubSpot's time of the events.
func (p *Pipelines) End(ctx context.Context, object string, date hubspot.Millis) error {
	for _, l := range []*ReferenceList{&p.Stages, &p.Pipelines} {
		page := cdc.ReferencePage{Stream: SchemaStream, Sync: true, Readings: []cdc.ReferenceReading{{
			Under: object, Ended: cdc.ObjectTypeRemoved, Stamp: l.Lane.Now(), SentAt: date, Date: date,
		}}}
		if _, err := l.Lane.Publish(ctx, page); err != nil {
			return fmt.Errorf("publish the deletes of a removed object type's %s: %w", l.Lane.Reference(), err)
		}
	}
	return nil
}

// Left reports whether pipelines or stages of a type are published as live.
func (p *Pipelines) Left(ctx context.Context, object string) (bool, error) {
	pipelines, err := p.Pipelines.Lane.LiveUnder(ctx, object)
	if err != nil || len(pipelines) > 0 {
		return len(pipelines) > 0, err
	}
	stages, err := p.Stages.Lane.LiveUnder(ctx, object)
	return len(stages) > 0, err
}

// Collections returns both lists as a signal can name them. Their readings leave
// out types that HubSpot refuses, unless something of them is published and the
// whole is wanted. prefix is that of the topics.
func (p *Pipelines) Collections(prefix string) []ReferenceCollection {
	collection := func(l *ReferenceList, pick func(pipelines, stages cdc.ReferenceReading) cdc.ReferenceReading) ReferenceCollection {
		return ReferenceCollection{Prefix: prefix, Lane: l.Lane, Read: func(ctx context.Context, whole bool) ([]cdc.ReferenceReading, error) {
			var all []cdc.ReferenceReading
			types, _ := p.followed()
			for _, t := range types {
				pipelines, stages, err := p.read(ctx, hubspot.Snapshot, t)
				var published []cdc.EntryKey
				if whole && refused(err) {
					var lost error
					if published, lost = l.Lane.LiveUnder(ctx, t.Name); lost != nil {
						return nil, lost
					}
				}
				switch {
				case refused(err) && len(published) == 0:
				case err != nil:
					return nil, err
				default:
					all = append(all, pick(pipelines, stages))
				}
			}
			return all, nil
		}}
	}
	return []ReferenceCollection{
		collection(&p.Pipelines, func(pipelines, _ cdc.ReferenceReading) cdc.ReferenceReading { return pipelines }),
		collection(&p.Stages, func(_, stages cdc.ReferenceReading) cdc.ReferenceReading { return stages }),
	}
}
