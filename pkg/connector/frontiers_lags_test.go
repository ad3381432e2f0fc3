package connector_test

import (
	"strconv"
	"strings"
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

// TestR17_AnIdlePortalMakesFewTransactions: each leaves a marker in the compacted topics,
// so the frontiers of all topics go together, whenever each of their sweeps ends.
func TestR17_AnIdlePortalMakesFewTransactions(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 9, Types: []string{"contacts", "companies", "deals"}}, []string{
		"HUBSPOT_OBJECTS=contacts,companies,deals", "HUBSPOT_ASSOCIATIONS=contacts:companies,deals:contacts,companies:deals,contacts:contacts",
		"SYNC_LEADING_INTERVAL=3s", "SYNC_ASSOCIATIONS_INTERVAL=13s", "SYNC_REFERENCE_INTERVAL=7s",
	}, func(w *world) {
		for i, object := range []string{"contacts", "companies", "deals"} {
			w.Portal.Seed(object, 100*i)
		}
		p := w.start()
		commits := func() (n float64) {
			for line := range strings.Lines(p.Get("/metrics").Body.String()) {
				if text, ok := strings.CutPrefix(line, `hubspot_cdc_commits_total{result="ok"} `); ok {
					n, _ = strconv.ParseFloat(strings.TrimSpace(text), 64)
				}
			}
			return n
		}
		time.Sleep(5 * time.Minute)
		before := commits()
		time.Sleep(10 * time.Minute)
		if n := commits() - before; n < 50 || n > 62 {
			t.Errorf("ten idle minutes made %v transactions, want about one each ten seconds", n)
		}
		p.Stop()
	})
}
