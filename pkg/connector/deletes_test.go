package connector_test

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR12_HowSoonADelete measures the time from a delete in HubSpot to its event, at
// the default intervals, HubSpot's limits and round trips of 150 to 300 ms. Every
// delete of a type of which nothing has gone is published within five minutes, and
// every later one in seconds; a purge takes R9's 30 s more.
func TestR12_HowSoonADelete(t *testing.T) {
	long(t)
	t.Parallel()
	const records, samples = 100_000, 40
	opt := hubspottest.Options{
		Seed: 23, Types: []string{"contacts", "companies", "deals"}, NoHistory: true,
		Latency: hubspottest.Span{Min: 150 * time.Millisecond, Max: 300 * time.Millisecond},
	}
	inWorld(t, opt, []string{"HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		t := w.T
		rng := rand.New(rand.NewPCG(23, 23))
		car, van := w.Portal.AddCustomType("car").FullyQualifiedName, w.Portal.AddCustomType("van").FullyQualifiedName
		w.Portal.SetArchivedList(car, false)
		w.Portal.SetArchivedList(van, false)
		ids := map[string][]uint64{}
		for object, share := range map[string]int{"contacts": 1, "companies": 5, "deals": 5, car: 1, van: 5} {
			ids[object] = w.Portal.Seed(object, records/share)
			rng.Shuffle(len(ids[object]), func(i, j int) {
				ids[object][i], ids[object][j] = ids[object][j], ids[object][i]
			})
		}
		next := func(object string) (id uint64) {
			id, ids[object] = ids[object][0], ids[object][1:]
			return id
		}
		time.Sleep(time.Minute)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts", "companies", "deals", car, van) })
		time.Sleep(10 * time.Minute)
		searches := func() int { return w.Portal.Stats().Calls[hubspottest.EndpointSearch] }

		// took does something after which a type has one record less, and waits until
		// that is published.
		live := p.Status().Live()
		took := func(object string, do func()) time.Duration {
			time.Sleep(time.Duration(rng.Int64N(int64(20 * time.Second))))
			live[object]--
			do()
			return w.SleepUntil(20*time.Minute, func() bool { return p.live(object) == live[object] })
		}
		archive := func(object string) func() { return func() { w.Portal.Archive(object, next(object)) } }
		purge := func(object string) func() { return func() { w.Portal.Purge(object, next(object)) } }
		merge := func(object string) func() { return func() { w.Portal.Merge(object, next(object), next(object)) } }

		const second = 32 * time.Second // R9's 30 s, from Dates in whole seconds, and the reads of the second confirm
		for _, m := range []struct {
			what, object string
			do           func()
			more         time.Duration
		}{
			{"archived", "contacts", archive("contacts"), 0},
			{"purged", "companies", purge("companies"), second},
			{"archived, no archived list", car, archive(car), 0},
			{"purged, no archived list", van, purge(van), second},
		} {
			d := took(m.object, m.do)
			t.Logf("the first of a type: %s: %.1f s", m.what, d.Seconds())
			if d > 5*time.Minute+m.more {
				t.Errorf("the first %s of %s took %v", m.what, m.object, d)
			}
		}
		for _, m := range []struct {
			what, object string
			do           func()
			p50, p90     time.Duration
		}{
			{"archived", "contacts", archive("contacts"), 15 * time.Second, 40 * time.Second},
			{"archived, no archived list", car, archive(car), 15 * time.Second, 40 * time.Second},
			{"purged", "contacts", purge("contacts"), 15*time.Second + second, 40*time.Second + second},
			{"purged, no archived list", car, purge(car), 15*time.Second + second, 40*time.Second + second},
			{"merged", "deals", merge("deals"), 15 * time.Second, 40 * time.Second},
		} {
			var all []time.Duration
			began, before := time.Now(), searches()
			for range samples {
				all = append(all, took(m.object, m.do))
			}
			slices.Sort(all)
			p50, p90 := all[len(all)/2], all[len(all)*9/10]
			t.Logf("%s: p50 %.1f s, p90 %.1f s, longest %.1f s; %.2f searches a second", m.what, p50.Seconds(), p90.Seconds(),
				all[len(all)-1].Seconds(), float64(searches()-before)/time.Since(began).Seconds())
			if p50 > m.p50 || p90 > m.p90 {
				t.Errorf("%s: p50 %v and p90 %v, want at most %v and %v", m.what, p50, p90, m.p50, m.p90)
			}
		}
		if n := w.Portal.Stats().Throttled; len(n) > 0 {
			t.Errorf("429s: %v", n)
		}
		p.Stop()
	})
}

// TestR7_APurgeLooksThroughTheRecycleBinOnce, while it waits for its second confirm: a
// long list of archived records delays neither the purge nor an archived record that
// is found meanwhile.
func TestR7_APurgeLooksThroughTheRecycleBinOnce(t *testing.T) {
	t.Parallel()
	const pages = 40
	lists := new(atomic.Int64)
	opt := hubspottest.Options{
		Seed: 26, NoHistory: true, Latency: hubspottest.Span{Min: 300 * time.Millisecond, Max: 300 * time.Millisecond},
		OnRequest: func(r hubspottest.Request) {
			if r.Endpoint == hubspottest.EndpointList && r.Query.Get("archived") == "true" {
				lists.Add(1)
			}
		},
	}
	inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_ARCHIVE_INTERVAL=1000h", "SYNC_CENSUS_INTERVAL=5s"}, func(w *world) {
		t := w.T
		ids := w.Portal.Seed("contacts", pages*100+200)
		for _, id := range ids[200:] {
			w.Portal.Archive("contacts", id)
		}
		time.Sleep(time.Minute)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts") })
		w.Portal.Archive("contacts", ids[0]) // looks once in a run
		w.SleepUntil(time.Hour, func() bool { return p.live("contacts") == 199 })
		time.Sleep(20 * time.Minute)

		lists.Store(0)
		w.Portal.Purge("contacts", ids[1])
		time.Sleep(25 * time.Second) // it was found, and waits
		w.Portal.Archive("contacts", ids[2])
		if d := w.SleepUntil(time.Minute, func() bool { return p.live("contacts") == 198 }); d > 15*time.Second {
			t.Errorf("the archived record waited %v", d)
		}
		if d := w.SleepUntil(time.Minute, func() bool { return p.live("contacts") == 197 }); d > 30*time.Second {
			t.Errorf("the purged record was published %v after that", d)
		}
		if n := lists.Load(); n != pages+1 {
			t.Errorf("%d calls for the list of archived records, want %d", n, pages+1)
		}
		p.Stop()
	})
}
