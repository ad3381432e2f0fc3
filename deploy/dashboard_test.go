package deploy

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// panel is what a test asks of a panel of Grafana.
type panel struct {
	ID         int
	Type       string
	Title      string
	GridPos    struct{ H, W, X, Y int }
	Datasource struct{ Type, UID string }
	Targets    []struct{ Expr, LegendFormat string }
}

// dashboard is what a test asks of one of Grafana's.
type dashboard struct {
	SchemaVersion int
	UID, Title    string
	Panels        []panel
	Templating    struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
}

// TestDashboard_FitsTheMetrics: every expression and every legend is about what the
// connector has, for any data source, job, portal of a
// fleet and object.
func TestDashboard_FitsTheMetrics(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("grafana/hubspot-cdc.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.SchemaVersion < 41 || d.UID == "" || d.Title == "" || len(d.Panels) < 20 {
		t.Errorf("version %d, uid %q, title %q, %d panels", d.SchemaVersion, d.UID, d.Title, len(d.Panels))
	}
	m := exported(t)
	variables := map[string]bool{"__rate_interval": true}
	values := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	for _, v := range d.Templating.List {
		variables[v.Name] = true
		q, _ := v.Query.(map[string]any)
		switch query, _ := q["query"].(string); {
		case v.Type == "datasource" && v.Query == "prometheus":
		case v.Type == "query" && values.MatchString(query):
			ask := values.FindStringSubmatch(query)
			for _, fault := range m.wrong("count by (" + ask[2] + ") (" + ask[1] + ")") {
				t.Errorf("variable %s: %s", v.Name, fault)
			}
		default:
			t.Errorf("variable %s asks for %v", v.Name, v.Query)
		}
	}
	for _, used := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(string(text), -1) {
		if !variables[used[1]] && used[0] != "$__all" {
			t.Errorf("no variable %s", used[0])
		}
	}
	for i := range d.Panels {
		d.Panels[i].check(t, m, d.Panels[:i])
	}
}

// check compares a panel with the metrics, and with the panels before it.
func (p *panel) check(t *testing.T, m metrics, before []panel) {
	t.Helper()
	for i := range before {
		q, a, b := &before[i], p.GridPos, before[i].GridPos
		if p.ID == q.ID || a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
			t.Errorf("%s and %s have one id or one place", p.Title, q.Title)
		}
	}
	if p.GridPos.X+p.GridPos.W > 24 || p.GridPos.H < 1 || p.Title == "" {
		t.Errorf("%q is at %+v", p.Title, p.GridPos)
	}
	if p.Type == "row" {
		return
	}
	if p.Datasource.Type != "prometheus" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
		t.Errorf("%s: %d queries to %+v", p.Title, len(p.Targets), p.Datasource)
	}
	for _, target := range p.Targets {
		expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
		for _, fault := range m.wrong(expr) {
			t.Errorf("%s: %s: %s", p.Title, fault, expr)
		}
		q, err := parse(expr)
		if err != nil {
			continue
		}
		for _, s := range q.selectors {
			if ofJob := func(m matcher) bool { return m.label == "job" && m.op == "=~" && m.value == "$job" }; s.metric != "hubspot_cdc_build_info" && !slices.ContainsFunc(s.matchers, ofJob) {
				t.Errorf("%s: %s is of every job", p.Title, s.metric)
			}
			ofPortal := func(m matcher) bool { return m.label == "portal_name" && m.op == "=~" && m.value == "$portal" }
			if s.metric != "hubspot_cdc_build_info" && slices.Contains(m.labels(s.metric), "portal_name") && !slices.ContainsFunc(s.matchers, ofPortal) {
				t.Errorf("%s: %s is of every portal of a fleet", p.Title, s.metric)
			}
		}
		for _, l := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
			if !slices.Contains(q.grouped, l[1]) {
				t.Errorf("%s: the result has no label %s: %s", p.Title, l[1], expr)
			}
		}
	}
}
