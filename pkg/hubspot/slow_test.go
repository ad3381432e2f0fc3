package hubspot

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// TestGovernor_SlowAnswersAreNoOtherApps: however long HubSpot takes for its answers,
// what it counts are our own calls, and the whole share is used.
func TestGovernor_SlowAnswersAreNoOtherApps(t *testing.T) {
	const limit, share, span = 190, 0.9, 3 * time.Minute
	for _, trip := range []time.Duration{200 * time.Millisecond, 2 * time.Second, 5 * time.Second, 12 * time.Second, time.Minute} {
		t.Run(trip.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewGovernor(Limits{Share: share, TenSeconds: limit})
				ctx, cancel := context.WithTimeout(t.Context(), span)
				defer cancel()
				var arrived []time.Time // guarded by g.mu
				answer := func(p *pass) {
					time.Sleep(50 * time.Millisecond)
					g.mu.Lock()
					arrived = append(arrived, time.Now())
					counted := 0
					for i := len(arrived) - 1; i >= 0 && time.Since(arrived[i]) < 10*time.Second; i-- {
						counted++
					}
					g.mu.Unlock()
					time.Sleep(trip - 50*time.Millisecond)
					header := http.Header{}
					header.Set("X-HubSpot-RateLimit-Max", strconv.Itoa(limit))
					header.Set("X-HubSpot-RateLimit-Interval-Milliseconds", "10000")
					header.Set("X-HubSpot-RateLimit-Remaining", strconv.Itoa(limit-counted))
					g.answered(p, time.Now())
					g.mu.Lock()
					defer g.mu.Unlock()
					g.observeTenSeconds(header, time.Now(), p)
				}
				calls := 0
				for {
					p, err := g.acquire(ctx, objectCalls, Backfill, false, time.Now())
					if err != nil {
						break
					}
					calls++
					go answer(p)
				}
				time.Sleep(trip)
				most := limit * share * span.Seconds() / 10
				if used := float64(calls) / most; used < 0.97 {
					t.Errorf("%.0f %% of the share is used", 100*used)
				}
			})
		})
	}
}
