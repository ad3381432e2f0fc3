package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// TestOperations_ShowsWhatARunShows: the lines of the log, the answers of /readyz and
// the cursors on the page have the form of a run's, and what the page has an operator
// write is understood.
func TestOperations_ShowsWhatARunShows(t *testing.T) {
	opt := hubspottest.Options{Seed: 92, Types: []string{"contacts", "companies", "deals"}, NoHistory: true}
	inWorld(t, opt, []string{"HUBSPOT_RATE_10S=5"}, func(w *world) {
		contact := w.Portal.Seed("contacts", 2_500)[0] // whose backfill takes over a minute
		w.Portal.Associate("contacts", contact, "deals", w.Portal.Seed("deals", 1)[0], "", 0)
		w.Brokers.Cut()
		p := w.Start()
		time.Sleep(7 * time.Minute)
		problems := p.Ready().Problems
		at := slices.IndexFunc(problems, func(p stream.Problem) bool { return p.Area == "kafka" })
		if at < 0 {
			t.Fatalf("no problem of Kafka in %+v", problems)
		}
		text, err := json.Marshal(problems[at])
		if err != nil {
			t.Fatal(err)
		}
		sameJSON(t, lineOf(t, "HTTP", `{"area"`), string(text))
		w.Brokers.Mend()
		w.SleepUntil(30*time.Minute, func() bool { return p.Backfilled("contacts", "companies", "deals") })
		time.Sleep(10 * time.Minute)
		sameJSON(t, lineOf(t, "HTTP", `{"ready"`), p.Get("/readyz").Body.String())
		key, value, _ := strings.Cut(quotedIn(t, lineOf(t, "Signals", "$ echo 'hubspot|")), "|")
		w.Produce("hubspot.signals", key, value)
		w.SleepUntil(time.Minute, func() bool {
			return strings.Contains(p.Get("/metrics").Body.String(), `hubspot_cdc_signals_total{result="accepted"} 1`)
		})

		p.Stop()
		sameLines(t, p.Log.String())
		sameCursors(t, w.Cursors())

		key, value = quotedIn(t, lineOf(t, "Cursors", "$ KEY=")), quotedIn(t, strings.TrimPrefix(lineOf(t, "Cursors", "$ printf"), `$ printf '%s|%s\n'`))
		w.Produce("hubspot.offsets", key, value)
		p = w.Start()
		w.SleepUntil(30*time.Minute, func() bool { return p.Backfilled("contacts") })
		p.Stop()
		w.Produce("hubspot.offsets", key, strings.Replace(value, "2026", "last year", 1))
		p = w.Start()
		if want, err := lineOf(t, "Cursors", "refusing to start"), <-p.Done; err == nil || numbers.ReplaceAllString(err.Error(), "N") != numbers.ReplaceAllString(want, "N") {
			t.Errorf("the page has\n%s\nit says\n%v", want, err)
		}
	})
}

var numbers = regexp.MustCompile(`[0-9]+`)
