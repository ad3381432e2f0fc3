package connector_test

import (
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// realLatency is the time that HubSpot takes for a call.
var realLatency = hubspottest.Span{Min: 150 * time.Millisecond, Max: 300 * time.Millisecond}

// TestPromise6_OneLargeTypeUsesTheWholeShare: a type is read in several ranges at
// once, as fast as the share of HubSpot's limit allows, without a 429, and every
// record is published once. Small types beside it do not wait for it.
func TestPromise6_OneLargeTypeUsesTheWholeShare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		records int
		small   []string
		want    float64
		long    bool
	}{
		"20,000":               {records: 20_000, want: 0.85}, // the beginning and the end count more
		"200,000":              {records: 200_000, want: 0.97, long: true},
		"200,000 beside small": {records: 200_000, want: 0.97, small: []string{"companies", "deals", "tickets", "products", "tasks"}, long: true},
	} {
		t.Run(name, func(t *testing.T) {
			if c.long {
				long(t)
			}
			t.Parallel()
			opt := hubspottest.Options{Seed: 1, Types: append([]string{"contacts"}, c.small...), NoHistory: true, Latency: realLatency}
			inWorld(t, opt, []string{"HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
				w.Portal.Seed("contacts", c.records)
				for i, object := range c.small {
					w.Portal.Seed(object, 50+100*i)
				}
				p := w.start()
				began, first, last := time.Now(), time.Duration(0), time.Duration(0)
				var before, after hubspottest.Stats
				w.SleepUntil(time.Hour, func() bool {
					if first == 0 && p.backfilled(0, []string{"contacts"}) {
						first, before = time.Since(began), w.Portal.Stats()
					}
					if last == 0 && p.backfilled(1, c.small) {
						last = time.Since(began)
					}
					return p.backfilled(c.records, []string{"contacts"})
				})
				span := time.Since(began) - first
				after = w.Portal.Stats()
				others, lists := len(c.small), after.Calls[hubspottest.EndpointList]-before.Calls[hubspottest.EndpointList]
				for _, endpoint := range []hubspottest.Endpoint{hubspottest.EndpointBatchRead, hubspottest.EndpointProperties, hubspottest.EndpointPipelines, hubspottest.EndpointOwners} {
					others += after.Calls[endpoint] - before.Calls[endpoint]
				}
				got := float64(c.records/100) / (0.8*19*span.Seconds() - float64(others))
				t.Logf("%d records in %v (%.0f a second), %d list calls, %d others, %.1f %% of the list calls that the share leaves; the smallest type after %v",
					c.records, span, float64(c.records)/span.Seconds(), lists, others, 100*got, last)
				if got < c.want {
					t.Errorf("%.1f %% of the list calls that the share leaves, want at least %.0f %%", 100*got, 100*c.want)
				}
				if last > 5*time.Second {
					t.Errorf("the first event of the smallest type came after %v, want at most 5 s", last)
				}
				if len(after.Throttled) > 0 {
					t.Errorf("429s: %v", after.Throttled)
				}
				p.Stop()
				if n := len(w.Records("hubspot.contacts")); n != c.records {
					t.Errorf("%d events, want %d", n, c.records)
				}
			})
		})
	}
}

// served counts how often the list has shown each contact.
type served struct {
	mu    sync.Mutex
	w     *world
	times map[uint64]int
	pages int
}

// counts makes the options count.
func (s *served) counts(opt *hubspottest.Options) {
	s.times = map[uint64]int{}
	opt.OnRequest = func(r hubspottest.Request) {
		if r.Endpoint != hubspottest.EndpointList || r.Object != "contacts" && r.Object != "0-1" || r.Query.Get("archived") == "true" {
			return
		}
		after, _ := strconv.ParseUint(r.Query.Get("after"), 10, 64)
		limit, _ := strconv.Atoi(r.Query.Get("limit"))
		ids := s.w.Portal.IDs("contacts")
		from, _ := slices.BinarySearch(ids, after)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pages++
		for _, id := range ids[from:min(len(ids), from+min(limit, cmp.Or(opt.ListPage, 100)))] {
			s.times[id]++
		}
	}
}

// unpublished is how many records were read and are not published: they are read
// again.
func (s *served) unpublished() int {
	published := map[string]bool{}
	for _, r := range s.w.Records("hubspot.contacts") {
		published[string(r.Key)] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.times) - len(published)
}

// ranges are those of the backfill's cursor.
func (w *world) ranges() int {
	var cursor struct{ Ranges []json.RawMessage }
	if err := json.Unmarshal([]byte(w.Cursors()[`{"portal":4242,"object":"contacts","stream":"backfill"}`]), &cursor); err != nil {
		w.T.Fatal(err)
	}
	return len(cursor.Ranges)
}

// TestR6_KilledInMidBackfill: whenever the connector is killed, with every range half
// done, it reads at most a page of each range again, and nothing is lost or
// published twice.
func TestR6_KilledInMidBackfill(t *testing.T) {
	long(t)
	t.Parallel()
	const records, page, kills = 6_000, 20, 10
	reads := new(served)
	opt := hubspottest.Options{Seed: 3, ListPage: page, Latency: realLatency}
	reads.counts(&opt)
	inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		reads.w, w.Split = w, 200
		w.Portal.Seed("contacts", records)
		most, again := 0, 0
		p := w.start()
		for i := range kills {
			w.SleepUntil(5*time.Minute, func() bool { return p.backfilled((i+1)*records/(kills+1), []string{"contacts"}) })
			p.Kill()
			w.Brokers.Mend()
			n, lost := w.ranges(), reads.unpublished()
			most, again = max(most, n), again+lost
			// The first page of a range that is being divided off comes before the range;
			// each range is divided by one reader at a time.
			if lost > (2*n+1)*page {
				t.Errorf("%d records of %d ranges are read again", lost, n)
			}
			p = w.start()
		}
		w.SleepUntil(10*time.Minute, func() bool { return p.Backfilled("contacts") })
		p.Stop()
		t.Logf("%d kills: %d records read again, at most %d ranges; %d pages, of which there are %d", kills, again, most, reads.pages, records/page)
		if most < 4 {
			t.Errorf("the backfill had at most %d ranges", most)
		}
		if r := w.check("contacts"); r.Events != records {
			t.Errorf("%d events, want %d", r.Events, records)
		}
	})
}

// TestR11_WhateverAnIDIsAsAPlace: HubSpot documents its places as tokens. Where an
// id is none, the list is read from one end to the other.
func TestR11_WhateverAnIDIsAsAPlace(t *testing.T) {
	t.Parallel()
	for places, divided := range map[hubspottest.Places]bool{
		hubspottest.PlacesAreIDs: true, hubspottest.PlacesAfterIDs: true,
		hubspottest.PlacesGiven: false, hubspottest.PlacesIgnored: false, hubspottest.PlacesAreTokens: false,
	} {
		opt := hubspottest.Options{Seed: 4, ListPage: 20, Latency: realLatency, Places: places}
		inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
			w.Split = 100
			w.Portal.Seed("contacts", 2_000)
			p := w.start()
			w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts") })
			p.Stop()
			if n := strings.Count(w.Log.String(), "a range is divided"); divided != (n > 3) || !divided && n > 0 {
				t.Errorf("places %d: ranges were divided %d times", places, n)
			}
			if said := strings.Count(w.Log.String(), "cannot be entered"); said != 1 && !divided || divided && said > 0 {
				t.Errorf("places %d: the log says %d times that the list is read as one", places, said)
			}
			if r := w.check("contacts"); r.Events != 2_000 {
				t.Errorf("places %d: %d events", places, r.Events)
			}
		})
	}
}

// TestR11_Seams: records that are created and deleted at the borders of ranges while
// these are read, by a backfill and by reconciles that have no time to pause, and
// kills in between, lose nothing, double nothing and delete nothing that is there.
func TestR11_Seams(t *testing.T) {
	t.Parallel() // the worlds take turns
	worlds := max(uint64(*seeds), 12)
	if testing.Short() {
		worlds = 1
	}
	divided := map[string]int{}
	both := func() bool { return divided["backfill"] > 0 && divided["reconcile"] > 0 }
	// A small world, or one that is killed at the wrong moments, divides nothing in its
	// reconciles: others follow until one has.
	for i := uint64(0); i < worlds || !both() && i < worlds+20; i++ {
		seed := *firstSeed + i
		rng := rand.New(rand.NewPCG(seed, 7))
		opt := hubspottest.Options{
			Seed: seed, ListPage: 1 + rng.IntN(12), LowIDs: 0.5, Places: hubspottest.Places(seed % 2),
			Latency: hubspottest.Span{Max: 400 * time.Millisecond}, WriteDelay: time.Duration(rng.IntN(1500)) * time.Millisecond,
		}
		inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=1s", "SYNC_TRAILING_LAG=1m", "HUBSPOT_DAILY_RESERVE=0"}, func(w *world) {
			w.Split = 2 + rng.IntN(20)
			w.Portal.Seed("contacts", 50+rng.IntN(400))
			life := hubspottest.Life{Create: 10, Update: 10, Archive: 10, Restore: 5, Merge: 2, Purge: 5}
			time.Sleep(3 * time.Second)
			p := w.start()
			for range 40 {
				for range rng.IntN(20) {
					w.Portal.Step(rng, life)
				}
				time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
				if rng.IntN(10) == 0 && p.backfilled(0, []string{"contacts"}) {
					p.Kill()
					w.Brokers.Mend()
					p = w.start()
				}
			}
			time.Sleep(3 * time.Minute)
			p.Stop()
			w.check("contacts")
			for line := range strings.Lines(w.Log.String()) {
				for _, stream := range []string{"backfill", "reconcile"} {
					if strings.Contains(line, "a range is divided") && strings.Contains(line, stream) {
						divided[stream]++
					}
				}
			}
		})
	}
	t.Logf("ranges divided: %v", divided)
	if !both() {
		t.Errorf("ranges divided: %v, want some of both", divided)
	}
}
