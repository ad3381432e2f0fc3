package connector_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR17_ANewPropertyHoldsTheFrontier: a calculated property is new, and has values. Nothing
// is verified for a time at which it was there before its values are published.
func TestR17_ANewPropertyHoldsTheFrontier(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.contacts"
	for _, schema := range []string{"1m", "10m"} {
		inWorld(t, hubspottest.Options{Seed: 6, Types: []string{"contacts"}}, []string{
			"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=2m", "SYNC_SCHEMA_INTERVAL=" + schema,
		}, func(w *world) {
			ids := w.Portal.Seed("contacts", 300)
			p := w.start()
			w.ReadUntil(5*time.Minute, func() bool { return w.frontier(topic).Verified != nil })
			time.Sleep(time.Until(w.frontier(topic).Verified.Add(110 * time.Second)))
			w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points", Type: "number", Calculated: true})
			for i, id := range ids {
				w.Portal.UpdateCalculated("contacts", id, map[string]string{"points": fmt.Sprint(i + 1)})
			}
			there := w.Portal.Now()
			w.ReadUntil(30*time.Minute, func() bool { return after(w.frontier(topic).Verified, there) })
			f := w.frontier(topic)
			rows := map[string]bool{}
			for _, e := range w.Seen("contacts") {
				if e.Op != "d" && e.Partition >= 0 && e.Offset < f.Offsets[idText(uint64(e.Partition))] {
					rows[e.Key.ID] = e.Values["points"] != nil
				}
			}
			lacking := 0
			for _, has := range rows {
				if !has {
					lacking++
				}
			}
			if lacking > 0 {
				t.Errorf("schema every %s: verified is %v, and of %d records the topic lacks a value that was there at %v", schema, f.Verified, lacking, there)
			}
			p.Stop()
		})
	}
}
