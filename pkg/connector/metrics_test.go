package connector_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
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
		synctest.Wait() // so that no call is counted in one place and not yet in the other
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

// later are the series that cannot be there before something happens, by the name of
// the metric and with the reason.
var later = map[string]string{
	"hubspot_cdc_requests_total":      "nobody knows which statuses HubSpot will answer with",
	"hubspot_cdc_journal_lag_seconds": "HubSpot has published no file yet",
}

// TestMetrics_NoSeriesComesLater: a busy day adds no series to those of an idle
// connector, so an alert on a rise sees the first event of each kind.
func TestMetrics_NoSeriesComesLater(t *testing.T) {
	t.Parallel()
	day := shorter(3*time.Hour, 10*time.Minute)
	opt := hubspottest.Options{Seed: 43, Types: []string{"contacts", "companies"}, Index: hubspottest.Index{Max: 5 * time.Second, Tail: 0.2, TailMax: 10 * time.Minute}}
	inWorld(t, opt, append([]string{"HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_RECONCILE_INTERVAL=1h"}, withJournal...), func(w *world) {
		t := w.T
		w.Portal.SetJournal(hubspottest.Journal{App: journalApp, Lost: 0.1, Delay: hubspottest.Span{Max: 5 * time.Second}})
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { r := p.ready(); return r.Ready && len(r.Problems) == 0 })
		before := figures(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		life := hubspottest.Life{
			Seed: 44, Create: 30, Update: 40, Archive: 8, Restore: 4, Merge: 3, Purge: 3, Associate: 20, Dissociate: 8, Relabel: 1,
			Owner: 1, Pipeline: 1, Calculated: 5, Touch: 5, Pairs: [][2]string{{"contacts", "companies"}},
		}
		go w.Portal.Live(ctx, 200/day.Seconds(), life)
		time.Sleep(day / 2)
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "late", Type: "string", FieldType: "text"})
		for _, cut := range []interface {
			Cut()
			Mend()
		}{p.HubSpot, p.Brokers, w.Registry} {
			cut.Cut()
			time.Sleep(time.Minute)
			cut.Mend()
			time.Sleep(time.Minute)
		}
		w.signal(execute("again", nil, "hubspot.contacts"))
		time.Sleep(day / 2)
		for name := range figures(t, p) {
			metric, _, _ := strings.Cut(name, "{")
			if _, there := before[name]; !there && later[metric] == "" {
				t.Errorf("%s was not there at the start", name)
			}
		}
		cancel()
		p.Stop()
	})
}

// TestMetrics_ChangeSeconds: what is found live counts with the time from HubSpot's
// own word of when it was to its commit. A backfill, a snapshot, and what HubSpot does
// not date do not count.
func TestMetrics_ChangeSeconds(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 45, Types: []string{"contacts", "companies"}}, []string{"HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_RECONCILE_INTERVAL=8m"}, func(w *world) {
		t := w.T
		ids := w.Portal.Seed("contacts", 50)
		owner := w.Portal.AddOwner(hubspottest.Owner{Email: "a@example.com"})
		p := w.start()
		defer p.Stop()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts", "companies", "contacts:companies", "owners") })
		time.Sleep(time.Minute)
		now := func(object, part string) float64 {
			t.Helper()
			n, there := figures(t, p)["hubspot_cdc_change_seconds_"+part+`{object="`+object+`"`+map[bool]string{true: `,le="600"`}[part == "bucket"]+"}"]
			if there == (object == "contacts:companies") {
				t.Errorf("%s of %s is there: %v", part, object, there)
			}
			return n
		}
		for _, object := range []string{"contacts", "companies", "owners", "pipelines", "pipeline_stages", "contacts:companies"} {
			if n := now(object, "count"); n != 0 {
				t.Errorf("after the backfill %v changes of %s count", n, object)
			}
		}
		for _, id := range ids[:10] {
			w.Portal.Update("contacts", id, map[string]string{"firstname": "Ada"})
		}
		w.Portal.Create("contacts", map[string]string{"firstname": "Eve"})
		w.Portal.Archive("contacts", ids[11])
		w.Portal.Purge("contacts", ids[12])
		w.Portal.UpdateOwner(owner, func(o *hubspottest.Owner) { o.LastName = "Byron" })
		w.Portal.Associate("contacts", ids[0], "companies", w.Portal.Create("companies", nil), "HUBSPOT_DEFINED", 279)
		time.Sleep(12 * time.Minute)
		w.Portal.Restore("contacts", ids[11], false)
		w.signal(execute("again", nil, "hubspot.contacts"))
		time.Sleep(12 * time.Minute) // a reconcile finds the restore
		if got := figures(t, p); got[`hubspot_cdc_events_total{object="contacts",op="d"}`] != 2 || got[`hubspot_cdc_events_total{object="contacts",op="c"}`] != 2 ||
			got[`hubspot_cdc_events_total{object="contacts",op="r"}`] < 99 || got[`hubspot_cdc_events_total{object="contacts:companies",op="c"}`] != 1 {
			t.Errorf("the deletes, the restore, the snapshot or the link were not published: %v", got)
		}
		for object, want := range map[string]float64{"contacts": 12, "companies": 1, "owners": 1, "pipelines": 0} {
			if n := now(object, "count"); n != want {
				t.Errorf("%v changes of %s count, want %v", n, object, want)
			}
		}
		if s := now("companies", "sum"); s > 30 {
			t.Errorf("a new company took %v s", s)
		}
		sum, within := now("contacts", "sum"), now("contacts", "bucket")
		p.HubSpot.Cut()
		w.Portal.Update("contacts", ids[0], map[string]string{"firstname": "Augusta"})
		time.Sleep(15 * time.Minute)
		p.HubSpot.Mend()
		w.SleepUntil(5*time.Minute, func() bool { return now("contacts", "count") == 13 })
		if d := now("contacts", "sum") - sum; d < 15*60-2 || d > 20*60 || now("contacts", "bucket") != within {
			t.Errorf("the change of an outage of 15 minutes took %v s; %v in 10 minutes, %v before", d, now("contacts", "bucket"), within)
		}
	})
}

func (p *process) shows0(text, series string) {
	p.w.T.Helper()
	if !strings.Contains(text, "\nhubspot_cdc_"+series+" 0\n") {
		p.w.T.Errorf("no %s 0", series)
	}
}
