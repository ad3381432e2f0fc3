package connector_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR17_ANewLagTakesNothingBack: a tier that a changed SYNC_TRAILING_LAG adds has no
// cursor, so the backfill runs again. What was complete stays so.
func TestR17_ANewLagTakesNothingBack(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.contacts"
	inWorld(t, hubspottest.Options{Seed: 9, Types: []string{"contacts"}, ListPage: 2, Latency: hubspottest.Span{Min: 2 * time.Second, Max: 4 * time.Second}}, []string{
		"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=24h", "SYNC_LEADING_INTERVAL=5s",
	}, func(w *world) {
		ids := w.Portal.Seed("contacts", 60)
		for i, lags := range []string{"1m", "1m,3m", "2m"} {
			w.Set("SYNC_TRAILING_LAG=" + lags)
			for range 2 { // the first one is killed while the backfill runs again
				p := w.start()
				for range 6 {
					time.Sleep(7 * time.Second)
					w.Portal.Touch("contacts", ids[i])
				}
				p.Kill()
				w.Brokers.Mend()
			}
			p := w.start()
			time.Sleep(8 * time.Minute)
			p.Stop()
			if f := w.frontier(topic); f.Complete == nil || time.Since(*f.Complete) > 5*time.Minute {
				t.Errorf("with %s the topic is complete up to %v at %v", lags, f.Complete, time.Now())
			}
		}
		for _, wrong := range cdctest.CheckFrontierPlaces(placesOf(w.Seen("contacts")), w.allFrontiers()[topic], false) {
			t.Error(wrong)
		}
	})
}

// TestR17_AClockThatWasAheadStopsNoFrontier: the computer of the run before had one.
func TestR17_AClockThatWasAheadStopsNoFrontier(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.contacts"
	inWorld(t, hubspottest.Options{Seed: 9, Types: []string{"contacts"}}, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		w.Portal.Seed("contacts", 5)
		p := w.start()
		time.Sleep(time.Minute)
		p.Stop()
		before := len(w.frontiers(topic))
		for _, r := range w.Records("hubspot.frontiers") {
			w.Kafka.Produce(&kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Timestamp: time.Now().Add(time.Hour)})
		}
		p = w.start()
		time.Sleep(time.Minute)
		p.Stop()
		if n := len(w.frontiers(topic)) - 2*before; n < 4 {
			t.Errorf("%d frontiers came in a minute", n)
		}
	})
}
