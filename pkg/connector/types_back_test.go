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

// TestR20_ALossIsMadeGoodOnce: the topic of a custom type was deleted, and everything of it
// was published again. In the same run HubSpot denies the type twice, and shows it again.
// Nothing is lost by then, so what comes back is published as always.
func TestR20_ALossIsMadeGoodOnce(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 11, ListPage: 5, Latency: hubspottest.Span{Min: 100 * time.Millisecond, Max: 400 * time.Millisecond}, Types: []string{"contacts"}}
	inWorld(t, opt, []string{"SYNC_SCHEMA_INTERVAL=1m", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		topic := "hubspot." + car
		w.Portal.Seed(car, 150)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(150, []string{car}) })
		p.Stop()
		loss{keep: -1}.befall(w, topic)
		p = w.start()
		w.SleepUntil(10*time.Minute, func() bool { return p.Log.Has("everything is published again") })
		list := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultShort, Lost: hubspottest.LostAll, Endpoint: hubspottest.EndpointSchemas})
		own := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 404, Endpoint: hubspottest.EndpointSchema})
		w.SleepUntil(10*time.Minute, func() bool { return p.live(car) == 0 })
		list()
		own()
		w.SleepUntil(10*time.Minute, func() bool { return p.live(car) == 150 })
		time.Sleep(10 * time.Minute)
		p.Stop()
		again := 0
		for _, e := range w.eventsOf(topic) {
			if e.Source["snapshot"] == "incremental" {
				again++
			}
		}
		if again != 150 {
			t.Errorf("%d records were published again, want 150", again)
		}
	})
}
