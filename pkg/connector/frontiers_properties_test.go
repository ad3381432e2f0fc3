package connector_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
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
			p, there := w.newPoints(topic)
			w.ReadUntil(30*time.Minute, func() bool { return after(w.frontier(topic).Verified, there) })
			f := w.frontier(topic)
			if lacking := w.without("points", f); lacking > 0 {
				t.Errorf("schema every %s: verified is %v, and of %d records the topic lacks a value that was there at %v", schema, f.Verified, lacking, there)
			}
			p.Stop()
		})
	}
}

// TestR17_ANewPropertyHoldsTheFrontierOverARestart: the next run lists the property at its
// start, and its records are read again while the sweep has ended in the run before.
func TestR17_ANewPropertyHoldsTheFrontierOverARestart(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.contacts"
	inWorld(t, hubspottest.Options{Seed: 6, Types: []string{"contacts"}}, []string{
		"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=2m",
	}, func(w *world) {
		p, there := w.newPoints(topic)
		const cursor = `{"portal":4242,"object":"contacts","stream":"reconcile"}`
		w.ReadUntil(5*time.Minute, func() bool {
			s, err := offsets.ParseSweep([]byte(w.Cursors()[cursor]))
			return err == nil && s.Done && s.Started > hubspot.Millis(there.UnixMilli())
		})
		p.Kill()
		w.Brokers.Mend()
		heal := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultSlow, Latency: 20 * time.Second, Endpoint: hubspottest.EndpointBatchRead})
		p = w.start()
		w.ReadUntil(30*time.Minute, func() bool {
			f := w.frontier(topic)
			if lacking := w.without("points", f); after(f.Verified, there) && lacking > 0 {
				t.Errorf("verified is %v, and of %d records the topic lacks a value that was there at %v", f.Verified, lacking, there)
				return true
			}
			return after(f.Verified, there)
		})
		heal()
		p.Stop()
	})
}

// TestR17_ARefusedPropertyIsNotVerified: the registry refuses the schema with a new
// property. A reconcile reads without it and verifies nothing; nor do later looks at the
// schemas, or another run, take that reconcile for one that has shown everything.
func TestR17_ARefusedPropertyIsNotVerified(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.contacts"
	const cursor = `{"portal":4242,"object":"contacts","stream":"reconcile"}`
	inWorld(t, hubspottest.Options{Seed: 6, Types: []string{"contacts"}}, []string{
		"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=2m", "SYNC_SCHEMA_INTERVAL=1m",
	}, func(w *world) {
		ids := w.Portal.Seed("contacts", 300)
		p := w.start()
		w.ReadUntil(5*time.Minute, func() bool { return w.frontier(topic).Verified != nil })
		w.Registry.Turn(refusing(w.Registry.Turn(nil), "hubspot.contacts-value"))
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points", Type: "number", Calculated: true})
		for i, id := range ids {
			w.Portal.UpdateCalculated("contacts", id, map[string]string{"points": fmt.Sprint(i + 1)})
		}
		there := w.Portal.Now()
		w.ReadUntil(30*time.Minute, func() bool {
			s, err := offsets.ParseSweep([]byte(w.Cursors()[cursor]))
			return err == nil && s.Done && s.Started > hubspot.Millis(there.UnixMilli())
		})
		for _, when := range []string{"while it runs", "after a restart"} {
			time.Sleep(5 * time.Minute)
			if f := w.frontier(topic); after(f.Verified, there) {
				t.Errorf("%s verified is %v, and of %d records the topic lacks a value that was there at %v", when, f.Verified, w.without("points", f), there)
			}
			p.Stop()
			w.Set("SYNC_RECONCILE_INTERVAL=24h")
			p = w.start()
		}
		p.Stop()
	})
}

// TestR17_APropertyOfADoubtedListIsNotVerified: HubSpot's list lacks many properties at
// once, so that what is new in it does not count either (R19). What a reconcile reads
// without the new one is not everything.
func TestR17_APropertyOfADoubtedListIsNotVerified(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.contacts"
	inWorld(t, hubspottest.Options{Seed: 6, Types: []string{"contacts"}}, []string{
		"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=30m", "SYNC_SCHEMA_INTERVAL=1m",
	}, func(w *world) {
		for i := range 12 {
			w.Portal.AddProperty("contacts", hubspottest.Property{Name: fmt.Sprint("c", i), Type: "string"})
		}
		ids := w.Portal.Seed("contacts", 300)
		p := w.start()
		w.ReadUntil(5*time.Minute, func() bool { return w.frontier(topic).Verified != nil })
		time.Sleep(time.Until(w.frontier(topic).Verified.Add(26 * time.Minute)))
		for i := range 11 {
			w.Portal.RemoveProperty("contacts", fmt.Sprint("c", i))
		}
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points", Type: "number", Calculated: true})
		for i, id := range ids {
			w.Portal.UpdateCalculated("contacts", id, map[string]string{"points": fmt.Sprint(i + 1)})
		}
		there := w.Portal.Now()
		w.ReadUntil(3*time.Hour, func() bool { return after(w.frontier(topic).Verified, there) })
		f := w.frontier(topic)
		if lacking := w.without("points", f); lacking > 0 {
			t.Errorf("verified is %v, and of %d records the topic lacks a value that was there at %v", f.Verified, lacking, there)
		}
		p.Stop()
	})
}

// newPoints starts the connector and, shortly before its first reconcile, makes a calculated
// property whose values are there from a time on.
func (w *world) newPoints(topic string) (p *process, there time.Time) {
	ids := w.Portal.Seed("contacts", 300)
	p = w.start()
	w.ReadUntil(5*time.Minute, func() bool { return w.frontier(topic).Verified != nil })
	time.Sleep(time.Until(w.frontier(topic).Verified.Add(110 * time.Second)))
	w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points", Type: "number", Calculated: true})
	for i, id := range ids {
		w.Portal.UpdateCalculated("contacts", id, map[string]string{"points": fmt.Sprint(i + 1)})
	}
	return p, w.Portal.Now()
}

// without counts the records of which the topic, up to a frontier, lacks a property.
func (w *world) without(property string, f frontier) (lacking int) {
	rows := map[string]bool{}
	for _, e := range w.Seen("contacts") {
		if e.Op != "d" && e.Partition >= 0 && e.Offset < f.Offsets[idText(uint64(e.Partition))] {
			rows[e.Key.ID] = e.Values[property] != nil
		}
	}
	for _, has := range rows {
		if !has {
			lacking++
		}
	}
	return lacking
}
