package connector_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	depl "github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestAMovedCursorIsObeyed: the first search begins at a leading cursor that was
// moved back while the connector was stopped, and a change that the index had
// hidden is published (docs/contract.md section 4).
func TestAMovedCursorIsObeyed(t *testing.T) {
	t.Parallel()
	// The index shows every change a quarter of an hour late, and the only tier
	// besides the leading one looks back a minute, so nothing finds the change.
	opt := hubspottest.Options{Seed: 2, Index: hubspottest.Index{Min: 15 * time.Minute, Max: 15 * time.Minute}}
	inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_TRAILING_LAG=1m"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 20)
		time.Sleep(20 * time.Minute)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.backfilled(20, []string{"contacts"}) })
		before := time.Now()
		time.Sleep(time.Minute)
		w.Portal.Update("contacts", ids[0], map[string]string{"firstname": "Hidden"})
		time.Sleep(30 * time.Minute)
		p.Stop()
		if got := w.FirstName(ids[0]); got == "Hidden" {
			t.Fatal("the change was not hidden, so the test shows nothing")
		}

		w.Produce("hubspot.offsets", ` { "stream":"leading", "object":"contacts","portal":4242 }`, fmt.Sprintf(`{"at": %q}`, before.UTC().Format(time.RFC3339)))
		p = w.start()
		w.ReadUntil(time.Minute, func() bool { return w.FirstName(ids[0]) == "Hidden" })
		p.Stop()
		cursors := w.Cursors()
		for key, value := range cursors {
			if strings.HasPrefix(key, " ") && value != "" {
				t.Errorf("the odd spelling %q was not tombstoned: %s", key, value)
			}
		}
		if cursors[depl.LeadingKey] == "" {
			t.Errorf("no cursor under %s in %v", depl.LeadingKey, cursors)
		}
		w.check("contacts")
	})
}

// TestAForgottenCursorStartsAnew: a tier without a cursor starts now, and the
// sweep runs again. What it finds already published is not published again.
func TestAForgottenCursorStartsAnew(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 2}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 150)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.backfilled(150, []string{"contacts"}) })
		time.Sleep(20 * time.Second)
		p.Stop()
		w.Portal.Update("contacts", ids[7], map[string]string{"firstname": "While stopped"})
		time.Sleep(time.Minute)
		w.Produce("hubspot.offsets", depl.LeadingKey, "")
		p = w.start()
		w.ReadUntil(time.Minute, func() bool { return w.FirstName(ids[7]) == "While stopped" })
		time.Sleep(time.Minute)
		p.Stop()
		if r := w.check("contacts"); r.Events != 151 {
			t.Errorf("%d events, want 151", r.Events)
		}
		if sweep := w.Cursors()[`{"portal":4242,"object":"contacts","stream":"backfill"}`]; !strings.Contains(sweep, `"done":true`) {
			t.Errorf("backfill cursor %s", sweep)
		}
	})
}

// TestR13_PropertiesThatCameWhileStopped: the connector reads the holders of a
// new property again and publishes them, and no other records. A retyped property
// continues in a new field, and every event can be read with its schema.
func TestR13_PropertiesThatCameWhileStopped(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 11}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_TRAILING_LAG=2m"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 300)
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points", Type: "string"})
		w.Portal.Update("contacts", ids[0], map[string]string{"points": "12"})
		time.Sleep(time.Minute)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.backfilled(300, []string{"contacts"}) })
		time.Sleep(5 * time.Minute)
		p.Stop()
		before := len(w.Events("contacts"))

		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "added", Type: "number"})
		w.Portal.RetypeProperty("contacts", "points", "number", "number")
		w.Portal.UpdateCalculated("contacts", ids[1], map[string]string{"added": "7"}) // its updatedAt stays
		time.Sleep(time.Minute)
		p = w.start()
		time.Sleep(10 * time.Minute)
		p.Stop()

		events := w.Events("contacts")[before:]
		var keys []string
		for _, e := range events {
			keys = append(keys, e.Key)
			if e.Op != "u" || e.Source["stream"] != "refill" {
				t.Errorf("%s: op %s by %v", e.Key, e.Op, e.Source["stream"])
			}
			switch e.Key {
			case idText(ids[0]):
				if e.Property("points") != nil || e.Property("points__number") != 12.0 {
					t.Errorf("retyped: points %v, points__number %v", e.Property("points"), e.Property("points__number"))
				}
			case idText(ids[1]):
				if e.Property("added") != 7.0 {
					t.Errorf("added = %v", e.Property("added"))
				}
			}
		}
		slices.Sort(keys)
		want := []string{idText(ids[0]), idText(ids[1])}
		slices.Sort(want)
		if !slices.Equal(keys, want) {
			t.Errorf("events for %v, want %v", keys, want)
		}
		if c := w.Cursors()[`{"portal":4242,"object":"contacts","stream":"refill"}`]; c != "" {
			t.Errorf("refill cursor is left: %s", c)
		}
	})
}

// TestR13_APropertyThatNoSearchFindsIsReadByAReconcile, and soon, also where the process
// dies before that has begun.
func TestR13_APropertyThatNoSearchFindsIsReadByAReconcile(t *testing.T) {
	t.Parallel()
	const refill = `{"portal":4242,"object":"emails","stream":"refill"}`
	inWorld(t, hubspottest.Options{Seed: 13, Types: []string{"emails"}}, []string{"HUBSPOT_OBJECTS=emails", "HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=24h"}, func(w *world) {
		ids := w.Portal.Seed("emails", 120)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.backfilled(len(ids), []string{"emails"}) })
		w.Portal.AddProperty("emails", hubspottest.Property{Name: "hs_email_html", Type: "string"})
		for _, id := range ids {
			w.Portal.UpdateCalculated("emails", id, map[string]string{"hs_email_html": "<p>" + idText(id)})
		}
		heal := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultSlow, Latency: time.Hour, Endpoint: hubspottest.EndpointList})
		w.SleepUntil(2*time.Hour, func() bool { return p.Log.Has("the reconcile reads every record instead") })
		time.Sleep(time.Second)
		p.Kill()
		w.Brokers.Mend()
		heal()
		p = w.start()
		read := func() (n int) {
			for _, e := range w.Events("emails") {
				if e.Property("hs_email_html") != nil {
					n++
				}
			}
			return n
		}
		w.ReadUntil(time.Hour, func() bool { return read() == len(ids) })
		w.ReadUntil(time.Minute, func() bool { return w.Cursors()[refill] == "" })
		p.Stop()
	})
}

// TestDeletesHaveAReason: archived, or merged together with the survivor. A
// record that is live again comes back as restored.
func TestDeletesHaveAReason(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 12, MergedInArchive: true}
	inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_ARCHIVE_INTERVAL=10s"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 120)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.backfilled(120, []string{"contacts"}) })
		survivor := w.Portal.Merge("contacts", ids[1], ids[2])
		w.Portal.Archive("contacts", ids[3])
		time.Sleep(2 * time.Minute)
		w.Portal.Restore("contacts", ids[3], true)
		time.Sleep(10 * time.Minute)
		p.Stop()
		ops := map[string][]string{}
		for _, e := range w.Events("contacts") {
			op := e.Op
			if reason, ok := e.Source["reason"].(string); ok {
				op += " " + reason
			}
			if into, ok := e.Source["mergedInto"].(string); ok {
				op += " " + into
			}
			ops[e.Key] = append(ops[e.Key], op)
		}
		for id, want := range map[uint64][]string{
			ids[1]: {"r", "d merged " + idText(survivor)}, ids[2]: {"r", "d merged " + idText(survivor)}, survivor: {"r"}, // it keeps a createdAt from before the start
			ids[3]: {"r", "d archived", "c restored"}, ids[4]: {"r"},
		} {
			if got := ops[idText(id)]; !slices.Equal(got, want) {
				t.Errorf("record %d: %q, want %q", id, got, want)
			}
		}
	})
}

// TestR7_AnAnswerThatForgetsEverythingIsNoEvidence: a batch read that knows no
// record at all, not even the control ids, deletes nothing, whether HubSpot's list has
// ids that can be read or not.
func TestR7_AnAnswerThatForgetsEverythingIsNoEvidence(t *testing.T) {
	for _, unreadable := range []bool{false, true} {
		t.Run(fmt.Sprintf("the list's ids are unreadable: %t", unreadable), func(t *testing.T) {
			t.Parallel()
			forgets(t, unreadable)
		})
	}
}

func forgets(t *testing.T, unreadable bool) {
	inWorld(t, hubspottest.Options{Seed: 13}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_ARCHIVE_INTERVAL=10s", "SYNC_LEADING_INTERVAL=1s"}, func(w *world) {
		const n = 120 // more than a page
		ids := w.Portal.Seed("contacts", n)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.backfilled(n, []string{"contacts"}) })
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultForget})
		if unreadable {
			w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultOdd, Endpoint: hubspottest.EndpointList, IDs: ids, Member: "id", Value: "null"})
		}
		for _, id := range ids[:50] {
			w.Portal.Update("contacts", id, map[string]string{"firstname": "Still here"})
		}
		time.Sleep(5 * time.Minute)
		w.Portal.ClearFaults()
		time.Sleep(10 * time.Minute)
		p.Stop()
		r := w.check("contacts")
		for _, e := range w.Events("contacts") {
			if e.Op == "d" {
				t.Errorf("false delete of %s", e.Key)
			}
		}
		if r.Events < n+50 {
			t.Errorf("%d events, want the 50 updates after the %d reads", r.Events, n)
		}
	})
}

// TestOffsetsAreReadable: each cursor of docs/contract.md section 4 is one line
// of JSON.
func TestOffsetsAreReadable(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 14}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		w.Portal.Seed("contacts", 3)
		p := w.start()
		time.Sleep(time.Minute)
		p.Stop()
		cursors := w.Cursors()
		for _, stream := range []string{"leading", "trailing-5m", "trailing-1h", "backfill", "archive"} {
			key := fmt.Sprintf(`{"portal":4242,"object":"contacts","stream":%q}`, stream)
			value := cursors[key]
			if !json.Valid([]byte(value)) || strings.ContainsAny(value, "\n\t") {
				t.Errorf("%s: %q", key, value)
			}
		}
	})
}
