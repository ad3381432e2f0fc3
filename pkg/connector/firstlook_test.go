package connector_test

import (
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestStart_FollowsWhatItFollowedFirst: a run that goes on asks HubSpot first about the
// types that it follows, and about the some thirty others when it streams. A type that the
// token may read by now is followed within half a minute.
func TestStart_FollowsWhatItFollowedFirst(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{
		Seed: 5, Types: []string{"contacts", "tickets"},
		Latency: hubspottest.Span{Min: 150 * time.Millisecond, Max: 300 * time.Millisecond},
		Limits:  hubspottest.Limits{SearchPerSecond: 5, TenSecondly: 190, Daily: 650_000},
	}
	contacts := []string{"crm.objects.contacts.read", "crm.schemas.contacts.read"}
	inWorld(t, opt, nil, func(w *world) {
		w.Portal.Seed("contacts", 10)
		w.Portal.Seed("tickets", 10)
		w.Portal.SetScopes(contacts...)
		asked := func() int { return w.Portal.Stats().Calls[hubspottest.EndpointProperties] }
		p := w.start()
		w.SleepUntil(time.Minute, p.streams)
		first := asked()
		p.Stop()
		if first < 30 {
			t.Errorf("the first start asks about the properties of %d types", first)
		}
		w.Portal.SetScopes(append(contacts, "tickets")...)
		time.Sleep(time.Minute)
		began, before := time.Now(), asked()
		p = w.start()
		w.SleepUntil(time.Minute, p.streams)
		if n := asked() - before; n > first/2 {
			t.Errorf("the next one asks about %d before it streams", n)
		}
		t.Logf("streams after %v", time.Since(began))
		w.SleepUntil(30*time.Second, func() bool { return p.Backfilled("tickets") })
		if n := asked() - before; n < first {
			t.Errorf("it has asked about %d of %d types", n, first)
		}
		p.Stop()
		w.check("contacts", "tickets")
	})
}
