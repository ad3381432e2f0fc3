package connector_test

import (
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// TestR18_WhatIsStuckSaysSinceWhen: asking again for a record that HubSpot still does not
// answer does not make the problem a new one.
func TestR18_WhatIsStuckSaysSinceWhen(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 18, Types: []string{"contacts"}}, []string{oneType, "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 20)
		p := w.start()
		w.synced(p)
		time.Sleep(time.Minute)
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 400, Endpoint: hubspottest.EndpointBatchRead, IDs: ids[3:4]})
		w.Portal.Update("contacts", ids[3], map[string]string{"firstname": "Ada"})
		w.SleepUntil(3*time.Minute, func() bool { return p.names(ids[3]) })
		began := time.Now()
		time.Sleep(20 * time.Minute) // it is asked for four times
		for _, problem := range p.ready().Problems {
			if problem.Area == stream.ProblemArea && problem.Since.After(began) {
				t.Errorf("%s is a problem since %v, and was one at %v", problem.Stream, problem.Since, began)
			}
		}
		p.Stop()
	})
}
