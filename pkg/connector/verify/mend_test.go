package verify_test

import (
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector/verify"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// A connector that looks at nothing by itself for hours mends what a comparison asks it
// for: every class of difference, of records, links and entries of lists.
func TestVerify_MendsEveryClassOfDifference(t *testing.T) {
	settings := append(append([]string{}, twoTypes...), []string{
		"HUBSPOT_OBJECTS=contacts,companies,deals",
		"SYNC_LEADING_INTERVAL=24h", "SYNC_TRAILING_INTERVAL=24h", "SYNC_CENSUS_INTERVAL=24h", "SYNC_ARCHIVE_INTERVAL=24h",
		"SYNC_ASSOCIATIONS_INTERVAL=24h", "SYNC_REFERENCE_INTERVAL=24h", "SYNC_RECONCILE_INTERVAL=240h",
	}...)
	world.In(t, hubspottest.Options{Seed: 7}, settings, func(w *world.World) {
		contacts, companies := everything(w)
		p := w.Start()
		w.SleepUntil(time.Hour, func() bool { return p.Ready().Ready })
		time.Sleep(20 * time.Minute)
		w.Portal.Update("contacts", contacts[0], map[string]string{"firstname": "Changed"})
		w.Portal.UpdateCalculated("contacts", contacts[1], map[string]string{"lastname": "Calculated"})
		w.Portal.Archive("contacts", contacts[2])
		w.Portal.Purge("contacts", contacts[3])
		fresh := w.Portal.Create("contacts", map[string]string{"firstname": "New"})
		link := w.Portal.Links("contacts", "companies")[9]
		w.Portal.Dissociate("contacts", link.From, "companies", link.To, link.Category, link.TypeID)
		w.Portal.Associate("contacts", contacts[50], "companies", companies[3], "", 0)
		owner := w.Portal.AddOwner(hubspottest.Owner{Email: "bob@example.com"})
		pipeline := w.Portal.AddPipeline("deals", hubspottest.Pipeline{Label: "Another"})

		again := ""
		r := compared(w, verify.Options{Progress: func(p verify.Progress) {
			if p.Suspects > 0 && again == "" {
				again = p.String()
			}
		}})
		if want := "hubspot.contacts: 5 keys differ; looked at again, usually for up to 10 min"; again != want {
			t.Errorf("beside a connector it says %q, want %q", again, want)
		}
		check(t, only(t, r, "hubspot.contacts"), verify.Topic{
			Topic: "hubspot.contacts", HubSpot: 59, Kafka: 60, Equal: 56,
			Missing: []string{text(fresh)}, Extra: []string{text(contacts[2]), text(contacts[3])},
			Stale: []string{text(contacts[0])}, Different: []string{text(contacts[1])}, Properties: differsIn("lastname", contacts[1]),
		})
		if pair := only(t, r, "hubspot.associations.contacts.companies"); len(pair.Missing) != 1 || len(pair.Extra) != 3 {
			t.Errorf("got %s, want a new link, a removed one, and those of two records that are gone", jsonOf(t, pair))
		}
		if owners := only(t, r, "hubspot.owners"); len(owners.Missing) != 1 || owners.Missing[0] != owner {
			t.Errorf("got %s, want owner %s missing", jsonOf(t, owners), owner)
		}
		if pipelines := only(t, r, "hubspot.pipelines"); len(pipelines.Missing) != 1 || pipelines.Missing[0] != "deals:"+pipeline {
			t.Errorf("got %s, want pipeline %s missing", jsonOf(t, pipelines), pipeline)
		}

		if _, _, err := r.Fix(w.T.Context(), prepared(w)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if r := compared(w, verify.Options{}); !r.Equal {
			t.Errorf("after the repair: %s", jsonOf(t, r))
		}
		p.Stop()
	})
}

// TestProgress_SaysHowManyKeysDiffer, also of one.
func TestProgress_SaysHowManyKeysDiffer(t *testing.T) {
	for _, c := range []struct {
		suspects int
		wait     time.Duration
		want     string
	}{
		{1, 10 * time.Minute, "hubspot.owners: 1 key differs; looked at again, usually for up to 10 min"},
		{2, 2 * time.Second, "hubspot.owners: 2 keys differ; looked at again for some seconds"},
	} {
		if got := (verify.Progress{Topic: "hubspot.owners", Suspects: c.suspects, Wait: c.wait}).String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
