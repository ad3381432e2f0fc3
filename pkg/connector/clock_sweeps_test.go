package connector_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	depl "github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR21_ASweepAheadOfHubSpotsTimeVerifiesNothing: the cursor of a sweep that has ended
// lies ahead of HubSpot's time. When it began is not known, and certainly not now.
func TestR21_ASweepAheadOfHubSpotsTimeVerifiesNothing(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.contacts"
	for _, stream := range []string{"backfill", "reconcile"} {
		inWorld(t, hubspottest.Options{Seed: 6, Types: []string{"contacts"}}, []string{
			"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=1h",
		}, func(w *world) {
			w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points", Type: "number", Calculated: true})
			ids := w.Portal.Seed("contacts", 30)
			p := w.start()
			w.ReadUntil(5*time.Minute, func() bool { return w.frontier(topic).Verified != nil })
			p.Stop()
			w.Portal.UpdateCalculated("contacts", ids[5], map[string]string{"points": "77777"})
			changed := w.Portal.Now()
			ahead := changed.Add(time.Hour).UTC().Format("2006-01-02T15:04:05.000Z")
			key := strings.Replace(depl.LeadingKey, "leading", stream, 1)
			w.Produce("hubspot.offsets", key, `{"ranges":[{"from":"0","to":"","after":"","id":"1"}],"started":"`+ahead+`","completed":"`+ahead+`","done":true,"v":1}`)
			time.Sleep(time.Minute)
			p = w.start()
			time.Sleep(3 * time.Minute)
			seen := 0
			for _, e := range w.Seen("contacts") {
				if fmt.Sprint(e.Values["points"]) == "77777" {
					seen++
				}
			}
			if f := w.frontier(topic); after(f.Verified, changed) && seen == 0 {
				t.Errorf("%s: verified is %v, and the value of %v is not published", stream, f.Verified, changed)
			}
			p.Stop()
		})
	}
}
