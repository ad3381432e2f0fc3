package fleet_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
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
		portals := 4
		a, calls := w.ofThreeTypes(portals)
		mu.Lock()
		for key, n := range requests {
			t.Logf("to begin: %-24s %d a portal", kmsg.NameForKey(key), n/portals)
		}
		mu.Unlock()
		t.Logf("to begin: %d requests to the registry, %d calls to HubSpot a portal", int(w.registry.Requests.Load())/portals, calls()/portals)
		time.Sleep(time.Hour)
		mu.Lock()
		clear(requests)
		mu.Unlock()
		before := calls()
		const hours = 2
		time.Sleep(hours * time.Hour)
		perSecond := func(n int) float64 { return float64(n) / float64(portals) / (hours * time.Hour).Seconds() }
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

// ofThreeTypes starts an instance with so many portals of three object types, with the
// default settings. calls counts the requests to HubSpot.
func (w *world) ofThreeTypes(portals int) (i *instance, calls func() int) {
	for n, name := range names(0, portals) {
		p := hubspottest.New(hubspottest.Options{Seed: uint64(n), PortalID: int64(n + 1), Types: threeTypes, Index: hubspottest.Index{Immediate: true}, Limits: hubspottest.Limits{SearchPerSecond: 5, TenSecondly: 190, Daily: 650_000}})
		for _, object := range threeTypes {
			p.Seed(object, 200)
		}
		w.portals[name] = p
		w.write(name, "HUBSPOT_ACCESS_TOKEN=pat-"+name+"\nSYNC_LEADING_INTERVAL=0s")
	}
	i = w.start()
	w.until(20*time.Minute, i.stream)
	return i, func() (n int) {
		for _, p := range w.portals {
			for _, count := range p.Stats().Calls {
				n += count
			}
		}
		return n
	}
}

var threeTypes = []string{"contacts", "companies", "deals"}

var hardlyUsed = flag.Int("hardly-used", 4, "portals of TestFleet_WhatAHardlyUsedPortalCosts")

// TestFleet_WhatAHardlyUsedPortalCosts: with a change every 17 minutes in one of three
// object types, a portal among many costs little more than one in which nothing changes
// (docs/fleet.md#sizes). Four portals, which take less time, may each spend what HubSpot's
// limits allow.
func TestFleet_WhatAHardlyUsedPortalCosts(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for -short")
	}
	t.Parallel()
	inWorld(t, func(w *world) {
		a, calls := w.ofThreeTypes(*hardlyUsed)
		time.Sleep(30 * time.Minute)
		rng := rand.New(rand.NewPCG(1, 2))
		const apart, over = 17 * time.Minute, 2 * time.Hour
		all, began, before := names(0, *hardlyUsed), time.Now(), calls()
		made := map[string]time.Time{} // by topic and key
		for time.Since(began) < over {
			time.Sleep(time.Duration(rng.ExpFloat64() * float64(apart) / float64(len(all))))
			name, object := all[rng.IntN(len(all))], threeTypes[rng.IntN(len(threeTypes))]
			id := w.portals[name].Create(object, nil)
			made[fmt.Sprintf("%s.%s.%s/%d", prefix, name, object, id)] = time.Now()
		}
		daily := float64(calls()-before) / float64(len(all)) * float64(24*time.Hour) / float64(time.Since(began))
		time.Sleep(5 * time.Minute)
		var took []time.Duration
		for _, name := range all {
			for _, object := range threeTypes {
				topic := prefix + "." + name + "." + object
				for _, r := range w.records(topic) {
					if at, ok := made[topic+"/"+string(r.Key)]; ok {
						took = append(took, r.Timestamp.Sub(at))
					}
				}
			}
		}
		if len(took) != len(made) {
			t.Fatalf("%d of %d changes are committed", len(took), len(made))
		}
		slices.Sort(took)
		t.Logf("%d portals: %.0f calls a day and portal; %d changes, committed after p50 %.1fs, p90 %.1fs, p99 %.1fs",
			len(all), daily, len(took), took[len(took)/2].Seconds(), took[len(took)*9/10].Seconds(), took[len(took)*99/100].Seconds())
		if many, most := 300, 25_000.0; len(all) >= many && daily > most {
			t.Errorf("%.0f calls a day and portal, want at most %.0f", daily, most)
		}
		a.stop()
	})
}
