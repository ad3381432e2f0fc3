// Package deploy holds the alerts and the dashboard to the metrics that the connector
// has.
package deploy

import (
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// target are the labels that Prometheus itself adds.
var target = []string{"job", "instance"}

// metrics are the series that a connector with everything it can have exports, as
// label values by the name of the metric.
type metrics map[string][]map[string]string

// exported runs a connector with the journal and a pair, and lets it publish something.
func exported(t *testing.T) metrics {
	t.Helper()
	out := metrics{}
	settings := []string{
		"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies",
		"HUBSPOT_JOURNAL=on", "HUBSPOT_JOURNAL_CLIENT_ID=app", "HUBSPOT_JOURNAL_CLIENT_SECRET=secret",
	}
	world.In(t, hubspottest.Options{Seed: 8}, settings, func(w *world.World) {
		w.Portal.SetJournal(hubspottest.Journal{App: &hubspottest.JournalApp{ClientID: "app", ClientSecret: "secret"}})
		p := w.Start()
		defer p.Stop()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts", "companies", "contacts:companies") })
		w.Portal.Create("contacts", map[string]string{"firstname": "Ada"})
		time.Sleep(time.Minute)
		answer := p.Get("/metrics")
		if answer.Code != http.StatusOK {
			t.Fatalf("/metrics answers %d", answer.Code)
		}
		series := regexp.MustCompile(`(?m)^(\w+)(?:\{(.*)\})? \S+$`)
		label := regexp.MustCompile(`(\w+)="([^"]*)"`)
		for _, m := range series.FindAllStringSubmatch(answer.Body.String(), -1) {
			labels := map[string]string{}
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				labels[l[1]] = l[2]
			}
			out[m[1]] = append(out[m[1]], labels)
		}
	})
	if len(out) < 40 {
		t.Fatalf("only %d metrics were found", len(out))
	}
	return out
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
		labels := slices.Collect(maps.Keys(all[0]))
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
}

// TestAlerts_FitTheMetrics: every rule has an expression that Prometheus understands
// over metrics that exist, a severity, and a section of the runbook.
func TestAlerts_FitTheMetrics(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := exported(t)
	// The rules keep to one form, so that no YAML parser is needed.
	rule := regexp.MustCompile(`(?m)^      - alert: (HubSpotCDC\w+)
        expr: (.+)
(?:        for: \d+[mh]
)?        labels:
          severity: (?:warning|critical)
        annotations:
          summary: '[^']+'
          description: '[^']+'
          runbook_url: https://github\.com/hubspot-cdc/connector/blob/main/docs/runbook\.md#[\w-]+
`)
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
		for _, fault := range m.wrong(r[2]) {
			t.Errorf("%s: %s", r[1], fault)
		}
	}
}
