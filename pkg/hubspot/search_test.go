package hubspot

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// searched runs a query and returns the body that was sent.
func searched(t *testing.T, q SearchQuery) string {
	t.Helper()
	var sent string
	r := newRig(t, func(req *http.Request) (*http.Response, error) {
		if req.Method != http.MethodPost || req.URL.Path != "/crm/objects/2026-09/contacts/search" || req.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %v", req.Method, req.URL, req.Header)
		}
		sent = bodyOf(t, req)
		return respond(200, emptyPage), nil
	})
	q.Object, q.ModifiedProperty = "contacts", "lastmodifieddate"
	if _, err := r.Search(t.Context(), Call{}, q); err != nil {
		t.Fatal(err)
	}
	return sent
}

// R2: all five required members, times as epoch milliseconds, the walk
// by id.
func TestSearchSendsAllRequiredMembers(t *testing.T) {
	for _, c := range []struct {
		q    SearchQuery
		want string
	}{
		{SearchQuery{}, `{"after":"0","sorts":["hs_object_id"],"limit":200,"properties":["lastmodifieddate"],"filterGroups":[]}`},
		{SearchQuery{Since: 1700000000123, Limit: 50}, `{"after":"0","sorts":["hs_object_id"],"limit":50,"properties":["lastmodifieddate"],"filterGroups":[{"filters":[{"propertyName":"lastmodifieddate","operator":"GTE","value":"1700000000123"}]}]}`},
		{SearchQuery{After: 17, Started: true}, `{"after":"0","sorts":["hs_object_id"],"limit":200,"properties":["lastmodifieddate"],"filterGroups":[{"filters":[{"propertyName":"hs_object_id","operator":"GT","value":"17"}]}]}`},
		{SearchQuery{Since: 1, After: 0, Started: true, HasAny: []string{"foo", "bar"}}, `{"after":"0","sorts":["hs_object_id"],"limit":200,"properties":["lastmodifieddate"],"filterGroups":[{"filters":[{"propertyName":"foo","operator":"HAS_PROPERTY"},{"propertyName":"lastmodifieddate","operator":"GTE","value":"1"},{"propertyName":"hs_object_id","operator":"GT","value":"0"}]},{"filters":[{"propertyName":"bar","operator":"HAS_PROPERTY"},{"propertyName":"lastmodifieddate","operator":"GTE","value":"1"},{"propertyName":"hs_object_id","operator":"GT","value":"0"}]}]}`},
		{SearchQuery{After: 17}, `{"after":"0","sorts":["hs_object_id"],"limit":200,"properties":["lastmodifieddate"],"filterGroups":[]}`},
	} {
		if got := searched(t, c.q); got != c.want {
			t.Errorf("%+v sent\n%s\nwant\n%s", c.q, got, c.want)
		}
	}
}

func TestSearchPage(t *testing.T) {
	r := newRig(t, always(200, `{"total":3,"results":[
		{"id":"5","properties":{"lastmodifieddate":"2020-01-01T00:00:00Z"},"createdAt":"2019-01-01T00:00:00Z","updatedAt":"2024-12-24T17:31:54.727Z","archived":false},
		{"id":"6","properties":{},"createdAt":"2019-01-01T00:00:00Z","updatedAt":"2024-12-24T17:31:54.727Z","archived":true},
		{"id":"36137b99-47a6-40fe-986d-839a5e3deebb","properties":{},"createdAt":"2019-01-01T00:00:00Z","updatedAt":"2024-12-24T17:31:54.727Z"}],
		"paging":{"next":{"after":"200"}}}`))
	for range 2 {
		p, err := r.Search(t.Context(), Call{}, SearchQuery{Object: "contacts", ModifiedProperty: "lastmodifieddate"})
		if err != nil {
			t.Fatal(err)
		}
		// Updated is the top-level time. The row whose id cannot be a key is
		// left out. The archived row stays: a read decides about it.
		updated := at(t, "2024-12-24T17:31:54.727Z")
		want := []SearchRow{{ID: 5, Updated: updated}, {ID: 6, Updated: updated}}
		if !slices.Equal(p.Rows, want) || !p.More || p.Total != 3 {
			t.Errorf("page %+v", p)
		}
	}
	if n := r.log.Count("level=WARN"); n != 1 {
		t.Errorf("%d warnings about an id that is not a number, want one:\n%s", n, r.log)
	}
}

// R2: the client finds out once that a portal wants sort objects, and sends
// those from then on.
func TestSearchFallsBackToSortObjects(t *testing.T) {
	var sorts []string
	r := newRig(t, func(req *http.Request) (*http.Response, error) {
		var b struct {
			Sorts json.RawMessage `json:"sorts"`
		}
		if err := json.Unmarshal([]byte(bodyOf(t, req)), &b); err != nil {
			t.Error(err)
		}
		sorts = append(sorts, string(b.Sorts))
		if string(b.Sorts) == `["hs_object_id"]` {
			return respond(400, refusal("VALIDATION_ERROR", "Invalid input JSON on line 1, column 24")), nil
		}
		return respond(200, emptyPage), nil
	})
	for range 3 {
		if _, err := r.Search(t.Context(), Call{}, SearchQuery{Object: "contacts", ModifiedProperty: "lastmodifieddate"}); err != nil {
			t.Fatal(err)
		}
	}
	object := `[{"direction":"ASCENDING","propertyName":"hs_object_id"}]`
	if got, want := strings.Join(sorts, " "), strings.Join([]string{`["hs_object_id"]`, object, object, object}, " "); got != want {
		t.Errorf("sorts %s, want %s", got, want)
	}
}

// A query that is wrong in itself does not turn the client to sort objects.
func TestSearchKeepsSortStringsWhereObjectsDoNotHelp(t *testing.T) {
	requests := 0
	bad := true
	r := newRig(t, func(*http.Request) (*http.Response, error) {
		requests++
		if bad {
			return respond(400, `{"status":"error","message":"Unable to infer object type from: butterflies","correlationId":"b4c2bed9-bf1f-48a3-949b-256d76b47192"}`), nil
		}
		return respond(200, emptyPage), nil
	})
	q := SearchQuery{Object: "butterflies", ModifiedProperty: lastModified}
	if _, err := r.Search(t.Context(), Call{}, q); !BadRequest(err) || requests != 2 || r.sortObjects.Load() {
		t.Errorf("err = %v after %d requests, sort objects: %v", err, requests, r.sortObjects.Load())
	}
	bad = false
	if _, err := r.Search(t.Context(), Call{}, q); err != nil || requests != 3 {
		t.Errorf("err = %v after %d requests", err, requests)
	}
}
