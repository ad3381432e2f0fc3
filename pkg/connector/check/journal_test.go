package check

import (
	"net/http"
	"strings"
	"testing"
	"time"

	depl "github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

var journalApp = &hubspottest.JournalApp{ClientID: "client", ClientSecret: depl.Canary}

var withJournal = []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_JOURNAL_CLIENT_ID=client", "HUBSPOT_JOURNAL_CLIENT_SECRET=" + depl.Canary}

// TestCheck_JournalChangesNothingUnlessAsked: --journal shows what is there and what a
// run would make, and only --subscribe makes it. inspect looks for the app's secret.
func TestCheck_JournalChangesNothingUnlessAsked(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 3, Journal: hubspottest.Journal{App: journalApp}}
	inWorld(t, opt, withJournal, func(w *world) {
		c := w.inspect().is(connector.ExitOK)
		c.says("journal", "auto", OK, "will be used")
		if c.Plan.IdleRelied == 0 || c.Plan.IdleRelied >= c.Plan.IdleSum || !strings.Contains(c.table, "while the journal is whole") {
			t.Errorf("%d idle calls a day with a whole journal, %d without:\n%s", c.Plan.IdleRelied, c.Plan.IdleSum, c.table)
		}
		w.journal.Probe = true
		for range 2 { // the first one has changed nothing
			c = w.inspect().is(connector.ExitOK)
			c.says("journal_subscriptions", "4242", OK, "0 of this portal", "a run needs 6 and makes 6")
			c.says("journal_subscription", "OBJECT 0-1", Note, "missing", "--subscribe")
			c.says("journal_newest", "", Note, "empty")
		}
		w.journal.Subscribe = true
		w.inspect().is(connector.ExitOK).says("journal_subscription", "ASSOCIATION 0-2", OK, "made now")
		w.Portal.Seed("contacts", 1)
		w.Portal.Create("contacts", map[string]string{"firstname": "Ada"})
		time.Sleep(30 * time.Second)
		w.journal.Subscribe = false
		c = w.inspect().is(connector.ExitOK)
		c.says("journal_subscriptions", "4242", OK, "6 of this portal", "makes 0")
		c.says("journal_newest", "-7", OK, "made ", "s ago", "was published", "event")
		if strings.Contains(c.table, "signature") || strings.Contains(c.table, "?") {
			t.Errorf("an address is in the table:\n%s", c.table)
		}
	})
}

// noJournal fails the test where the journal, or a token for it, is asked for.
type noJournal struct {
	t  *testing.T
	to http.RoundTripper
}

func (n noJournal) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "webhooks-journal") || strings.Contains(r.URL.Path, "oauth") {
		n.t.Errorf("a check asks %s", r.URL.Path)
	}
	return n.to.RoundTrip(r)
}

// TestCheck_JournalSaysWhatToClick where HubSpot refuses it: a run polls, so that it
// is a failure only with HUBSPOT_JOURNAL=on. With off nothing is asked.
func TestCheck_JournalSaysWhatToClick(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 3, Journal: hubspottest.Journal{App: journalApp, Refuse: hubspottest.RefuseToken}}
	inWorld(t, opt, withJournal, func(w *world) {
		w.journal.Probe = true
		w.inspect().is(connector.ExitOK).says("journal", "auto", Warn, "compare the client id")
		w.inspect("HUBSPOT_JOURNAL=on").is(connector.ExitFailed).says("journal", "on", Fail, "compare the client id")
		w.Portal.SetJournal(hubspottest.Journal{App: journalApp, Refuse: hubspottest.RefuseScopes})
		w.inspect().is(connector.ExitOK).says("journal", "auto", Warn, "add these scopes")
		w.Portal.SetJournal(hubspottest.Journal{App: journalApp, NotInstalled: true})
		w.journal.Subscribe = true
		w.inspect().is(connector.ExitOK).says("journal_subscription", "OBJECT 0-1", Warn, "install the app")
		w.journal = Journal{}
		without := noJournal{t, w.Portal.Transport()}
		c := w.inspectOver(without, "HUBSPOT_JOURNAL=off").is(connector.ExitOK)
		c.says("journal", "off", OK, "not used")
		if c.Plan.IdleRelied != 0 {
			t.Errorf("the journal is planned with although it is off:\n%s", c.table)
		}
		w.inspectOver(without, "HUBSPOT_JOURNAL_CLIENT_ID=", "HUBSPOT_JOURNAL_CLIENT_SECRET=").is(connector.ExitOK).says("journal", "auto", OK, "no app is given")
	})
}

// TestCheck_JournalThatDoesNotAnswer: a check says so, and ends within its minute,
// whichever part of the journal hangs.
func TestCheck_JournalThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for endpoint, finding := range map[hubspottest.Endpoint]string{
		hubspottest.EndpointToken: "journal", hubspottest.EndpointSubscriptions: "journal",
		hubspottest.EndpointJournalLatest: "journal_newest", hubspottest.EndpointJournalFile: "journal_newest",
	} {
		t.Run(string(endpoint), func(t *testing.T) {
			t.Parallel()
			opt := hubspottest.Options{Seed: 3, Journal: hubspottest.Journal{App: journalApp}}
			inWorld(t, opt, withJournal, func(w *world) {
				w.journal = Journal{Probe: true, Subscribe: true}
				w.inspect().is(connector.ExitOK)
				w.Portal.Create("contacts", map[string]string{"firstname": "Ada"})
				time.Sleep(30 * time.Second)
				w.Portal.Inject(hubspottest.Fault{Endpoint: endpoint, Kind: hubspottest.FaultSlow, Latency: 2 * time.Hour})
				c := w.inspect().is(connector.ExitOK)
				c.says(finding, "", Warn, "a run finds changes by polling")
				if c.took > time.Minute {
					t.Errorf("the check took %v", c.took)
				}
			})
		})
	}
}
