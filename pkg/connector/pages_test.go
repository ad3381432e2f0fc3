package connector_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"html"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	depl "github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector/page"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// status asks /status.
func (p *process) status() (s page.Status) {
	p.w.T.Helper()
	answer := p.Get("/status")
	if err := json.Unmarshal(answer.Body.Bytes(), &s); err != nil || answer.Code != http.StatusOK || s.V != page.Version {
		p.w.T.Fatalf("%v: %d %s", err, answer.Code, answer.Body)
	}
	return s
}

// pageSays asks for the page, and holds it to what an operator must see there.
func (p *process) pageSays(want ...string) {
	p.w.T.Helper()
	answer := p.Get("/")
	if answer.Code != http.StatusOK || answer.Header().Get("Content-Security-Policy") != page.Policy {
		p.w.T.Errorf("%d, %v", answer.Code, answer.Header())
	}
	d := xml.NewDecoder(strings.NewReader(answer.Body.String()))
	d.Entity = xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			p.w.T.Fatal(err)
		}
	}
	text := html.UnescapeString(answer.Body.String())
	for _, w := range want {
		if !strings.Contains(text, w) {
			p.w.T.Errorf("the page does not say %q:\n%s", w, text[strings.Index(text, "<body>"):])
		}
	}
	if strings.Contains(text, depl.Canary) {
		p.w.T.Error("the token is on the page")
	}
}

// TestPage_OfEachState says what is wrong and what to do: while the streams run, on a
// standby, with Kafka away, and after a start without it.
func TestPage_OfEachState(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 3, Types: []string{"contacts"}}, nil, func(w *world) {
		w.Portal.Seed("contacts", 20)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") && p.status().Ready })
		p.pageSays("Up to date", "Nothing to do", "4242", "backfill done", "leading")
		s := p.status()
		if s.Role != "owner" || s.Portal != 4242 || s.Commits.OK == 0 || len(s.Budget.Limits) != 3 || len(s.Behind) != 0 || s.Objects[0].Live != 20 || s.Objects[0].Events.Read != 20 {
			t.Errorf("%+v", s)
		}

		beside := w.startBeside()
		w.SleepUntil(time.Minute, func() bool { return beside.status().Role == "standby" })
		beside.pageSays("Standing by", "takes over when that one ends", "standby, for ")
		if s := beside.status(); !s.Ready || len(s.Objects) != 0 {
			t.Errorf("%+v", s)
		}
		beside.Stop()

		p.Brokers.Cut()
		w.SleepUntil(2*time.Minute, func() bool { return !p.status().Ready })
		p.pageSays("<p>Kafka does not answer: ", "<p>What to do: check KAFKA_BROKERS", "bad-edge")
		time.Sleep(10 * time.Minute)
		p.pageSays("What is behind, and why", "contacts · leading, 1", "What to do: check KAFKA_BROKERS")
		p.Stop()
	})
}

// TestPage_AfterAPauseItCatchesUp: nobody is told of limits or of many changes where the
// search for changes only begins again.
func TestPage_AfterAPauseItCatchesUp(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 3, Types: []string{"contacts"}}, nil, func(w *world) {
		w.Portal.Seed("contacts", 20)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") && p.status().Ready })
		w.signal(signalOf("pause", "contacts"))
		w.SleepUntil(time.Minute, func() bool { return len(p.paused()) == 1 })
		time.Sleep(10 * time.Minute)
		p.pageSays("Running, with pauses", "contacts · paused")
		if b := p.status().Behind; len(b) != 1 || b[0].Streams[0] != "paused" {
			t.Errorf("while it is paused, it is behind because of %+v", b)
		}
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultSlow, Endpoint: hubspottest.EndpointSearch, Latency: 5 * time.Second})
		w.signal(signalOf("resume"))
		why := map[string]bool{}
		for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(50 * time.Millisecond) {
			for _, b := range p.status().Behind {
				why[b.Why[:min(30, len(b.Why))]] = true
			}
		}
		delete(why, "its streams have been paused b")
		if !why["the search for changes goes on"] || len(why) != 1 {
			t.Errorf("reasons to be behind: %v, want that it goes on", why)
		}
		p.Stop()
	})
}

// TestPage_NamesALostScope, and what else goes on.
func TestPage_NamesALostScope(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 3, Types: []string{"contacts", "deals"}}, nil, func(w *world) {
		w.Portal.Seed("contacts", 5)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts", "deals") && p.status().Ready })
		w.Portal.SetScopes("crm.objects.contacts.read", "crm.schemas.contacts.read")
		w.SleepUntil(10*time.Minute, func() bool { return len(p.status().Problems) > 0 })
		p.pageSays("Running, with problems", "What is behind, and why", "deals · ", "leading", "What to do: give the token the read scope of this object type", "everything else goes on")
		s := p.status()
		if !s.Ready || len(s.Behind) == 0 || s.Behind[0].Objects[0] != "deals" || s.Behind[0].Action == "" {
			t.Errorf("%+v", s.Behind)
		}
		p.Stop()
	})
}
