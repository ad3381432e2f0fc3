package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// seenEntries is everything that a consumer of a list's topic has read.
func (w *world) seenEntries(list string) []cdctest.LinkEvent {
	w.t.Helper()
	registry, err := sr.NewClient(sr.URLs("http://registry.test"), sr.HTTPClient(&http.Client{Transport: w.registry}))
	if err != nil {
		w.t.Fatal(err)
	}
	decoder := newTail(nil, false)
	var out []cdctest.LinkEvent
	for _, r := range w.records("hubspot." + list) {
		e := cdctest.LinkEvent{Key: string(r.Key), Partition: r.Partition, Tombstone: r.Value == nil}
		if !e.Tombstone {
			m, err := decoder.decode(w.t.Context(), registry, r.Value)
			if err != nil {
				w.t.Fatalf("%s[%d]@%d: %v", r.Topic, r.Partition, r.Offset, err)
			}
			source := m["source"].(map[string]any)
			e.Op, e.Snapshot, e.Seq, e.Stream = m["op"].(string), source["snapshot"].(string), source["seq"].(int64), source["stream"].(string)
			e.Reason, _ = source["reason"].(string)
			image, side := m["after"], "after"
			if e.Op == "d" {
				image, side = m["before"], "before"
			}
			f := image.(map[string]any)
			var key []string
			for _, name := range map[string][]string{"owners": {"id"}, "pipelines": {"objectType", "id"}, "pipeline_stages": {"objectType", "pipelineId", "id"}}[list] {
				key = append(key, fmt.Sprint(f[name]))
			}
			if strings.Join(key, ":") != e.Key || source["table"] != list || e.Stream != "reference" && e.Stream != "signals" && e.Reason != "object_type_removed" {
				w.t.Fatalf("key %s, %s %v, source %v", e.Key, side, f, source)
			}
			if e.Op != "d" {
				e.Label = cdctest.EntryText(f)
			}
		}
		out = append(out, e)
	}
	return out
}

// checkLists holds everything published of the lists against everything that
// happened to them.
func (w *world) checkLists(objects ...string) (events int) {
	w.t.Helper()
	pipelines, stages := cdctest.PipelineHistoriesOf(w.portal, objects...)
	for list, history := range map[string]cdctest.ListHistory{
		"owners": cdctest.OwnerHistoryOf(w.portal), "pipelines": pipelines, "pipeline_stages": stages,
	} {
		if len(history.States) == 0 {
			continue
		}
		report := cdctest.CheckLists(history, w.seenEntries(list))
		events += report.Events
		if !report.Clean() {
			w.t.Errorf("%s: lost %d, doubled %d, reordered %d, malformed %d of %d events\n%s", list, len(report.Lost), len(report.Doubled),
				len(report.Reordered), len(report.Malformed), report.Events, report.Findings())
		}
	}
	return events
}

// tale tells the events of a list's topic, one a line.
func (w *world) tale(list string) []string {
	w.t.Helper()
	events := slices.DeleteFunc(w.seenEntries(list), func(e cdctest.LinkEvent) bool { return e.Tombstone })
	slices.SortFunc(events, func(a, b cdctest.LinkEvent) int { return int(a.Seq - b.Seq) })
	var out []string
	for _, e := range events {
		out = append(out, strings.TrimSpace(strings.Join([]string{e.Op, e.Key, e.Reason}, " ")))
	}
	return out
}

func (w *world) tells(list string, want ...string) {
	w.t.Helper()
	if got := w.tale(list); !slices.Equal(got, want) {
		w.t.Errorf("%s: got\n%s\nwant\n%s", list, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestLists_TheirLife: read at the start, made, renamed, removed, archived,
// restored, over a restart, each event once and with its reason (DESIGN
// section 5).
func TestLists_TheirLife(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 1, OwnerPage: 2, Types: []string{"contacts", "deals"}}
	inWorld(t, opt, nil, func(w *world) {
		var owners []string
		for i := range 5 {
			owners = append(owners, w.portal.AddOwner(hubspottest.Owner{FirstName: fmt.Sprint(i), UserID: uint64(i), Teams: []hubspottest.Team{{ID: "1", Name: "A"}, {ID: "2", Name: "B", Primary: true}}}))
		}
		gone := w.portal.AddOwner(hubspottest.Owner{})
		w.portal.ArchiveOwner(gone)
		w.portal.RemoveStage("deals", "default", "contractsent")
		w.portal.RemoveStage("deals", "default", "qualifiedtobuy")
		w.portal.RemoveStage("deals", "default", "closedlost")
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
			func() { w.portal.UpdateOwner(owners[0], func(o *hubspottest.Owner) { o.Email = "ada@example.com" }) },
			func() { w.portal.ArchiveOwner(owners[1]) },
			func() { owners = append(owners, w.portal.AddOwner(hubspottest.Owner{Type: "QUEUE"})) },
			func() { w.portal.PurgeOwner(owners[2]) },
			func() {
				other = w.portal.AddPipeline("deals", hubspottest.Pipeline{Label: "Other", Stages: []hubspottest.Stage{{ID: "new"}}})
			},
			func() {
				w.portal.UpdateStage("deals", "default", "closedwon", func(s *hubspottest.Stage) { s.Metadata["probability"] = "0.99" })
			},
		)
		p.stop()
		w.portal.RestoreOwner(owners[1])
		w.portal.UpdatePipeline("deals", "default", func(pl *hubspottest.Pipeline) { pl.Label = "Sales" })
		w.portal.RemoveStage("deals", "default", "appointmentscheduled")
		p = w.start()
		step(func() {}, func() { w.portal.RemovePipeline("deals", other) })
		w.tells("owners", "r "+owners[0], "r "+owners[1], "r "+owners[2], "r "+owners[3], "r "+owners[4],
			"u "+owners[0], "d "+owners[1]+" archived", "c "+owners[5], "d "+owners[2]+" removed", "c "+owners[1]+" restored")
		w.tells("pipelines", "r deals:default", "c deals:"+other, "u deals:default", "d deals:"+other+" removed")
		stages := w.tale("pipeline_stages")
		slices.Sort(stages[:2]) // HubSpot's answers have no order
		if want := []string{
			"r deals:default:appointmentscheduled", "r deals:default:closedwon", "c deals:" + other + ":new", "u deals:default:closedwon",
			"d deals:default:appointmentscheduled removed", "d deals:" + other + ":new removed",
		}; !slices.Equal(stages, want) {
			t.Errorf("stages: got\n%s\nwant\n%s", strings.Join(stages, "\n"), strings.Join(want, "\n"))
		}
		if n := w.checkLists("deals"); n != 20 {
			t.Errorf("%d events checked, want 20", n)
		}
		if ready := p.ready(); !ready.Ready || len(ready.Problems) > 0 || ready.Backfill["owners"] != "done" || ready.Backfill["pipeline_stages"] != "done" {
			t.Errorf("readiness %+v", ready)
		}
		p.stop()
	})
}

// TestLists_AMissingScopeKeepsNothingElseFromBeingReady, nor does its loss
// delete anything; given back, the list is read again.
func TestLists_AMissingScopeKeepsNothingElseFromBeingReady(t *testing.T) {
	t.Parallel()
	const contacts, deals, owners = "crm.objects.contacts.read", "crm.objects.deals.read", "crm.objects.owners.read"
	opt := hubspottest.Options{Seed: 1, Scopes: []string{contacts, deals}}
	inWorld(t, opt, []string{"SYNC_REFERENCE_INTERVAL=1m", "SYNC_ARCHIVE_INTERVAL=10s", "SYNC_LEADING_INTERVAL=1m"}, func(w *world) {
		id := w.portal.AddOwner(hubspottest.Owner{FirstName: "Ada"})
		p := w.start()
		time.Sleep(10 * time.Minute)
		ready := p.ready()
		if !ready.Ready || len(ready.Problems) != 1 || ready.Problems[0].Object != "owners" || !strings.Contains(ready.Problems[0].Action, owners) {
			t.Errorf("without the scope: %+v", ready)
		}
		if _, shown := ready.Backfill["owners"]; shown {
			t.Errorf("a backfill that never ends: %v", ready.Backfill)
		}
		if n := strings.Count(w.log.String(), "a list is not read whole"); n != 1 {
			t.Errorf("said %d times", n)
		}
		w.portal.SetScopes(contacts, deals, owners)
		time.Sleep(2 * time.Minute)
		w.tells("owners", "r "+id)
		if ready := p.ready(); len(ready.Problems) > 0 {
			t.Errorf("with the scope: %+v", ready)
		}
		stages := len(w.tale("pipeline_stages"))

		w.portal.SetScopes(contacts)
		w.portal.AddStage("deals", "default", hubspottest.Stage{ID: "late"})
		time.Sleep(10 * time.Minute)
		shown := map[string]bool{}
		for _, problem := range p.ready().Problems {
			shown[problem.Object] = true
		}
		if !shown["owners"] || !shown["pipelines"] || !shown["pipeline_stages"] {
			t.Errorf("scopes were taken away, shown: %v", shown)
		}
		p.stop()
		p = w.start()
		time.Sleep(10 * time.Minute)
		w.tells("owners", "r "+id)
		if n := len(w.tale("pipeline_stages")); n != stages {
			t.Errorf("%d events of stages, %d before scopes were taken away", n, stages)
		}

		w.portal.SetScopes(contacts, deals, owners)
		time.Sleep(20 * time.Minute)
		w.tells("owners", "r "+id)
		if tale := w.tale("pipeline_stages"); len(tale) != stages+1 || tale[stages] != "c deals:default:late" {
			t.Errorf("given back: %v", tale)
		}
		w.checkLists("deals")
		p.stop()
	})
}

// TestLists_OneTypesFailureIsItsOwn: what HubSpot does not answer, or answers
// without a list, deletes nothing, of this type or of another.
func TestLists_OneTypesFailureIsItsOwn(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 1, Types: []string{"contacts", "products", "deals", "tickets"}}
	inWorld(t, opt, []string{"SYNC_REFERENCE_INTERVAL=1m"}, func(w *world) {
		w.portal.AddOwner(hubspottest.Owner{})
		p := w.start()
		time.Sleep(3 * time.Minute)
		w.portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 404, Endpoint: hubspottest.EndpointPipelines, Object: "deals", Count: 1 << 20})
		w.portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 503, Endpoint: hubspottest.EndpointOwners, Count: 20})
		w.portal.RemoveStage("tickets", "0", "2")
		time.Sleep(20 * time.Minute)
		p.stop()
		tale := w.tale("pipeline_stages")
		if n := len(tale); n != 10 || tale[9] != "d tickets:0:2 removed" {
			t.Errorf("stages: %v", tale)
		}
		if n := len(w.tale("owners")); n != 1 {
			t.Errorf("%d events of owners", n)
		}
		w.checkLists("deals", "tickets")
	})
}

// TestLists_TypesWithoutPipelinesAreSeldomAsked: HubSpot does not say which
// these are.
func TestLists_TypesWithoutPipelinesAreSeldomAsked(t *testing.T) {
	long(t)
	t.Parallel()
	opt := hubspottest.Options{Seed: 1, Types: []string{"contacts", "products", "deals"}}
	inWorld(t, opt, nil, func(w *world) {
		p := w.start()
		time.Sleep(time.Minute)
		w.portal.ResetStats()
		time.Sleep(4 * time.Hour)
		calls := w.portal.Stats().Calls
		p.stop()
		// Each hour: 12 of deals, one of contacts and of products; 12 of owners.
		if got := [2]int{calls[hubspottest.EndpointPipelines], calls[hubspottest.EndpointOwners]}; got != [2]int{4 * 14, 4 * 12} {
			t.Errorf("%v calls in four hours, want %v", got, [2]int{4 * 14, 4 * 12})
		}
	})
}

// TestLists_TheRegistryRefusesOneTopic: that list stops, all else goes on, also
// over a restart, and when the registry gives in all of it is published.
func TestLists_TheRegistryRefusesOneTopic(t *testing.T) {
	t.Parallel()
	env := []string{"SYNC_REFERENCE_INTERVAL=1m", "HUBSPOT_OBJECTS=deals"}
	inWorld(t, hubspottest.Options{Seed: 1}, env, func(w *world) {
		owner := w.portal.AddOwner(hubspottest.Owner{})
		accepting := w.registry.to
		w.registry.turn(refusing{accepting, "hubspot.pipelines-value"})
		for range 2 {
			p := w.start()
			time.Sleep(3 * time.Minute)
			ready := p.ready()
			if !ready.Ready || len(ready.Problems) == 0 || ready.Problems[0].Object != "pipelines" || !strings.Contains(ready.Problems[0].Problem, "hubspot.pipelines-value") ||
				!strings.Contains(ready.Problems[0].Action, "subject") {
				t.Errorf("readiness %+v", ready)
			}
			p.stop()
		}
		w.tells("owners", "r "+owner)
		w.registry.turn(accepting)
		p := w.start()
		time.Sleep(3 * time.Minute)
		if ready := p.ready(); !ready.Ready || len(ready.Problems) > 0 {
			t.Errorf("readiness %+v", ready)
		}
		p.stop()
		if n := w.checkLists("deals"); n != 7 {
			t.Errorf("%d events, want 7", n)
		}
		for _, list := range []string{"pipelines", "pipeline_stages"} {
			for _, line := range w.tale(list) {
				if !strings.HasPrefix(line, "r ") {
					t.Errorf("%s: %q, and the first sweep had not ended", list, line)
				}
			}
		}
	})
}

// TestLists_GoWithTheirType: the pipelines of a custom type that was removed,
// and that came back under its name.
func TestLists_GoWithTheirType(t *testing.T) {
	t.Parallel()
	env := []string{"SYNC_REFERENCE_INTERVAL=1m", "SYNC_SCHEMA_INTERVAL=1m"}
	inWorld(t, hubspottest.Options{Seed: 1, Types: []string{"contacts", "deals"}}, env, func(w *world) {
		car := w.portal.AddCustomType("car").FullyQualifiedName
		w.portal.AddPipeline(car, hubspottest.Pipeline{ID: "repair", Stages: []hubspottest.Stage{{ID: "in"}}})
		p := w.start()
		time.Sleep(5 * time.Minute)
		w.portal.RemoveCustomType(car)
		time.Sleep(10 * time.Minute)
		w.portal.AddCustomType("car")
		w.portal.AddPipeline(car, hubspottest.Pipeline{ID: "repair", Stages: []hubspottest.Stage{{ID: "out"}}})
		time.Sleep(10 * time.Minute)
		p.stop()
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

// TestLists_AreAskedForBySignals: whole, or by the ids of owners.
func TestLists_AreAskedForBySignals(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 1, OwnerPage: 2, Types: []string{"contacts", "products", "deals"}}
	inWorld(t, opt, nil, func(w *world) {
		a, b, c := w.portal.AddOwner(hubspottest.Owner{}), w.portal.AddOwner(hubspottest.Owner{}), w.portal.AddOwner(hubspottest.Owner{})
		p := w.start()
		time.Sleep(time.Minute)
		w.portal.UpdateOwner(c, func(o *hubspottest.Owner) { o.LastName = "New" })
		id, err := strconv.ParseUint(b, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		w.signal(execute("some", []uint64{id, 17}, "owners"), execute("all", nil, "hubspot.pipelines", "pipeline_stages"))
		time.Sleep(time.Minute)
		p.stop()
		w.tells("owners", "r "+a, "r "+b, "r "+c, "r "+b, "u "+c)
		w.tells("pipelines", "r deals:default", "r deals:default")
		if n := len(w.tale("pipeline_stages")); n != 10 {
			t.Errorf("%d events of stages, want 10", n)
		}
		w.checkLists("deals")
		if !strings.Contains(w.log.String(), "ids=17") {
			t.Error("the owner that there is not is not named")
		}
	})
}

// TestLists_ExactlyOnce: random lives of the lists in a portal with all of its
// habits, its failures and restarts of the connector, held against what a
// consumer saw.
func TestLists_ExactlyOnce(t *testing.T) {
	t.Parallel()
	seeds := uint64(10)
	if testing.Short() {
		seeds = 2
	}
	events := 0
	for seed := range seeds {
		opt := hubspottest.Harsh(seed)
		opt.Types = []string{"deals", "tickets"}
		env := []string{"SYNC_REFERENCE_INTERVAL=20s", "SYNC_LEADING_INTERVAL=1m", "SYNC_CENSUS_INTERVAL=10m", "HUBSPOT_ASSOCIATIONS=none"}
		inWorld(t, opt, env, func(w *world) {
			w.portal.Seed("deals", 3)
			w.portal.Seed("tickets", 3)
			rng := rand.New(rand.NewPCG(seed, 1))
			life := hubspottest.Life{Owner: 1, Pipeline: 2}
			for range 10 {
				w.portal.Step(rng, life)
			}
			p := w.start()
			for range 6 {
				if rng.IntN(2) == 0 {
					kind := []hubspottest.Kind{hubspottest.FaultReset, hubspottest.FaultCut, hubspottest.FaultStatus}[rng.IntN(3)]
					at := []hubspottest.Endpoint{hubspottest.EndpointOwners, hubspottest.EndpointPipelines}[rng.IntN(2)]
					w.portal.Inject(hubspottest.Fault{Kind: kind, Status: 502, Endpoint: at, Count: 1 + rng.IntN(4)})
				}
				for range 40 {
					w.portal.Step(rng, life)
					time.Sleep(time.Duration(rng.IntN(8000)) * time.Millisecond)
				}
				if rng.IntN(2) == 0 {
					p.stop()
					p = w.start()
				}
			}
			time.Sleep(5 * time.Minute)
			events += w.checkLists("deals", "tickets")
			p.stop()
			if w.t.Failed() {
				w.t.Fatalf("seed %d", seed)
			}
		})
	}
	t.Logf("%d events in %d lives", events, seeds)
}
