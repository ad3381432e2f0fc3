package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// servedJournal serves a portal over HTTP, and makes the environment name it and an
// app that may read its journal.
func servedJournal(t *testing.T, j hubspottest.Journal) *hubspottest.Portal {
	t.Helper()
	j.App = &hubspottest.JournalApp{ClientID: "client", ClientSecret: canary}
	portal := hubspottest.New(hubspottest.Options{Seed: 1, Types: []string{"contacts", "companies"}, Journal: j})
	address, stop, err := portal.Serve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	for name, value := range map[string]string{
		"HUBSPOT_ACCESS_TOKEN": "pat-" + canary, "HUBSPOT_BASE_URL": address, "HUBSPOT_JOURNAL": "auto",
		"HUBSPOT_JOURNAL_CLIENT_ID": "client", "HUBSPOT_JOURNAL_CLIENT_SECRET": canary,
		"KAFKA_BROKERS": "127.0.0.1:1", "SCHEMA_REGISTRY_URL": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	return portal
}

// journalSays runs connector journal, and fails if it writes a secret.
func journalSays(t *testing.T, code int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if got := command(t.Context(), append([]string{"journal"}, args...), &out, &out); got != code {
		t.Errorf("connector journal %s: exit code %d, want %d:\n%s", args, got, code, out.String())
	}
	if strings.Contains(out.String(), canary) {
		t.Errorf("connector journal %s writes a secret", args)
	}
	return out.String()
}

// subscribed has HubSpot write the changes of the portal into the journal.
func subscribed(t *testing.T) {
	t.Helper()
	s, err := load()
	if err != nil {
		t.Fatal(err)
	}
	setup, err := connector.Prepare(s.connector, connector.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range hubspot.WantedSubscriptions(4242, []string{"0-1"}) {
		if err := setup.Journal.Subscribe(t.Context(), answering, one); err != nil {
			t.Fatal(err)
		}
	}
}

// ofTheApp has the app's other subscriptions in what the portal lists, and fails if one
// of them is removed.
func ofTheApp(t *testing.T, portal http.Handler) {
	t.Helper()
	const others = `{"id":901,"subscriptionType":"OBJECT","portalId":77,"objectTypeId":"0-1","actions":["CREATE"]},` +
		`{"id":902,"subscriptionType":"APP_LIFECYCLE_EVENT","portalId":4242,"actions":["INSTALL"]},`
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/90") {
			t.Errorf("it removes another subscription of the app: %s", r.URL.Path)
		}
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/subscriptions/") {
			portal.ServeHTTP(w, r)
			return
		}
		r.Header.Set("Accept-Encoding", "identity")
		answer := httptest.NewRecorder()
		portal.ServeHTTP(answer, r)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(answer.Code)
		list := strings.TrimPrefix(answer.Body.String(), `{"results":[`)
		if strings.HasPrefix(list, "]") {
			_, _ = io.WriteString(w, `{"results":[`+strings.TrimSuffix(others, ",")+list)
			return
		}
		_, _ = io.WriteString(w, `{"results":[`+others+list)
	}))
	t.Cleanup(front.Close)
	t.Setenv("HUBSPOT_BASE_URL", front.URL)
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}

// TestJournal_RemovesOnlyItsOwn: the subscriptions of another portal of the same app
// stay, and those of other kinds; and nothing goes without --yes.
func TestJournal_RemovesOnlyItsOwn(t *testing.T) {
	ofTheApp(t, servedJournal(t, hubspottest.Journal{}))
	subscribed(t)
	t.Setenv("HUBSPOT_JOURNAL", "off") // it left them behind
	contains(t, journalSays(t, 0, "subscriptions"), "yes ", "- ", "OBJECT", "ASSOCIATION", "GDPR_PRIVACY_DELETION", "0-1", "5 subscriptions, 3 of portal 4242")
	contains(t, journalSays(t, 2, "unsubscribe"), "would remove", "OBJECT 0-1", "connector journal unsubscribe --yes")
	contains(t, journalSays(t, 0, "subscriptions"), "5 subscriptions, 3 of portal 4242")
	said := journalSays(t, 0, "unsubscribe", "--yes")
	contains(t, said, "OBJECT 0-1", "ASSOCIATION 0-1", "GDPR_PRIVACY_DELETION 0-1", "3 subscriptions of portal 4242 removed")
	if n := strings.Count(said, "removed "); n != 3 {
		t.Errorf("it names %d subscriptions, want 3:\n%s", n, said)
	}
	contains(t, journalSays(t, 0, "subscriptions"), "2 subscriptions, 0 of portal 4242")
	contains(t, journalSays(t, 0, "unsubscribe", "--yes"), "no subscription of portal 4242")
}

// TestJournal_SaysWhatToDo where HubSpot refuses the app, or none is given.
func TestJournal_SaysWhatToDo(t *testing.T) {
	portal := servedJournal(t, hubspottest.Journal{Refuse: hubspottest.RefuseToken})
	contains(t, journalSays(t, 1, "subscriptions"), "compare the client id and the client secret")
	app := &hubspottest.JournalApp{ClientID: "client", ClientSecret: canary}
	portal.SetJournal(hubspottest.Journal{App: app, OtherScopes: []string{"oauth"}})
	contains(t, journalSays(t, 1, "unsubscribe", "--yes"), "add these scopes to the app")
	t.Setenv("HUBSPOT_JOURNAL_CLIENT_ID", "")
	t.Setenv("HUBSPOT_JOURNAL_CLIENT_SECRET", "")
	contains(t, journalSays(t, 2, "subscriptions"), "HUBSPOT_JOURNAL_CLIENT_ID")
	for _, args := range [][]string{{}, {"subscribe"}, {"subscriptions", "x"}, {"unsubscribe", "--no"}} {
		contains(t, journalSays(t, 2, args...), "connector help journal")
	}
	contains(t, journalSays(t, 0, "-h"), "Usage:")
	contains(t, journalSays(t, 0, "unsubscribe", "-h"), "Usage:")
}

// TestJournal_ThatDoesNotAnswer: a command ends within a minute where HubSpot gives no
// token, or no answer.
func TestJournal_ThatDoesNotAnswer(t *testing.T) {
	servedJournal(t, hubspottest.Journal{})
	for _, endpoint := range []hubspottest.Endpoint{hubspottest.EndpointToken, hubspottest.EndpointSubscriptions, hubspottest.EndpointAccount} {
		synctest.Test(t, func(t *testing.T) {
			portal := hubspottest.New(hubspottest.Options{Seed: 1, Types: []string{"contacts"}, Journal: hubspottest.Journal{
				App: &hubspottest.JournalApp{ClientID: "client", ClientSecret: canary},
			}})
			portal.Inject(hubspottest.Fault{Endpoint: endpoint, Kind: hubspottest.FaultSlow, Latency: 2 * time.Hour})
			began := time.Now()
			err := manageJournal(t.Context(), "subscriptions", false, connector.Options{HubSpot: portal.Transport()}, io.Discard, io.Discard)
			if took := time.Since(began); err == nil || took > time.Minute {
				t.Errorf("%s: %v after %v", endpoint, err, took)
			}
		})
	}
}
