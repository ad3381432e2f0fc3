package check

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	depl "github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// clocked carries a check's requests to the portal and notes when they were made.
type clocked struct {
	to http.RoundTripper

	mu       sync.Mutex
	calls    []time.Time // that count per ten seconds
	searches []time.Time
	refused  int // 429
}

func (c *clocked) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	switch {
	case strings.HasSuffix(r.URL.Path, "/search"):
		c.searches = append(c.searches, time.Now())
	case !strings.Contains(r.URL.Path, "/associations/"):
		c.calls = append(c.calls, time.Now())
	}
	c.mu.Unlock()
	answer, err := c.to.RoundTrip(r)
	if err == nil && answer.StatusCode == http.StatusTooManyRequests {
		c.mu.Lock()
		c.refused++
		c.mu.Unlock()
	}
	return answer, err
}

// most is the largest number of moments in a window.
func most(moments []time.Time, window time.Duration) (n int) {
	for i, from := range moments {
		in := 0
		for _, m := range moments[i:] {
			if m.Sub(from) < window {
				in++
			}
		}
		n = max(n, in)
	}
	return n
}

// TestCheck_BesideARunningInstance: in the middle of its backfill, a check takes a
// tenth of HubSpot's limits at most and provokes no refusal, and says what
// HubSpot has and what of it is left to be read.
func TestCheck_BesideARunningInstance(t *testing.T) {
	t.Parallel()
	const all = 40_000
	opt := hubspottest.Options{Seed: 31, NoHistory: true, Latency: hubspottest.Span{Min: 100 * time.Millisecond, Max: 300 * time.Millisecond}}
	settings := append([]string{"KAFKA_MAX_MESSAGE_BYTES=100000"}, threeTypes...)
	inWorld(t, opt, settings, func(w *world) {
		ids := w.Portal.Seed("contacts", all)
		for _, id := range w.Portal.Seed("companies", 30) {
			w.Portal.Associate("contacts", ids[0], "companies", id, "", 0)
		}
		p := w.Start()
		defer p.Stop()
		live := func() int { return len(w.Portal.Stats().Calls) }
		w.SleepUntil(time.Minute, func() bool { return p.Ready().Role == "owner" && live() > 0 })
		time.Sleep(15 * time.Second)
		if p.Backfilled("contacts") {
			t.Fatal("the backfill is over too soon for this test")
		}
		line := &clocked{to: w.Portal.Transport()}
		c := w.inspectOver(line).is(connector.ExitOK)
		c.says("owner", "hubspot.owner", Note, "another one would stand by")
		if n := most(line.calls, 10*time.Second); n > 19 {
			t.Errorf("%d calls in ten seconds, a tenth is 19", n)
		}
		if n := most(line.searches, 10*time.Second); n > 6 {
			t.Errorf("%d searches in ten seconds, a tenth is 5", n)
		}
		if line.refused > 0 {
			t.Errorf("%d answers 429", line.refused)
		}
		for _, o := range c.Plan.Objects {
			if o.Object == "contacts" && (o.Records != all || o.Left < all/100 || o.Left > all*99/100 || o.Calls < o.Left/100 || o.Calls > o.Left/100+2) {
				t.Errorf("contacts: %+v", o)
			}
		}
		if !strings.Contains(c.table, "of HubSpot's 40,030 records left") {
			t.Errorf("the table does not say what is left:\n%s", c.table)
		}
		t.Logf("%v, %d calls, %d searches\n%s", c.took, len(line.calls), len(line.searches), c.table)
	})
}

// TestCheck_ManyTypesAreAllCounted: alone and beside a run, however long the
// questions wait for their turn.
func TestCheck_ManyTypesAreAllCounted(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 31, NoHistory: true, Latency: hubspottest.Span{Min: 100 * time.Millisecond, Max: 300 * time.Millisecond}}
	inWorld(t, opt, []string{"HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		const types = 40
		for i := range types {
			name := w.Portal.AddCustomType(fmt.Sprintf("thing%d", i), hubspottest.Property{Name: "x"}).FullyQualifiedName
			w.Portal.Seed(name, 3)
		}
		inspect := func(within time.Duration, plan string) {
			t.Helper()
			c := w.inspect().is(connector.ExitOK)
			c.silent("hubspot", "scopes")
			if c.Plan.Records != 3*types || !strings.Contains(c.table, plan) || c.took > within {
				t.Errorf("%d records in %v, want %d in %v and %q:\n%s", c.Plan.Records, c.took, 3*types, within, plan, c.table)
			}
		}
		inspect(time.Minute, "120 records in 43 calls")
		p := w.Start()
		defer p.Stop()
		time.Sleep(10 * time.Minute)
		inspect(5*time.Minute, "done; HubSpot has 120 records")
	})
}

// TestCheck_ASmallShare: what a check has no turn to ask says nothing about a run,
// and the report says which share is too small.
func TestCheck_ASmallShare(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 35}, threeTypes, func(w *world) {
		w.Portal.Seed("contacts", 3)
		c := w.inspect("HUBSPOT_RATE_SHARE=0.02").is(connector.ExitOK)
		c.silent("hubspot", "scopes")
		if c.Plan == nil || c.Plan.Records != 3 {
			t.Errorf("plan: %+v", c.Plan)
		}
		c = w.inspect("HUBSPOT_RATE_SHARE=0.002").is(connector.ExitOK)
		c.says("object_types", "", Warn, "not asked", "raise HUBSPOT_RATE_SHARE (0.002)")
		if c.took > 15*time.Minute {
			t.Errorf("took %v", c.took)
		}
	})
}

// TestCheck_WhatIsNotCountedHasNoPlan: it is neither empty nor done.
func TestCheck_WhatIsNotCountedHasNoPlan(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 36}, threeTypes, func(w *world) {
		w.Portal.Seed("contacts", 3)
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 500, Endpoint: hubspottest.EndpointSearch})
		c := w.inspect().is(connector.ExitOK)
		c.says("records", "contacts,companies,deals", Warn, "not counted", "500", "status page")
		if c.took > time.Minute || !strings.Contains(c.table, "not known, because no type is counted") || strings.Contains(c.table, "0 records") {
			t.Errorf("took %v:\n%s", c.took, c.table)
		}
		w.Portal.ClearFaults()
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 500, Endpoint: hubspottest.EndpointSearch, Object: "deals"})
		c = w.inspect().is(connector.ExitOK)
		c.says("records", "deals", Warn, "not counted", "500")
		if c.Plan.Records != 3 || !strings.Contains(c.table, "besides 1 type, not counted") {
			t.Errorf("plan:\n%s", c.table)
		}
	})
}

// TestCheck_ThePlanKnowsWhatIsThere: topics that exist are not to come later, and
// a pass over everything is not said to last for a day.
func TestCheck_ThePlanKnowsWhatIsThere(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 32}, []string{"HUBSPOT_OBJECTS=contacts,companies"}, func(w *world) {
		contact, company := w.Portal.Seed("contacts", 1)[0], w.Portal.Seed("companies", 1)[0]
		w.Portal.Associate("contacts", contact, "companies", company, "", 0)
		before := w.inspect()
		if before.Plan.Later != 6 { // three pairs and three lists
			t.Errorf("later: %d", before.Plan.Later)
		}
		p := w.Start()
		w.SleepUntil(5*time.Minute, func() bool { return p.Backfilled("contacts", "contacts:companies", "owners") })
		time.Sleep(time.Minute)
		p.Stop()
		after := w.inspect().is(connector.ExitOK)
		if there := len(w.Topics()); after.Plan.Later != 13-there || len(after.Plan.ToCreate) != 0 {
			t.Errorf("later: %d, of %d topics: %+v", after.Plan.Later, there, after.Plan)
		}
		for _, text := range []string{"one pass of 1 minute, once in 24 h", "backfill              done; HubSpot has 2 records", "1 record, backfill done"} {
			if !strings.Contains(after.table, text) {
				t.Errorf("the plan does not say %q:\n%s", text, after.table)
			}
		}
		if strings.Contains(before.table+after.table, "1 minutes") || strings.Contains(before.table+after.table, " 1 records") {
			t.Error("a plural of one")
		}
	})
}

// TestCheck_OneMistakeIsOneFailure: a word that is no object type, and a file that
// holds more than the token.
func TestCheck_OneMistakeIsOneFailure(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 33}, nil, func(w *world) {
		c := w.inspect("HUBSPOT_OBJECTS=contact").is(connector.ExitConfig)
		c.says("object_type", "contact", Fail, "contact")
		if c.Failed() != 1 {
			t.Errorf("%d failures:\n%s", c.Failed(), c.table)
		}
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(depl.Canary+"\nmore\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c = w.inspect("HUBSPOT_ACCESS_TOKEN=", "HUBSPOT_ACCESS_TOKEN_FILE="+file).is(connector.ExitFailed)
		c.says("token", "", Fail, "alone and on one line", file)
		if strings.Contains(c.table, "HTTPS_PROXY") {
			t.Errorf("the network is blamed:\n%s", c.table)
		}
	})
}

// TestCheck_TheDayOfAnIdlePortal: above half of the day's calls is a warning. Only an
// interval that an operator sets gets there.
func TestCheck_TheDayOfAnIdlePortal(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 34, Limits: hubspottest.Limits{Daily: 250_000}}, threeTypes, func(w *world) {
		w.inspect().is(connector.ExitOK).says("idle_calls", "", OK)
		w.inspect("SYNC_LEADING_INTERVAL=2s").is(connector.ExitOK).says("idle_calls", "", Warn, "of the day's", "HUBSPOT_OBJECTS")
	})
}
