package connector_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// answering is a registry that gives one answer to every schema that is to be
// registered under a subject.
type answering struct {
	to      http.RoundTripper
	subject string
	status  int
	body    string
}

func (a answering) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPost || !strings.HasPrefix(req.URL.Path, "/subjects/"+a.subject+"/") {
		return a.to.RoundTrip(req)
	}
	return testkit.InProcess{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(a.body))
	})}.RoundTrip(req)
}

// waits expects an object to wait with a problem whose action names what to do.
func (p *process) waits(object, action string) {
	p.w.T.Helper()
	problems := p.ready().Problems
	if !slices.ContainsFunc(problems, func(pr stream.Problem) bool {
		return pr.Object == object && strings.Contains(pr.Action, action) && !strings.Contains(pr.Action, "HubSpot's support")
	}) {
		p.w.T.Errorf("no problem of %s with the action %q: %+v", object, action, problems)
	}
}

// TestSelection_TheHashChangesWhileTheRegistryRefuses: what a topic holds was hashed
// under a key that the configuration no longer has, and the registry takes no other
// schema. That topic waits and everything else goes on, its links too; once the
// registry takes the schema, everything is published as it is selected now.
func TestSelection_TheHashChangesWhileTheRegistryRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after        []string
		status       int
		body, action string
		published    func(text string) (field, value string)
	}{
		"another key": {
			after:  []string{"HUBSPOT_HASH_KEY=" + otherKey},
			status: http.StatusConflict, body: `{"error_code":409,"message":"incompatible"}`, action: "compatibility",
			published: func(text string) (string, string) { return "score", digestOf(otherKey, text) },
		},
		"no hash of a number, and the registry is read-only": {
			after:  []string{"HUBSPOT_PROPERTIES_HASH=", "HUBSPOT_HASH_KEY="},
			status: http.StatusUnprocessableEntity, body: `{"error_code":42205,"message":"Subject is in read-only mode"}`, action: "READWRITE",
			published: func(text string) (string, string) { return "score__number", text },
		},
	} {
		t.Run(name, func(t *testing.T) {
			env := []string{"SYNC_SCHEMA_INTERVAL=1m", "SYNC_ASSOCIATIONS_INTERVAL=2m", "HUBSPOT_OBJECTS=contacts,companies",
				"HUBSPOT_PROPERTIES_HASH=contacts.score", "HUBSPOT_HASH_KEY=" + hashKey}
			inWorld(t, hubspottest.Options{Seed: 11}, env, func(w *world) {
				w.Portal.AddProperty("contacts", hubspottest.Property{Name: "score", Type: "number"})
				person, firm := w.Portal.Create("contacts", map[string]string{"score": "7"}), w.Portal.Seed("companies", 1)[0]
				p := w.start()
				w.SleepUntil(time.Hour, func() bool { return p.backfilled(1, []string{"contacts", "companies"}) })
				p.Stop()
				accepting := w.Registry.Turn(nil)
				w.Registry.Turn(answering{accepting, "hubspot.contacts-value", c.status, c.body})
				w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points"}) // else another key needs no other schema
				w.Set(c.after...)
				p = w.start()
				time.Sleep(time.Minute)
				w.Portal.Update("companies", firm, map[string]string{"name": "New"})
				w.Portal.Associate("contacts", person, "companies", firm, "", 0)
				time.Sleep(5 * time.Minute)
				p.waits("contacts", c.action)
				if n := len(w.told("contacts", 1)); n != 0 {
					t.Errorf("%d events of the topic that waits", n)
				}
				if n := len(w.told("companies", 1)); n != 1 {
					t.Errorf("%d events of the other topic, want 1", n)
				}
				if p.live(toCompanies.String()) == 0 {
					t.Error("the links do not go on")
				}
				w.Registry.Turn(accepting)
				w.SleepUntil(3*time.Minute, func() bool { return p.ready().Ready })
				time.Sleep(10 * time.Minute)
				p.Stop()
				w.wantFold("contacts", []string{"score"}, func(_, text string) (string, string) { return c.published(text) })
			})
		})
	}
}
