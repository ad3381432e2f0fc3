package connector_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// ailments are the ways in which HubSpot can fail whenever a record is concerned.
var ailments = []struct {
	name  string
	fault hubspottest.Fault
	slow  time.Duration // what the attempts take
}{
	{"400", hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 400}, 0},
	{"409", hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 409}, 0},
	{"413", hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 413}, 0},
	{"500", hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 500}, time.Minute},
	{"504", hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 504}, time.Minute},
	{"HTML with 502", hubspottest.Fault{Kind: hubspottest.FaultHTML, Status: 502}, time.Minute},
	{"half a body", hubspottest.Fault{Kind: hubspottest.FaultCut}, time.Minute},
	{"too large", hubspottest.Fault{Kind: hubspottest.FaultLarge}, 0},
	{"no answer", hubspottest.Fault{Kind: hubspottest.FaultSlow, Latency: time.Hour}, 3 * time.Hour},
}

// TestR18_OneBadRecordStopsNothing: HubSpot fails whenever an answer has to do with
// one record, wherever it stands in a page and whichever API is asked. Everything
// else is published in its usual time, there is no false event, the record is
// named where it cannot be read, also after a restart, and once HubSpot is well
// everything is there.
func TestR18_OneBadRecordStopsNothing(t *testing.T) {
	t.Parallel()
	for _, api := range []hubspottest.Endpoint{hubspottest.EndpointList, hubspottest.EndpointBatchRead, hubspottest.EndpointSearch, hubspottest.EndpointLinks} {
		for i, how := range ailments {
			for _, place := range []int{0, 100, 150, 199, 249} {
				if testing.Short() && (i+place)%5 != 0 {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/at %d", api, how.name, place), func(t *testing.T) {
					t.Parallel()
					fault := how.fault
					fault.Endpoint, fault.Object = api, "contacts"
					oneBadRecord(t, fault, how.slow, place)
				})
			}
		}
	}
}

func oneBadRecord(t *testing.T, fault hubspottest.Fault, slow time.Duration, place int) {
	opt := hubspottest.Options{Seed: 18, Types: []string{"contacts", "companies"}}
	env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_ASSOCIATIONS_INTERVAL=10m", "SYNC_RECONCILE_INTERVAL=2h"}
	inWorld(t, opt, env, func(w *world) {
		ids, firms := w.Portal.Seed("contacts", 250), w.Portal.Seed("companies", 20)
		for i := range ids {
			w.Portal.Associate("contacts", ids[i], "companies", firms[i%20], "HUBSPOT_DEFINED", 279)
		}
		bad, named := ids[place], fault.Endpoint == hubspottest.EndpointBatchRead || fault.Endpoint == hubspottest.EndpointLinks
		fault.IDs = []uint64{bad}
		time.Sleep(time.Minute)
		heal := w.Portal.Inject(fault)
		p := w.start()
		took := w.SleepUntil(5*time.Minute+2*slow, func() bool { return p.Backfilled("contacts", "companies", "contacts:companies") })
		for round, name := range []string{"Early", "Late"} {
			w.Portal.Update("contacts", bad, map[string]string{"firstname": name})
			for _, id := range ids {
				if id != bad {
					w.Portal.Update("contacts", id, map[string]string{"firstname": name})
				}
			}
			w.Portal.Archive("contacts", ids[(place+10+round)%250])
			w.ReadUntil(3*time.Minute+slow, func() bool {
				return w.FirstName(ids[(place+1)%250]) == name && w.FirstName(ids[(place+249)%250]) == name
			})
			if named {
				w.SleepUntil(3*time.Minute+slow, func() bool { return p.names(bad) })
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
		time.Sleep(4 * time.Hour)
		if problems := p.ready().Problems; len(problems) > 0 {
			t.Errorf("when HubSpot is well again: %+v", problems)
		}
		p.Stop()
		w.check("contacts", "companies")
		w.checkLinks(cdc.Pair{From: "contacts", To: "companies"})
		t.Logf("backfill %v", took)
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
