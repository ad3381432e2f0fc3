package connector_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// seenEntries is everything that a consumer of a reference list's topic has read.
func (w *world) seenEntries(list string) []cdctest.LinkEvent {
	w.T.Helper()
	keyFields := map[string][]string{"owners": {"id"}, "pipelines": {"objectType", "id"}, "pipeline_stages": {"objectType", "pipelineId", "id"}}[list]
	events := w.seenOf("hubspot."+list, list, keyFields, cdctest.EntryText)
	for _, e := range events {
		if !e.Tombstone && e.Stream != "reference" && e.Stream != "signals" && e.Reason != "object_type_removed" {
			w.T.Fatalf("%s %s is of the stream %q", e.Op, e.Key, e.Stream)
		}
	}
	return events
}

// checkReferences checks everything published for the reference lists against
// everything that happened to them.
func (w *world) checkReferences(objects ...string) (events int) {
	w.T.Helper()
	pipelines, stages := cdctest.PipelineHistoriesOf(w.Portal, objects...)
	for list, history := range map[string]cdctest.ReferenceHistory{
		"owners": cdctest.OwnerHistoryOf(w.Portal), "pipelines": pipelines, "pipeline_stages": stages,
	} {
		if len(history.States) == 0 {
			continue
		}
		report := cdctest.CheckReferences(history, w.seenEntries(list))
		events += report.Events
		if !report.Clean() {
			w.T.Errorf("%s: lost %d, doubled %d, reordered %d, malformed %d of %d events\n%s", list, len(report.Lost), len(report.Doubled),
				len(report.Reordered), len(report.Malformed), report.Events, report.Findings())
		}
	}
	return events
}

// tale gives the events of a reference list's topic, one per line.
func (w *world) tale(list string) []string {
	w.T.Helper()
	return inOrder(w.seenEntries(list), func(e cdctest.LinkEvent) []string { return []string{e.Op, e.Key, e.Reason} })
}

func (w *world) tells(list string, want ...string) {
	w.T.Helper()
	if got := w.tale(list); !slices.Equal(got, want) {
		w.T.Errorf("%s: got\n%s\nwant\n%s", list, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestReferences_TheirLife: entries are read at the start, made, renamed,
// removed, archived and restored, over a restart. Each event appears once and
// with its reason (docs/contract.md section 5).
func TestReferences_TheirLife(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 1, OwnerPage: 2, Types: []string{"contacts", "deals"}}
	inWorld(t, opt, nil, func(w *world) {
		var owners []string
		for i := range 5 {
			owners = append(owners, w.Portal.AddOwner(hubspottest.Owner{FirstName: fmt.Sprint(i), UserID: uint64(i), Teams: []hubspottest.Team{{ID: "1", Name: "A"}, {ID: "2", Name: "B", Primary: true}}}))
		}
		gone := w.Portal.AddOwner(hubspottest.Owner{})
		w.Portal.ArchiveOwner(gone)
		w.Portal.RemoveStage("deals", "default", "contractsent")
		w.Portal.RemoveStage("deals", "default", "qualifiedtobuy")
		w.Portal.RemoveStage("deals", "default", "closedlost")
		p := w.start()
		var other string
		step := func(changes ...func()) {
			for _, change := range changes {
				change()
				time.Sleep(6 * time.Minute)
			}
		}
		step(
			func() {},
			func() { w.Portal.UpdateOwner(owners[0], func(o *hubspottest.Owner) { o.Email = "ada@example.com" }) },
			func() { w.Portal.ArchiveOwner(owners[1]) },
			func() { owners = append(owners, w.Portal.AddOwner(hubspottest.Owner{Type: "QUEUE"})) },
			func() { w.Portal.PurgeOwner(owners[2]) },
			func() {
				other = w.Portal.AddPipeline("deals", hubspottest.Pipeline{Label: "Other", Stages: []hubspottest.Stage{{ID: "new"}}})
			},
			func() {
				w.Portal.UpdateStage("deals", "default", "closedwon", func(s *hubspottest.Stage) { s.Metadata["probability"] = "0.99" })
			},
		)
		p.Stop()
		w.Portal.RestoreOwner(owners[1])
		w.Portal.UpdatePipeline("deals", "default", func(pl *hubspottest.Pipeline) { pl.Label = "Sales" })
		w.Portal.RemoveStage("deals", "default", "appointmentscheduled")
		p = w.start()
		step(func() {}, func() { w.Portal.RemovePipeline("deals", other) })
		w.tells("owners", "r "+owners[0], "r "+owners[1], "r "+owners[2], "r "+owners[3], "r "+owners[4],
			"u "+owners[0], "d "+owners[1]+" archived", "c "+owners[5], "d "+owners[2]+" removed", "c "+owners[1]+" restored")
		w.tells("pipelines", "r deals:default", "c deals:"+other, "u deals:default", "d deals:"+other+" removed")
		stages := w.tale("pipeline_stages")
		slices.Sort(stages[:2]) // HubSpot's answers are in no order
		if want := []string{
			"r deals:default:appointmentscheduled", "r deals:default:closedwon", "c deals:" + other + ":new", "u deals:default:closedwon",
			"d deals:default:appointmentscheduled removed", "d deals:" + other + ":new removed",
		}; !slices.Equal(stages, want) {
			t.Errorf("stages: got\n%s\nwant\n%s", strings.Join(stages, "\n"), strings.Join(want, "\n"))
		}
		if n := w.checkReferences("deals"); n != 20 {
			t.Errorf("%d events checked, want 20", n)
		}
		if ready := p.ready(); !ready.Ready || len(ready.Problems) > 0 || ready.Backfill["owners"] != "done" || ready.Backfill["pipeline_stages"] != "done" {
			t.Errorf("readiness %+v", ready)
		}
		p.Stop()
	})
}

// TestReferences_AMissingScopeKeepsNothingElseFromBeingReady, and losing it
// deletes nothing. Once the scope is back, the list is read again.
func TestReferences_AMissingScopeKeepsNothingElseFromBeingReady(t *testing.T) {
	t.Parallel()
	const contacts, deals, owners = "crm.objects.contacts.read", "crm.objects.deals.read", "crm.objects.owners.read"
	opt := hubspottest.Options{Seed: 1, Scopes: []string{contacts, deals}}
	inWorld(t, opt, []string{"SYNC_REFERENCE_INTERVAL=1m", "SYNC_ARCHIVE_INTERVAL=10s", "SYNC_LEADING_INTERVAL=1m"}, func(w *world) {
		id := w.Portal.AddOwner(hubspottest.Owner{FirstName: "Ada"})
		p := w.start()
		time.Sleep(10 * time.Minute)
		ready := p.ready()
		if !ready.Ready || len(ready.Problems) != 1 || ready.Problems[0].Object != "owners" || !strings.Contains(ready.Problems[0].Action, owners) {
			t.Errorf("without the scope: %+v", ready)
		}
		if _, shown := ready.Backfill["owners"]; shown {
			t.Errorf("a backfill is shown that never ends: %v", ready.Backfill)
		}
		if n := strings.Count(w.Log.String(), "a reference list cannot be read completely"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
		w.Portal.SetScopes(contacts, deals, owners)
		time.Sleep(2 * time.Minute)
		w.tells("owners", "r "+id)
		if ready := p.ready(); len(ready.Problems) > 0 {
			t.Errorf("with the scope: %+v", ready)
		}
		stages := len(w.tale("pipeline_stages"))

		w.Portal.SetScopes(contacts)
		w.Portal.AddStage("deals", "default", hubspottest.Stage{ID: "late"})
		time.Sleep(10 * time.Minute)
		shown := map[string]bool{}
		for _, problem := range p.ready().Problems {
			shown[problem.Object] = true
		}
		if !shown["owners"] || !shown["pipelines"] || !shown["pipeline_stages"] {
			t.Errorf("after the scopes were taken away: %v", shown)
		}
		p.Stop()
		p = w.start()
		time.Sleep(10 * time.Minute)
		w.tells("owners", "r "+id)
		if n := len(w.tale("pipeline_stages")); n != stages {
			t.Errorf("%d events of stages, %d before scopes were taken away", n, stages)
		}

		w.Portal.SetScopes(contacts, deals, owners)
		time.Sleep(20 * time.Minute)
		w.tells("owners", "r "+id)
		if tale := w.tale("pipeline_stages"); len(tale) != stages+1 || tale[stages] != "c deals:default:late" {
			t.Errorf("after the scopes came back: %v", tale)
		}
		w.checkReferences("deals")
		p.Stop()
	})
}

// TestReferences_OneTypesFailureIsItsOwn: an answer that fails, or comes without
// a list, deletes nothing, of this type or another.
func TestReferences_OneTypesFailureIsItsOwn(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 1, Types: []string{"contacts", "products", "deals", "tickets"}}
	inWorld(t, opt, []string{"SYNC_REFERENCE_INTERVAL=1m"}, func(w *world) {
		w.Portal.AddOwner(hubspottest.Owner{})
		p := w.start()
		time.Sleep(3 * time.Minute)
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 404, Endpoint: hubspottest.EndpointPipelines, Object: "deals", Count: 1 << 20})
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 503, Endpoint: hubspottest.EndpointOwners, Count: 20})
		w.Portal.RemoveStage("tickets", "0", "2")
		time.Sleep(20 * time.Minute)
		p.Stop()
		tale := w.tale("pipeline_stages")
		if n := len(tale); n != 10 || tale[9] != "d tickets:0:2 removed" {
			t.Errorf("stages: %v", tale)
		}
		if n := len(w.tale("owners")); n != 1 {
			t.Errorf("%d events of owners", n)
		}
		w.checkReferences("deals", "tickets")
	})
}

// TestReferences_TypesWithoutPipelinesAreSeldomAsked: HubSpot does not say which
// types these are.
func TestReferences_TypesWithoutPipelinesAreSeldomAsked(t *testing.T) {
	long(t)
	t.Parallel()
	opt := hubspottest.Options{Seed: 1, Types: []string{"contacts", "products", "deals"}}
	inWorld(t, opt, []string{"SYNC_REFERENCE_INTERVAL=5m"}, func(w *world) {
		p := w.start()
		time.Sleep(time.Minute)
		w.Portal.ResetStats()
		time.Sleep(4 * time.Hour)
		calls := w.Portal.Stats().Calls
		p.Stop()
		// Each hour: 12 of deals, one of contacts and of products; 12 of owners.
		if got := [2]int{calls[hubspottest.EndpointPipelines], calls[hubspottest.EndpointOwners]}; got != [2]int{4 * 14, 4 * 12} {
			t.Errorf("%v calls in four hours, want %v", got, [2]int{4 * 14, 4 * 12})
		}
	})
}

// TestReferences_TheRegistryRefusesOneTopic: that list stops and everything else
// continues, also over a restart. Once the registry accepts it, all of the list
// is published.
func TestReferences_TheRegistryRefusesOneTopic(t *testing.T) {
	t.Parallel()
	env := []string{"SYNC_REFERENCE_INTERVAL=1m", "HUBSPOT_OBJECTS=deals"}
	inWorld(t, hubspottest.Options{Seed: 1}, env, func(w *world) {
		owner := w.Portal.AddOwner(hubspottest.Owner{})
		accepting := w.Registry.Turn(nil)
		w.Registry.Turn(refusing(accepting, "hubspot.pipelines-value"))
		for range 2 {
			p := w.start()
			time.Sleep(3 * time.Minute)
			ready := p.ready()
			if !ready.Ready || len(ready.Problems) == 0 || ready.Problems[0].Object != "pipelines" || !strings.Contains(ready.Problems[0].Problem, "hubspot.pipelines-value") ||
				!strings.Contains(ready.Problems[0].Action, "subject") {
				t.Errorf("readiness %+v", ready)
			}
			p.Stop()
		}
		w.tells("owners", "r "+owner)
		w.Registry.Turn(accepting)
		p := w.start()
		time.Sleep(3 * time.Minute)
		if ready := p.ready(); !ready.Ready || len(ready.Problems) > 0 {
			t.Errorf("readiness %+v", ready)
		}
		p.Stop()
		if n := w.checkReferences("deals"); n != 7 {
			t.Errorf("%d events, want 7", n)
		}
		for _, list := range []string{"pipelines", "pipeline_stages"} {
			for _, line := range w.tale(list) {
				if !strings.HasPrefix(line, "r ") {
					t.Errorf("%s: %q, although the first sweep had not ended", list, line)
				}
			}
		}
	})
}

// TestReferences_GoWithTheirType: the pipelines of a custom type go when the type
// is removed, and come back with a new type of the same name.
func TestReferences_GoWithTheirType(t *testing.T) {
	t.Parallel()
	env := []string{"SYNC_REFERENCE_INTERVAL=1m", "SYNC_SCHEMA_INTERVAL=1m"}
	inWorld(t, hubspottest.Options{Seed: 1, Types: []string{"contacts", "deals"}}, env, func(w *world) {
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		w.Portal.AddPipeline(car, hubspottest.Pipeline{ID: "repair", Stages: []hubspottest.Stage{{ID: "in"}}})
		p := w.start()
		time.Sleep(5 * time.Minute)
		w.Portal.RemoveCustomType(car)
		time.Sleep(10 * time.Minute)
		w.Portal.AddCustomType("car")
		w.Portal.AddPipeline(car, hubspottest.Pipeline{ID: "repair", Stages: []hubspottest.Stage{{ID: "out"}}})
		time.Sleep(10 * time.Minute)
		p.Stop()
		var tale []string
		for _, list := range []string{"pipelines", "pipeline_stages"} {
			for _, line := range w.tale(list) {
				if strings.Contains(line, car) {
					tale = append(tale, line)
				}
			}
		}
		if want := []string{
			"r " + car + ":repair", "d " + car + ":repair object_type_removed", "c " + car + ":repair restored",
			"r " + car + ":repair:in", "d " + car + ":repair:in object_type_removed", "c " + car + ":repair:out",
		}; !slices.Equal(tale, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(tale, "\n"), strings.Join(want, "\n"))
		}
	})
}

// TestReferences_AreAskedForBySignals: whole, or by the ids of owners.
func TestReferences_AreAskedForBySignals(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 1, OwnerPage: 2, Types: []string{"contacts", "products", "deals"}}
	inWorld(t, opt, nil, func(w *world) {
		a, b, c := w.Portal.AddOwner(hubspottest.Owner{}), w.Portal.AddOwner(hubspottest.Owner{}), w.Portal.AddOwner(hubspottest.Owner{})
		p := w.start()
		time.Sleep(time.Minute)
		w.Portal.UpdateOwner(c, func(o *hubspottest.Owner) { o.LastName = "New" })
		id, err := strconv.ParseUint(b, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		w.signal(execute("some", []uint64{id, 17}, "owners"), execute("all", nil, "hubspot.pipelines", "pipeline_stages"))
		time.Sleep(time.Minute)
		p.Stop()
		w.tells("owners", "r "+a, "r "+b, "r "+c, "r "+b, "u "+c)
		w.tells("pipelines", "r deals:default", "r deals:default")
		if n := len(w.tale("pipeline_stages")); n != 10 {
			t.Errorf("%d events of stages, want 10", n)
		}
		w.checkReferences("deals")
		if !strings.Contains(w.Log.String(), "ids=17") {
			t.Error("the log does not name the owner that does not exist")
		}
	})
}

// TestReferences_ExactlyOnce: the lists live at random in a portal with all of
// HubSpot's habits and failures, while the connector is restarted. What a
// consumer saw is checked against what happened.
func TestReferences_ExactlyOnce(t *testing.T) {
	long(t)
	t.Parallel()
	events := 0
	for seed := range uint64(10) {
		opt := hubspottest.Harsh(seed)
		opt.Types = []string{"deals", "tickets"}
		env := []string{"SYNC_REFERENCE_INTERVAL=20s", "SYNC_LEADING_INTERVAL=1m", "SYNC_CENSUS_INTERVAL=10m", "HUBSPOT_ASSOCIATIONS=none"}
		inWorld(t, opt, env, func(w *world) {
			w.Portal.Seed("deals", 3)
			w.Portal.Seed("tickets", 3)
			rng := rand.New(rand.NewPCG(seed, 1))
			life := hubspottest.Life{Owner: 1, Pipeline: 2}
			for range 10 {
				w.Portal.Step(rng, life)
			}
			p := w.start()
			for range 6 {
				if rng.IntN(2) == 0 {
					kind := []hubspottest.Kind{hubspottest.FaultReset, hubspottest.FaultCut, hubspottest.FaultStatus}[rng.IntN(3)]
					at := []hubspottest.Endpoint{hubspottest.EndpointOwners, hubspottest.EndpointPipelines}[rng.IntN(2)]
					w.Portal.Inject(hubspottest.Fault{Kind: kind, Status: 502, Endpoint: at, Count: 1 + rng.IntN(4)})
				}
				for range 40 {
					w.Portal.Step(rng, life)
					time.Sleep(time.Duration(rng.IntN(8000)) * time.Millisecond)
				}
				if rng.IntN(2) == 0 {
					p.Stop()
					p = w.start()
				}
			}
			time.Sleep(75 * time.Minute) // R19 holds what went in bulk for an hour
			events += w.checkReferences("deals", "tickets")
			p.Stop()
			if w.T.Failed() {
				w.T.Fatalf("seed %d", seed)
			}
		})
	}
	t.Logf("%d events in %d lives", events, seeds)
}
