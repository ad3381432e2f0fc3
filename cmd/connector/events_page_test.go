package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

const eventsPage = "../../docs/events.md"

// eventKind is a kind of event on the page: one whose key and members are these.
type eventKind struct {
	title, topic, key, op string // op "": a tombstone
	source                string // "member=value …" of source
}

// TestEventsPage_HasOneOfEveryKind: docs/events.md shows real events, with the members
// and the types that the connector publishes. -update writes them.
func TestEventsPage_HasOneOfEveryKind(t *testing.T) {
	inWorld(t, hubspottest.Options{Seed: 91, Types: []string{"contacts", "companies", "deals"}}, eventsSettings, func(w *world) {
		examples := oneOfEveryKind(w)
		d := &decoder{map[int]*avro.Schema{}}
		var text strings.Builder
		var shapes []string
		for _, e := range examples {
			key, event := e.find(w, d)
			if event == nil && e.op != "" {
				t.Fatalf("nothing was published like %+v", e)
			}
			fmt.Fprintf(&text, "**%s** – `%s`, key `%s`:\n\n```json\n%s\n```\n\n", e.title, e.topic, key, written(event))
			shapes = append(shapes, e.title+": "+shape(full(event)))
		}
		page := page(t, eventsPage)
		begin, rest, ok := strings.Cut(page, eventsBegin)
		old, end, ended := strings.Cut(rest, eventsEnd)
		if !ok || !ended {
			t.Fatalf("%s has no place for the events", eventsPage)
		}
		if *update {
			if err := os.WriteFile(eventsPage, []byte(begin+eventsBegin+text.String()+eventsEnd+end), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		if got := shapesOf(t, old); !slices.Equal(got, shapes) {
			t.Errorf("%s shows\n%s\nthe connector publishes\n%s\nwrite them with -update", eventsPage, strings.Join(got, "\n"), strings.Join(shapes, "\n"))
		}
	})
}

const (
	eventsBegin = "<!-- go test ./cmd/connector -run TestEventsPage -update writes these events -->\n\n"
	eventsEnd   = "<!-- the events end here -->"
)

var eventsSettings = []string{
	"SYNC_LEADING_INTERVAL=1s", "SYNC_TRAILING_LAG=1m", "SYNC_TRAILING_INTERVAL=10s", "SYNC_ARCHIVE_INTERVAL=5s", "SYNC_CENSUS_INTERVAL=5s",
	"SYNC_RECONCILE_INTERVAL=5m", "SYNC_ASSOCIATIONS_INTERVAL=10s", "SYNC_REFERENCE_INTERVAL=5s", "HUBSPOT_OBJECTS=contacts,companies,deals",
	"HUBSPOT_ASSOCIATIONS=contacts:companies",
}

// find gives the first event like the example.
func (e eventKind) find(w *world, d *decoder) (key string, event map[string]any) {
	w.T.Helper()
	for _, raw := range w.Records(e.topic) {
		r, err := d.record(w.T.Context(), w.RegistryClient(), "hubspot", raw)
		if err != nil {
			w.T.Fatal(err)
		}
		if !strings.HasPrefix(r.key, e.key) || r.op() != e.op {
			continue
		}
		source, _ := r.event["source"].(map[string]any)
		like := func(want string) bool {
			name, value, _ := strings.Cut(want, "=")
			return fmt.Sprint(source[name]) == value
		}
		if !slices.ContainsFunc(strings.Fields(e.source), func(want string) bool { return !like(want) }) {
			return r.key, r.event
		}
	}
	return e.key, nil
}
