package connector_test

import (
	"slices"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// TestR20_ALossIsAProblemUntilAllIsPublishedAgain: not only until a first page is
// (docs/runbook.md).
func TestR20_ALossIsAProblemUntilAllIsPublishedAgain(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 20, Types: []string{"contacts", "companies"}, ListPage: 5, Latency: hubspottest.Span{Min: 200 * time.Millisecond, Max: 300 * time.Millisecond}}
	inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies"}, func(w *world) {
		w.peopled(60)
		p := w.start()
		w.SleepUntil(10*time.Minute, func() bool { return p.Backfilled("contacts", "companies", "contacts:companies") })
		time.Sleep(time.Minute)
		p.Stop()
		loss{"emptied", 0, true}.befall(w, contactsTopic)
		p = w.start()
		shown := func() bool {
			return slices.ContainsFunc(p.ready().Problems, func(p stream.Problem) bool { return p.Object == "contacts" && p.Stream == "republish" })
		}
		w.SleepUntil(time.Minute, shown)
		for !p.Log.Has("everything is published again") {
			if !shown() {
				t.Fatalf("%d records are published again, of 60, and /readyz has no problem", len(w.keysOf(contactsTopic)))
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if shown() {
			t.Error("everything is published again, and the problem stays")
		}
		p.Stop()
	})
}
