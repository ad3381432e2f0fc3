// Package deploy holds the alerts and the dashboard to the metrics that the connector
// has.
package deploy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/fleet"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// target are the labels that Prometheus itself adds.
var target = []string{"job", "instance"}

// metrics are the series that a connector with everything it can have exports, as
// label values by the name of the metric.
type metrics map[string][]map[string]string

// read adds those of an answer.
func (m metrics) read(t *testing.T, answer *httptest.ResponseRecorder) {
	t.Helper()
	if answer.Code != http.StatusOK {
		t.Fatalf("/metrics answers %d", answer.Code)
	}
	series := regexp.MustCompile(`(?m)^(\w+)(?:\{(.*)\})? \S+$`)
	label := regexp.MustCompile(`(\w+)="([^"]*)"`)
	for _, found := range series.FindAllStringSubmatch(answer.Body.String(), -1) {
		labels := map[string]string{}
		for _, l := range label.FindAllStringSubmatch(found[2], -1) {
			labels[l[1]] = l[2]
		}
		m[found[1]] = append(m[found[1]], labels)
	}
}

// exported runs a connector with the journal and a pair, and lets it publish something.
// Then a fleet follows the same portal.
func exported(t *testing.T) metrics {
	t.Helper()
	out := metrics{}
	settings := []string{
		"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies",
		"HUBSPOT_JOURNAL=on", "HUBSPOT_JOURNAL_CLIENT_ID=app", "HUBSPOT_JOURNAL_CLIENT_SECRET=secret",
	}
	world.In(t, hubspottest.Options{Seed: 8}, settings, func(w *world.World) {
		w.Portal.SetJournal(hubspottest.Journal{App: &hubspottest.JournalApp{ClientID: "app", ClientSecret: "secret"}})
		out.read(t, alone(w))
		out.read(t, inFleet(w, fleet.MetricsFull))
	})
	if len(out) < 40 {
		t.Fatalf("only %d metrics were found", len(out))
	}
	return out
}

// alone is what a connector shows of the world's portal.
func alone(w *world.World) *httptest.ResponseRecorder {
	w.T.Helper()
	p := w.Start()
	defer p.Stop()
	w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts", "companies", "contacts:companies") })
	w.Portal.Create("contacts", map[string]string{"firstname": "Ada"})
	time.Sleep(time.Minute)
	return p.Get("/metrics")
}

// inFleet is what a fleet's instance shows of it.
func inFleet(w *world.World, metrics string) *httptest.ResponseRecorder {
	w.T.Helper()
	kafka, log := []kgo.Opt{kgo.SeedBrokers(w.Kafka.ListenAddrs()...), kgo.Dialer(w.Brokers.DialContext)}, w.Log.Logger()
	f := fleet.New(fleet.Config{
		Read: func() ([]fleet.File, error) { return []fleet.File{{Name: "acme"}}, nil },
		Configure: func(*fleet.File) connector.Config {
			c := w.Config
			c.Kafka.TopicPrefix += ".acme"
			return c
		},
		Topic: sink.Config{Opts: kafka, Prefix: w.Config.Kafka.TopicPrefix, Logger: log}, Parts: 1, Metrics: metrics, Log: log,
		Each: w.Options(w.Portal.Transport(), w.Brokers),
	})
	ctx, cancel := context.WithCancel(w.T.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	time.Sleep(5 * time.Minute)
	answer := httptest.NewRecorder()
	f.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	cancel()
	if err := <-done; err != nil {
		w.T.Errorf("the fleet ended with %v", err)
	}
	return answer
}

// labels are those of any series of a metric.
func (m metrics) labels(metric string) (all []string) {
	for _, series := range m[metric] {
		for l := range series {
			if !slices.Contains(all, l) {
				all = append(all, l)
			}
		}
	}
	return all
}

// wrong says what is wrong with an expression, and what of it the connector does not
// have.
func (m metrics) wrong(expr string) (faults []string) {
	q, err := parse(expr)
	if err != nil {
		return []string{err.Error()}
	}
	known := slices.Clone(target)
	for _, s := range q.selectors {
		all := m[s.metric]
		if len(all) == 0 {
			faults = append(faults, "no metric "+s.metric)
			continue
		}
		labels := m.labels(s.metric)
		known = append(known, labels...)
		for _, match := range s.matchers {
			switch l := match.label; {
			case slices.Contains(target, l):
			case !slices.Contains(labels, l):
				faults = append(faults, s.metric+" has no label "+l)
			case strings.Contains(match.value, "$"): // a variable of the dashboard
			case !slices.ContainsFunc(all, func(s map[string]string) bool { return match.matches(s[l]) }):
				faults = append(faults, "no series of "+s.metric+" has "+l+match.op+match.value)
			}
		}
		// A counter means something by its growth alone, and so do a histogram's parts.
		if counter.MatchString(s.metric) && !s.ranged {
			faults = append(faults, s.metric+" is a counter, and needs rate or increase")
		}
	}
	for _, l := range q.grouped {
		if !slices.Contains(known, l) {
			faults = append(faults, "nothing has the label "+l)
		}
	}
	return faults
}

// mixed finds the metrics of which an expression counts those of a fleet's portals
// together.
func (m metrics) mixed(expr string) (faults []string) {
	q, err := parse(expr)
	together := slices.ContainsFunc(by.FindAllString(expr, -1), func(s string) bool { return !strings.Contains(s, "portal_name") })
	if err != nil || !together {
		return nil // a mistake is found by wrong
	}
	for _, s := range q.selectors {
		if slices.Contains(m.labels(s.metric), "portal_name") {
			faults = append(faults, s.metric+" is counted over portals")
		}
	}
	return faults
}

var by = regexp.MustCompile(`\bby \([^)]*\)`)

var counter = regexp.MustCompile(`_(total|bucket|sum|count)$`)

// TestMonitoring_FindsWhatIsWrong shows that the tests below can fail.
func TestMonitoring_FindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	m := exported(t)
	for expr, want := range map[string]string{
		`sum by (job) (rate(hubspot_cdc_events_total{op="c",object=~"$object"}[5m]))`:        "",
		`histogram_quantile(0.9, sum by (le) (rate(hubspot_cdc_change_seconds_bucket[5m])))`: "",
		`sum(rate(hubspot_cdc_events_total[5m])`:                                             "the end is missing",
		`hubspot_cdc_evnts`:                                                                  "no metric hubspot_cdc_evnts",
		`hubspot_cdc_problems{aera="kafka"}`:                                                 "has no label aera",
		`hubspot_cdc_problems{area="kafak"}`:                                                 "no series",
		`hubspot_cdc_commits_total > 1`:                                                      "is a counter",
		`sum by (object) (rate(hubspot_cdc_commits_total[5m]))`:                              "nothing has the label object",
		`hubspot_cdc_ready and on (pod) hubspot_cdc_role`:                                    "nothing has the label pod",
	} {
		got := strings.Join(m.wrong(expr), "; ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: said %q, want %q", expr, got, want)
		}
	}
	for expr, want := range map[string]int{
		`max by (job, portal_name) (hubspot_cdc_ready) < min by (job) (hubspot_cdc_ready)`: 2,
		`max by (job, portal_name) (hubspot_cdc_ready) and on (job) hubspot_cdc_role`:      0,
		`max by (job) (hubspot_cdc_fleet_in_group)`:                                        0,
	} {
		if got := m.mixed(expr); len(got) != want {
			t.Errorf("%s: said %q, want %d of them", expr, got, want)
		}
	}
}

// rule is the one form of all rules, so that no YAML parser is needed.
var rule = regexp.MustCompile(`(?m)^      - alert: (HubSpotCDC\w+)
        expr: (.+)
(?:        for: \d+[mh]
)?        labels:
          severity: (?:warning|critical)
        annotations:
          summary: '[^']+'
          description: '[^']+'
          runbook_url: https://github\.com/hubspot-cdc/connector/blob/main/docs/runbook\.md#[\w-]+
`)

// TestAlerts_FitTheMetrics: every rule has an expression that Prometheus understands
// over metrics that exist, a severity, and a section of the runbook.
func TestAlerts_FitTheMetrics(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := exported(t)
	rest := rule.ReplaceAllString(string(text), "")
	if want := "groups:\n  - name: hubspot-cdc\n    rules:\n"; regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(rest, "") != want {
		t.Errorf("what is not a rule of the one form is\n%s\nwant\n%s", rest, want)
	}
	rules := rule.FindAllStringSubmatch(string(text), -1)
	if len(rules) < 10 {
		t.Errorf("%d rules", len(rules))
	}
	seen := map[string]bool{}
	for _, r := range rules {
		if seen[r[1]] {
			t.Errorf("two rules are named %s", r[1])
		}
		seen[r[1]] = true
		for _, fault := range append(m.wrong(r[2]), m.mixed(r[2])...) {
			if r[1] == "HubSpotCDCNoOwner" && strings.HasPrefix(fault, "hubspot_cdc_role") { // it is about the fleet
				continue
			}
			t.Errorf("%s: %s", r[1], fault)
		}
	}
}

// TestAlerts_SayWhichNeedAllMetricsOfAFleet: the file names those rules that never fire
// for a portal of which there are only sums.
func TestAlerts_SayWhichNeedAllMetricsOfAFleet(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sums := metrics{}
	world.In(t, hubspottest.Options{Seed: 8}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world.World) {
		sums.read(t, inFleet(w, fleet.MetricsPortal))
	})
	var need []string
	for _, r := range rule.FindAllStringSubmatch(string(text), -1) {
		q, err := parse(r[2])
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(q.selectors, func(s selector) bool { return len(sums[s.metric]) > 0 }) {
			need = append(need, strings.TrimPrefix(r[1], "HubSpotCDC"))
		}
	}
	if len(need) < 2 {
		t.Fatalf("only %q need them", need)
	}
	comment := strings.ReplaceAll(string(text), "\n#", "")
	if want := strings.Join(need[:len(need)-1], ", ") + " and " + need[len(need)-1] + " need FLEET_METRICS=full"; !strings.Contains(comment, ". "+want) {
		t.Errorf("prometheus/alerts.yaml does not say: %s", want)
	}
}
