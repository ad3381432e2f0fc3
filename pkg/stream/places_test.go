package stream

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// places is a HubSpot whose list has its own kind of places.
type places struct {
	ids []int // ascending
	// at returns where in ids a page begins, or the answer that refuses the place.
	at func(place string, given bool) (i, status int)
	// after is the place of the page that begins with ids[i].
	after func(i int) string

	mu    sync.Mutex
	given map[string]bool
}

func (c *places) list(r *http.Request) (int, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := 0
	if place := r.URL.Query().Get("after"); place != "" {
		var status int
		if from, status = c.at(place, c.given[place]); status != 0 {
			return status, fmt.Sprintf(`{"status":"error","message":"no such place: %s","category":"VALIDATION_ERROR","correlationId":"3d6b5d0a-5f2e-4b7c-9c39-0c1d2f3a4b5c"}`, place)
		}
	}
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	to := min(len(c.ids), from+min(limit, 10))
	next := ""
	if to < len(c.ids) {
		next = c.after(to)
		c.given[next] = true
	}
	return 200, listPage(c.ids[min(from, to):to], next)
}

// TestR11_PlacesThatOnlyLookLikeIDs: whatever a portal does with an id as a place, the
// backfill reads every record.
func TestR11_PlacesThatOnlyLookLikeIDs(t *testing.T) {
	dense := func(n int) (ids []int) {
		for id := range n {
			ids = append(ids, id+1)
		}
		return ids
	}
	gaps := slices.DeleteFunc(dense(2_000), func(id int) bool { return id > 30 && id%7 == 0 })
	offset := func(place string, _ bool) (int, int) { i, _ := strconv.Atoi(place); return i, 0 }
	byID := func(ids []int) func(string, bool) (int, int) {
		return func(place string, _ bool) (int, int) {
			id, _ := strconv.Atoi(place)
			i, _ := slices.BinarySearch(ids, id)
			return i, 0
		}
	}
	given := func(ids []int, status int) func(string, bool) (int, int) {
		return func(place string, given bool) (int, int) {
			if !given {
				return len(ids), status
			}
			return byID(ids)(place, given)
		}
	}
	for name, c := range map[string]*places{
		"offsets, ids without a gap": {ids: dense(1_000), at: offset, after: strconv.Itoa},
		"offsets, gaps in the ids":   {ids: gaps, at: offset, after: strconv.Itoa},
		"400":                        {ids: gaps, at: given(gaps, 400)},
		"404":                        {ids: gaps, at: given(gaps, 404)},
		"410":                        {ids: gaps, at: given(gaps, 410)},
		"500":                        {ids: gaps, at: given(gaps, 500)},
		"an empty page":              {ids: gaps, at: given(gaps, 0)},
		"ids":                        {ids: gaps, at: byID(gaps)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if c.after == nil {
					c.after = func(i int) string { return strconv.Itoa(c.ids[i-1] + 1) }
				}
				c.given = map[string]bool{}
				object, _ := onlyList(c.list).contacts(t)
				object.Readers = NewReaders(hubspot.NewGovernor(hubspot.Limits{TenSeconds: 200}), 20)
				s := &Sweep{Object: object, Stream: offsets.BackfillStream, Priority: hubspot.Backfill, Place: offsets.Sweep{Ranges: []offsets.Range{{From: "0"}}}}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if err := s.sweep(ctx); err != nil || !s.Place.Done {
					t.Errorf("%v, %+v", err, s.Place)
				}
				if object.Lane.Live() != len(c.ids) {
					t.Errorf("%d records are published, want %d", object.Lane.Live(), len(c.ids))
				}
				if p := object.Status.Problems(); len(p) > 0 {
					t.Errorf("problems: %v", p)
				}
			})
		})
	}
}
