package connector_test

import (
	"slices"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// TestArchive_ARefusedSweepGoesOnSoon: the recycle bin has many more pages than before, and
// HubSpot refuses one of the last for some seconds. The rest follows within a minute, as of
// every stream that is refused, and not when the next sweep would be due.
func TestArchive_ARefusedSweepGoesOnSoon(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 72, Types: []string{"contacts"}, ListPage: 5, Latency: hubspottest.Span{Min: time.Second, Max: time.Second}}
	inWorld(t, opt, []string{oneType, "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 400)
		p := w.start()
		w.synced(p)
		w.Portal.Archive("contacts", ids[399]) // from now on the passes are frequent
		time.Sleep(20 * time.Minute)
		for _, id := range ids[:300] {
			w.Portal.Archive("contacts", id)
		}
		w.ReadUntil(20*time.Minute, func() bool {
			place, err := offsets.ParseArchive([]byte(w.Cursors()[`{"portal":4242,"object":"contacts","stream":"archive"}`]))
			return err == nil && len(place.After) > 0 && place.After >= idText(ids[200]) && len(place.After) == len(idText(ids[200]))
		})
		refused := func() bool {
			return slices.ContainsFunc(p.ready().Problems, func(p stream.Problem) bool { return p.Stream == "archive" })
		}
		mend := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 403, Endpoint: hubspottest.EndpointList, Object: "contacts"})
		w.SleepUntil(20*time.Minute, refused)
		mend()
		if took := w.SleepUntil(time.Hour, func() bool { return !refused() }); took > time.Minute {
			t.Errorf("the sweep goes on %v after HubSpot has stopped to refuse it", took)
		}
		p.Stop()
	})
}
