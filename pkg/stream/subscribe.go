package stream

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// subscribe has HubSpot write the changes of the followed types into the journal. It
// posts only what is not there: what another deployment of the same app asked for
// stays (docs/hubspot.md section 6).
//
// HubSpot may refuse one type and take the others. The journal then lacks that type,
// which polling covers, so subscribe says so and goes on.
func (j *Journal) subscribe(ctx context.Context) error {
	types := j.types()
	if slices.Equal(types, j.subscribed) && time.Since(j.looked) < subscriptionsLast {
		return nil
	}
	defer j.overdue()()
	call := hubspot.Call{Priority: hubspot.Schema}
	have, err := j.Source.Subscriptions(ctx, call)
	if err != nil {
		return &journalError{fmt.Errorf("read the journal's subscriptions: %w", err)}
	}
	missing := hubspot.MissingSubscriptions(hubspot.WantedSubscriptions(j.Portal, types), have)
	if j.subscribed != nil && !slices.ContainsFunc(have, func(s hubspot.Subscription) bool { return s.Ours(j.Portal) }) {
		j.Log.Warn("HubSpot no longer wrote this portal's changes into the webhooks journal, as when the app is uninstalled; polling finds them, and the connector subscribes again")
		j.Audit.Broken()
	}
	var lacking []string
	var refusal error // of any, while none was taken
	taken := false
	for _, s := range missing {
		err := j.Source.Subscribe(ctx, call, s)
		switch {
		case err == nil:
			taken = true
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			if hubspot.JournalRefused(err) != "" {
				refusal = err
			}
			lacking = append(lacking, s.TypeID)
			j.Log.Warn("HubSpot does not write some changes of a type into the journal; polling finds them", "type", s.TypeID, "subscription", s.Kind, "err", err)
		}
	}
	if refusal != nil && !taken && len(lacking) == len(missing) {
		return &journalError{fmt.Errorf("subscribe to the journal: %w", refusal)}
	}
	if len(missing) > 0 {
		j.Log.Info("subscribed to the webhooks journal", "types", len(types), "subscriptions", len(missing)-len(lacking))
	}
	slices.Sort(lacking)
	j.Audit.Lacks(slices.Compact(lacking))
	j.subscribed, j.looked = types, time.Now()
	return nil
}

// subscriptionsLast is how often the subscriptions are looked at: another deployment of
// the app may replace them. They are looked at sooner after the journal did not work:
// they go when the app is uninstalled.
const subscriptionsLast = time.Hour

// types are the ids of the types to subscribe to, in order.
func (j *Journal) types() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	types := slices.Clone(j.Types)
	if j.objects != nil {
		types = nil
		for _, o := range j.objects {
			types = append(types, o.Type.TypeID)
		}
	}
	slices.Sort(types)
	return slices.DeleteFunc(types, func(id string) bool { return id == "" }) // HubSpot's pages name none
}
