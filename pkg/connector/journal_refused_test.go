package connector_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// refusals are the ways in which HubSpot keeps an app from the journal, and what an
// operator is told to do.
var refusals = map[string]struct {
	journal hubspottest.Journal
	cure    string
}{
	"the token is refused":       {hubspottest.Journal{App: journalApp, Refuse: hubspottest.RefuseToken}, "compare the client id and the client secret"},
	"scopes are missing":         {hubspottest.Journal{App: journalApp, Refuse: hubspottest.RefuseScopes}, "add these scopes to the app"},
	"the app may not subscribe":  {hubspottest.Journal{App: journalApp, OtherScopes: []string{"developer.webhooks_journal.read"}}, "add these scopes to the app"},
	"the app is not installed":   {hubspottest.Journal{App: journalApp, NotInstalled: true}, "install the app in this portal"},
	"the app may not even read":  {hubspottest.Journal{App: journalApp, NotInstalled: true, NoReads: true, Forgets: true}, "install the app in this portal"},
	"HubSpot gives no journal":   {hubspottest.Journal{App: journalApp, DownStatus: http.StatusNotFound}, "does not give this app a webhooks journal"},
	"HubSpot forbids everything": {hubspottest.Journal{App: journalApp, DownStatus: http.StatusForbidden}, "install it in the portal again"},
}

// TestR16_AJournalThatHubSpotRefuses: polling finds everything. The log says once what
// to do. That is a problem only where the operator relies on the journal. When the
// cause ends, the journal works within minutes, without a restart.
func TestR16_AJournalThatHubSpotRefuses(t *testing.T) {
	t.Parallel()
	for name, refusal := range refusals {
		for _, mode := range []string{"auto", "on"} {
			for _, later := range []bool{false, true} {
				if later && (refusal.journal.NotInstalled && !refusal.journal.NoReads || refusal.journal.OtherScopes != nil) {
					continue // nothing is refused to an app that has subscribed and has its token
				}
				when := map[bool]string{false: " at the start, ", true: " later, "}[later]
				t.Run(name+when+mode, func(t *testing.T) {
					t.Parallel()
					if later != (mode == "on") || name != "the token is refused" && name != "the app is not installed" {
						long(t)
					}
					journalWorld(t, 163, mode, func(w *world, contacts, companies []uint64) {
						w.journalRefused(refusal.journal, refusal.cure, mode == "on", later, contacts, companies)
					})
				})
			}
		}
	}
}

func (w *world) journalRefused(refused hubspottest.Journal, cure string, on, later bool, contacts, companies []uint64) {
	t := w.T
	usual := hubspottest.Journal{App: journalApp}
	if !later {
		w.Portal.SetJournal(refused)
	}
	p := w.start()
	defer p.Stop()
	secrets := p.secrets()
	p.streaming()
	if later {
		w.link(contacts[40], companies[0], time.Minute)
		w.Portal.SetJournal(refused)
		time.Sleep(2 * time.Minute)
	}
	w.rename(contacts[1], time.Minute)
	for range 30 {
		time.Sleep(time.Minute)
		r := p.ready()
		switch {
		case !r.Ready:
			t.Fatalf("not ready: %+v", r)
		case !on && len(r.Problems) > 0:
			t.Fatalf("auto has problems: %+v", r.Problems)
		case on && (len(r.Problems) != 1 || r.Problems[0].Stream != "journal" || !strings.Contains(r.Problems[0].Action, cure)):
			t.Fatalf("on has problems %+v, without %q", r.Problems, cure)
		}
	}
	said := 0
	for line := range strings.Lines(p.Log.String()) {
		if strings.Contains(line, "the webhooks journal does not work") && strings.Contains(line, cure) && strings.Contains(line, "level=WARN") {
			said++
		}
	}
	if n := p.Log.Count("the webhooks journal does not work"); said != 1 || n != 1 {
		t.Errorf("the log says %d times what to do, %d times that something is wrong", said, n)
	}
	w.Portal.SetJournal(usual)
	w.SleepUntil(6*time.Minute, func() bool { return p.Log.Has("the webhooks journal works again") })
	w.link(contacts[41], companies[1], time.Minute)
	w.rename(contacts[2], time.Minute)
	if r := p.ready(); !r.Ready || len(r.Problems) > 0 {
		t.Errorf("after the end: %+v", r)
	}
	time.Sleep(20 * time.Minute)
	secrets()
}

// secrets has the journal's secrets noted that go over the line to HubSpot. The
// function that it returns checks that nothing that the process lets out has them.
func (p *process) secrets() (check func()) {
	p.w.T.Helper()
	s := &secretsSeen{texts: map[string]bool{journalApp.ClientSecret: true}}
	s.to = p.HubSpot.Turn(s)
	return func() {
		p.w.T.Helper()
		said := p.w.Log.String() + p.Log.String()
		for _, path := range []string{"/readyz", "/healthz", "/metrics"} {
			said += p.Get(path).Body.String()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for text := range s.texts {
			if strings.Contains(said, text) {
				p.w.T.Errorf("let out: %s", text)
			}
		}
	}
}

// secretsSeen notes the tokens and the addresses of files in what it carries.
type secretsSeen struct {
	to    http.RoundTripper
	mu    sync.Mutex
	texts map[string]bool
}

func (s *secretsSeen) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts[text] = true
}

func (s *secretsSeen) RoundTrip(r *http.Request) (*http.Response, error) {
	if token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		s.note(token)
	}
	if signature := r.URL.Query().Get("Signature"); signature != "" {
		s.note(signature)
		s.note(r.URL.Host + r.URL.Path)
	}
	answer, err := s.to.RoundTrip(r)
	if err != nil || !strings.Contains(r.URL.Path, "/webhooks-journal/") {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(body))
	for _, part := range bytes.Split(body, []byte("Signature="))[1:] {
		s.note(string(part[:min(64, len(part))]))
	}
	return answer, err
}

// journalCalls counts what the journal's endpoints were asked.
func (w *world) journalCalls() (n int) {
	for endpoint, calls := range w.Portal.Stats().Calls {
		if strings.HasPrefix(string(endpoint), "journal_") || endpoint == hubspottest.EndpointToken {
			n += calls
		}
	}
	return n
}

// TestR16_WithoutTheJournal: where it is off, or no app is given, HubSpot is asked
// nothing about it, and polling finds everything.
func TestR16_WithoutTheJournal(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string][]string{
		"off":            {"HUBSPOT_JOURNAL=off"},
		"without an app": {"HUBSPOT_JOURNAL=auto", "HUBSPOT_JOURNAL_CLIENT_ID=", "HUBSPOT_JOURNAL_CLIENT_SECRET="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			journalWorld(t, 164, "auto", func(w *world, contacts, _ []uint64) {
				w.Set(settings...)
				p := w.start()
				p.streaming()
				w.rename(contacts[0], time.Minute)
				time.Sleep(20 * time.Minute)
				r := p.ready()
				p.Stop()
				if n := w.journalCalls(); n > 0 {
					w.T.Errorf("%d calls about the journal", n)
				}
				if !r.Ready || len(r.Problems) > 0 || w.Cursors()[journalKey] != "" {
					w.T.Errorf("%+v, cursor %s", r, w.Cursors()[journalKey])
				}
			})
		})
	}
}

// TestR16_TheJournalDoesNotAnswer: while it hangs or fails for an hour, polling goes
// on as before. /readyz and the log say so after half a minute, with auto too. Then the
// journal goes on where it was.
func TestR16_TheJournalDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]hubspottest.Fault{
		"hangs":      {Kind: hubspottest.FaultSlow, Latency: 2 * time.Hour},
		"fails":      {Kind: hubspottest.FaultStatus, Status: 500},
		"is reset":   {Kind: hubspottest.FaultReset},
		"is a proxy": {Kind: hubspottest.FaultHTML, Status: 200},
	} {
		for _, files := range []bool{false, true} { // their host alone
			if files && fault.Kind == hubspottest.FaultHTML {
				continue // see TestR16_EveryFileIsAPage: the first of them is passed over
			}
			t.Run(fmt.Sprint(name, ", files alone ", files), func(t *testing.T) {
				t.Parallel()
				if name != "hangs" {
					long(t)
				}
				journalWorld(t, 165, "auto", func(w *world, contacts, companies []uint64) {
					w.journalAway(fault, files, contacts, companies)
				})
			})
		}
	}
}

func (w *world) journalAway(fault hubspottest.Fault, files bool, contacts, companies []uint64) {
	t := w.T
	p := w.start()
	defer p.Stop()
	secrets := p.secrets()
	p.streaming()
	w.link(contacts[40], companies[0], time.Minute)
	endpoints := []hubspottest.Endpoint{hubspottest.EndpointJournalFile}
	if !files {
		endpoints = append(endpoints, hubspottest.EndpointJournalNext, hubspottest.EndpointJournalBatch, hubspottest.EndpointJournalRead, hubspottest.EndpointSubscriptions)
	}
	var heals []func()
	for _, endpoint := range endpoints {
		fault.Endpoint = endpoint
		heals = append(heals, w.Portal.Inject(fault))
	}
	rng := rand.New(rand.NewPCG(165, 0))
	w.Portal.Associate("contacts", contacts[41], "companies", companies[1], "HUBSPOT_DEFINED", 279)
	w.SleepUntil(time.Minute, func() bool { return len(p.ready().Problems) > 0 })
	if !p.Log.Has("the webhooks journal does not work") {
		t.Error("/readyz has a problem that the log does not have")
	}
	w.rename(contacts[1], 30*time.Second)
	time.Sleep(time.Minute)
	for range 60 {
		w.stirred(rng)
		time.Sleep(time.Minute)
		if r := p.ready(); !r.Ready || len(r.Problems) != 1 || r.Problems[0].Stream != "journal" || r.Problems[0].Action == "" {
			t.Fatalf("%+v", r)
		}
	}
	// What is read may fail alone, or all of the journal.
	part, all := p.Log.Count("the webhooks journal does not work"), p.Log.Count("HubSpot's journal cannot be read for now")
	if part > 1 || part+all == 0 || all > 0 && !files && all != 1 {
		t.Errorf("the log says it %d times of the journal, %d times of its requests", part, all)
	}
	contact, company := w.Portal.Create("contacts", nil), w.Portal.Create("companies", nil)
	w.rename(contact, 30*time.Second)
	time.Sleep(15 * time.Minute) // so that its links are no longer read because it changed (R14)
	for _, heal := range heals {
		heal()
	}
	w.SleepUntil(6*time.Minute, func() bool { r := p.ready(); return r.Ready && len(r.Problems) == 0 })
	if !p.Log.Has("the webhooks journal works again") && !p.Log.Has("HubSpot's journal can be read again") {
		t.Error("nothing says that the journal works again")
	}
	w.link(contact, company, time.Minute)
	time.Sleep(20 * time.Minute)
	secrets()
}
