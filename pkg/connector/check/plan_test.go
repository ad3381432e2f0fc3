package check

import (
	"math"
	"testing"
	"time"

	depl "github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestCheck_ThePlanIsWhatARunDoes: the plan has the calls that a portal counts:
// for the backfill, and then for a day on which nothing changes, API by API
// within three percent.
func TestCheck_ThePlanIsWhatARunDoes(t *testing.T) {
	depl.Long(t)
	t.Parallel()
	opt := hubspottest.Options{
		Seed: 13, NoHistory: true, Latency: hubspottest.Span{Min: 200 * time.Millisecond, Max: 200 * time.Millisecond},
	}
	inWorld(t, opt, threeTypes, func(w *world) {
		contacts, companies := w.Portal.Seed("contacts", 2450), w.Portal.Seed("companies", 310)
		for i, id := range companies[:50] { // one pair has links, the others have none
			w.Portal.Associate("contacts", contacts[i], "companies", id, "", 0)
		}
		for _, id := range contacts[1000:1230] {
			w.Portal.Archive("contacts", id)
		}
		time.Sleep(36 * time.Hour) // until the index shows it, and a plan of quiet types holds
		p := w.inspect().is(connector.ExitOK).Plan
		planned := map[string]float64{}
		for _, s := range p.Idle {
			planned[s.Stream] = float64(s.Calls)
		}

		w.Portal.ResetStats()
		began := time.Now()
		r := w.Start()
		w.SleepUntil(20*time.Minute, func() bool {
			return r.Backfilled("contacts", "companies", "deals")
		})
		took := time.Since(began)
		lists := w.Portal.Stats().Calls[hubspottest.EndpointList]
		t.Logf("backfill: %d calls in %.1f minutes planned; %d lists in %v", p.Backfill.Calls, p.Backfill.Minutes, lists, took)
		// Besides the backfill: one read of each type, and the passes of archive.
		if lists < p.Backfill.Calls || lists > p.Backfill.Calls+20 {
			t.Errorf("the backfill took %d list calls, %d were planned", lists, p.Backfill.Calls)
		}
		if took.Minutes() > p.Backfill.Minutes+0.5 {
			t.Errorf("the backfill took %v, %.1f minutes were planned", took, p.Backfill.Minutes)
		}

		time.Sleep(8 * time.Hour) // the first sweeps are over, and what settles has settled
		w.Portal.ResetStats()
		time.Sleep(day)
		calls := w.Portal.Stats().Calls
		for _, c := range []struct {
			api     string
			counted int
			planned float64
		}{
			{"search", calls[hubspottest.EndpointSearch], planned["leading"] + planned["trailing-5m"] + planned["trailing-1h"] + planned["census"]},
			{"list", calls[hubspottest.EndpointList], planned["archive"] + planned["reconcile"] - 3},
			{"associations", calls[hubspottest.EndpointLinks], planned["associations"]},
			{"labels", calls[hubspottest.EndpointLabels], planned["labels"]},
			{"schema", calls[hubspottest.EndpointSchemas] + calls[hubspottest.EndpointProperties], planned["schema"] + 3}, // three types are reconciled once
			{"reference", calls[hubspottest.EndpointOwners] + calls[hubspottest.EndpointPipelines], planned["reference"]},
			{"account", calls[hubspottest.EndpointDailyUsage], planned["account"]},
		} {
			t.Logf("%-12s planned %8.0f counted %8d", c.api, c.planned, c.counted)
			if margin := max(2, c.planned*0.03); math.Abs(float64(c.counted)-c.planned) > margin {
				t.Errorf("%s: %d calls in an idle day, %.0f were planned", c.api, c.counted, c.planned)
			}
		}
		sum := 0
		for _, n := range calls {
			sum += n
		}
		t.Logf("%-12s planned %8d counted %8d", "all", p.IdleSum, sum)
		if math.Abs(float64(sum-p.IdleSum)) > 0.03*float64(p.IdleSum) {
			t.Errorf("%d calls in an idle day, %d were planned", sum, p.IdleSum)
		}
		r.Stop()
	})
}
