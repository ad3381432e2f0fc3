package connector

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// listing is what HubSpot shows of a type's properties, as far as it counts (R9,
// R19): a property is only removed where scopes have not shrunk, where two looks
// missed it, and where HubSpot, asked for the property itself, does not show it. A
// list that cannot be true changes nothing. useless is why a type's first list is no
// evidence: the type is not followed yet.
func (o *objectType) listing(ctx context.Context, found stream.Found, shrunk bool) (l schema.Listing, useless, err error) {
	l = schema.Listing{
		Properties: found.Properties, Asked: o.run.setup.Config.HubSpot.Sensitivities(), Refused: o.records.Withheld(&found),
	}
	if shrunk {
		for _, p := range o.set.Missing(&l) {
			l.Doubted = append(l.Doubted, p.Name)
		}
		return l, nil, nil
	}
	if o.set == nil {
		if useless, err = o.lacksKnown(ctx, found); useless != nil {
			o.again = o.run.setup.Config.Sync.soon()
		}
		return l, useless, err
	}
	doubt := o.doubts.Look(o.set, &l, found.Type.ModifiedProperty, time.Now())
	if doubt.Useless != nil {
		o.again = o.run.setup.Config.Sync.soon()
		o.held(&stream.HeldError{What: doubt.Useless.Error(), Wait: "the list changes nothing, and the connector asks again"})
		return o.set.AsBefore(l), nil, nil
	}
	l.Doubted = doubt.Waiting
	if len(doubt.Waiting) > 0 {
		o.again = o.doubts.Second
	}
	for _, p := range doubt.Due {
		shown, err := o.shows(ctx, found.Type, p)
		if err != nil {
			return l, nil, err
		}
		if shown == stream.NotShown || shown == stream.NoAnswer && o.doubts.Long(p.Name, time.Now()) {
			continue
		}
		// The list is known to be short: what else it lacks means nothing either.
		l.Doubted = nil
		for _, p := range o.set.Missing(&l) {
			l.Doubted = append(l.Doubted, p.Name)
		}
		o.again = o.run.setup.Config.Sync.soon()
		o.held(&stream.HeldError{
			What: "HubSpot's list of properties lacks " + strings.Join(l.Doubted, ", "),
			Wait: "they stay as they are as long as HubSpot, asked for " + p.Name + " alone, shows it, and for an hour if it does not answer",
		})
		return l, nil, nil
	}
	var problem *stream.HeldError
	if len(doubt.Waiting) > 0 {
		problem = &stream.HeldError{
			What: "HubSpot's list of properties lacks " + strings.Join(doubt.Waiting, ", "),
			Wait: "they count as removed when a second look misses them too",
		}
	}
	o.held(problem)
	return l, nil, nil
}

// lacksKnown is why a type's first list of properties is no evidence: HubSpot shows a
// property by itself that every record has and that the list lacks.
func (o *objectType) lacksKnown(ctx context.Context, found stream.Found) (useless, err error) {
	for _, name := range []string{"hs_object_id", found.Type.ModifiedProperty} {
		if slices.ContainsFunc(found.Properties, func(p hubspot.Property) bool { return p.Name == name }) {
			continue
		}
		shown, err := o.shows(ctx, found.Type, hubspot.Property{Name: name})
		if err != nil {
			return nil, err
		}
		if shown == stream.IsShown {
			return fmt.Errorf("HubSpot's list of properties lacks %s, which every record has", name), nil
		}
	}
	return nil, nil
}

func (o *objectType) held(problem *stream.HeldError) {
	o.run.status.Held(o.records.Log, o.records.Type.Name, stream.PropertiesPart, problem)
}

// shows reports whether HubSpot, asked for a property itself, shows it.
func (o *objectType) shows(ctx context.Context, t hubspot.ObjectType, p hubspot.Property) (stream.Shown, error) {
	shown, err := stream.AskAlone(ctx, func(ctx context.Context) (bool, error) {
		own, err := o.run.setup.HubSpot.Property(ctx, hubspot.Call{Priority: hubspot.Schema}, t.Path, p.Name, p.DataSensitivity)
		return !own.Archived, err
	})
	if err != nil {
		return shown, fmt.Errorf("read the property %s of %s: %w", p.Name, t.Name, err)
	}
	return shown, nil
}

// soon is when the portal's schemas are to be read again because of what a list
// lacks; zero for after the interval.
func (t *types) soon() (wait time.Duration) {
	for _, o := range t.byName {
		if o.again > 0 && (wait == 0 || o.again < wait) {
			wait = o.again
		}
	}
	return wait
}
