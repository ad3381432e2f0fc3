package stream

import (
	"context"
	"maps"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Listed takes the properties that HubSpot lists for the type, as far as they count (R19):
// records are read and published with those of them that the operator has chosen.
func (o *Object) Listed(all []hubspot.Property) {
	now := map[string]string{}
	for _, p := range all {
		now[p.Name] = p.Type
	}
	if was := o.listed.Load(); was == nil || !maps.Equal(*was, now) {
		o.listed.Store(&now)
	}
}

// sameProperties reports whether HubSpot has no properties now but those that it listed
// before a sweep began. What it got meanwhile may have had values when the sweep began,
// and a calculated value moves no modified time: the sweep has not shown it (R17).
func (o *Object) sameProperties(ctx context.Context, listed *map[string]string) (bool, error) {
	if o.Frontiers == nil {
		return true, nil
	}
	short, patience := hubspot.WithPatience(ctx, lookPatience, errNoAnswer) // the associations wait for the end of a backfill
	defer patience.Stop()
	now, err := properties(short, o.Client, o.Type, o.Sensitivities)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		o.Log.Debug("HubSpot does not list the properties; the sweep verifies nothing", "err", err)
		return false, nil
	}
	same := listed == o.listed.Load()
	for _, p := range now.Properties {
		if typ, known := (*listed)[p.Name]; !known || typ != p.Type {
			same = false
		}
	}
	if !same {
		o.Log.Info("HubSpot has properties that it had not listed before the sweep; the sweep verifies nothing")
		if o.Unexplained != nil {
			o.Unexplained()
		}
	}
	return same, nil
}
