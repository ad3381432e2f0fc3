package connector_test

import (
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// TestNotifications_WhatAnEarlierRunHadIsOverOnceItsStreamSucceeds: after a restart the end
// of a problem is told five seconds after its stream has succeeded, and not while it lasts,
// however long HubSpot takes to refuse the stream again (docs/contract.md section 8).
func TestNotifications_WhatAnEarlierRunHadIsOverOnceItsStreamSucceeds(t *testing.T) {
	t.Parallel()
	env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_ASSOCIATIONS_INTERVAL=10m"}
	inWorld(t, hubspottest.Options{Seed: 71}, env, func(w *world) {
		w.Portal.Seed("contacts", 5)
		p := w.start()
		w.synced(p)
		refuse := func(endpoint hubspottest.Endpoint, object string) (mend func()) {
			return w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 403, Endpoint: endpoint, Object: object})
		}
		mend := refuse(hubspottest.EndpointSearch, "contacts")
		refuse(hubspottest.EndpointSearch, "companies")
		refuse(hubspottest.EndpointLinks, "")
		time.Sleep(15 * time.Minute)
		p.Kill()
		w.Brokers.Mend()
		before := w.notices()
		open := map[string]bool{}
		for _, n := range before {
			if of := n.Data["object"] + " " + n.Data["stream"]; n.Aggregate == stream.NoticeProblem {
				open[of] = n.Type == stream.NoticeRaised
			}
		}
		for _, of := range []string{"contacts leading", "companies leading", "contacts:companies associations"} {
			if !open[of] {
				t.Fatalf("no problem of %s was told: %v", of, open)
			}
		}
		mend()
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultSlow, Latency: 8 * time.Second, Endpoint: hubspottest.EndpointLinks})
		p = w.start()
		w.SleepUntil(time.Minute, func() bool { return p.ready().Role == "owner" })
		began := time.Now()
		time.Sleep(5 * time.Minute)
		p.Stop()
		over, again := map[string]time.Duration{}, map[string]bool{}
		for _, n := range w.notices()[len(before):] {
			if n.Aggregate == stream.NoticeProblem && n.Type == stream.NoticeRaised {
				again[n.Data["object"]+" "+n.Data["stream"]] = true
			}
			if n.Aggregate == stream.NoticeProblem && n.Type == stream.NoticeCleared {
				over[n.Data["object"]+" "+n.Data["stream"]] = time.UnixMilli(n.Timestamp).Sub(began)
			}
		}
		if took, told := over["contacts leading"]; !told || took > 10*time.Second {
			t.Errorf("the end of the problem of contacts is told after %v", took)
		}
		for _, lasts := range []string{"companies leading", "contacts:companies associations"} {
			if _, told := over[lasts]; told {
				t.Errorf("the problem of %s lasts, and is told as over", lasts)
			}
			if again[lasts] {
				t.Errorf("the problem of %s lasts, and is told again", lasts)
			}
		}
	})
}

// TestNotifications_AnInstanceThatStandsByClearsNothingThatItStillSees: an owner told that
// the registry is away, and another instance takes over while it still is. Both see it: the
// end is told when the registry is back.
func TestNotifications_AnInstanceThatStandsByClearsNothingThatItStillSees(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 74, Types: []string{"contacts"}}, []string{oneType, "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		w.Portal.Seed("contacts", 5)
		first, second := w.twoInstances()
		told := func(what string) (n int) {
			for _, n2 := range w.notices() {
				if n2.Aggregate == stream.NoticeProblem && n2.Data["area"] == "registry" && n2.Type == what {
					n++
				}
			}
			return n
		}
		w.Registry.Cut()
		time.Sleep(2 * time.Minute)
		if told(stream.NoticeRaised) != 1 {
			t.Fatalf("%d times told that the registry is away", told(stream.NoticeRaised))
		}
		first.Brokers.Cut()
		time.Sleep(2 * time.Minute)
		first.Brokers.Mend()
		w.SleepUntil(5*time.Minute, first.standsBy)
		time.Sleep(5 * time.Minute)
		if n := told(stream.NoticeCleared); n != 0 {
			t.Errorf("%d times told that the registry is back, and it is away", n)
		}
		w.Registry.Mend()
		time.Sleep(5 * time.Minute)
		if raised, cleared := told(stream.NoticeRaised), told(stream.NoticeCleared); raised != cleared {
			t.Errorf("raised %d times, cleared %d times", raised, cleared)
		}
		first.Stop()
		second.Stop()
	})
}
