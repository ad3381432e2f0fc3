package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestConfigurationReportsEveryProblemAtOnce, and exits with 2.
func TestConfigurationReportsEveryProblemAtOnce(t *testing.T) {
	_, _, err := loadConfig([]string{
		"SYNC_ARCHIVE_INTERVAL=often", "HUBSPOT_RATE_SHARE=2", "KAFKA_PARTITIONS=many", "SYNC_TRAILING_LAG=5m,soon",
		"HUBSPOT_CLIENT_ID=abc", "EVENT_BEFORE=all", "SCHEMA_REGISTRY_URL=registry:8081", "HUBSPOT_VOLATILE=days_since",
		// These have no default.
		"SYNC_LEADING_INTERVAL=abc", "SYNC_ASSOCIATIONS_INTERVAL=abc", "HUBSPOT_RATE_10S=abc", "HUBSPOT_RATE_SEARCH=abc",
		"KAFKA_TLS_ENABLED=abc", "EVENT_SKIP_UNCHANGED=abc",
	})
	var config *configError
	if !errors.As(err, &config) || exitCode(err) != exitConfig {
		t.Fatalf("got %v, exit %d", err, exitCode(err))
	}
	for _, name := range []string{
		"SYNC_ARCHIVE_INTERVAL", "HUBSPOT_RATE_SHARE", "KAFKA_PARTITIONS", "SYNC_TRAILING_LAG", "HUBSPOT_REFRESH_TOKEN",
		"EVENT_BEFORE", "SCHEMA_REGISTRY_URL", "HUBSPOT_VOLATILE", "KAFKA_BROKERS",
		"SYNC_LEADING_INTERVAL", "SYNC_ASSOCIATIONS_INTERVAL", "HUBSPOT_RATE_10S", "HUBSPOT_RATE_SEARCH", "KAFKA_TLS_ENABLED", "EVENT_SKIP_UNCHANGED",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not reported in\n%v", name, err)
		}
	}
	_, _, err = loadConfig(nil)
	for _, name := range []string{"HUBSPOT_ACCESS_TOKEN", "KAFKA_BROKERS", "SCHEMA_REGISTRY_URL"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s missing is not reported in %v", name, err)
		}
	}
}

// TestVariablesThatAreNotKnown: a slip is named; what seems to choose
// personal data is refused, and not passed over.
func TestVariablesThatAreNotKnown(t *testing.T) {
	env := newEnvironment([]string{"SYNC_LEADING_INTERVALL=1s", "SYNC_LEADING_INTERVAL=1s", "HUBSPOT_ACCESS_TOKEN_FILE=/no/such/file", "KAFKA_OPTS=-Xmx1g"})
	if got, want := env.unknown(), []string{"SYNC_LEADING_INTERVALL"}; !slices.Equal(got, want) {
		t.Errorf("unknown %q, want %q", got, want)
	}
	_, _, err := loadConfig([]string{"HUBSPOT_ACCESS_TOKEN=x", "KAFKA_BROKERS=a:1", "SCHEMA_REGISTRY_URL=http://r", "HUBSPOT_PROPERTIES_EXCLUDES=contacts.email"})
	if exitCode(err) != exitConfig || !strings.Contains(fmt.Sprint(err), "HUBSPOT_PROPERTIES_EXCLUDES") {
		t.Errorf("got %v", err)
	}
}

// TestSecretsComeFromFiles: NAME_FILE stands for NAME, its last newline is not
// part of the secret.
func TestSecretsComeFromFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, files, err := loadConfig([]string{"HUBSPOT_ACCESS_TOKEN_FILE=" + file, "KAFKA_BROKERS=a:1,b:2", "SCHEMA_REGISTRY_URL=http://r"})
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.HubSpot.AccessToken.Reveal(); got != canary {
		t.Errorf("token %q", got)
	}
	if got := files("HUBSPOT_ACCESS_TOKEN"); got != file {
		t.Errorf("file %q", got)
	}
	if want := []string{"a:1", "b:2"}; !slices.Equal(cfg.Kafka.Brokers, want) {
		t.Errorf("brokers %q", cfg.Kafka.Brokers)
	}
	if _, _, err := loadConfig([]string{"HUBSPOT_ACCESS_TOKEN_FILE=/no/such/file"}); err == nil || !strings.Contains(err.Error(), "HUBSPOT_ACCESS_TOKEN_FILE") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// attempts runs a started connector for a while and gives the number of
// requests that a portal saw meanwhile.
func attempts(w *world, d time.Duration) int {
	before := total(w.portal.Stats())
	time.Sleep(d)
	return total(w.portal.Stats()) - before
}

func total(s hubspottest.Stats) int {
	n := 0
	for _, calls := range s.Calls {
		n += calls
	}
	return n
}

// failing is a cause of failure that HubSpot can have.
type failing struct {
	name  string
	fault hubspottest.Fault
}

// TestHubSpotsFailuresPass: while a cause lasts there is at most one attempt a
// second after the first three; when it ends, everything is published, and the
// token stands nowhere.
func TestHubSpotsFailuresPass(t *testing.T) {
	t.Parallel()
	causes := []failing{
		{"token refused", hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 401}},
		{"HubSpot down", hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 503}},
		{"half a body", hubspottest.Fault{Kind: hubspottest.FaultCut}},
		{"HTML for JSON", hubspottest.Fault{Kind: hubspottest.FaultHTML, Status: 200}},
		{"HTML with 404", hubspottest.Fault{Kind: hubspottest.FaultHTML, Status: 404}},
		{"connections reset", hubspottest.Fault{Kind: hubspottest.FaultReset}},
	}
	for _, cause := range causes {
		t.Run(cause.name, func(t *testing.T) {
			env := []string{"SYNC_LEADING_INTERVAL=1s", "SYNC_ARCHIVE_INTERVAL=5s", "SYNC_TRAILING_LAG=20s"}
			inWorld(t, hubspottest.Options{Seed: 7}, env, func(w *world) {
				ids := w.portal.Seed("contacts", 300)
				p := w.start()
				defer p.stop()
				for _, when := range []string{"in the middle", "again"} {
					w.sleepUntil(2*time.Minute, func() bool { return p.backfilled(1, []string{"contacts"}) })
					remove := w.portal.Inject(cause.fault)
					time.Sleep(5 * time.Second) // the first attempts
					if n := attempts(w, 2*time.Minute); n > 120+3 {
						t.Errorf("%s: %d requests in two minutes", when, n)
					}
					p.leaks()
					w.portal.Update("contacts", ids[0], map[string]string{"firstname": when})
					remove()
					w.readUntil(3*time.Minute, func() bool {
						return lastFirstName(w, ids[0]) == when
					})
				}
			})
		})
	}
}

// TestBrokersAndRegistryMayGoAway, at the start and in the middle: attempts
// stay rare, and when they are back everything is published, once.
func TestBrokersAndRegistryMayGoAway(t *testing.T) {
	t.Parallel()
	causes := []struct {
		name     string
		cut      func(*world)
		mend     func(*world)
		attempts func(*world) int64
		middle   bool
	}{
		{"brokers at the start", func(w *world) { w.brokers.cut() }, func(w *world) { w.brokers.mend() },
			func(w *world) int64 { return w.brokers.dials.Load() }, false},
		{"brokers in the middle", func(w *world) { w.brokers.cut() }, func(w *world) { w.brokers.mend() },
			func(w *world) int64 { return w.brokers.dials.Load() }, true},
		{"registry at the start", func(w *world) { w.registry.cut.Store(true) }, func(w *world) { w.registry.cut.Store(false) },
			func(w *world) int64 { return w.registry.requests.Load() }, false},
	}
	for _, cause := range causes {
		t.Run(cause.name, func(t *testing.T) {
			inWorld(t, hubspottest.Options{Seed: 9}, []string{"SYNC_LEADING_INTERVAL=1s"}, func(w *world) {
				ids := w.portal.Seed("contacts", 250)
				if !cause.middle {
					cause.cut(w)
				}
				p := w.start()
				if cause.middle {
					w.sleepUntil(time.Minute, func() bool { return p.backfilled(250, []string{"contacts"}) })
					cause.cut(w)
				}
				w.portal.Update("contacts", ids[3], map[string]string{"firstname": "Back"})
				time.Sleep(10 * time.Second)
				before := cause.attempts(w)
				time.Sleep(2 * time.Minute)
				if n := cause.attempts(w) - before; n > 120+3 {
					t.Errorf("%d attempts in two minutes", n)
				}
				if p.ready().Ready {
					t.Error("ready although it cannot publish")
				}
				cause.mend(w)
				w.readUntil(3*time.Minute, func() bool { return lastFirstName(w, ids[3]) == "Back" })
				w.sleepUntil(time.Minute, func() bool { return p.ready().Ready })
				p.stop()
				seen := map[string]int{}
				for _, e := range w.events("contacts") {
					seen[e.key]++
				}
				for _, id := range ids[4:] {
					if seen[idText(id)] != 1 {
						t.Errorf("record %d was published %d times", id, seen[idText(id)])
					}
				}
			})
		})
	}
}

// TestASignalEndsTheRunInTime, with the brokers away too (DESIGN section 7).
func TestASignalEndsTheRunInTime(t *testing.T) {
	t.Parallel()
	for _, away := range []bool{false, true} {
		inWorld(t, hubspottest.Options{Seed: 3}, nil, func(w *world) {
			w.portal.Seed("contacts", 300)
			p := w.start()
			w.sleepUntil(time.Minute, func() bool { return p.backfilled(300, []string{"contacts"}) })
			if away {
				w.brokers.cut()
				w.portal.Create("contacts", map[string]string{"firstname": "Late"})
				time.Sleep(3 * time.Second)
			}
			began := time.Now()
			p.stop()
			if d := time.Since(began); d > 10*time.Second {
				t.Errorf("brokers away %v: ended after %v", away, d)
			}
		})
	}
}

// TestPromise5_AnEventTooLargeLeavesOutItsLargestValues, by name, and the rest
// goes on.
func TestPromise5_AnEventTooLargeLeavesOutItsLargestValues(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 4}, []string{"KAFKA_MAX_MESSAGE_BYTES=20000", "HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		for i := range 200 { // their list in the state is larger than an event may be
			w.portal.AddProperty("contacts", hubspottest.Property{Name: fmt.Sprintf("a_property_with_a_long_name_%d", i), Label: strings.Repeat("label ", 10)})
		}
		large := w.portal.Create("contacts", map[string]string{"firstname": "Large", "lastname": strings.Repeat("x", 30_000)})
		small := w.portal.Create("contacts", map[string]string{"firstname": "Small"})
		p := w.start()
		w.sleepUntil(time.Minute, func() bool { return p.backfilled(2, []string{"contacts"}) })
		p.stop()
		got := map[string]event{}
		for _, e := range w.events("contacts") {
			got[e.key] = e
		}
		e := got[idText(large)]
		if omitted, _ := e.source["omitted"].([]any); len(omitted) != 1 || omitted[0] != "lastname" || e.property("lastname") != nil || e.property("firstname") != "Large" {
			t.Errorf("large record: omitted %v, firstname %v", e.source["omitted"], e.property("firstname"))
		}
		if e := got[idText(small)]; e.property("firstname") != "Small" || e.source["omitted"] != nil {
			t.Errorf("small record: %v", e)
		}
	})
}

// counted says that a counter has come at least so far.
func (p *process) counted(name string, least float64) bool {
	answer := httptest.NewRecorder()
	p.health.metricsz(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(answer.Body.String()) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "hubspot_cdc_"+name+" "); ok {
			n, err := strconv.ParseFloat(text, 64)
			return err == nil && n >= least
		}
	}
	return false
}

// ready asks /readyz.
func (p *process) ready() readiness {
	p.w.t.Helper()
	answer := httptest.NewRecorder()
	p.health.readyz(answer, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	var r readiness
	if err := json.Unmarshal(answer.Body.Bytes(), &r); err != nil {
		p.w.t.Fatal(err)
	}
	if r.Ready != (answer.Code == http.StatusOK) {
		p.w.t.Errorf("readyz answers %d with ready=%v", answer.Code, r.Ready)
	}
	return r
}

func lastFirstName(w *world, id uint64) any {
	var name any
	for _, e := range w.events("contacts") {
		if e.key == idText(id) {
			name = e.property("firstname")
		}
	}
	return name
}
