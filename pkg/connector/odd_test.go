package connector_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR18_OneOddMemberCostsThatMemberOrThatRecord: whatever HubSpot writes into one
// member of one record's results, everything else is published in its usual time, no
// record or link looks gone, and everything is right once HubSpot is.
func TestR18_OneOddMemberCostsThatMemberOrThatRecord(t *testing.T) {
	long(t)
	t.Parallel()
	for member, values := range map[string][]string{
		"id":         {``, `null`, `{}`, `"x"`},
		"createdAt":  {``, `null`, `"soon"`, `{}`},
		"updatedAt":  {``, `null`, `"soon"`, `[]`, `"1970-01-01T00:00:00Z"`},
		"archived":   {``, `null`, `"maybe"`, `7`},
		"properties": {``, `null`, `"x"`, `[]`},
		"from":       {``, `null`, `{"id":{}}`},
		"to":         {``, `null`, `[null]`, `[{"toObjectId":{},"associationTypes":[]}]`, `[{"toObjectId":7,"associationTypes":[{"category":"A","typeId":1099511627776}]}]`},
		"paging":     {`7`, `{"next":{}}`},
	} {
		for _, value := range values {
			t.Run(fmt.Sprintf("%s %s", member, value), func(t *testing.T) {
				t.Parallel()
				oddMember(t, member, value)
			})
		}
	}
}

func oddMember(t *testing.T, member, value string) {
	opt := hubspottest.Options{Seed: 24, Types: []string{"contacts", "companies"}}
	env := []string{
		"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_LEADING_INTERVAL=10s",
		"SYNC_ASSOCIATIONS_INTERVAL=5m", "SYNC_RECONCILE_INTERVAL=20m",
	}
	pair := cdc.Pair{From: "contacts", To: "companies"}
	inWorld(t, opt, env, func(w *world) {
		ids, firms := w.Portal.Seed("contacts", 20), w.Portal.Seed("companies", 5)
		for i := range ids {
			w.Portal.Associate("contacts", ids[i], "companies", firms[i%5], "HUBSPOT_DEFINED", 279)
		}
		odd := ids[7]
		time.Sleep(time.Minute)
		p := w.start()
		w.SleepUntil(2*time.Minute, func() bool { return p.Backfilled("contacts", "contacts:companies") })
		heal := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultOdd, Object: "contacts", IDs: []uint64{odd}, Member: member, Value: value})
		for round := range 3 {
			name := fmt.Sprint("Round ", round)
			for _, id := range ids {
				w.Portal.Update("contacts", id, map[string]string{"firstname": name})
			}
			w.ReadUntil(2*time.Minute, func() bool { return w.FirstName(ids[6]) == name && w.FirstName(ids[8]) == name })
			time.Sleep(25 * time.Minute) // reconciles, sweeps of links
			if round == 0 {
				p.Stop()
				p = w.start()
			}
		}
		heal()
		time.Sleep(100 * time.Minute)
		if problems := p.ready().Problems; len(problems) > 0 {
			t.Errorf("when HubSpot is well again: %+v", problems)
		}
		p.Stop()
		history, seen := cdctest.HistoryOf(w.Portal, "contacts"), w.Seen("contacts")
		key := cdctest.Key{Object: "contacts", ID: idText(odd)}
		states := history[key]
		delete(history, key)
		others := slices.DeleteFunc(slices.Clone(seen), func(e cdctest.Event) bool { return e.Key == key })
		if report := cdctest.Check(history, others); !report.Clean() {
			t.Errorf("the other records:\n%s", report.Findings())
		}
		var last cdctest.Event
		for _, e := range seen {
			if e.Key == key {
				if last = e; e.Op == "d" || e.Tombstone {
					t.Errorf("a false delete of the odd record: %+v", e)
				}
			}
		}
		if s := states[len(states)-1]; last.Version != s.Version || last.Created != s.Created || w.FirstName(odd) != "Round 2" {
			t.Errorf("the odd record's last event has createdAt %v, updatedAt %v and firstname %v", last.Created, last.Version, w.FirstName(odd))
		}
		w.checkLinks(pair)
		for _, e := range w.seenLinks(pair) {
			if e.Op == "d" {
				t.Errorf("a false delete of a link: %+v", e)
			}
		}
	})
}
