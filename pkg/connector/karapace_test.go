package connector_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/connector/check"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// onKarapace connects the world to an empty registry that answers as Karapace
// does.
func (w *world) onKarapace() *sr.Client {
	w.T.Helper()
	w.Registry.Turn(testkit.NewRegistry(w.T).Karapace())
	return w.RegistryClient()
}

// TestKarapace_SchemasAreRegisteredOnce: the registry gives a schema back with
// the keys of its JSON in another order. A restart and a new label make no new
// version; a new property and a new type do, and everything published decodes
// with what the registry has.
func TestKarapace_SchemasAreRegisteredOnce(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"string", "avro"} {
		t.Run(keys, func(t *testing.T) {
			if keys == "avro" {
				long(t)
			}
			env := []string{"SYNC_SCHEMA_INTERVAL=1m", "HUBSPOT_OBJECTS=contacts,companies", "KAFKA_KEY_FORMAT=" + keys}
			inWorld(t, hubspottest.Options{Seed: 33}, env, func(w *world) {
				registry := w.onKarapace()
				people, firms := w.Portal.Seed("contacts", 20), w.Portal.Seed("companies", 5)
				w.Portal.Associate("contacts", people[0], "companies", firms[0], "", 0)
				p := w.start()
				w.SleepUntil(time.Hour, func() bool { return p.sweptLinks(toCompanies) })
				subjects, err := registry.Subjects(w.T.Context())
				if err != nil {
					t.Fatal(err)
				}
				one := func(when string) {
					t.Helper()
					for _, subject := range subjects {
						if v, err := registry.SubjectVersions(w.T.Context(), subject); err != nil || len(v) != 1 {
							t.Errorf("%s: versions %v of %s (%v)", when, v, subject, err)
						}
					}
				}
				one("after the first start")
				p.Stop()
				p = w.start()
				w.Portal.RelabelProperty("contacts", "city", "Town")
				time.Sleep(10 * time.Minute)
				one("after a restart and a new label")
				w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points", Type: "number"})
				time.Sleep(3 * time.Minute)
				w.Portal.Update("contacts", people[0], map[string]string{"points": "7"})
				w.Portal.RetypeProperty("contacts", "points", "string", "text")
				time.Sleep(10 * time.Minute)
				if n := w.versions("contacts"); n != 3 {
					t.Errorf("%d versions after a new property and a new type", n)
				}
				events := w.Events("contacts")
				if last := events[len(events)-1]; last.Key == idText(people[0]) && last.Property("points__string") != "7" {
					t.Errorf("last event %+v", last)
				}
				if r := p.ready(); !r.Ready || len(r.Problems) > 0 {
					t.Errorf("%+v", r)
				}
				p.Stop()
			})
		})
	}
}

// TestKarapace_ARefusalIsShownInItsWords: a schema of somebody else stands under
// the subject. That topic stops with the registry's reason, the others continue;
// once the subject is gone, all of it is published.
func TestKarapace_ARefusalIsShownInItsWords(t *testing.T) {
	t.Parallel()
	env := []string{"SYNC_SCHEMA_INTERVAL=1m", "HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=none"}
	inWorld(t, hubspottest.Options{Seed: 34}, env, func(w *world) {
		registry := w.onKarapace()
		const subject = "hubspot.contacts-value"
		foreign := sr.Schema{Schema: `{"type":"record","name":"Envelope","namespace":"hubspot.contacts","fields":[{"name":"op","type":"int"}]}`}
		if _, err := registry.CreateSchema(w.T.Context(), subject, foreign); err != nil {
			t.Fatal(err)
		}
		w.Portal.Seed("contacts", 20)
		w.Portal.Seed("companies", 5)
		w.finds("schema", subject, check.Fail, "")
		for range 2 {
			p := w.start()
			w.SleepUntil(time.Minute, func() bool { return p.Backfilled("companies") })
			time.Sleep(2 * time.Minute)
			if problems := p.ready().Problems; !slices.ContainsFunc(problems, func(pr stream.Problem) bool {
				return pr.Object == "contacts" && strings.Contains(pr.Problem, subject) && strings.Contains(pr.Problem, "reader union lacking writer type")
			}) {
				t.Errorf("problems %+v", problems)
			}
			if n := len(w.Records("hubspot.contacts")); n != 0 {
				t.Errorf("%d records in the refused topic", n)
			}
			p.Stop()
		}
		for _, how := range []sr.DeleteHow{sr.SoftDelete, sr.HardDelete} {
			if _, err := registry.DeleteSubject(w.T.Context(), subject, how); err != nil {
				t.Fatal(err)
			}
		}
		p := w.start()
		w.SleepUntil(5*time.Minute, func() bool { return p.Backfilled("contacts") })
		p.Stop()
		w.Check(nil, "contacts", "companies")
	})
}
