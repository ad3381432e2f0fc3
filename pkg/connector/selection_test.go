package connector_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// secretText is in every value that must not leak.
const secretText = "canary-7d1e"

const hashKey, otherKey = "a key of some length", "another key of some length"

func digestOf(key, text string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// wire notes which properties the connector asks the portal for.
type wire struct {
	mu    sync.Mutex
	asked map[string]bool // words of addresses and bodies
}

func (w *wire) note(r hubspottest.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked == nil {
		w.asked = map[string]bool{}
	}
	for _, name := range strings.Split(r.Query.Get("properties"), ",") {
		w.asked[name] = true
	}
	for _, word := range strings.Split(string(r.Body), `"`) {
		w.asked[word] = true
	}
}

func (w *wire) hasAsked(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[name]
}

// hides fails the test if text appears in anything that the connector lets out:
// the topics of data, state and cursors, the log, the HTTP answers.
func (p *process) hides(text string) {
	w := p.w
	w.T.Helper()
	for _, name := range []string{"/readyz", "/healthz", "/metrics"} {
		if strings.Contains(p.Get(name).Body.String(), text) {
			w.T.Errorf("%q is in %s", text, name)
		}
	}
	if strings.Contains(w.Log.String(), text) {
		w.T.Errorf("%q is in the log", text)
	}
	for _, topic := range w.Topics() {
		for _, r := range w.Records(topic) {
			if strings.Contains(string(r.Key)+string(r.Value), text) {
				w.T.Errorf("%q is in %s[%d]@%d", text, topic, r.Partition, r.Offset)
			}
		}
	}
}

// folded gives the values in the last event of every live key of a topic, as text
// and without nulls, and the number of events of each key.
func (w *world) folded(object string) (last map[string]map[string]string, events map[string]int) {
	w.T.Helper()
	last, events = map[string]map[string]string{}, map[string]int{}
	for _, e := range w.Events(object) {
		events[e.Key]++
		if e.Op == "d" {
			delete(last, e.Key)
			continue
		}
		values := map[string]string{}
		properties, _ := e.After["properties"].(map[string]any)
		for name, value := range properties {
			if value != nil {
				values[name] = fmt.Sprint(value)
			}
		}
		last[e.Key] = values
	}
	return last, events
}

// wantFold compares a topic's last events with the portal. publish gives the
// field and value under which a property's text should appear: "*" means any of
// its fields, "" means null.
func (w *world) wantFold(object string, names []string, publish func(name, text string) (field, value string)) {
	w.T.Helper()
	got, _ := w.folded(object)
	records := w.Portal.Records(object)
	if len(got) != len(records) {
		w.T.Errorf("%s: %d live keys, the portal has %d records", object, len(got), len(records))
	}
	for _, record := range records {
		values := got[idText(record.ID)]
		for _, name := range names {
			field, want := publish(name, record.Properties[name])
			for _, f := range []string{name, name + "__string", name + "__number"} {
				if field == "*" && values[f] != "" {
					field = f
				}
			}
			if field == "*" {
				field = name
			}
			for _, f := range []string{name, name + "__string", name + "__number"} {
				expect := ""
				if f == field {
					expect = want
				}
				if values[f] != expect {
					w.T.Errorf("%s %d: field %s is %q, want %q", object, record.ID, f, values[f], expect)
				}
			}
		}
	}
}

// TestSelection_WhatIsLeftOutIsNeitherAskedForNorPublished: and a hashed value is
// a digest wherever it appears. null stays null.
func TestSelection_WhatIsLeftOutIsNeitherAskedForNorPublished(t *testing.T) {
	t.Parallel()
	var wire wire
	env := []string{
		"HUBSPOT_OBJECTS=contacts,deals", "HUBSPOT_ASSOCIATIONS=none", "SYNC_LEADING_INTERVAL=10s", "SYNC_ARCHIVE_INTERVAL=1m", "SYNC_RECONCILE_INTERVAL=30m",
		"HUBSPOT_PROPERTIES_INCLUDE=contacts.*,deals.deal*", "HUBSPOT_PROPERTIES_EXCLUDE=*.email,contacts.lastname",
		"HUBSPOT_PROPERTIES_HASH=contacts.phone,contacts.score,contacts.notmine", "HUBSPOT_HASH_KEY=" + hashKey,
	}
	inWorld(t, hubspottest.Options{Seed: 21, OnRequest: wire.note}, env, func(w *world) {
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "score", Type: "number"})
		w.Portal.AddProperty("deals", hubspottest.Property{Name: "remark"})
		// Each of these would appear as raw text in unparsed.
		ids := []uint64{
			w.Portal.Create("contacts", map[string]string{"email": secretText + "@example.com", "lastname": secretText, "phone": secretText + "\x00", "score": secretText, "firstname": "Ann"}),
			w.Portal.Create("contacts", map[string]string{"phone": secretText + "\x00", "firstname": "Bob"}),
			w.Portal.Create("contacts", map[string]string{"firstname": "Cem"}),
		}
		w.Portal.Create("deals", map[string]string{"dealname": "Yacht", "remark": secretText})
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.backfilled(3, []string{"contacts"}) && p.backfilled(1, []string{"deals"}) })
		w.Portal.Update("contacts", ids[2], map[string]string{"phone": secretText + "\x00", "email": secretText})
		w.Portal.Archive("contacts", ids[1])
		time.Sleep(time.Hour)
		w.Portal.Restore("contacts", ids[1], true)
		time.Sleep(10 * time.Minute)
		p.hides(secretText)
		p.hides(hashKey)
		p.Stop()

		for _, name := range []string{"email", "lastname", "remark", "amount"} {
			if wire.hasAsked(name) {
				t.Errorf("HubSpot was asked for %s", name)
			}
		}
		for _, name := range []string{"firstname", "phone", "score", "dealname"} {
			if !wire.hasAsked(name) {
				t.Errorf("HubSpot was not asked for %s", name)
			}
		}
		w.wantFold("contacts", []string{"email", "lastname", "phone", "score", "firstname"}, func(name, text string) (string, string) {
			switch name {
			case "email", "lastname":
				return "", ""
			case "phone", "score":
				if text == "" {
					return "", ""
				}
				return name, digestOf(hashKey, text)
			}
			return name, text
		})
		w.wantFold("deals", []string{"dealname", "remark"}, func(name, text string) (string, string) {
			if name == "remark" {
				return "", ""
			}
			return name, text
		})
		if log := w.Log.String(); strings.Count(log, "match no property") != 1 || !strings.Contains(log, "HUBSPOT_PROPERTIES_HASH: contacts.notmine") {
			t.Error("the pattern that matches nothing is not logged once")
		}
	})
}

// TestSelection_ChangedBetweenTwoRuns: after each change of the selection, the
// last events equal the portal under the new selection, and each record that the
// change affects has one event more (docs/selection.md).
func TestSelection_ChangedBetweenTwoRuns(t *testing.T) {
	long(t)
	t.Parallel()
	names := []string{"email", "firstname", "lastname", "phone", "score"}
	type treatment struct {
		exclude, hash []string
		key           string
	}
	steps := []struct {
		name string
		env  []string
		treatment
		fields  map[string]string // where properties are not in the field of their own name
		changed []string          // whose holders have one event more
	}{
		{name: "everything as it is"},
		{
			name: "left out and hashed", changed: []string{"email", "phone", "score"},
			env:       []string{"HUBSPOT_PROPERTIES_EXCLUDE=contacts.email", "HUBSPOT_PROPERTIES_HASH=contacts.phone,contacts.score", "HUBSPOT_HASH_KEY=" + hashKey},
			treatment: treatment{exclude: []string{"email"}, hash: []string{"phone", "score"}, key: hashKey},
			fields:    map[string]string{"score": "score__string"},
		},
		{
			name: "another key", changed: []string{"phone", "score"},
			env:       []string{"HUBSPOT_HASH_KEY=" + otherKey},
			treatment: treatment{exclude: []string{"email"}, hash: []string{"phone", "score"}, key: otherKey},
			fields:    map[string]string{"score": "score__string"},
		},
		{
			name:      "nothing", // the same again
			treatment: treatment{exclude: []string{"email"}, hash: []string{"phone", "score"}, key: otherKey},
			fields:    map[string]string{"score": "score__string"},
		},
		{
			name: "taken in again, no longer hashed, others only", changed: []string{"hs_object_id"}, // every record has one
			env:       []string{"HUBSPOT_PROPERTIES_EXCLUDE=", "HUBSPOT_PROPERTIES_HASH=", "HUBSPOT_HASH_KEY=", "HUBSPOT_PROPERTIES_INCLUDE=contacts.email,contacts.phone,contacts.score"},
			treatment: treatment{exclude: []string{"firstname", "lastname"}},
		},
		{
			name: "a digest of what was plain, back from the key before", changed: []string{"hs_object_id"},
			env:       []string{"HUBSPOT_PROPERTIES_INCLUDE=contacts.*", "HUBSPOT_PROPERTIES_EXCLUDE=contacts.lastname", "HUBSPOT_PROPERTIES_HASH=contacts.ph*", "HUBSPOT_HASH_KEY=" + hashKey},
			treatment: treatment{exclude: []string{"lastname"}, hash: []string{"phone"}, key: hashKey},
		},
	}
	env := []string{"HUBSPOT_OBJECTS=contacts", "SYNC_RECONCILE_INTERVAL=1000h"}
	inWorld(t, hubspottest.Options{Seed: 22}, env, func(w *world) {
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "score", Type: "number"})
		for i := range 60 {
			values := map[string]string{}
			for bit, name := range names {
				if i>>bit&1 == 1 {
					values[name] = fmt.Sprint(7 * i)
				}
			}
			w.Portal.Create("contacts", values)
		}
		var events map[string]int
		for _, step := range steps {
			w.Set(step.env...)
			p := w.start()
			w.SleepUntil(time.Minute, func() bool { return p.backfilled(60, []string{"contacts"}) })
			time.Sleep(2 * time.Hour) // both rounds of refill
			p.Stop()

			w.wantFold("contacts", names, func(name, text string) (string, string) {
				field := name
				if step.fields[name] != "" {
					field = step.fields[name]
				}
				switch {
				case text == "" || slices.Contains(step.exclude, name):
					return "", ""
				case slices.Contains(step.hash, name):
					return field, digestOf(step.key, text)
				}
				return field, text
			})
			_, now := w.folded("contacts")
			for _, record := range w.Portal.Records("contacts") {
				key, want := idText(record.ID), max(1, events[idText(record.ID)])
				if slices.ContainsFunc(step.changed, func(name string) bool { return record.Properties[name] != "" }) {
					want++
				}
				if now[key] != want {
					t.Errorf("%s: record %s has %d events, want %d", step.name, key, now[key], want)
				}
			}
			events = now
			if t.Failed() {
				t.Fatalf("after: %s", step.name)
			}
		}
	})
}

// TestSelection_MergesAreFoundWithoutTheirProperty: R7 reads hs_merged_object_ids
// even if it is left out or hashed.
func TestSelection_MergesAreFoundWithoutTheirProperty(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{
		"left out": {"HUBSPOT_PROPERTIES_EXCLUDE=*.hs_merged*"},
		"hashed":   {"HUBSPOT_PROPERTIES_HASH=*.hs_merged*", "HUBSPOT_HASH_KEY=" + hashKey},
	} {
		t.Run(name, func(t *testing.T) {
			// Only the survivor's event can show the merge.
			env = append(env, "HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=1s", "SYNC_ARCHIVE_INTERVAL=1000h", "SYNC_CENSUS_INTERVAL=1000h", "SYNC_RECONCILE_INTERVAL=1000h")
			inWorld(t, hubspottest.Options{Seed: 23}, env, func(w *world) {
				ids := w.Portal.Seed("contacts", 10)
				p := w.start()
				w.SleepUntil(time.Minute, func() bool { return p.backfilled(10, []string{"contacts"}) })
				time.Sleep(10 * time.Minute)
				survivor := w.Portal.Merge("contacts", ids[1], ids[2])
				time.Sleep(10 * time.Minute)
				p.Stop()
				deletes := map[string]any{}
				for _, e := range w.Events("contacts") {
					if e.Op == "d" {
						deletes[e.Key] = e.Source["mergedInto"]
					}
					switch text := fmt.Sprint(e.Property("hs_merged_object_ids")); {
					case e.Key != idText(survivor):
					case name == "left out" && text != "<nil>", name == "hashed" && len(text) != 64:
						t.Errorf("hs_merged_object_ids of the survivor is published as %s", text)
					}
				}
				if want := map[string]any{idText(ids[1]): idText(survivor), idText(ids[2]): idText(survivor)}; !maps.Equal(deletes, want) {
					t.Errorf("deletes %v, want %v", deletes, want)
				}
			})
		})
	}
}

// TestSelection_SensitivePropertiesComeAndGoWithTheirScope: without the scope the
// type continues without them and says so, and nothing counts as removed. With
// the scope they are back (R9).
func TestSelection_SensitivePropertiesComeAndGoWithTheirScope(t *testing.T) {
	long(t)
	t.Parallel()
	const ordinary, sensitive, owners = "crm.objects.contacts.read", "crm.objects.contacts.sensitive.read.v2", "crm.objects.owners.read"
	env := []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_SENSITIVE=sensitive", "SYNC_RECONCILE_INTERVAL=1000h"}
	inWorld(t, hubspottest.Options{Seed: 24, Scopes: []string{ordinary, sensitive, owners}}, env, func(w *world) {
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "ssn", Sensitivity: "sensitive"})
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "hiv", Sensitivity: "highly_sensitive"})
		var ids []uint64
		for i := range 20 {
			ids = append(ids, w.Portal.Create("contacts", map[string]string{"firstname": fmt.Sprint(i), "ssn": fmt.Sprint("078-05-", i), "hiv": secretText}))
		}
		run := func(scopes ...string) (problems []string, events int) {
			w.Portal.SetScopes(append(scopes, owners)...)
			p := w.start()
			w.SleepUntil(time.Minute, func() bool { return p.backfilled(20, []string{"contacts"}) })
			time.Sleep(2 * time.Hour)
			for _, problem := range p.ready().Problems {
				problems = append(problems, problem.Object+" "+problem.Stream+": "+problem.Action)
			}
			p.hides(secretText)
			p.Stop()
			return problems, len(w.Events("contacts"))
		}
		published := func() (n int) {
			last, _ := w.folded("contacts")
			for _, values := range last {
				if values["ssn"] != "" {
					n++
				}
			}
			return n
		}

		if problems, events := run(ordinary, sensitive); len(problems) > 0 || events != 20 || published() != 20 {
			t.Errorf("with the scope: problems %q, %d events, %d values; want none, 20, 20", problems, events, published())
		}

		w.Portal.Update("contacts", ids[3], map[string]string{"firstname": "Changed"})
		problems, events := run(ordinary)
		if events != 21 || published() != 19 {
			t.Errorf("without the scope: %d events, %d values, want only the event of the record that changed", events, published())
		}
		if len(problems) != 1 || !strings.Contains(problems[0], "contacts sensitive: give the token the scopes "+sensitive) {
			t.Errorf("without the scope: problems %q", problems)
		}
		if n := strings.Count(w.Log.String(), "sensitive properties are left out"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}

		if problems, events = run(ordinary, sensitive); len(problems) > 0 || events != 22 || published() != 20 {
			t.Errorf("with it again: problems %q, %d events, %d values; want none, 22, 20", problems, events, published())
		}

		// A property that the operator no longer wants leaves the topic.
		w.Set("HUBSPOT_SENSITIVE=none", "SYNC_RECONCILE_INTERVAL=1h")
		if problems, _ = run(ordinary, sensitive); len(problems) > 0 || published() != 0 {
			t.Errorf("HUBSPOT_SENSITIVE=none: problems %q, %d values", problems, published())
		}
	})
}

// TestSelection_SensitiveScopeLostInARun: the same during a run.
func TestSelection_SensitiveScopeLostInARun(t *testing.T) {
	long(t)
	t.Parallel()
	const ordinary, sensitive = "crm.objects.contacts.read", "crm.objects.contacts.sensitive.read.v2"
	env := []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_SENSITIVE=sensitive", "SYNC_RECONCILE_INTERVAL=1000h", "SYNC_SCHEMA_INTERVAL=1m"}
	inWorld(t, hubspottest.Options{Seed: 28, Scopes: []string{ordinary, sensitive}}, env, func(w *world) {
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "ssn", Sensitivity: "sensitive"})
		var ids []uint64
		for i := range 20 {
			ids = append(ids, w.Portal.Create("contacts", map[string]string{"firstname": fmt.Sprint(i), "ssn": fmt.Sprint("078-05-", i)}))
		}
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.backfilled(20, []string{"contacts"}) })
		published := func() (values, events int) {
			last, counts := w.folded("contacts")
			for key, properties := range last {
				events += counts[key]
				if properties["ssn"] != "" {
					values++
				}
			}
			return values, events
		}
		problems := func() (streams []string) {
			for _, problem := range p.ready().Problems {
				if problem.Object == "contacts" {
					streams = append(streams, problem.Stream)
				}
			}
			return streams
		}
		time.Sleep(2 * time.Hour) // until the first readings are beyond doubt
		w.Portal.SetScopes(ordinary)
		w.SleepUntil(2*time.Minute, func() bool { return len(problems()) == 1 })
		w.Portal.Update("contacts", ids[3], map[string]string{"firstname": "Changed"})
		time.Sleep(2 * time.Hour)
		if got := problems(); !slices.Equal(got, []string{"sensitive"}) || !p.ready().Ready {
			t.Errorf("without the scope: ready %v, problems %q", p.ready().Ready, got)
		}
		if values, events := published(); values != 19 || events != 21 {
			t.Errorf("without the scope: %d values in %d events, want 19 in 21", values, events)
		}
		w.Portal.SetScopes(ordinary, sensitive)
		time.Sleep(2 * time.Hour)
		if values, events := published(); values != 20 || events != 22 || len(problems()) != 0 {
			t.Errorf("with it again: %d values in %d events, want 20 in 22; problems %q", values, events, problems())
		}
		p.Stop()
	})
}

// TestSelection_ATypeThatIsTakenOutStaysAsItIs, and continues from its cursors
// when it is followed again.
func TestSelection_ATypeThatIsTakenOutStaysAsItIs(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 25}, []string{"HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=1000h"}, func(w *world) {
		ids := w.Portal.Seed("deals", 150)
		w.Portal.Seed("contacts", 150)
		for _, step := range []struct {
			objects string
			events  int
		}{{"contacts,deals", 150}, {"contacts", 150}, {"contacts,deals", 153}} {
			w.Set("HUBSPOT_OBJECTS=" + step.objects)
			p := w.start()
			w.SleepUntil(time.Minute, func() bool { return p.backfilled(150, []string{"contacts"}) })
			time.Sleep(10 * time.Minute)
			p.Stop()
			if got := len(w.Events("deals")); got != step.events {
				t.Errorf("HUBSPOT_OBJECTS=%s: %d events of deals, want %d", step.objects, got, step.events)
			}
			if step.objects == "contacts" {
				w.Portal.Update("deals", ids[1], map[string]string{"dealname": "While it was out"})
				w.Portal.Archive("deals", ids[2])
				w.Portal.Create("deals", nil)
			}
		}
		if r := w.check("contacts", "deals"); r.Events == 0 {
			t.Error("nothing was checked")
		}
		var begun []string
		for _, r := range w.Records("hubspot.offsets") {
			if strings.Contains(string(r.Key), `"deals","stream":"backfill"`) {
				_, rest, _ := strings.Cut(string(r.Value), `"started":"`)
				begun = append(begun, rest[:len("2026-11-24T13:00:00")])
			}
		}
		if begun = slices.Compact(begun); len(begun) != 1 {
			t.Errorf("backfills of deals began at %q, want one", begun)
		}
	})
}

// TestSelection_VolatileValuesThatStayAreNamed: leaving out a volatile property
// changes no record. The log says what to do, and doing it helps.
func TestSelection_VolatileValuesThatStayAreNamed(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 26}, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_VOLATILE=*.firstname"}, func(w *world) {
		both := w.Portal.Create("contacts", map[string]string{"firstname": "Ann", "lastname": "Lee", "phone": "1"})
		volatile := w.Portal.Create("contacts", map[string]string{"firstname": "Bob", "phone": "2"})
		var p *process
		for _, exclude := range []string{"", "contacts.firstname,contacts.lastname"} {
			if p != nil {
				p.Stop()
			}
			w.Set("HUBSPOT_PROPERTIES_EXCLUDE=" + exclude)
			p = w.start()
			w.SleepUntil(time.Minute, func() bool { return p.backfilled(2, []string{"contacts"}) })
			time.Sleep(time.Minute)
		}
		last, events := w.folded("contacts")
		if got := last[idText(both)]; events[idText(both)] != 2 || got["firstname"] != "" || got["lastname"] != "" || got["phone"] != "1" {
			t.Errorf("%d events, the last one %q", events[idText(both)], got)
		}
		if got := last[idText(volatile)]; events[idText(volatile)] != 1 || got["firstname"] != "Bob" {
			t.Errorf("%d events, the last one %q; is the warning still needed?", events[idText(volatile)], got)
		}
		if n := strings.Count(w.Log.String(), "old values of these properties stay"); n != 1 || !strings.Contains(w.Log.String(), "properties=firstname") {
			t.Errorf("logged %d times, want once", n)
		}
		w.signal(execute("replace", nil, "contacts"))
		time.Sleep(10 * time.Minute)
		p.Stop()
		if last, _ := w.folded("contacts"); last[idText(volatile)]["firstname"] != "" || last[idText(volatile)]["phone"] != "2" {
			t.Errorf("after a snapshot: %q", last[idText(volatile)])
		}
	})
}

// TestSelection_ReachesTheReferenceLists: the names of owners are personal data
// too. INCLUDE concerns the properties of records only.
func TestSelection_ReachesTheReferenceLists(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 27}, []string{"HUBSPOT_OBJECTS=deals", "HUBSPOT_PROPERTIES_INCLUDE=deals.*"}, func(w *world) {
		id := w.Portal.AddOwner(hubspottest.Owner{Email: "ada@example.com", FirstName: "Ada", LastName: "Lovelace"})
		var last map[string]any
		events := 0
		run := func(env ...string) (step int) {
			w.Set(env...)
			p := w.start()
			time.Sleep(shorter(20*time.Minute, 11*time.Minute))
			p.Stop()
			before := events
			events = 0
			for _, e := range w.Events("owners") {
				if e.Key == id {
					last = e.After
					events++
				}
			}
			return events - before
		}
		if n := run(); n != 1 || last["email"] != "ada@example.com" || last["lastName"] != "Lovelace" {
			t.Errorf("as it is: %d events, %v", n, last)
		}
		n := run("HUBSPOT_PROPERTIES_EXCLUDE=owners.*Name,owners.teams", "HUBSPOT_PROPERTIES_HASH=*.email", "HUBSPOT_HASH_KEY="+hashKey)
		if n != 1 || last["email"] != digestOf(hashKey, "ada@example.com") || last["firstName"] != nil || last["lastName"] != nil || last["id"] != id || last["createdAt"] == nil {
			t.Errorf("left out and hashed: %d more events, %v", n, last)
		}
		// A change of what is left out makes no event either.
		w.Portal.UpdateOwner(id, func(o *hubspottest.Owner) { o.Teams = []hubspottest.Team{{ID: "7", Name: "North"}} })
		if n := run(); n != 1 || last["teams"] != nil { // its updatedAt has moved
			t.Errorf("a changed field that is left out: %d more events, %v", n, last)
		}
		if strings.Contains(w.Log.String(), "match no property") {
			t.Error("a pattern that matches owners is logged as a mistake")
		}
	})
}

// TestSelection_RandomLives: whatever is selected, however often and at whatever
// moment the connector is stopped, in the end the topic shows the portal under
// the last selection, and no event repeats the one before it.
func TestSelection_RandomLives(t *testing.T) {
	t.Parallel()
	lives := uint64(8)
	if testing.Short() {
		lives = 1
	}
	for seed := *firstSeed; seed < *firstSeed+lives; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { randomSelection(t, seed) })
	}
}

func randomSelection(t *testing.T, seed uint64) {
	names := []string{"email", "firstname", "lastname", "phone", "score"}
	opt := hubspottest.Options{Seed: seed, Index: hubspottest.Index{Min: time.Second, Max: 6 * time.Second, Tail: 0.2, TailMax: 40 * time.Minute}}
	inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=1m", "SYNC_RECONCILE_INTERVAL=1000h"}, func(w *world) {
		random := rand.New(rand.NewPCG(seed, seed))
		value := func() string { return []string{"", "", "", "", "7", "some text"}[random.IntN(6)] }
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "score", Type: "number"})
		for range 250 { // more than a page of a search or a list
			values := map[string]string{}
			for _, name := range names {
				values[name] = value()
			}
			w.Portal.Create("contacts", values)
		}
		const excluded, hashed = 1, 2 // 0: as it is
		chosen, key := map[string]int{}, hashKey
		lives := shorter(12, 6)
		for life := range lives {
			// One property at a time, so that the records to be read for it are not
			// read for the sake of another.
			chosen[names[random.IntN(len(names))]] = random.IntN(3)
			if random.IntN(5) == 0 {
				key = []string{hashKey, otherKey}[random.IntN(2)]
			}
			var lists [3][]string
			for _, name := range names {
				lists[chosen[name]] = append(lists[chosen[name]], "contacts."+name)
			}
			w.Set("HUBSPOT_PROPERTIES_EXCLUDE="+strings.Join(lists[excluded], ","), "HUBSPOT_PROPERTIES_HASH="+strings.Join(lists[hashed], ","), "HUBSPOT_HASH_KEY="+key)
			p := w.start()
			if life == lives-1 {
				time.Sleep(5 * time.Hour) // no reconcile makes up for what a refill has missed
				p.Stop()
				break
			}
			// The stop comes at any time between the start and the end of the last
			// refill.
			time.Sleep(time.Duration(float64(20*time.Millisecond) * math.Pow(10, 5.5*random.Float64())))
			for range random.IntN(4) {
				ids := w.Portal.IDs("contacts")
				w.Portal.Update("contacts", ids[random.IntN(len(ids))], map[string]string{names[random.IntN(len(names))]: value()})
			}
			if random.IntN(2) == 0 {
				time.Sleep(time.Duration(random.Int64N(int64(10 * time.Second))))
			}
			p.Stop()
		}

		w.wantFold("contacts", names, func(name, text string) (string, string) {
			switch {
			case text == "" || chosen[name] == excluded:
				return "", ""
			case chosen[name] == hashed:
				return "*", digestOf(key, text)
			case name == "score" && text == "some text": // it is in unparsed
				return "", ""
			}
			return "*", text
		})
		before := map[string]event{}
		for _, e := range w.Events("contacts") {
			if b, ok := before[e.Key]; ok && reflect.DeepEqual(b.After, e.After) {
				t.Errorf("record %s: the event of %v repeats the one of %v", e.Key, e.Source["stream"], b.Source["stream"])
			}
			before[e.Key] = e
		}
	})
}
