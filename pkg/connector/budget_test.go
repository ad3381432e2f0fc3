package connector_test

import (
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestPromise6_NoThrottleAndTheWholeShare: at HubSpot's real limits, with no
// other caller, ten minutes bring no 429, and the backfill of five types of
// 20,000 records uses at least 90 % of the list calls that the rate share
// leaves (docs/contract.md section 3).
func TestPromise6_NoThrottleAndTheWholeShare(t *testing.T) {
	long(t)
	t.Parallel()
	types := []string{"contacts", "companies", "deals", "tickets", "products"}
	const records = 20_000
	opt := hubspottest.Options{Seed: 1, Types: types, NoHistory: true, Latency: hubspottest.Span{Min: 200 * time.Millisecond, Max: 200 * time.Millisecond}}
	inWorld(t, opt, nil, func(w *world) {
		for _, object := range types {
			w.Portal.Seed(object, records)
		}
		began := time.Now()
		p := w.start()
		before := hubspottest.Stats{}
		var first time.Duration
		w.SleepUntil(10*time.Minute, func() bool {
			if first == 0 && p.backfilled(0, types) {
				first, before = time.Since(began), w.Portal.Stats()
			}
			return p.backfilled(records, types)
		})
		span := time.Since(began) - first
		after := w.Portal.Stats()
		lists := after.Calls[hubspottest.EndpointList] - before.Calls[hubspottest.EndpointList]
		others := 0
		for endpoint, n := range after.Calls {
			if endpoint != hubspottest.EndpointList && endpoint != hubspottest.EndpointSearch {
				others += n - before.Calls[endpoint]
			}
		}
		ceiling := 0.8*19*span.Seconds() - float64(others)
		got := float64(lists) / ceiling
		t.Logf("backfill of %d records in %v: %d list calls, %d others, %.1f %% of the ceiling %.0f", records*len(types), span, lists, others, 100*got, ceiling)
		if got < 0.9 {
			t.Errorf("the backfill used %.1f %% of the list ceiling, want at least 90 %%", 100*got)
		}
		time.Sleep(10*time.Minute - time.Since(began))
		if n := w.Portal.Stats().Throttled; len(n) > 0 {
			t.Errorf("429s in ten minutes: %v", n)
		}
		p.Stop()
	})
}

// backfilled reports whether at least n records of each type are published.
func (p *process) backfilled(n int, types []string) bool {
	status := p.Status()
	if status == nil {
		return false
	}
	live := status.Live()
	for _, object := range types {
		if have, ok := live[object]; !ok || have < n {
			return false
		}
	}
	return true
}
