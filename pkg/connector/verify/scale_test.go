package verify_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector/verify"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

func TestVerify_AHundredThousandRecordsAndLinks(t *testing.T) {
	world.Long(t)
	world.In(t, hubspottest.Options{Seed: 9, NoHistory: true}, twoTypes, func(w *world.World) {
		const n = 100_000
		companies := w.Portal.Seed("companies", 1000)
		contacts := w.Portal.Seed("contacts", n-1000)
		for i := range n {
			w.Portal.Associate("contacts", contacts[i%len(contacts)], "companies", companies[(i+i/len(contacts))%1000], "", 0)
		}
		p := w.Start()
		w.SleepUntil(10*time.Hour, func() bool { return p.Backfilled("contacts", "companies", "contacts:companies", "owners") })
		p.Stop()
		time.Sleep(time.Minute)
		if r := compared(w, verify.Options{}); !r.Equal {
			t.Errorf("a quiet portal is not equal: %s", jsonOf(t, r))
		}

		links := w.Portal.Links("contacts", "companies")
		gone := links[len(links)/2]
		w.Portal.Dissociate("contacts", gone.From, "companies", gone.To, gone.Category, gone.TypeID)
		want := verify.Topic{Topic: "hubspot.companies", HubSpot: 997, Kafka: 1000, Equal: 992}
		for _, id := range companies[:5] {
			w.Portal.Update("companies", id, map[string]string{"city": "Changed"})
			want.Stale = append(want.Stale, text(id))
		}
		for i, id := range companies[10:13] {
			want.Extra = append(want.Extra, text(id))
			if i < 2 {
				w.Portal.Archive("companies", id)
			} else {
				w.Portal.Purge("companies", id)
			}
		}
		r := compared(w, verify.Options{Objects: []string{"contacts", "companies", "contacts:companies"}})
		check(t, only(t, r, "hubspot.contacts"), verify.Topic{Topic: "hubspot.contacts", HubSpot: len(contacts), Kafka: len(contacts), Equal: len(contacts)})
		check(t, only(t, r, "hubspot.companies"), want)
		pair := only(t, r, "hubspot.associations.contacts.companies")
		key := text(gone.From) + ":" + text(gone.To) + ":" + gone.Category + ":" + strconv.Itoa(gone.TypeID)
		if len(pair.Missing)+len(pair.Stale)+len(pair.Different) > 0 || pair.Kafka != n || pair.HubSpot != pair.Equal {
			t.Errorf("got %s", jsonOf(t, pair))
		}
		// The links of the three records that are gone are gone too.
		if pair.Kafka-pair.Equal < 1+3*90 || len(pair.Extra) != 10 {
			t.Errorf("got %s, want %s and the links of three companies", jsonOf(t, pair), key)
		}
	})
}
