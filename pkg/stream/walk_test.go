package stream

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
)

// searched is what a search asks for.
type searched struct{ after, upTo, limit int }

// search reads a search's body; ok is false if the request is no search.
func search(t *testing.T, r *http.Request) (s searched, ok bool) {
	t.Helper()
	if !strings.HasSuffix(r.URL.Path, "/search") {
		return s, false
	}
	var q struct {
		Limit        int
		FilterGroups []struct {
			Filters []struct{ PropertyName, Operator, Value string }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		t.Error(err)
	}
	s = searched{upTo: 1e15, limit: q.Limit}
	for _, group := range q.FilterGroups {
		for _, f := range group.Filters {
			n, _ := strconv.Atoi(f.Value)
			switch f.PropertyName + " " + f.Operator {
			case "hs_object_id GT":
				s.after = n
			case "hs_object_id LTE":
				s.upTo = n
			}
		}
	}
	return s, true
}

// inputs are the ids that a batch read asks for.
func inputs(t *testing.T, r *http.Request) (ids []int) {
	t.Helper()
	var q struct{ Inputs []struct{ ID string } }
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		t.Error(err)
	}
	for _, in := range q.Inputs {
		id, _ := strconv.Atoi(in.ID)
		ids = append(ids, id)
	}
	return ids
}

// TestR18_ASearchThatFailsAtSeveralRows: none of them, and nothing between them, is lost,
// whether the search fails at the rows of its page or at all that it finds.
func TestR18_ASearchThatFailsAtSeveralRows(t *testing.T) {
	const far = 51_000_000_000
	ids := []int{1001, 1002, far + 1, far + 2, far + 3, far + 100}
	for name, bad := range map[string][]int{
		"beside each other": {far + 1, far + 2}, "far apart": {1001, far + 1}, "the first and the last": {1001, far + 100}, "all": ids,
	} {
		for _, whole := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					object, _ := answering(func(r *http.Request) (int, string) {
						time.Sleep(100 * time.Millisecond)
						s, ok := search(t, r)
						if !ok {
							return 200, listPage(inputs(t, r), "")
						}
						found := slices.DeleteFunc(slices.Clone(ids), func(id int) bool { return id <= s.after || id > s.upTo })
						shown, next := found[:min(s.limit, len(found))], ""
						if len(shown) < len(found) {
							next = "200"
						}
						failing := shown
						if whole {
							failing = found
						}
						if slices.ContainsFunc(failing, func(id int) bool { return slices.Contains(bad, id) }) {
							return 400, refusal
						}
						return 200, listPage(shown, next)
					}).contacts(t)
					tier := NewTiers(object, []Lag{{Stream: "leading"}}, []cdc.Window{{Start: 1}})[0]
					if err := tier.walk(t.Context()); err != nil {
						t.Fatal(err)
					}
					if n := object.Lane.Live(); n != len(ids) {
						live, _ := object.Lane.LiveAfter(t.Context(), 0, 100)
						t.Errorf("a search that fails at %v: the walk has ended, and %v of %v are published", bad, live, ids)
					}
				})
			})
		}
	}
}
