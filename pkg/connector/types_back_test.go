package connector_test

import (
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR9_ATypeThatComesBackInARun: HubSpot denied a custom type twice, and shows it again
// under the same id: its streams begin again.
func TestR9_ATypeThatComesBackInARun(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 8, Types: []string{"contacts"}}, []string{"SYNC_SCHEMA_INTERVAL=1m"}, func(w *world) {
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		w.Portal.Seed(car, 20)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(20, []string{car}) })
		list := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultShort, Lost: hubspottest.LostAll, Endpoint: hubspottest.EndpointSchemas})
		own := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 404, Endpoint: hubspottest.EndpointSchema})
		w.SleepUntil(10*time.Minute, func() bool { return p.live(car) == 0 })
		list()
		own()
		w.SleepUntil(10*time.Minute, func() bool { return p.live(car) == 20 })
		time.Sleep(5 * time.Minute)
		p.Stop()
	})
}
