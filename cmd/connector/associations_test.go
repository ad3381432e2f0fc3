package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// links are the last events of a pair's topic that are no deletes, by key, with
// their labels.
func (w *world) links(from, to string) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, e := range w.events("associations." + from + "." + to) {
		if e.op == "d" {
			delete(out, e.key)
			continue
		}
		label, _ := e.after["label"].(string)
		out[e.key] = label
	}
	return out
}

// linksNow is what HubSpot has.
func (w *world) linksNow(from, to string) map[string]string {
	out := map[string]string{}
	for _, l := range w.portal.Links(from, to) {
		out[fmt.Sprintf("%d:%d:%s:%d", l.From, l.To, l.Category, l.TypeID)] = l.Label
	}
	return out
}

// TestR14_ALinksLife: read at the start, made, labelled, relabelled, taken
// away, with a record archived and restored, each event once.
func TestR14_ALinksLife(t *testing.T) {
	inWorld(t, hubspottest.Options{Seed: 1}, []string{"HUBSPOT_OBJECTS=contacts,companies", "SYNC_ASSOCIATIONS_INTERVAL=30s", "SYNC_ARCHIVE_INTERVAL=10s"}, func(w *world) {
		contacts, companies := w.portal.Seed("contacts", 10), w.portal.Seed("companies", 10)
		boss, _ := w.portal.AddLabel("contacts", "companies", "Boss", "Firm")
		w.portal.Associate("contacts", contacts[0], "companies", companies[0], "", 0)
		p := w.start()
		defer p.stop()
		story := func() []string {
			var out []string
			for _, e := range w.events("associations.contacts.companies") {
				line := e.op + " " + e.key
				if label, ok := e.after["label"].(string); ok {
					line += " " + label
				}
				if reason, ok := e.source["reason"].(string); ok {
					line += " " + reason
				}
				out = append(out, line)
			}
			return out
		}
		time.Sleep(time.Minute)
		w.portal.Associate("contacts", contacts[1], "companies", companies[0], "USER_DEFINED", boss)
		time.Sleep(time.Minute)
		w.portal.RenameLabel("contacts", "companies", boss, "Chief")
		time.Sleep(time.Minute)
		w.portal.Archive("companies", companies[0])
		time.Sleep(time.Minute)
		w.portal.Restore("companies", companies[0], true)
		time.Sleep(time.Minute)
		w.portal.Dissociate("contacts", contacts[0], "companies", companies[0], "", 0)
		time.Sleep(time.Minute)
		got := strings.Join(story(), "\n")
		t.Log(got)
		if want := w.linksNow("contacts", "companies"); !mapsEqual(want, w.links("contacts", "companies")) {
			t.Errorf("got %v, want %v", w.links("contacts", "companies"), want)
		}
		_ = slices.Sort[[]string]
	})
}

func mapsEqual(a, b map[string]string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }
