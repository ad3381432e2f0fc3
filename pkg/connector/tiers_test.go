package connector_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR3_AQuietTypeNeedsOneSearchForAllItsTiers: once nothing has changed within the
// longest lag, the trailing tiers make no search, their cursors move all the same,
// and the leading tier finds what the index shows late. After a change the trailing
// tiers walk by themselves until its time has left their windows.
func TestR3_AQuietTypeNeedsOneSearchForAllItsTiers(t *testing.T) {
	long(t)
	t.Parallel()
	var since []string // of the searches of tiers
	opt := hubspottest.Options{Seed: 61, Types: []string{"contacts"}, Index: hubspottest.Index{Immediate: true}}
	opt.OnRequest = func(r hubspottest.Request) {
		if body := string(r.Body); r.Endpoint == hubspottest.EndpointSearch && strings.Contains(body, `"GTE"`) {
			since = append(since, body)
		}
	}
	inWorld(t, opt, []string{"SYNC_LEADING_INTERVAL=1m"}, func(w *world) {
		id := w.Portal.Seed("contacts", 3)[0]
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
		searches := func(d time.Duration) int {
			since = nil
			time.Sleep(d)
			return len(since)
		}
		time.Sleep(2 * time.Hour)
		if n := searches(time.Hour); n < 58 || n > 60 {
			t.Errorf("%d searches of tiers in a quiet hour, want those of the leading tier", n)
		}
		for stream, lag := range map[string]time.Duration{"trailing-5m": 5 * time.Minute, "trailing-1h": time.Hour} {
			cursor := w.Cursors()[`{"portal":4242,"object":"contacts","stream":"`+stream+`"}`]
			least := time.Now().Add(-lag - 2*time.Minute).UTC().Format("2006-01-02T15:04")
			if got, _ := strings.CutPrefix(cursor, `{"at":"`); got < least {
				t.Errorf("the cursor of %s is %s, want at least %s", stream, cursor, least)
			}
		}

		w.Portal.SetIndex(hubspottest.Index{Min: 40 * time.Minute, Max: 40 * time.Minute})
		began := time.Now()
		w.Portal.Update("contacts", id, map[string]string{"firstname": "Late"})
		w.ReadUntil(42*time.Minute, func() bool { return w.FirstName(id) == "Late" })
		events := w.Events("contacts")
		if last := events[len(events)-1]; last.Source["stream"] != "leading" {
			t.Errorf("found by %v, after %v", last.Source["stream"], time.Since(began))
		}

		w.Portal.SetIndex(hubspottest.Index{Immediate: true})
		w.Portal.Update("contacts", id, map[string]string{"firstname": "Soon"})
		if n := searches(time.Hour); n < 64 || n > 74 { // 60, four of trailing-1h, and a few of trailing-5m
			t.Errorf("%d searches of tiers in the hour after a change", n)
		}
		p.Stop()
		w.check("contacts")
	})
}

// TestR13_AnUnexplainedChangeHastensTheLookAtDefinitions: in a portal whose
// definitions have long been the same, a property that is new is found within a
// quarter of an hour of the first change that shows nothing else, not within the
// hour in which they are read anyway.
func TestR13_AnUnexplainedChangeHastensTheLookAtDefinitions(t *testing.T) {
	long(t)
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 62, Types: []string{"contacts"}}, nil, func(w *world) {
		id := w.Portal.Seed("contacts", 3)[0]
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
		time.Sleep(10 * time.Hour)
		looks := func() int { return w.Portal.Stats().Calls[hubspottest.EndpointSchemas] }
		before := looks()
		w.SleepUntil(2*time.Hour, func() bool { return looks() > before }) // one has just been
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "shoe_size", Label: "Shoe size", Type: "string", FieldType: "text"})
		began := time.Now()
		w.Portal.Update("contacts", id, map[string]string{"shoe_size": "43"})
		published := func() bool {
			events := w.Events("contacts")
			return events[len(events)-1].Property("shoe_size") == "43"
		}
		w.ReadUntil(2*time.Hour, published)
		if took := time.Since(began); took > explained {
			t.Errorf("the value of a new property was published after %v, want at most %v", took, explained)
		}
		p.Stop()
	})
}

// explained is R13's quarter of an hour, and the time to find and to read.
const explained = 18 * time.Minute
