package hubspottest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"testing"
)

// TestAnswersComeShort: a list lacks all, half or one of its entries, and always the
// same ones. What is asked for by itself is not affected.
func TestAnswersComeShort(t *testing.T) {
	p := New(Options{Types: []string{"contacts", "companies", "deals"}, Limits: Limits{Off: true}, Index: Index{Immediate: true}})
	contacts, companies := p.Seed("contacts", 9), p.Seed("companies", 9)
	for _, id := range companies {
		p.Associate("contacts", contacts[0], "companies", id, "", 0)
	}
	p.AddCustomType("car")
	var owner string
	for range 9 {
		owner = p.AddOwner(Owner{})
	}
	p.ArchiveOwner(p.AddOwner(Owner{}))
	count := func(path string, archived bool) int {
		t.Helper()
		var page struct {
			Results []struct {
				To     []any
				Stages []any
			}
			Paging *struct{}
		}
		method, body := "GET", ""
		if path == "links" {
			method, path = "POST", "/crm/associations/2026-09/contacts/companies/batch/read"
			body = fmt.Sprintf(`{"inputs":[{"id":"%d"}]}`, contacts[0])
		}
		if archived {
			path += "?archived=true"
		}
		if err := json.Unmarshal(do(t, p, method, path, body).body, &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Results) == 1 && method == "POST" {
			return len(page.Results[0].To)
		}
		if len(page.Results) == 0 && page.Paging != nil {
			t.Errorf("%s: an empty page has a next one", path)
		}
		return len(page.Results)
	}
	for _, c := range []struct {
		endpoint Endpoint
		path     string
		archived bool
	}{
		{EndpointList, contactsPath, false}, {EndpointOwners, ownersPath, false}, {EndpointOwners, ownersPath, true},
		{EndpointProperties, "/crm/properties/2026-09/contacts", false}, {EndpointSchemas, "/crm-object-schemas/2026-09/schemas", false},
		{EndpointLabels, "/crm/associations/2026-09/contacts/companies/labels", false}, {EndpointPipelines, pipelinesPath + "deals", false},
		{EndpointLinks, "links", false},
	} {
		all := count(c.path, c.archived)
		if all == 0 {
			t.Fatalf("%s has nothing to lose", c.path)
		}
		for lost, want := range map[Loss]int{LostAll: 0, LostHalf: all / 2, LostOne: all - 1} {
			p.Inject(Fault{Kind: FaultShort, Endpoint: c.endpoint, Lost: lost, Archived: c.archived, Count: 2})
			if got := [2]int{count(c.path, c.archived), count(c.path, c.archived)}; got != [2]int{want, want} {
				t.Errorf("%s: %v of %d left, want %d twice", c.path, got, all, want)
			}
			if got := count(c.path, c.archived); got != all {
				t.Errorf("%s: %d afterwards, want %d", c.path, got, all)
			}
		}
	}
	p.Inject(Fault{Kind: FaultShort, Lost: LostAll})
	for _, path := range []string{ownersPath + "/" + owner, pipelinesPath + "deals/default", "/crm/properties/2026-09/contacts/email"} {
		do(t, p, "GET", path, "").want(t, 200)
	}
	for _, path := range []string{ownersPath + "/1", pipelinesPath + "deals/1", "/crm/properties/2026-09/contacts/none"} {
		do(t, p, "GET", path, "").want(t, 404)
	}
}

// TestHidings: what was hidden is known, also beyond a page that seems to be the last.
func TestHidings(t *testing.T) {
	p := New(Options{Types: []string{"contacts", "deals"}, Limits: Limits{Off: true}, Index: Index{Immediate: true}})
	ids := p.Seed("contacts", 9)
	pipeline := p.AddPipeline("deals", Pipeline{ID: "a", Stages: []Stage{{ID: "1"}, {ID: "2"}}})
	var want [][]string
	ask := func(f Fault, path string, keys ...string) {
		t.Helper()
		f.Kind = FaultShort
		remove := p.Inject(f)
		do(t, p, "GET", path, "")
		remove()
		want = append(want, keys)
	}
	key := func(id uint64) string { return strconv.FormatUint(id, 10) }
	ask(Fault{Lost: LostOne}, "/crm/objects/2026-09/contacts?limit=3", key(ids[2]))
	var rest []string
	for _, id := range ids {
		rest = append(rest, key(id))
	}
	ask(Fault{Lost: LostAll}, "/crm/objects/2026-09/0-1?limit=3", rest...)
	ask(Fault{Lost: LostHalf}, "/crm/pipelines/2026-09/deals", "default")
	ask(Fault{Lost: LostOne, Stages: true}, "/crm/pipelines/2026-09/deals", pipeline+":2", "default:qualifiedtobuy")
	got := p.Hidings()
	if len(got) != len(want) {
		t.Fatalf("%d answers came short, want %d: %v", len(got), len(want), got)
	}
	for i, h := range got {
		slices.Sort(h.Keys)
		if slices.Sort(want[i]); !slices.Equal(h.Keys, want[i]) || h.Object != []string{"contacts", "deals"}[i/2] {
			t.Errorf("answer %d hid %v of %s, want %v", i, h.Keys, h.Object, want[i])
		}
	}
}
