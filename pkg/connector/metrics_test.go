package connector_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestMetrics_AreThereBeforeTheFirstEvent: an alert on a rise sees the first one only
// if there was a 0 before. The portal is empty.
func TestMetrics_AreThereBeforeTheFirstEvent(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 42, Types: []string{"contacts", "companies"}}, []string{"HUBSPOT_ASSOCIATIONS=contacts:companies"}, func(w *world) {
		p := w.start()
		time.Sleep(time.Minute)
		text := p.Get("/metrics").Body.String()
		for _, object := range []string{"contacts", "companies", "contacts:companies", "owners", "pipelines", "pipeline_stages"} {
			for _, series := range []string{
				`events_total{object="X",op="c"}`, `events_total{object="X",op="u"}`, `events_total{object="X",op="d"}`, `events_total{object="X",op="r"}`,
				`unparsed_values_total{object="X"}`, `omitted_values_total{object="X"}`, `rereads_total{cause="stale",object="X"}`, `live_records{object="X"}`,
				`snapshot_running{object="X"}`,
			} {
				p.shows0(text, strings.Replace(series, "X", object, 1))
			}
			if object == "contacts" || object == "companies" {
				for _, series := range []string{
					`disputed_records{object="X"}`, `unresolved_records_total{object="X"}`, `older_versions_total{object="X"}`,
					`rereads_total{cause="older",object="X"}`, `rereads_total{cause="generation",object="X"}`, `rereads_total{cause="unordered",object="X"}`,
				} {
					p.shows0(text, strings.Replace(series, "X", object, 1))
				}
			}
		}
		for _, series := range []string{
			`commits_total{result="failed"}`, `throttled_total{policy="DAILY"}`, `throttled_total{policy="SECONDLY"}`,
			`throttled_total{policy="TEN_SECONDLY_ROLLING"}`, `signals_total{result="accepted"}`, `signals_total{result="passed_over"}`,
		} {
			p.shows0(text, series)
		}
		p.Stop()
	})
}

// TestMetrics_CallsCountAsTheirStreams: every call that reaches the portal counts as
// the stream that needed it, and a stream that has made none is there with 0.
func TestMetrics_CallsCountAsTheirStreams(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 7, Types: []string{"contacts", "companies"}, Limits: hubspottest.Limits{Off: true}}
	inWorld(t, opt, []string{"HUBSPOT_ASSOCIATIONS=contacts:companies"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 250)
		w.Portal.Seed("companies", 50)
		p := w.start()
		time.Sleep(2 * time.Minute)
		w.Portal.Archive("contacts", ids[7])
		time.Sleep(20 * time.Minute)
		got, sum := map[string]float64{}, 0.0
		for line := range strings.Lines(p.Get("/metrics").Body.String()) {
			rest, ours := strings.CutPrefix(line, `hubspot_cdc_calls_total{stream="`)
			if !ours {
				continue
			}
			name, value, _ := strings.Cut(strings.TrimSpace(rest), `"} `)
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			got[name], sum = n, sum+n
		}
		reached := 0.0
		for _, n := range w.Portal.Stats().Calls {
			reached += float64(n)
		}
		if sum != reached {
			t.Errorf("the streams made %v calls, and %v reached the portal: %v", sum, reached, got)
		}
		for _, name := range []string{"leading", "backfill", "census", "archive", "associations", "reference", "schema", "connector"} {
			if got[name] == 0 {
				t.Errorf("%s made no call: %v", name, got)
			}
		}
		for _, name := range []string{"stuck", "reconcile", "signals"} {
			if n, there := got[name]; !there || n != 0 {
				t.Errorf("%s: %v (%v), want 0: %v", name, n, there, got)
			}
		}
		p.Stop()
	})
}

func (p *process) shows0(text, series string) {
	p.w.T.Helper()
	if !strings.Contains(text, "\nhubspot_cdc_"+series+" 0\n") {
		p.w.T.Errorf("no %s 0", series)
	}
}
