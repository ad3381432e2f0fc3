//go:build consumers

package consumers

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// addedProperty is added while everything runs. docs/consumers/flink.sql has a
// column for it from the start.
const addedProperty = "loyalty_points"

// life is a portal whose users do everything that its topics can show.
type life struct {
	portal *hubspottest.Portal
	rng    *rand.Rand
	url    string
}

// deeds are what happens at random.
var deeds = hubspottest.Life{
	Types:  []string{"contacts", "companies"},
	Create: 15, Update: 35, Calculated: 3, Touch: 2, Archive: 8, Restore: 6, Merge: 4, Purge: 3,
	Associate: 16, Dissociate: 6, Relabel: 2,
}

const pause = 40 * time.Millisecond // between two of them

func newLife(t *testing.T, seed uint64) *life {
	l := &life{
		rng: rand.New(rand.NewPCG(seed, 5)),
		portal: hubspottest.New(hubspottest.Options{
			Seed: seed, Types: deeds.Types,
			Limits: hubspottest.Limits{SearchPerSecond: 1000, TenSecondly: 100_000, Daily: 10_000_000},
			Index:  hubspottest.Index{Min: 50 * time.Millisecond, Max: 2 * time.Second, Tail: 0.02, TailMax: 6 * time.Second},
		}),
	}
	// Avro does not allow such names.
	l.portal.AddProperty("contacts", hubspottest.Property{Name: "2021_revenue", Type: "number"})
	l.portal.AddProperty("contacts", hubspottest.Property{Name: "last-call", Type: "datetime"})
	contacts, companies := l.portal.Seed("contacts", 400), l.portal.Seed("companies", 120)
	for _, id := range contacts[:300] {
		category, typeID := "", 0
		if l.rng.IntN(2) == 0 {
			category, typeID = "HUBSPOT_DEFINED", 1 // primary
		}
		l.portal.Associate("contacts", id, "companies", companies[l.rng.IntN(len(companies))], category, typeID)
	}
	server := httptest.NewServer(l.portal)
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// go_ makes users do one of each kind of thing that matters here, and then n
// things at random.
func (l *life) go_(t *testing.T, when string, n int) {
	began := time.Now()
	for _, object := range deeds.Types {
		ids := l.pick(object, 7)
		l.portal.Archive(object, ids[0])
		l.portal.Purge(object, ids[1])
		l.portal.Merge(object, ids[2], ids[3])
		l.portal.MergeInto(object, ids[4], ids[5])
		l.portal.Archive(object, ids[6])
		time.Sleep(5 * time.Second) //nolint:forbidigo // so that its delete is published first
		l.portal.Restore(object, ids[6], true)
	}
	for range n {
		l.portal.Step(l.rng, deeds)
		time.Sleep(pause) //nolint:forbidigo // the life has its pace
	}
	t.Logf("the portal's life %s: %v", when, time.Since(began).Round(time.Second))
}

// pick takes n live records at random.
func (l *life) pick(object string, n int) []uint64 {
	ids := l.portal.IDs(object)
	l.rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids[:n]
}

// addProperty adds a property and gives some contacts a value.
func (l *life) addProperty(t *testing.T) {
	l.portal.AddProperty("contacts", hubspottest.Property{Name: addedProperty, Label: "Loyalty points", Type: "number"})
	for i, id := range l.pick("contacts", 60) {
		l.portal.Update("contacts", id, map[string]string{addedProperty: fmt.Sprint(10 * (i + 1))})
	}
	t.Logf("property contacts.%s was added, 60 contacts have a value", addedProperty)
}

// report says what happened, and fails if something that should happen did not.
func (l *life) report(t *testing.T) {
	for _, object := range deeds.Types {
		counts := map[hubspottest.Op]int{}
		for _, c := range l.portal.History(object) {
			counts[c.Op]++
		}
		t.Logf("life of %s: %v", object, counts)
		for _, op := range []hubspottest.Op{
			hubspottest.OpCreate, hubspottest.OpUpdate, hubspottest.OpArchive, hubspottest.OpRestore,
			hubspottest.OpPurge, hubspottest.OpMerge, hubspottest.OpMergedAway,
		} {
			if counts[op] == 0 {
				t.Errorf("nothing in the life of %s was a %s", object, op)
			}
		}
	}
	counts := map[hubspottest.Op]int{}
	for _, c := range l.portal.LinkHistory("contacts", "companies") {
		counts[c.Op]++
	}
	t.Logf("life of contacts:companies: %v", counts)
}

// truth is what the portal has.
type truth struct {
	contacts, companies map[string]hubspottest.State // by id
	links               map[string]hubspottest.Link  // by key
	types               map[string]string            // of the properties of contacts
}

func (l *life) truth(t *testing.T) *truth {
	t.Helper()
	w := &truth{
		contacts: map[string]hubspottest.State{}, companies: map[string]hubspottest.State{},
		links: map[string]hubspottest.Link{}, types: map[string]string{},
	}
	for _, r := range l.portal.Records("contacts") {
		w.contacts[fmt.Sprint(r.ID)] = r
	}
	for _, r := range l.portal.Records("companies") {
		w.companies[fmt.Sprint(r.ID)] = r
	}
	for _, k := range l.portal.Links("contacts", "companies") {
		w.links[fmt.Sprintf("%d:%d:%s:%d", k.From, k.To, k.Category, k.TypeID)] = k
	}
	request := httptest.NewRequest("GET", "/crm/properties/2026-09/contacts", nil)
	request.Header.Set("Authorization", "Bearer pat-consumers")
	answer := httptest.NewRecorder()
	l.portal.ServeHTTP(answer, request)
	body, _ := io.ReadAll(answer.Result().Body)
	var definitions struct {
		Results []struct{ Name, Type string }
	}
	if err := json.Unmarshal(body, &definitions); err != nil || len(definitions.Results) == 0 {
		t.Fatalf("the portal's properties: %v in %s", err, strings.TrimSpace(string(body)))
	}
	for _, d := range definitions.Results {
		w.types[d.Name] = d.Type
	}
	return w
}
