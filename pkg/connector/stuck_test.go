package connector_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// ailment is a way in which HubSpot can fail whenever a record is concerned.
type ailment struct {
	name  string
	fault hubspottest.Fault
	slow  time.Duration // what the attempts take
}

var ailments = []ailment{
	{"400", hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 400}, 0},
	{"409", hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 409}, 0},
	{"500", hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 500}, 2 * time.Minute},
	{"504", hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 504}, 2 * time.Minute},
	{"no answer", hubspottest.Fault{Kind: hubspottest.FaultSlow, Latency: time.Hour}, 30 * time.Minute},
	{"413", hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 413}, 0},
	{"HTML with 502", hubspottest.Fault{Kind: hubspottest.FaultHTML, Status: 502}, 2 * time.Minute},
	{"half a body", hubspottest.Fault{Kind: hubspottest.FaultCut}, 2 * time.Minute},
	{"too large", hubspottest.Fault{Kind: hubspottest.FaultLarge}, 0},
}

// TestR18_OneBadRecordStopsNothing: HubSpot fails whenever an answer has to do with
// one record, wherever it stands in a page and whichever API is asked. Everything
// else is published in its usual time, there is no false event, the record is
// named where it cannot be read, also after a restart, and once HubSpot is well
// everything is there.
func TestR18_OneBadRecordStopsNothing(t *testing.T) {
	t.Parallel()
	apis := []hubspottest.Endpoint{hubspottest.EndpointBatchRead, hubspottest.EndpointList, hubspottest.EndpointSearch, hubspottest.EndpointLinks}
	for a, api := range apis {
		for h, how := range ailments {
			for p, place := range []int{0, 99, 100, 115, 119} { // of two pages
				n := a + h + p
				if *everyPlace || n%5 == 0 && !testing.Short() || n%90 == 0 {
					t.Run(fmt.Sprintf("%s/%s/at %d", api, how.name, place), func(t *testing.T) {
						t.Parallel()
						how.fault.Endpoint, how.fault.Object = api, "contacts"
						oneBadRecord(t, how, place)
					})
				}
			}
		}
	}
}

var everyPlace = flag.Bool("everyplace", false, "TestR18_OneBadRecordStopsNothing and _EveryOtherAPI: every API, failure and place; TestR7_TheLoserOfAMergeSaysSo: every finder with the connector up and down")

func oneBadRecord(t *testing.T, how ailment, place int) {
	opt := hubspottest.Options{Seed: 18, Types: []string{"contacts", "companies"}}
	env := []string{
		"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_LEADING_INTERVAL=10s",
		"SYNC_ASSOCIATIONS_INTERVAL=10m", "SYNC_RECONCILE_INTERVAL=30m",
	}
	inWorld(t, opt, env, func(w *world) {
		ids, firms := w.Portal.Seed("contacts", 120), w.Portal.Seed("companies", 20)
		for i := range ids {
			w.Portal.Associate("contacts", ids[i], "companies", firms[i%20], "HUBSPOT_DEFINED", 279)
		}
		fault, bad := how.fault, ids[place]
		named := fault.Endpoint == hubspottest.EndpointBatchRead || fault.Endpoint == hubspottest.EndpointLinks
		fault.IDs = []uint64{bad}
		time.Sleep(time.Minute)
		heal := w.Portal.Inject(fault)
		p := w.start()
		took := w.SleepUntil(3*time.Minute+how.slow, func() bool { return p.Backfilled("contacts", "companies", "contacts:companies") })
		for round, name := range []string{"Early", "Late"} {
			for _, id := range ids {
				w.Portal.Update("contacts", id, map[string]string{"firstname": name})
			}
			w.Portal.Archive("contacts", ids[(place+10+round)%120])
			w.ReadUntil(3*time.Minute+how.slow, func() bool {
				return w.FirstName(ids[(place+1)%120]) == name && w.FirstName(ids[(place+119)%120]) == name
			})
			if named {
				w.SleepUntil(3*time.Minute+how.slow, func() bool { return p.names(bad) })
			}
			if round == 0 {
				p.Stop()
				p = w.start()
				if named {
					w.SleepUntil(time.Minute, func() bool { return p.names(bad) })
				}
			}
		}
		heal()
		// A stuck record is asked for within the hour. Two reconciles begin meanwhile.
		time.Sleep(70*time.Minute + how.slow)
		if problems := p.ready().Problems; len(problems) > 0 {
			t.Errorf("when HubSpot is well again: %+v", problems)
		}
		p.Stop()
		w.check("contacts", "companies")
		w.checkLinks(cdc.Pair{From: "contacts", To: "companies"})
		t.Logf("backfill %v", took)
	})
}

// TestR18_ARecordThatHangsIsFoundSoon: of the first time-out on it takes less than
// five minutes until everything else of the batch is published, and the record is
// named.
func TestR18_ARecordThatHangsIsFoundSoon(t *testing.T) {
	t.Parallel()
	env := []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=10s"}
	inWorld(t, hubspottest.Options{Seed: 29, Types: []string{"contacts"}}, env, func(w *world) {
		ids := w.Portal.Seed("contacts", 100)
		p := w.start()
		defer p.Stop()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
		time.Sleep(time.Minute)
		bad := ids[57]
		heal := w.Portal.Inject(hubspottest.Fault{
			Kind: hubspottest.FaultSlow, Latency: time.Hour, Endpoint: hubspottest.EndpointBatchRead, Object: "contacts", IDs: []uint64{bad},
		})
		w.Portal.BulkUpdate("contacts", ids, map[string]string{"firstname": "Now"})
		w.SleepUntil(5*time.Minute, func() bool { return p.names(bad) })
		w.ReadUntil(10*time.Second, func() bool {
			return w.FirstName(ids[0]) == "Now" && w.FirstName(ids[56]) == "Now" && w.FirstName(ids[99]) == "Now"
		})
		heal()
		w.SleepUntil(10*time.Minute, func() bool { return !p.names(bad) })
		w.ReadUntil(time.Minute, func() bool { return w.FirstName(bad) == "Now" })
	})
}

// names reports whether a problem names a record.
func (p *process) names(id uint64) bool {
	for _, problem := range p.ready().Problems {
		words := strings.FieldsFunc(problem.Problem, func(r rune) bool { return r < '0' || r > '9' })
		if problem.Stream == "stuck" && slices.Contains(words, idText(id)) {
			return true
		}
	}
	return false
}

// TestR18_PagesThatAreTooHeavy: HubSpot answers half of a page, or a tenth of it, and
// never the whole. Everything is read, and the larger size is not tried all the time.
func TestR18_PagesThatAreTooHeavy(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]hubspottest.Fault{
		"too large": {Kind: hubspottest.FaultLarge, Above: 60},
		"time-out":  {Kind: hubspottest.FaultSlow, Latency: time.Hour, Above: 60},
		"504":       {Kind: hubspottest.FaultStatus, Status: 504, Above: 12},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "too large" {
				long(t)
			}
			t.Parallel()
			env := []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=contacts:contacts", "SYNC_LEADING_INTERVAL=10s", "SYNC_REFERENCE_INTERVAL=10m"}
			inWorld(t, hubspottest.Options{Seed: 19}, env, func(w *world) {
				ids := w.Portal.Seed("contacts", 600)
				for i := range 150 {
					w.Portal.AddOwner(hubspottest.Owner{FirstName: fmt.Sprint(i)})
				}
				time.Sleep(time.Minute)
				w.Portal.Inject(fault)
				p := w.start()
				took := w.SleepUntil(90*time.Minute, func() bool { return p.Backfilled("contacts", "contacts:contacts", "owners") })
				w.Portal.BulkUpdate("contacts", ids, map[string]string{"firstname": "Heavy"})
				time.Sleep(shorter(2*time.Hour, 65*time.Minute)) // pages stay small for an hour
				if problems := p.ready().Problems; len(problems) > 0 {
					t.Errorf("problems %+v", problems)
				}
				p.Stop()
				w.check("contacts")
				w.checkReferences("contacts")
				if n := w.Portal.Stats().Faults[fault.Kind]; n > 400 {
					t.Errorf("%d requests failed in two hours and %v", n, took)
				}
			})
		})
	}
}

// TestR18_ATypeThatIsRefusedIsNotHalved: one record that HubSpot answered before
// decides whether the records are the reason. Where it is the type, nothing is
// stuck, a refused question costs a few calls a minute, and the other types go on.
func TestR18_ATypeThatIsRefusedIsNotHalved(t *testing.T) {
	long(t)
	t.Parallel()
	for name, fault := range map[string]hubspottest.Fault{
		"400":       {Kind: hubspottest.FaultStatus, Status: 400},
		"403":       {Kind: hubspottest.FaultStatus, Status: 403},
		"404":       {Kind: hubspottest.FaultStatus, Status: 404},
		"500":       {Kind: hubspottest.FaultStatus, Status: 500},
		"no answer": {Kind: hubspottest.FaultSlow, Latency: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "400" {
				long(t)
			}
			t.Parallel()
			env := []string{"HUBSPOT_OBJECTS=contacts,companies", "SYNC_LEADING_INTERVAL=10s", "SYNC_RECONCILE_INTERVAL=30m"}
			inWorld(t, hubspottest.Options{Seed: 20}, env, func(w *world) {
				ids, firms := w.Portal.Seed("contacts", 250), w.Portal.Seed("companies", 5)
				p := w.start()
				w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts", "companies") })
				time.Sleep(5 * time.Minute)
				fault.Object = "contacts"
				heal := w.Portal.Inject(fault)
				w.Portal.BulkUpdate("contacts", ids, map[string]string{"firstname": "Refused"})
				before := w.Portal.Stats().Faults[fault.Kind]
				for i := range 20 {
					w.Portal.Update("companies", firms[i%5], map[string]string{"name": fmt.Sprint("Firm ", i)})
					time.Sleep(3 * time.Minute)
				}
				if n := w.Portal.Stats().Faults[fault.Kind] - before; n > 60*30 {
					t.Errorf("%d requests failed in an hour", n)
				}
				for _, problem := range p.ready().Problems {
					if problem.Stream == "stuck" {
						t.Errorf("problem %+v", problem)
					}
				}
				heal()
				time.Sleep(70 * time.Minute)
				if problems := p.ready().Problems; len(problems) > 0 {
					t.Errorf("when HubSpot is well again: %+v", problems)
				}
				p.Stop()
				w.check("contacts", "companies")
			})
		})
	}
}

// TestR18_MoreRecordsThanMayBeStuck: beyond a thousand, the type counts as refused.
// The work stays bounded, and everything is there when HubSpot is well again.
func TestR18_MoreRecordsThanMayBeStuck(t *testing.T) {
	t.Parallel()
	long(t)
	inWorld(t, hubspottest.Options{Seed: 21}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=10s"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 2000)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
		time.Sleep(time.Minute)
		heal := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 500, Endpoint: hubspottest.EndpointBatchRead, IDs: ids[:1500]})
		w.Portal.BulkUpdate("contacts", ids, map[string]string{"firstname": "Bad"})
		time.Sleep(3 * time.Hour)
		if n := w.Portal.Stats().Calls[hubspottest.EndpointBatchRead]; n > 40_000 {
			t.Errorf("%d batch reads", n)
		}
		if !strings.Contains(p.Get("/metrics").Body.String(), `hubspot_cdc_stuck_records{object="contacts"} 1`) {
			t.Errorf("no thousand records are stuck: %+v", p.ready().Problems)
		}
		heal()
		time.Sleep(3 * time.Hour)
		if problems := p.ready().Problems; len(problems) > 0 {
			t.Errorf("when HubSpot is well again: %+v", problems)
		}
		p.Stop()
		w.check("contacts")
	})
}

// TestR18_RecordsThatAnswersLeaveOutStopNoOtherType: of one type HubSpot's batch reads
// leave out, or deny without proof, more records than may be stuck. That type waits and
// says what to do; the other's changes are published as soon as ever.
func TestR18_RecordsThatAnswersLeaveOutStopNoOtherType(t *testing.T) {
	t.Parallel()
	for _, kind := range []hubspottest.Kind{hubspottest.FaultForget, hubspottest.FaultOmit} {
		t.Run(string(kind), func(t *testing.T) {
			if kind == hubspottest.FaultOmit {
				long(t) // what an answer omits is asked for one by one
			}
			opt := hubspottest.Options{Seed: 21, Types: []string{"contacts", "companies"}}
			env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=none", "SYNC_LEADING_INTERVAL=10s"}
			inWorld(t, opt, env, func(w *world) {
				ids, firms := w.Portal.Seed("contacts", 1500), w.Portal.Seed("companies", 1)
				p := w.start()
				w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts", "companies") })
				time.Sleep(time.Minute)
				heal := w.Portal.Inject(hubspottest.Fault{Kind: kind, Endpoint: hubspottest.EndpointBatchRead, Object: "contacts"})
				w.Portal.BulkUpdate("contacts", ids, map[string]string{"firstname": "Ada"})
				w.SleepUntil(2*time.Hour, func() bool {
					return slices.ContainsFunc(p.ready().Problems, func(problem stream.Problem) bool {
						return problem.Object == "contacts" && strings.Contains(problem.Problem, "others wait already") && strings.Contains(problem.Action, "stream stuck")
					})
				})
				w.Portal.Update("companies", firms[0], map[string]string{"name": "Meanwhile"})
				w.ReadUntil(20*time.Second, func() bool {
					return slices.ContainsFunc(w.Events("companies"), func(e event) bool { return e.Property("name") == "Meanwhile" })
				})
				heal()
				time.Sleep(70 * time.Minute)
				if problems := p.ready().Problems; len(problems) > 0 {
					w.T.Errorf("when HubSpot is well again: %+v", problems)
				}
				p.Stop()
				w.check("contacts", "companies")
			})
		})
	}
}

// TestR18_WhereNoMoreMayBeStuckTheFewDoNotHoldUpTheRest: as many records are stuck as
// may be. Then HubSpot is well again but for a few. The others are published, although
// each question about them may name one of the few.
func TestR18_WhereNoMoreMayBeStuckTheFewDoNotHoldUpTheRest(t *testing.T) {
	t.Parallel()
	long(t)
	inWorld(t, hubspottest.Options{Seed: 21}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=10s"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 1200)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
		time.Sleep(time.Minute)
		fault := hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 500, Endpoint: hubspottest.EndpointBatchRead, IDs: ids[:1100]}
		heal := w.Portal.Inject(fault)
		w.Portal.BulkUpdate("contacts", ids, map[string]string{"firstname": "Bad"})
		time.Sleep(3 * time.Hour)
		if !strings.Contains(p.Get("/metrics").Body.String(), `hubspot_cdc_stuck_records{object="contacts"} 1`) {
			t.Fatalf("no thousand records are stuck: %+v", p.ready().Problems)
		}
		heal()
		var few []uint64
		for i := range 20 {
			few = append(few, ids[i*50])
		}
		fault.IDs = few
		heal = w.Portal.Inject(fault)
		time.Sleep(3 * time.Hour)
		w.ReadUntil(time.Minute, func() bool {
			bad := map[string]bool{}
			for _, e := range w.Events("contacts") {
				bad[e.Key] = e.Property("firstname") == "Bad"
			}
			maps.DeleteFunc(bad, func(_ string, is bool) bool { return !is })
			return len(bad) == len(ids)-len(few)
		})
		heal()
		time.Sleep(70 * time.Minute)
		p.Stop()
		w.check("contacts")
	})
}

// TestR18_OneBadArchivedRecord: the list of archived records fails at one. The
// deletes behind it are found as soon as ever.
func TestR18_OneBadArchivedRecord(t *testing.T) {
	t.Parallel()
	for _, place := range []int{0, 100, 249} {
		inWorld(t, hubspottest.Options{Seed: 22}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_CENSUS_INTERVAL=12h", "SYNC_ARCHIVE_INTERVAL=1m"}, func(w *world) {
			ids := w.Portal.Seed("contacts", 400)
			for _, id := range ids[:250] {
				w.Portal.Archive("contacts", id)
			}
			time.Sleep(time.Minute)
			w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 400, Endpoint: hubspottest.EndpointList, IDs: ids[place : place+1]})
			p := w.start()
			w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
			w.Portal.Archive("contacts", ids[260])
			w.ReadUntil(3*time.Minute, func() bool {
				events := w.Events("contacts")
				return events[len(events)-1].Op == "d" && events[len(events)-1].Key == idText(ids[260])
			})
			if problems := p.ready().Problems; len(problems) > 0 {
				t.Errorf("at %d: %+v", place, problems)
			}
			p.Stop()
		})
	}
}

// TestR18_SeveralBadArchivedRecords: the list of archived records fails at neighbours
// that were archived one after the other. Their deletes are found too.
func TestR18_SeveralBadArchivedRecords(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 22}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_CENSUS_INTERVAL=12h", "SYNC_ARCHIVE_INTERVAL=1m"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 400)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
		gone := ids[255:260]
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 400, Endpoint: hubspottest.EndpointList, IDs: gone})
		for _, id := range gone {
			w.Portal.Archive("contacts", id)
		}
		deleted := map[string]bool{}
		w.ReadUntil(3*time.Minute, func() bool {
			for _, e := range w.Events("contacts") {
				deleted[e.Key] = e.Op == "d"
			}
			return !slices.ContainsFunc(gone, func(id uint64) bool { return !deleted[idText(id)] })
		})
		p.Stop()
	})
}

// TestR18_EveryOtherAPI: what else the connector asks fails, from the start or later,
// for one object type where the address names one. The records go on in their usual
// time, of the other type if this one cannot be begun. Everything is there when
// HubSpot is well again.
func TestR18_EveryOtherAPI(t *testing.T) {
	t.Parallel()
	for a, api := range []hubspottest.Endpoint{
		hubspottest.EndpointOwners, hubspottest.EndpointPipelines, hubspottest.EndpointProperties, hubspottest.EndpointSchemas,
		hubspottest.EndpointLabels, hubspottest.EndpointDailyUsage,
	} {
		for h, how := range ailments[:5] {
			for w, when := range []string{"start", "middle"} {
				if n := 3*a + 2*h + w; !*everyPlace && (n%7 != 0 || testing.Short() && n%42 != 0) {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", api, how.name, when), func(t *testing.T) {
					t.Parallel()
					fault := how.fault
					fault.Endpoint = api
					switch api {
					case hubspottest.EndpointPipelines, hubspottest.EndpointProperties, hubspottest.EndpointLabels:
						fault.Object = "deals"
					}
					otherAPI(t, fault, when == "start")
				})
			}
		}
	}
}

func otherAPI(t *testing.T, fault hubspottest.Fault, atStart bool) {
	opt := hubspottest.Options{Seed: 23, Types: []string{"contacts", "deals"}}
	env := []string{"HUBSPOT_OBJECTS=contacts,deals", "SYNC_LEADING_INTERVAL=10s", "SYNC_REFERENCE_INTERVAL=2m", "SYNC_SCHEMA_INTERVAL=2m", "SYNC_RECONCILE_INTERVAL=30m"}
	inWorld(t, opt, env, func(w *world) {
		ids, deals := w.Portal.Seed("contacts", 30), w.Portal.Seed("deals", 30)
		w.Portal.AddOwner(hubspottest.Owner{FirstName: "Ann"})
		time.Sleep(time.Minute)
		heal := func() {}
		if atStart {
			heal = w.Portal.Inject(fault)
		}
		p := w.start()
		w.SleepUntil(4*time.Minute, func() bool { return p.Backfilled("contacts") })
		if !atStart {
			w.SleepUntil(4*time.Minute, func() bool { return p.Backfilled("contacts", "deals", "owners", "pipelines") })
			heal = w.Portal.Inject(fault)
		}
		for i := range 5 {
			name := fmt.Sprint("Round ", i)
			w.Portal.Update("contacts", ids[i], map[string]string{"firstname": name})
			w.Portal.Update("deals", deals[i], map[string]string{"dealname": name})
			w.Portal.AddOwner(hubspottest.Owner{FirstName: name})
			w.ReadUntil(time.Minute, func() bool { return w.FirstName(ids[i]) == name })
			time.Sleep(3 * time.Minute)
		}
		heal()
		time.Sleep(40 * time.Minute)
		if problems := p.ready().Problems; len(problems) > 0 {
			t.Errorf("when HubSpot is well again: %+v", problems)
		}
		p.Stop()
		w.check("contacts", "deals")
		w.checkReferences("contacts", "deals")
	})
}

// TestR18_AfterAnIllnessOfHubSpotNothingStaysStuckForLong: one API fails most
// requests, or refuses them all, for ten minutes. Records become stuck by chance.
// Everything is there a few minutes after HubSpot is well again, not after the waits
// that have grown meanwhile.
func TestR18_AfterAnIllnessOfHubSpotNothingStaysStuckForLong(t *testing.T) {
	long(t)
	t.Parallel()
	pair := cdc.Pair{From: "contacts", To: "companies"}
	for name, fault := range map[string]hubspottest.Fault{
		"nine in ten 500":          {Kind: hubspottest.FaultStatus, Status: 500, Probability: .9, Endpoint: hubspottest.EndpointBatchRead},
		"half 400":                 {Kind: hubspottest.FaultStatus, Status: 400, Probability: .5, Endpoint: hubspottest.EndpointBatchRead},
		"nine in ten 400":          {Kind: hubspottest.FaultStatus, Status: 400, Probability: .9, Endpoint: hubspottest.EndpointBatchRead},
		"nine in ten 500 of links": {Kind: hubspottest.FaultStatus, Status: 500, Probability: .9, Endpoint: hubspottest.EndpointLinks},
		"half 400 of links":        {Kind: hubspottest.FaultStatus, Status: 400, Probability: .5, Endpoint: hubspottest.EndpointLinks},
		"400 of links":             {Kind: hubspottest.FaultStatus, Status: 400, Endpoint: hubspottest.EndpointLinks},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_LEADING_INTERVAL=5s"}
			inWorld(t, hubspottest.Options{Seed: 24, Types: []string{"contacts", "companies"}}, env, func(w *world) {
				ids, firms := w.Portal.Seed("contacts", 100), w.Portal.Seed("companies", 5)
				p := w.start()
				w.SleepUntil(2*time.Minute, func() bool { return p.Backfilled("contacts", "companies", pair.String()) })
				heal := w.Portal.Inject(fault)
				for i := range 60 {
					w.Portal.Update("contacts", ids[i], map[string]string{"firstname": "Ill"})
					w.Portal.Associate("contacts", ids[i], "companies", firms[i%5], "HUBSPOT_DEFINED", 279)
					time.Sleep(10 * time.Second)
				}
				heal()
				time.Sleep(150 * time.Second)
				if problems := p.ready().Problems; len(problems) > 0 {
					t.Errorf("when HubSpot is well again: %+v", problems)
				}
				p.Stop()
				w.check("contacts", "companies")
				w.checkLinks(pair)
			})
		})
	}
}

// TestR18_AMomentOfIllnessMakesPagesSmallOnlyForAMoment: HubSpot fails most pages for
// twenty seconds of the backfill. The rest takes about the calls that it takes
// without that.
func TestR18_AMomentOfIllnessMakesPagesSmallOnlyForAMoment(t *testing.T) {
	long(t)
	t.Parallel()
	for _, share := range []float64{.5, .8} {
		opt := hubspottest.Options{Seed: 3, NoHistory: true, Latency: hubspottest.Span{Min: 100 * time.Millisecond, Max: 200 * time.Millisecond}}
		inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
			w.Portal.Seed("contacts", 20_000)
			heal := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 500, Endpoint: hubspottest.EndpointList, Probability: share})
			p := w.start()
			time.Sleep(20 * time.Second)
			heal()
			before := w.Portal.Stats().Calls[hubspottest.EndpointList]
			took := w.SleepUntil(2*time.Hour, func() bool { return p.Backfilled("contacts") })
			if n := w.Portal.Stats().Calls[hubspottest.EndpointList] - before; n > 1500 {
				t.Errorf("%v of the pages failed: %d calls in %v for 200 pages", share, n, took)
			}
			p.Stop()
		})
	}
}
