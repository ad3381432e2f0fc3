package connector_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// accounts are those of HubSpot's that a test has: one by its token, and the rest.
type accounts struct {
	token     string
	its, rest http.RoundTripper
}

func (a *accounts) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") == "Bearer "+a.token {
		return a.its.RoundTrip(r)
	}
	return a.rest.RoundTrip(r)
}

// TestATokenOfAnotherAccountPublishesNothing: an operator puts it, by mistake, into the
// file of a token that is revoked. Nothing of that account reaches the topics, the problem
// says so, and with a token of the right one everything goes on.
func TestATokenOfAnotherAccountPublishesNothing(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 3, Types: []string{"contacts"}}
	inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 20)
		other := hubspottest.New(hubspottest.Options{Seed: 4, Types: []string{"contacts"}, PortalID: 777})
		other.Seed("contacts", 30)
		file := filepath.Join(t.TempDir(), "token")
		put := func(token string) {
			if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		put("pat-first")
		w.Portal.SetTokens("pat-first")
		w.Config.HubSpot.AccessToken, w.Config.HubSpot.AccessTokenFile = "", file
		p := w.start()
		p.HubSpot.Turn(&accounts{"pat-other", other.Transport(), w.Portal.Transport()})
		w.SleepUntil(5*time.Minute, func() bool { return p.Backfilled("contacts") })

		put("pat-other")
		w.Portal.SetTokens("pat-second")
		time.Sleep(10 * time.Minute)
		p.explains(outage{area: "hubspot", cure: "put a token of portal 4242 into "})
		for endpoint, calls := range other.Stats().Calls {
			if endpoint != hubspottest.EndpointAccount {
				t.Errorf("the other account was asked %d times for %s", calls, endpoint)
			}
		}
		w.Portal.Update("contacts", ids[0], map[string]string{"firstname": "Ada"})
		put("pat-second")
		time.Sleep(10 * time.Minute)
		p.Stop()
		if r := w.check("contacts"); r.Events != 21 {
			t.Errorf("%d events, want 20 of the backfill and one", r.Events)
		}
	})
}
