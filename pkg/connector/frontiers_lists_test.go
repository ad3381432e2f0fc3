package connector_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR17_AListThatHidesEntriesOnceVerifiesNothing: the first reading of a list lacks
// what nobody has published yet, so nothing shows that it is short. What it lacks is
// published with the next one, and only then is anything verified.
func TestR17_AListThatHidesEntriesOnceVerifiesNothing(t *testing.T) {
	t.Parallel()
	for list, fault := range map[string]hubspottest.Fault{
		"owners":          {Endpoint: hubspottest.EndpointOwners},
		"pipelines":       {Endpoint: hubspottest.EndpointPipelines},
		"pipeline_stages": {Endpoint: hubspottest.EndpointPipelines, Stages: true},
	} {
		inWorld(t, hubspottest.Options{Seed: 11, Types: []string{"deals"}}, []string{
			"HUBSPOT_OBJECTS=deals", "HUBSPOT_ASSOCIATIONS=none", "SYNC_REFERENCE_INTERVAL=1m", "SYNC_SCHEMA_INTERVAL=1m",
		}, func(w *world) {
			for range 3 {
				w.Portal.AddOwner(hubspottest.Owner{})
			}
			w.Portal.Seed("deals", 3)
			fault.Kind, fault.Lost, fault.Until = hubspottest.FaultShort, hubspottest.LostAll, w.Portal.Now().Add(30*time.Second)
			w.Portal.Inject(fault)
			p := w.start()
			time.Sleep(50 * time.Second)
			if f := w.frontier("hubspot." + list); f.Verified != nil {
				t.Errorf("%s are verified at %v by one reading", list, f.Verified)
			}
			time.Sleep(3 * time.Minute)
			if f := w.frontier("hubspot." + list); !after(f.Verified, fault.Until) || f.Live == 0 {
				t.Errorf("after readings that were whole the frontier of %s is %+v", list, f)
			}
			p.Stop()
			w.evidence(&watched{surely: time.Minute}, []string{"deals"}, nil).checkFrontiers()
		})
	}
}

// TestR17_WhatCannotBeReadHoldsThePipelines: a type was followed, and the token may not
// read it any more when the next run starts. Nobody knows which pipelines it has.
func TestR17_WhatCannotBeReadHoldsThePipelines(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.pipelines"
	inWorld(t, hubspottest.Options{Seed: 12, Types: []string{"deals"}}, []string{
		"HUBSPOT_ASSOCIATIONS=none", "SYNC_REFERENCE_INTERVAL=1m", "SYNC_SCHEMA_INTERVAL=40s",
	}, func(w *world) {
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		w.Portal.Seed(car, 3)
		p := w.start()
		time.Sleep(4 * time.Minute)
		if w.frontier(topic).Verified == nil {
			t.Error("the pipelines of types without any are not verified")
		}
		p.Stop()

		scopes := []string{hubspot.ScopeOwners, "crm.objects.deals.read", "crm.schemas.deals.read"}
		w.Portal.SetScopes(scopes...)
		p = w.start()
		made := w.Portal.Now()
		w.Portal.AddPipeline(car, hubspottest.Pipeline{Label: "Sales"})
		time.Sleep(5 * time.Minute)
		if f := w.frontier(topic); after(f.Verified, made) {
			t.Errorf("the pipelines are verified at %v, and those of cars were not read since %v", f.Verified, made)
		}
		w.Portal.SetScopes(append(scopes, "crm.objects.custom.read", "crm.schemas.custom.read")...)
		w.ReadUntil(10*time.Minute, func() bool { return after(w.frontier(topic).Verified, made) })
		p.Stop()
		w.evidence(&watched{surely: time.Minute}, []string{"deals", car}, nil).checkFrontiers()
	})
}

// TestR17_AListThatHidesAPublishedRecordVerifiesNothing: HubSpot shows the record when
// asked for it. So the list is short, and may lack another one that nobody can ask for.
func TestR17_AListThatHidesAPublishedRecordVerifiesNothing(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.contacts"
	inWorld(t, hubspottest.Options{Seed: 13, Types: []string{"contacts"}}, []string{
		"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=2m", "SYNC_CENSUS_INTERVAL=24h", "SYNC_LEADING_INTERVAL=5s",
	}, func(w *world) {
		ids := w.Portal.Seed("contacts", 30)
		p := w.start()
		w.SleepUntil(5*time.Minute, func() bool { return p.Backfilled("contacts") })
		w.Portal.Archive("contacts", ids[29])
		gone := w.Portal.Now()
		w.ReadUntil(10*time.Minute, func() bool { return after(w.frontier(topic).Verified, gone) && w.frontier(topic).Live == 29 })

		remove := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultShort, Lost: hubspottest.LostHalf, Endpoint: hubspottest.EndpointList})
		w.Portal.Restore("contacts", ids[29], false) // no search shows that
		back := w.Portal.Now()
		time.Sleep(7 * time.Minute)
		if f := w.frontier(topic); after(f.Verified, back) || f.Live != 29 {
			t.Errorf("with a list that is short since %v the frontier is %+v", back, f)
		}
		if w.Log.Count("HubSpot's list lacks records") == 0 {
			t.Error("the log does not say that the list is short")
		}
		remove()
		w.ReadUntil(10*time.Minute, func() bool { return after(w.frontier(topic).Verified, back) && w.frontier(topic).Live == 30 })
		p.Stop()
		w.evidence(&watched{surely: time.Minute}, []string{"contacts"}, nil).checkFrontiers()
	})
}

// TestR17_ALinkOfARecordThatHubSpotDoesNotFindIsNotVerified: a link is removed, and then
// its record is purged. A sweep asks for the record's links before the purge is
// published, so HubSpot tells nothing about them.
func TestR17_ALinkOfARecordThatHubSpotDoesNotFindIsNotVerified(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.associations.contacts.companies"
	inWorld(t, hubspottest.Options{Seed: 14, Types: []string{"contacts", "companies"}, LinksNotFound: true}, []string{
		"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_ASSOCIATIONS_INTERVAL=10m",
		"SYNC_RECONCILE_INTERVAL=1m", "SYNC_CENSUS_INTERVAL=24h", "SYNC_LEADING_INTERVAL=5s",
	}, func(w *world) {
		people, firms := w.Portal.Seed("contacts", 5), w.Portal.Seed("companies", 2)
		for _, id := range people {
			w.Portal.Associate("contacts", id, "companies", firms[0], "", 0)
		}
		p := w.start()
		w.ReadUntil(5*time.Minute, func() bool { return w.frontier(topic).Verified != nil })
		first := *w.frontier(topic).Verified
		time.Sleep(time.Until(first.Add(7 * time.Minute)))
		w.Portal.Dissociate("contacts", people[1], "companies", firms[0], "", 0)
		removed := w.Portal.Now()
		time.Sleep(time.Until(first.Add(10*time.Minute - 10*time.Second)))
		w.Portal.Purge("contacts", people[1])
		w.ReadUntil(10*time.Minute, func() bool { return after(w.frontier(topic).Verified, removed) })
		if f := w.frontier(topic); f.Live != 4 {
			t.Errorf("a link was removed at %v, and the frontier is %+v", removed, f)
		}
		p.Stop()
		w.evidence(&watched{surely: time.Minute}, []string{"contacts", "companies"}, []cdc.Pair{{From: "contacts", To: "companies"}}).checkFrontiers()
	})
}

// TestR8_AnErrorThatHubSpotCountsAndDoesNotListIsNoEmptySet: HubSpot lists one error of those
// that it counts, and that says that a record has no links. Results and errors are as many as
// the records that it was asked about, and yet one of the errors may be of another kind: the
// link of such a record is neither deleted nor claimed not to be there.
func TestR8_AnErrorThatHubSpotCountsAndDoesNotListIsNoEmptySet(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.associations.contacts.companies"
	inWorld(t, hubspottest.Options{Seed: 16, Types: []string{"contacts", "companies"}, LinkErrors: 1}, []string{
		"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_ASSOCIATIONS_INTERVAL=1m", "SYNC_RECONCILE_INTERVAL=1m",
	}, func(w *world) {
		people, firm := w.Portal.Seed("contacts", 10), w.Portal.Seed("companies", 1)[0]
		published, hidden := people[5], people[7]
		w.Portal.Associate("contacts", published, "companies", firm, "", 0)
		p := w.start()
		w.SleepUntil(5*time.Minute, func() bool { return p.live(toCompanies.String()) == 1 })
		w.Portal.Associate("contacts", hidden, "companies", firm, "", 0)
		remove := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultFailed, Endpoint: hubspottest.EndpointLinks, IDs: []uint64{published, hidden}})
		time.Sleep(10 * time.Minute)
		if n := p.live(toCompanies.String()); n != 1 {
			t.Errorf("%d links are live, want the one that HubSpot showed before", n)
		}
		if at := w.frontier(topic).Verified; at != nil {
			t.Errorf("everything up to %v counts as published, without a link that HubSpot has", at)
		}
		remove()
		for _, id := range people {
			w.Portal.Associate("contacts", id, "companies", firm, "", 0)
		}
		well := w.Portal.Now()
		w.ReadUntil(5*time.Minute, func() bool { return after(w.frontier(topic).Verified, well) })
		p.Stop()
		w.checkLinks(toCompanies)
		w.evidence(&watched{surely: time.Minute}, []string{"contacts", "companies"}, []cdc.Pair{toCompanies}).checkFrontiers()
	})
}

// TestR17_WhatHoldsThePairsFrontierIsAProblem: where HubSpot's answers leave out records, a
// sweep verifies nothing of the pair. /readyz and status say so from its end until one whose
// answers leave out none.
func TestR17_WhatHoldsThePairsFrontierIsAProblem(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.associations.contacts.companies"
	inWorld(t, hubspottest.Options{Seed: 17, Types: []string{"contacts", "companies"}, LinkErrors: 1}, []string{
		"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_ASSOCIATIONS_INTERVAL=1m", "SYNC_RECONCILE_INTERVAL=1m",
	}, func(w *world) {
		people, firm := w.Portal.Seed("contacts", 10), w.Portal.Seed("companies", 1)[0]
		w.Portal.Associate("contacts", people[0], "companies", firm, "", 0)
		p := w.start()
		w.SleepUntil(5*time.Minute, func() bool { r := p.ready(); return r.Ready && len(r.Problems) > 0 })
		// Each of four tries lists one error.
		ready, named := p.ready(), fmt.Sprintf("whether 5 records have associations of contacts:companies: its answers have neither a result nor a listed error for %d,", people[5])
		if problem := ready.Problems[0]; !ready.Ready || len(ready.Problems) != 1 || problem.Object != "contacts:companies" || problem.Stream != "left-out" ||
			!strings.Contains(problem.Problem, named) || !strings.Contains(problem.Action, "numErrors") {
			t.Errorf("ready: %+v", ready)
		}
		if problems := p.status().Problems; len(problems) != 1 || problems[0].Problem != ready.Problems[0].Problem {
			t.Errorf("status has %+v", problems)
		}
		time.Sleep(5 * time.Minute)
		if at := w.frontier(topic).Verified; at != nil || len(p.ready().Problems) != 1 {
			t.Errorf("after more sweeps everything up to %v is verified, and the problems are %+v", at, p.ready().Problems)
		}
		for _, id := range people {
			w.Portal.Associate("contacts", id, "companies", firm, "", 0)
		}
		well := w.Portal.Now()
		w.ReadUntil(5*time.Minute, func() bool { return after(w.frontier(topic).Verified, well) })
		if problems := p.ready().Problems; len(problems) > 0 {
			t.Errorf("everything is verified, and there is a problem: %+v", problems)
		}
		p.Stop()
	})
}

// TestR17_ABackfillWhoseListCameShortClaimsNothing: the list lacks a record that search has
// shown already, so it may lack others too. It is read again at once, and that counts also
// where the clocks of HubSpot's servers differ (R21).
func TestR17_ABackfillWhoseListCameShortClaimsNothing(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.contacts"
	for i := range 4 {
		killed, shift := i&1 != 0, time.Duration(i&2)*time.Second
		inWorld(t, hubspottest.Options{Seed: 6, Types: []string{"contacts"}, ListPage: 5}, []string{
			"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_CENSUS_INTERVAL=24h", "SYNC_LEADING_INTERVAL=5s",
		}, func(w *world) {
			ids := w.Portal.Seed("contacts", 40)
			list := hubspottest.Fault{Endpoint: hubspottest.EndpointList, Object: "contacts"}
			late, short, ahead := list, list, list
			late.Kind, late.Latency = hubspottest.FaultSlow, 5*time.Second
			short.Kind, short.Lost, short.Count = hubspottest.FaultShort, hubspottest.LostHalf, 9 // the first look, and eight pages
			ahead.Kind, ahead.Shift = hubspottest.FaultDate, shift
			w.Portal.Inject(ahead)
			w.Portal.Inject(late)
			w.Portal.Inject(short)
			p := w.start()
			w.SleepUntil(time.Minute, func() bool { return w.Portal.Stats().Calls[hubspottest.EndpointSearch] > 0 })
			w.Portal.Touch("contacts", ids[39])
			w.SleepUntil(5*time.Minute, func() bool { return p.Backfilled("contacts") })
			if n := len(w.Seen("contacts")); n >= 40 {
				t.Errorf("%d events of a list that came short", n)
			}
			if killed {
				p.Kill()
				w.Brokers.Mend()
				p = w.start()
			}
			time.Sleep(20 * time.Second)
			if f := w.frontier(topic); f.Leading != nil || f.Complete != nil || f.Verified != nil {
				t.Errorf("claimed of a list that came short: %v, %v, %v", f.Leading, f.Complete, f.Verified)
			}
			w.ReadUntil(5*time.Minute, func() bool { f := w.frontier(topic); return f.Leading != nil && f.Complete != nil && f.Verified != nil })
			p.Stop()
			w.check("contacts")
		})
	}
}

// TestR17_ABackfillThatRunsAgainAndComesShortClaimsNothingNew: the backfill of a type that
// was verified runs again for a new trailing lag, and its list comes short. leading and
// complete stay where they are until a sweep has shown everything since.
func TestR17_ABackfillThatRunsAgainAndComesShortClaimsNothingNew(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.contacts"
	for _, killed := range []bool{false, true} {
		inWorld(t, hubspottest.Options{Seed: 6, Types: []string{"contacts"}, ListPage: 5}, []string{
			"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_TRAILING_LAG=1m", "SYNC_RECONCILE_INTERVAL=2m", "SYNC_CENSUS_INTERVAL=24h", "SYNC_LEADING_INTERVAL=5s",
		}, func(w *world) {
			w.Portal.Seed("contacts", 40)
			p := w.start()
			began := w.Portal.Now()
			w.ReadUntil(10*time.Minute, func() bool {
				f := w.frontier(topic)
				return after(f.Verified, began.Add(time.Minute)) && f.Complete != nil
			})
			p.Stop()
			w.Set("SYNC_TRAILING_LAG=1m,2m", "SYNC_RECONCILE_INTERVAL=24h")
			w.Portal.Inject(hubspottest.Fault{Endpoint: hubspottest.EndpointList, Object: "contacts", Kind: hubspottest.FaultShort, Lost: hubspottest.LostHalf, Count: 9}) // the first look, and eight pages
			was, began := w.frontier(topic), w.Portal.Now()
			short := func() bool {
				return strings.Contains(w.Cursors()[`{"portal":4242,"object":"contacts","stream":"backfill"}`], `"short":true`)
			}
			p = w.start()
			w.SleepUntil(5*time.Minute, short)
			if killed {
				p.Kill()
				w.Brokers.Mend()
				p = w.start()
			}
			took := w.ReadUntil(30*time.Minute, func() bool {
				f := w.frontier(topic)
				if (after(f.Leading, *was.Leading) || after(f.Complete, *was.Complete)) && !after(f.Verified, began) {
					t.Errorf("killed %v: leading %v and complete %v, were %v and %v; verified %v", killed, f.Leading, f.Complete, was.Leading, was.Complete, f.Verified)
					return true
				}
				return after(f.Complete, began)
			})
			if !short() {
				t.Errorf("the list did not come short; it took %v", took)
			}
			p.Stop()
		})
	}
}
