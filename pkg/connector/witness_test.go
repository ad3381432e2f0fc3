package connector_test

import (
	"fmt"
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
			w := &shortWorld{says: c.says}
			w.in(t, uint64(i), func() {
				for _, lost := range []hubspottest.Loss{hubspottest.LostAll, hubspottest.LostHalf, hubspottest.LostOne} {
					f := c.fault
					f.Kind, f.Lost = hubspottest.FaultShort, lost
					f.Count = 1
					w.during(lossNames[lost]+", once", f, 3*time.Minute)
					if f.Count = 0; !testing.Short() || lost == hubspottest.LostHalf {
						w.during(lossNames[lost]+", for ten minutes", f, 10*time.Minute)
					}
				}
			})
		})
	}
}

// shortWorld is a portal in which something of everything is published.
type shortWorld struct {
	*world
	p         *process
	says      string
	car       string
	contacts  []uint64
	companies []uint64
	n         int
}

func (s *shortWorld) in(t *testing.T, seed uint64, f func()) {
	t.Helper()
	env := []string{
		"SYNC_REFERENCE_INTERVAL=1m", "SYNC_SCHEMA_INTERVAL=2m", "SYNC_ASSOCIATIONS_INTERVAL=3m", "SYNC_ARCHIVE_INTERVAL=2m",
		"SYNC_LEADING_INTERVAL=10s", "HUBSPOT_ASSOCIATIONS=contacts:companies,deals:p4242_car",
	}
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
		s.p = &process{w.Start(), w}
		time.Sleep(10 * time.Minute)
		f()
		time.Sleep(80 * time.Minute)
		s.calm("in the end")
		s.p.Stop()
		s.whole()
	})
}

// during lets a fault last, and records, links and entries change meanwhile. A link
// that another finder names is published when the fault is over at the latest, a
// record within a minute unless searches are the fault.
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
				if !inTime(time.Minute, func() bool { return s.FirstName(contact) == fmt.Sprint(s.n) }) {
					s.T.Errorf("%s: a contact's change is not published within a minute", name)
				}
			}
		}
		said = said || slices.ContainsFunc(s.p.ready().Problems, func(p stream.Problem) bool { return p.Stream == s.says })
	}
	remove()
	if f.Count == 0 && s.says != "" && !said {
		s.T.Errorf("%s: nothing is said of what is held back", name)
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
		if slices.Contains([]string{"hubspot.offsets", "hubspot.state", "hubspot.signals"}, topic) {
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
	s.check(objects...)
	s.checkReferences(objects...)
	s.checkLinks(toCompanies)
	s.checkLinks(cdc.Pair{From: "deals", To: s.car})
}
