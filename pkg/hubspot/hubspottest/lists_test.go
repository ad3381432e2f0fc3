package hubspottest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

const (
	ownersPath    = "/crm/owners/2026-09"
	pipelinesPath = "/crm/pipelines/2026-09/"
)

type ownersPage struct {
	Results []struct {
		ID       string
		Email    *string
		Type     string
		UserID   *uint64
		Inactive *uint64 `json:"userIdIncludingInactive"`
		Archived bool
		Teams    []Team
	}
	Paging struct{ Next struct{ After, Link string } }
}

func owners(t testing.TB, p *Portal, query string) ownersPage {
	t.Helper()
	var page ownersPage
	if err := json.Unmarshal(do(t, p, "GET", ownersPath+query, "").want(t, 200).body, &page); err != nil {
		t.Fatal(err)
	}
	return page
}

// TestOwnersArePagedAndArchivedApart: docs/hubspot.md section 5.
func TestOwnersArePagedAndArchivedApart(t *testing.T) {
	p := New(Options{Limits: Limits{Off: true}})
	if page := owners(t, p, ""); page.Results == nil || len(page.Results) > 0 {
		t.Errorf("without owners: %+v", page)
	}
	var ids []string
	for i := range 250 {
		ids = append(ids, p.AddOwner(Owner{FirstName: fmt.Sprint(i), Email: "a@example.com", UserID: uint64(i + 1), Teams: []Team{{"1", "Sales", true}, {"2", "All", false}}}))
	}
	queue := p.AddOwner(Owner{Type: "QUEUE"})
	if n := len(owners(t, p, "").Results); n != 100 {
		t.Errorf("%d in a page by default", n)
	}
	var got []string
	for query := "?limit=120"; query != ""; {
		page := owners(t, p, query)
		for _, o := range page.Results {
			got = append(got, o.ID)
			if o.ID == queue && (o.Type != "QUEUE" || o.Email != nil || o.UserID != nil) {
				t.Errorf("the queue is %+v", o)
			}
		}
		if query = ""; page.Paging.Next.After != "" {
			query = "?limit=120&after=" + page.Paging.Next.After
		}
	}
	if !slices.Equal(got, append(slices.Clone(ids), queue)) {
		t.Errorf("got %d owners", len(got))
	}
	p.ArchiveOwner(ids[3])
	page := owners(t, p, "?archived=true&limit=500")
	if len(page.Results) != 1 || page.Results[0].ID != ids[3] || !page.Results[0].Archived || page.Results[0].UserID != nil || page.Results[0].Inactive == nil {
		t.Errorf("archived: %+v", page)
	}
	if n := len(owners(t, p, "?limit=500").Results); n != 250 {
		t.Errorf("%d live ones", n)
	}
	p.PurgeOwner(ids[3])
	if page := owners(t, p, "?archived=true"); len(page.Results) != 0 {
		t.Errorf("purged, and still there: %+v", page)
	}
	for _, query := range []string{"?limit=0", "?limit=501", "?after=x", "?archived=maybe"} {
		do(t, p, "GET", ownersPath+query, "").want(t, 400)
	}
	p.SetScopes("crm.objects.contacts.read")
	do(t, p, "GET", ownersPath, "").want(t, 403).says(t, "crm.objects.owners.read")
}

// TestAnOwnerWhoGoesWhileTheListIsPagedHidesAnother: after is an offset.
func TestAnOwnerWhoGoesWhileTheListIsPagedHidesAnother(t *testing.T) {
	p := New(Options{OwnerPage: 2})
	a, b, c := p.AddOwner(Owner{}), p.AddOwner(Owner{}), p.AddOwner(Owner{})
	after := owners(t, p, "").Paging.Next.After
	p.ArchiveOwner(a)
	if page := owners(t, p, "?after="+after); len(page.Results) != 0 {
		t.Errorf("after %s and %s: %+v, want %s hidden", a, b, page, c)
	}
}

// TestPipelinesByType: types with pipelines answer, the others refuse.
func TestPipelinesByType(t *testing.T) {
	p := New(Options{Types: []string{"contacts", "deals", "tickets", "products"}, Limits: Limits{Off: true}})
	car := p.AddCustomType("car")
	do(t, p, "GET", pipelinesPath+"deals", "").want(t, 200).says(t, `"id":"appointmentscheduled"`).says(t, `"createdAt":"1970-01-01T00:00:00Z"`)
	do(t, p, "GET", pipelinesPath+"0-5", "").want(t, 200).says(t, `"ticketState":"OPEN"`)
	do(t, p, "GET", pipelinesPath+car.ObjectTypeID, "").want(t, 200).says(t, `"results":[]`)
	do(t, p, "GET", pipelinesPath+"contacts", "").want(t, 400)
	do(t, p, "GET", pipelinesPath+"products", "").want(t, 404)
	do(t, p, "GET", pipelinesPath+"butterflies", "").want(t, 400)
	do(t, p, "GET", pipelinesPath+"leads", "").want(t, 403)
	p.SetScopes("tickets")
	do(t, p, "GET", pipelinesPath+"deals", "").want(t, 403).says(t, "MISSING_SCOPES")
	do(t, p, "GET", pipelinesPath+"tickets", "").want(t, 200)
}

func TestPipelinesLives(t *testing.T) {
	p := New(Options{})
	id := p.AddPipeline("deals", Pipeline{Label: "Other", Stages: []Stage{{Label: "New"}}})
	stage := p.AddStage("deals", id, Stage{Label: "Done", Metadata: map[string]string{"probability": "1.0"}})
	p.UpdateStage("deals", id, stage, func(s *Stage) { s.Label = "Won"; s.Metadata["isClosed"] = "true" })
	p.UpdatePipeline("deals", id, func(pl *Pipeline) { pl.Label = "Second" })
	do(t, p, "GET", pipelinesPath+"deals", "").says(t, `"Won"`).says(t, `"isClosed":"true"`).says(t, `"Second"`)
	p.RemoveStage("deals", id, stage)
	p.RemovePipeline("deals", id)
	if p.RemovePipeline("deals", id) || p.RemoveStage("deals", "default", "nope") || len(p.Pipelines("deals")) != 1 {
		t.Errorf("left: %+v", p.Pipelines("deals"))
	}
	var story []string
	for _, c := range p.PipelineHistory("deals") {
		story = append(story, fmt.Sprintf("%s %s %d %t", c.Op, c.Entry.Label, len(c.Entry.Stages), c.Live))
	}
	if want := []string{
		"create Sales Pipeline 5 true", "create Other 1 true", "update Other 2 true", "update Other 2 true", "update Second 2 true", "update Second 1 true", "purge Second 1 false",
	}; !slices.Equal(story, want) {
		t.Errorf("got  %q\nwant %q", story, want)
	}
	if first := p.PipelineHistory("deals")[2].Entry.Stages[1]; first.Label != "Done" || len(first.Metadata) != 1 {
		t.Errorf("history was changed: %+v", first)
	}
}

// TestLifeChangesLists: every kind of change happens, and the calls show the
// truth.
func TestLifeChangesLists(t *testing.T) {
	p := New(Options{Seed: 1, Limits: Limits{Off: true}, Types: []string{"deals"}})
	rng := rand.New(rand.NewPCG(1, 2))
	p.Create("deals", nil)
	for range 400 {
		p.Step(rng, Life{Owner: 1, Pipeline: 1})
		// A list that comes back empty is held by the connector (R19): no administrator
		// empties one.
		pipelines := p.Pipelines("deals")
		if len(pipelines) == 0 || slices.ContainsFunc(pipelines, func(pl Pipeline) bool { return len(pl.Stages) == 0 }) {
			t.Fatalf("nothing is left: %+v", pipelines)
		}
	}
	ops := map[Op]int{}
	for _, c := range p.OwnerHistory() {
		ops[c.Op]++
	}
	for _, op := range []Op{OpCreate, OpUpdate, OpArchive, OpRestore} {
		if ops[op] == 0 {
			t.Errorf("no %s of an owner in %v", op, ops)
		}
	}
	ops = map[Op]int{}
	for _, c := range p.PipelineHistory("deals") {
		ops[c.Op]++
	}
	for _, op := range []Op{OpCreate, OpUpdate, OpPurge} {
		if ops[op] == 0 {
			t.Errorf("no %s of a pipeline in %v", op, ops)
		}
	}
	if got, want := len(owners(t, p, "?limit=500").Results), len(p.Owners()); got != want || want == 0 {
		t.Errorf("answered %d owners, the portal has %d", got, want)
	}
	var answer struct{ Results []struct{ ID string } }
	if err := json.Unmarshal(do(t, p, "GET", pipelinesPath+"deals", "").body, &answer); err != nil || len(answer.Results) != len(p.Pipelines("deals")) {
		t.Errorf("%v, answered %d pipelines, the portal has %d", err, len(answer.Results), len(p.Pipelines("deals")))
	}
}
