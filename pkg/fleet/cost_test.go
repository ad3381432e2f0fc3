package fleet_test

import (
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestFleet_WhatAnIdlePortalCosts is what docs/fleet.md reckons with, for a portal of
// three object types in which nothing changes: requests to the brokers and to HubSpot,
// topics and partitions.
func TestFleet_WhatAnIdlePortalCosts(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for -short")
	}
	t.Parallel()
	inWorld(t, func(w *world) {
		var mu sync.Mutex
		requests := map[int16]int{}
		for key := range int16(kmsg.MaxKey) {
			w.kafka.ControlKey(key, func(kmsg.Request) (kmsg.Response, error, bool) {
				w.kafka.KeepControl()
				mu.Lock()
				defer mu.Unlock()
				requests[key]++
				return nil, nil, false
			})
		}
		const portals = 4
		for _, name := range names(0, portals) {
			w.add(0, name)
			w.portals[name] = hubspottest.New(hubspottest.Options{Seed: 1, PortalID: int64(len(name)), Types: []string{"contacts", "companies", "deals"}, Limits: hubspottest.Limits{SearchPerSecond: 5, TenSecondly: 190, Daily: 650_000}})
			for _, object := range []string{"contacts", "companies", "deals"} {
				w.portals[name].Seed(object, 200)
			}
			w.write(name, "HUBSPOT_ACCESS_TOKEN=pat-"+name+"\nSYNC_LEADING_INTERVAL=0s")
		}
		a := w.start()
		w.until(2*time.Minute, a.stream)
		calls := func() (n int) {
			for _, p := range w.portals {
				for _, count := range p.Stats().Calls {
					n += count
				}
			}
			return n
		}
		mu.Lock()
		for key, n := range requests {
			t.Logf("to begin: %-24s %d a portal", kmsg.NameForKey(key), n/portals)
		}
		mu.Unlock()
		t.Logf("to begin: %d requests to the registry, %d calls to HubSpot a portal", w.registry.Requests.Load()/portals, calls()/portals)
		time.Sleep(time.Hour)
		mu.Lock()
		clear(requests)
		mu.Unlock()
		before := calls()
		const hours = 2
		time.Sleep(hours * time.Hour)
		perSecond := func(n int) float64 { return float64(n) / portals / (hours * time.Hour).Seconds() }
		mu.Lock()
		counted := maps.Clone(requests)
		mu.Unlock()
		delete(counted, kmsg.Heartbeat.Int16()) // an instance's
		all := 0
		for key, n := range counted {
			all += n
			t.Logf("%-24s %.4f a second and portal", kmsg.NameForKey(key), perSecond(n))
		}
		transactions := perSecond(counted[kmsg.EndTxn.Int16()])
		t.Logf("transactions %.3f, requests to the brokers %.3f, calls to HubSpot %.3f a second and portal", transactions, perSecond(all), perSecond(calls()-before))
		if transactions == 0 || transactions > 0.11 {
			t.Errorf("%.3f transactions a second and portal", transactions)
		}
		if n := perSecond(calls() - before); n > 0.25 {
			t.Errorf("%.3f calls to HubSpot a second and portal", n)
		}
		topics, partitions := 0, 0
		listed, err := w.kafka.Admin().ListTopics(w.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range listed.Sorted() {
			if topic.Topic != prefix+".fleet" {
				topics, partitions = topics+1, partitions+len(topic.Partitions)
			}
		}
		t.Logf("%d topics with %d partitions a portal", topics/portals, partitions/portals)
		a.stop()
	})
}
