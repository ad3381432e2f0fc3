package fleet_test

import (
	"cmp"
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

// counter counts requests to the brokers, to the registry and to HubSpot.
type counter struct {
	w *world

	mu       sync.Mutex
	brokers  map[int16]int
	registry int
	called   map[string]int // of each portal
}

func newCounter(w *world) *counter {
	c := &counter{w: w, brokers: map[int16]int{}, called: map[string]int{}}
	for key := range int16(kmsg.MaxKey) {
		w.kafka.ControlKey(key, func(kmsg.Request) (kmsg.Response, error, bool) {
			w.kafka.KeepControl()
			c.mu.Lock()
			defer c.mu.Unlock()
			c.brokers[key]++
			return nil, nil, false
		})
	}
	return c
}

// counts is what was counted, for each portal.
type counts struct {
	brokers         map[string]float64
	all             float64 // of brokers
	registry, calls float64
}

// take gives what was counted since the last take, for each of some portals. Calls are
// those of these portals; all else that an instance asked is taken to be for them.
func (c *counter) take(portals []string) counts {
	calls := 0
	for name, p := range c.w.portals {
		now := 0
		for _, n := range p.Stats().Calls {
			now += n
		}
		if slices.Contains(portals, name) {
			calls += now - c.called[name]
		}
		c.called[name] = now
	}
	registry := int(c.w.registry.Requests.Load())
	c.mu.Lock()
	defer c.mu.Unlock()
	per := func(n int) float64 { return float64(n) / float64(max(1, len(portals))) }
	out := counts{brokers: map[string]float64{}, registry: per(registry - c.registry), calls: per(calls)}
	for key, n := range c.brokers {
		if key != kmsg.Heartbeat.Int16() && key != kmsg.DescribeGroups.Int16() { // the status asks for the group too
			out.brokers[kmsg.NameForKey(key)] = per(n)
			out.all += per(n)
		}
	}
	c.registry = registry
	clear(c.brokers)
	return out
}

// about is how often the brokers were asked about topics and offsets.
func (c counts) about() float64 {
	return c.brokers["Metadata"] + c.brokers["DescribeConfigs"] + c.brokers["CreateTopics"] + c.brokers["ListOffsets"]
}

func (c counts) String() string {
	text := fmt.Sprintf("%.1f requests to the brokers, %.1f to the registry, %.1f calls to HubSpot a portal:", c.all, c.registry, c.calls)
	for _, name := range slices.SortedFunc(maps.Keys(c.brokers), func(a, b string) int { return cmp.Compare(c.brokers[b], c.brokers[a]) }) {
		text += fmt.Sprintf(" %s %.1f", name, c.brokers[name])
	}
	return text
}

var threeTypes = []string{"contacts", "companies", "deals"}

// largePortals gives portals of three object types with 200 records each.
func (w *world) largePortals(n int, latency hubspottest.Span) {
	for i, name := range names(0, n) {
		w.add(0, name)
		w.portals[name] = hubspottest.New(hubspottest.Options{
			Seed: uint64(i + 1), PortalID: int64(i + 1), Types: threeTypes, Latency: latency,
			Limits: hubspottest.Limits{SearchPerSecond: 5, TenSecondly: 190, Daily: 650_000},
		})
		for _, object := range threeTypes {
			w.portals[name].Seed(object, 200)
		}
		w.write(name, "HUBSPOT_ACCESS_TOKEN=pat-"+name+"\nSYNC_LEADING_INTERVAL=0s")
	}
}

// TestFleet_WhatAStartCosts is what docs/fleet.md says of starts: what a portal asks of
// the brokers, of the registry and of HubSpot until it streams, at its first start and
// when it moves to another instance. At a thousand portals, these requests are the
// time that a start takes.
func TestFleet_WhatAStartCosts(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		count := newCounter(w)
		const portals = 8
		a := w.start()
		w.until(time.Minute, func() bool { return len(a.status().Problems) == 0 })
		all := names(0, portals)
		w.largePortals(portals, hubspottest.Span{Min: 150 * time.Millisecond, Max: 300 * time.Millisecond})
		count.take(nil)
		w.until(2*time.Minute, a.stream)
		first := count.take(all)
		t.Log("first start:", first)
		if n := first.about(); n > 40 {
			t.Errorf("a first start asks the brokers %.1f times about topics and offsets", n)
		}
		time.Sleep(time.Minute)
		b := w.start()
		time.Sleep(10 * time.Second)
		var moving []string
		for _, p := range b.status().Portals {
			if p.Instance == a.addr {
				moving = append(moving, p.Name)
			}
		}
		count.take(nil)
		a.kill()
		w.until(time.Minute, b.stream)
		moved := count.take(moving)
		t.Logf("%d of %d move: %v", len(moving), portals, moved)
		if n := moved.about(); n > 28 {
			t.Errorf("a portal that moves asks the brokers %.1f times about topics and offsets", n)
		}
		b.stop()
	})
}

// TestFleet_WhatAnIdlePortalCosts is what docs/fleet.md reckons with, for a portal of
// three object types in which nothing changes: requests to the brokers and to HubSpot,
// topics and partitions.
func TestFleet_WhatAnIdlePortalCosts(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for -short")
	}
	t.Parallel()
	inWorld(t, func(w *world) {
		count := newCounter(w)
		const portals = 4
		w.largePortals(portals, hubspottest.Span{})
		a := w.start()
		w.until(2*time.Minute, a.stream)
		time.Sleep(time.Hour)
		count.take(nil)
		const hours = 2
		time.Sleep(hours * time.Hour)
		idle := count.take(names(0, portals))
		perSecond := func(n float64) float64 { return n / (hours * time.Hour).Seconds() }
		for _, name := range slices.Sorted(maps.Keys(idle.brokers)) {
			t.Logf("%-24s %.4f a second and portal", name, perSecond(idle.brokers[name]))
		}
		transactions := perSecond(idle.brokers["EndTxn"])
		t.Logf("transactions %.3f, requests to the brokers %.3f, calls to HubSpot %.3f a second and portal", transactions, perSecond(idle.all), perSecond(idle.calls))
		if transactions == 0 || transactions > 0.11 {
			t.Errorf("%.3f transactions a second and portal", transactions)
		}
		if n := perSecond(idle.calls); n > 0.25 {
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

var hardlyUsed = flag.Int("hardly-used", 0, "portals of TestFleet_WhatAHardlyUsedPortalCosts; 0 skips it, 333 take half an hour")

// TestFleet_WhatAHardlyUsedPortalCosts: with a change every 17 minutes in one of three
// object types, a portal among many costs little more than one in which nothing changes
// (docs/fleet.md#sizes). TestPace_AmongManyPortals has the same of the searches alone, in
// seconds.
func TestFleet_WhatAHardlyUsedPortalCosts(t *testing.T) {
	if *hardlyUsed == 0 {
		t.Skip("only with -hardly-used")
	}
	t.Parallel()
	inWorld(t, func(w *world) {
		count := newCounter(w)
		w.largePortals(*hardlyUsed, hubspottest.Span{})
		a := w.start()
		w.until(20*time.Minute, a.stream)
		time.Sleep(30 * time.Minute)
		rng := rand.New(rand.NewPCG(1, 2))
		const apart, over = 17 * time.Minute, 2 * time.Hour
		all, began := names(0, *hardlyUsed), time.Now()
		count.take(nil)
		made := map[string]time.Time{} // by topic and key
		for time.Since(began) < over {
			time.Sleep(time.Duration(rng.ExpFloat64() * float64(apart) / float64(len(all))))
			name, object := all[rng.IntN(len(all))], threeTypes[rng.IntN(len(threeTypes))]
			id := w.portals[name].Create(object, nil)
			made[fmt.Sprintf("%s.%s.%s/%d", prefix, name, object, id)] = time.Now()
		}
		daily := count.take(all).calls * float64(24*time.Hour) / float64(time.Since(began))
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
