package connector_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// shortAnswers are the answers that R19 doubts: each list, definition, label and set
// of links. says is the part whose problem /readyz shows while a bulk is missing;
// "" where nothing is held back.
var shortAnswers = []struct {
	name  string
	fault hubspottest.Fault
	says  string
}{
	{"properties", hubspottest.Fault{Endpoint: hubspottest.EndpointProperties}, "properties"},
	{"object schemas", hubspottest.Fault{Endpoint: hubspottest.EndpointSchemas}, ""},
	{"association labels", hubspottest.Fault{Endpoint: hubspottest.EndpointLabels}, ""},
	{"links", hubspottest.Fault{Endpoint: hubspottest.EndpointLinks}, "brake"},
	{"owners", hubspottest.Fault{Endpoint: hubspottest.EndpointOwners}, "brake"},
	{"archived owners", hubspottest.Fault{Endpoint: hubspottest.EndpointOwners, Archived: true}, ""},
	{"pipelines", hubspottest.Fault{Endpoint: hubspottest.EndpointPipelines}, "brake"},
	{"stages", hubspottest.Fault{Endpoint: hubspottest.EndpointPipelines, Stages: true}, "brake"},
	{"records", hubspottest.Fault{Endpoint: hubspottest.EndpointList}, ""},
	{"archived records", hubspottest.Fault{Endpoint: hubspottest.EndpointList, Archived: true}, ""},
	{"search", hubspottest.Fault{Endpoint: hubspottest.EndpointSearch}, ""},
}

var lossNames = map[hubspottest.Loss]string{
	hubspottest.LostAll: "all", hubspottest.LostHalf: "half", hubspottest.LostOne: "one",
}

// TestR19_AShortAnswerIsNoEvidence: any list, definition, label or link answer comes
// empty, halved or cut by one, once or for ten minutes. Nothing is published as
// deleted, whatever else changes is published, what is held back is named, and in
// the end the topics have what HubSpot has.
func TestR19_AShortAnswerIsNoEvidence(t *testing.T) {
	t.Parallel()
	for i, c := range shortAnswers {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if i != 0 && i != 4 {
				long(t)
			}
			w := &shortWorld{says: c.says}
			w.in(t, uint64(i), func() {
				for lost := hubspottest.LostAll; lost <= hubspottest.LostOne; lost++ {
					if testing.Short() && int(lost)%3 != i%3 {
						continue
					}
					f := c.fault
					f.Kind, f.Lost = hubspottest.FaultShort, lost
					f.Count = 1
					w.during(lossNames[lost]+", once", f, 3*time.Minute)
					f.Count = 0
					w.during(lossNames[lost]+", for ten minutes", f, 10*time.Minute)
				}
			})
		})
	}
}

// TestR19_AShortAnswerAtTheStart: the same while the connector starts for the first
// time, and again while it starts for the second time.
func TestR19_AShortAnswerAtTheStart(t *testing.T) {
	long(t)
	t.Parallel()
	for i, c := range shortAnswers {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for lost := hubspottest.LostAll; lost <= hubspottest.LostOne; lost++ {
				if lost != hubspottest.LostAll && int(lost)%2 != i%2 {
					continue // half or one, in turn
				}
				s := &shortWorld{says: c.says}
				if lost == hubspottest.LostOne {
					s.late = func(property string) bool { return !strings.HasPrefix(property, "hs_") }
				}
				s.made(t, uint64(i), []string{"SYNC_RECONCILE_INTERVAL=70m", "SYNC_LEADING_INTERVAL=30s"}, func() {
					f := c.fault
					f.Kind, f.Lost = hubspottest.FaultShort, lost
					for range 2 {
						remove := s.Portal.Inject(f)
						s.p = &process{s.Start(), s.world}
						time.Sleep(3 * time.Minute)
						remove()
						time.Sleep(5 * time.Minute)
						s.p.Stop()
					}
					s.p = &process{s.Start(), s.world}
					time.Sleep(2 * time.Hour)
					s.calm(lossNames[lost])
					s.p.Stop()
					if deletes := s.deletes(); len(deletes) > 0 {
						t.Errorf("%s: published as deleted: %q", lossNames[lost], deletes)
					}
					s.whole()
				})
			}
		})
	}
}

// TestR19_WhatReallyWentIsPublished: once, after its wait, and also where the
// connector is restarted in the middle of it.
func TestR19_WhatReallyWentIsPublished(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		if restart && testing.Short() {
			continue
		}
		s := &shortWorld{}
		s.made(t, 1, nil, func() {
			s.p = &process{s.Start(), s.world}
			time.Sleep(10 * time.Minute)
			for _, id := range s.contacts {
				for _, company := range s.companies {
					s.Portal.Dissociate("contacts", id, "companies", company, "", 0)
				}
			}
			for _, id := range []string{"p0", "p1", "p2"} { // of four
				s.Portal.RemovePipeline("deals", id)
			}
			s.Portal.RemoveProperty(s.car, "size")
			time.Sleep(20 * time.Minute)
			if deletes := s.deletes(); len(deletes) > 0 {
				t.Errorf("published as deleted after 20 minutes: %q", deletes)
			}
			held := map[string]bool{}
			for _, problem := range s.p.ready().Problems {
				held[problem.Object+" "+problem.Stream] = true
				if figures(t, s.p)[`hubspot_cdc_held_records{object="`+problem.Object+`"}`] == 0 {
					t.Errorf("the metrics have nothing held of %s", problem.Object)
				}
			}
			if want := []string{"contacts:companies brake", "pipeline_stages brake", "pipelines brake"}; !slices.Equal(slices.Sorted(maps.Keys(held)), want) {
				t.Errorf("held: %v, want %q", held, want)
			}
			wait := 45 * time.Minute
			if restart {
				s.p.Kill()
				s.Brokers.Mend()
				s.p = &process{s.Start(), s.world}
				wait = 65 * time.Minute
			}
			time.Sleep(wait)
			s.calm("in the end")
			s.p.Stop()
			deletes := map[string]int{}
			for _, text := range s.deletes() {
				object, _, _ := strings.Cut(text, " ")
				deletes[object]++
			}
			if want := map[string]int{"associations.contacts.companies": 120, "pipelines": 3, "pipeline_stages": 9}; !maps.Equal(deletes, want) {
				t.Errorf("published as deleted: %v, want %v", deletes, want)
			}
			s.whole()
		})
	}
}

// shortWorld is a portal in which something of everything is published.
type shortWorld struct {
	*world
	p         *process
	says      string
	late      func(property string) bool // what the first list of properties lacked; nil: nothing
	car       string
	contacts  []uint64
	companies []uint64
	n         int
}

// in runs f beside a connector that has published everything.
func (s *shortWorld) in(t *testing.T, seed uint64, f func()) {
	t.Helper()
	s.made(t, seed, nil, func() {
		s.p = &process{s.Start(), s.world}
		time.Sleep(10 * time.Minute)
		f()
		time.Sleep(80 * time.Minute)
		s.calm("in the end")
		s.p.Stop()
		s.whole()
	})
}

func (s *shortWorld) made(t *testing.T, seed uint64, env []string, f func()) {
	t.Helper()
	env = append([]string{
		"SYNC_REFERENCE_INTERVAL=1m", "SYNC_SCHEMA_INTERVAL=2m", "SYNC_ASSOCIATIONS_INTERVAL=3m", "SYNC_ARCHIVE_INTERVAL=2m",
		"SYNC_LEADING_INTERVAL=10s", "HUBSPOT_ASSOCIATIONS=contacts:companies,deals:p4242_car",
	}, env...)
	inWorld(t, hubspottest.Options{Seed: seed, OwnerPage: 4}, env, func(w *world) {
		s.world = w
		s.car = w.Portal.AddCustomType("car", hubspottest.Property{Name: "size", Type: "number"}).FullyQualifiedName
		w.Portal.AddLabel("contacts", "companies", "Boss", "Firm")
		s.contacts, s.companies = w.Portal.Seed("contacts", 60), w.Portal.Seed("companies", 4)
		cars, deals := w.Portal.Seed(s.car, 3), w.Portal.Seed("deals", 4)
		for i, id := range s.contacts {
			for j := range 1 + i%3 {
				w.Portal.Associate("contacts", id, "companies", s.companies[j], "", 0)
			}
		}
		for _, id := range deals {
			for _, car := range cars {
				w.Portal.Associate("deals", id, s.car, car, "", 0)
			}
		}
		for i := range 9 {
			id := w.Portal.AddOwner(hubspottest.Owner{FirstName: fmt.Sprint(i)})
			if i%3 == 0 {
				w.Portal.ArchiveOwner(id)
			}
		}
		for i := range 3 {
			w.Portal.AddPipeline("deals", hubspottest.Pipeline{ID: fmt.Sprint("p", i), Stages: []hubspottest.Stage{{ID: "a"}, {ID: "b"}, {ID: "c"}}})
		}
		w.Portal.Archive("contacts", w.Portal.Seed("contacts", 1)[0])
		f()
	})
}

// during lets a fault last, and records, links and entries change meanwhile. A link
// that another finder names is published when the fault is over at the latest, a
// record within two minutes unless searches are the fault: a type that is quiet is asked
// once a minute.
func (s *shortWorld) during(name string, f hubspottest.Fault, d time.Duration) {
	s.T.Helper()
	remove := s.Portal.Inject(f)
	said := false
	s.n++
	contact := s.contacts[s.n%len(s.contacts)]
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(15 * time.Second) {
		if s.n++; s.n%4 == 0 {
			s.Portal.Update("contacts", contact, map[string]string{"firstname": fmt.Sprint(s.n)})
			if f.Endpoint != hubspottest.EndpointSearch {
				if !inTime(2*time.Minute, func() bool { return s.FirstName(contact) == fmt.Sprint(s.n) }) {
					s.T.Errorf("%s: a contact's change is not published within two minutes", name)
				}
			}
		}
		said = said || slices.ContainsFunc(s.p.ready().Problems, func(p stream.Problem) bool { return p.Stream == s.says })
	}
	remove()
	if f.Count == 0 && s.says != "" && !said {
		s.T.Errorf("%s: /readyz does not show what is held back", name)
	}
	time.Sleep(3 * time.Minute)
	if deletes := s.deletes(); len(deletes) > 0 {
		s.T.Errorf("%s: published as deleted: %q", name, deletes)
	}
	if !inTime(65*time.Minute, func() bool { return len(s.p.ready().Problems) == 0 }) {
		s.T.Errorf("%s: an hour later: %+v", name, s.p.ready())
	}
}

// inTime waits until something is so, and reports whether it is before limit.
func inTime(limit time.Duration, so func() bool) bool {
	for end := time.Now().Add(limit); !so(); time.Sleep(5 * time.Second) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

func (s *shortWorld) calm(when string) {
	s.T.Helper()
	if ready := s.p.ready(); !ready.Ready || len(ready.Problems) > 0 {
		s.T.Errorf("%s: %+v", when, ready)
	}
}

// deletes are what a consumer has seen deleted.
func (s *shortWorld) deletes() (out []string) {
	s.T.Helper()
	for _, topic := range s.Topics() {
		if slices.Contains([]string{"hubspot.offsets", "hubspot.state", "hubspot.signals", "hubspot.notifications", "hubspot.frontiers"}, topic) {
			continue
		}
		for _, r := range s.Records(topic) {
			if r.Value != nil && s.Decode(r.Value)["op"] == "d" {
				out = append(out, strings.TrimPrefix(topic, "hubspot.")+" "+string(r.Key))
			}
		}
	}
	return out
}

// whole checks that everything was published that HubSpot has, and only that.
func (s *shortWorld) whole() {
	s.T.Helper()
	objects := []string{"contacts", "companies", "deals", s.car}
	s.Check(s.late, objects...)
	s.checkReferences(objects...)
	s.checkLinks(toCompanies)
	s.checkLinks(cdc.Pair{From: "deals", To: s.car})
}

// TestR19_APairWithoutLabelsIsStillFollowed: HubSpot lists no label of any pair while
// the connector starts. A pair that was published is followed all the same.
func TestR19_APairWithoutLabelsIsStillFollowed(t *testing.T) {
	t.Parallel()
	env := []string{"HUBSPOT_OBJECTS=contacts,companies", "SYNC_LEADING_INTERVAL=2s"}
	inWorld(t, hubspottest.Options{Seed: 1}, env, func(w *world) {
		contacts, companies := w.Portal.Seed("contacts", 3), w.Portal.Seed("companies", 3)
		w.Portal.Associate("contacts", contacts[0], "companies", companies[0], "", 0)
		p := w.start()
		time.Sleep(5 * time.Minute)
		p.Stop()
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultShort, Lost: hubspottest.LostAll, Endpoint: hubspottest.EndpointLabels})
		p = w.start()
		time.Sleep(time.Minute)
		w.Portal.Associate("contacts", contacts[1], "companies", companies[1], "", 0)
		w.Portal.Update("contacts", contacts[1], map[string]string{"firstname": "New"})
		time.Sleep(time.Minute)
		p.Stop()
		if n := len(w.links(toCompanies)); n != 2 {
			t.Errorf("%d links, want 2", n)
		}
		w.checkLinks(toCompanies)
	})
}
