package stream

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// records is a HubSpot with contacts 1 to n, ten on a page of the list. odd changes
// the ids of a page that begins with an id, or refuses it.
type records struct {
	n   int
	odd func(first int, ids []int) ([]int, bool)

	mu    sync.Mutex
	pages []int // the first id of each page, in the order in which they were asked for
}

func (c *records) list(r *http.Request) (int, string) {
	first := 1
	if after := r.URL.Query().Get("after"); after != "" {
		first, _ = strconv.Atoi(after)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pages = append(c.pages, first)
	var ids []int
	for id := first; id <= min(c.n, first+9); id++ {
		ids = append(ids, id)
	}
	ids, refused := c.odd(first, ids)
	if refused {
		return 400, refusal
	}
	if first+9 < c.n {
		return 200, listPage(ids, strconv.Itoa(first+10))
	}
	return 200, listPage(ids, "")
}

// onlyList is a HubSpot that has a list, and nothing in its index yet.
func onlyList(list answering) answering {
	return func(r *http.Request) (int, string) {
		time.Sleep(200 * time.Millisecond)
		switch {
		case strings.HasSuffix(r.URL.Path, "/search"):
			return 200, `{"total":0,"results":[]}`
		case r.Method == http.MethodPost:
			return 200, `{"status":"COMPLETE","results":[]}`
		}
		return list(r)
	}
}

// listPage is a page of these ids, and the place of the next one.
func listPage(ids []int, after string) string {
	var results []string
	for _, id := range ids {
		results = append(results, fmt.Sprintf(`{"id":"%d","properties":{},"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z","archived":false}`, id))
	}
	paging := ""
	if after != "" {
		paging = fmt.Sprintf(`,"paging":{"next":{"after":"%s"}}`, after)
	}
	return `{"results":[` + strings.Join(results, ",") + `]` + paging + `}`
}

// sweep runs a backfill of these contacts from a place.
func (c *records) sweep(t *testing.T, ranges ...offsets.Range) (*Sweep, *Object) {
	t.Helper()
	object, _ := onlyList(c.list).contacts(t)
	object.Readers = NewReaders(hubspot.NewGovernor(hubspot.Limits{TenSeconds: 200}), 20)
	s := &Sweep{Object: object, Stream: offsets.BackfillStream, Priority: hubspot.Backfill, Place: offsets.Sweep{Ranges: ranges}}
	if err := s.sweep(t.Context()); err != nil || !s.Place.Done {
		t.Errorf("%v, %+v", err, s.Place)
	}
	if object.Lane.Live() != c.n {
		t.Errorf("%d records are published, want %d", object.Lane.Live(), c.n)
	}
	return s, object
}

func (c *records) asked(first int) (n int) {
	for _, page := range c.pages {
		if page == first {
			n++
		}
	}
	return n
}

// TestR11_AListOutOfOrderIsReadAsOne: a range ends where the list passes its end, so
// a list that is not in order must be read from its beginning.
func TestR11_AListOutOfOrderIsReadAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &records{n: 600, odd: func(first int, ids []int) ([]int, bool) {
			if slices.Contains(ids, 305) {
				slices.Reverse(ids)
			}
			return ids, false
		}}
		_, object := c.sweep(t, offsets.Range{From: "0"})
		if !object.asOne.Load() || c.asked(1) != 2 {
			t.Errorf("the list was begun %d times, want twice", c.asked(1))
		}
	})
}

// TestR11_ARangeWhosePlaceIsRefused begins again, and the others go on.
func TestR11_ARangeWhosePlaceIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusals := 0 // a 400 is asked about in smaller pages first
		c := &records{n: 600, odd: func(first int, ids []int) ([]int, bool) {
			if first == 431 && refusals < 20 {
				refusals++
				return ids, true
			}
			return ids, false
		}}
		c.sweep(t,
			offsets.Range{From: "0", To: "300"},
			offsets.Range{From: "300", To: "400", After: "300"},
			offsets.Range{From: "400", After: "431", ID: "430"})
		// The range before it ends with the page at 400.
		if c.asked(1) != 1 || c.asked(300) != 1 || c.asked(400) != 2 {
			t.Errorf("pages at 1, 300 and 400 were read %d, %d and %d times", c.asked(1), c.asked(300), c.asked(400))
		}
	})
}

// TestR11_ARangeThatCannotBeEnteredAnyMore: the list is read from its beginning.
func TestR11_ARangeThatCannotBeEnteredAnyMore(t *testing.T) {
	for name, odd := range map[string]func(first int, ids []int) ([]int, bool){
		"refused": func(first int, ids []int) ([]int, bool) { return ids, first != 1 && first%10 != 1 },
		"ignored": func(first int, ids []int) ([]int, bool) {
			if first%10 != 1 {
				return []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, false
			}
			return ids, false
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &records{n: 600, odd: odd}
				c.sweep(t, offsets.Range{From: "0", To: "300", After: "11", ID: "10"}, offsets.Range{From: "300", After: "300"})
				if c.asked(1) == 0 {
					t.Error("the list was not begun")
				}
			})
		})
	}
}

// TestSweep_ReadersAsManyAsTheLimitFeeds: the calls of a second that are under way
// at once, and a few more; one where a sweep has time.
func TestSweep_ReadersAsManyAsTheLimitFeeds(t *testing.T) {
	rates := hubspot.Rates{Objects: 15, Day: 2}
	r := &Readers{rates: func() hubspot.Rates { return rates }, least: 1}
	r.join(nil)
	if n := r.spare(hubspot.Backfill, 0); n > 0 {
		t.Errorf("%d before the first page", n)
	}
	r.took(400 * time.Millisecond)
	for _, c := range []struct {
		of    hubspot.Priority
		pause time.Duration
		want  int
	}{
		{hubspot.Backfill, 0, 8}, {hubspot.Reconcile, 0, 1}, {hubspot.Reconcile, 10 * time.Second, 0}, {hubspot.Reconcile, 200 * time.Millisecond, 1},
	} {
		if n := r.spare(c.of, c.pause); n != c.want {
			t.Errorf("priority %d, pause %v: %d more, want %d", c.of, c.pause, n, c.want)
		}
	}
	rates.Day = math.Inf(1)
	for range 20 {
		r.join(nil)
	}
	if n := r.spare(hubspot.Backfill, 0); n >= -1 {
		t.Errorf("21 readers, and %d more", n)
	}
}

// TestSweep_AFreeReaderGoesWhereTheMostIsLeft for each reader, and one moves there when
// that ends both sooner; sweeps that HubSpot's limit serves later do not count.
func TestSweep_AFreeReaderGoesWhereTheMostIsLeft(t *testing.T) {
	of := func(p hubspot.Priority) *reading { return &reading{Sweep: &Sweep{Priority: p}} }
	soon := time.Now().Add(time.Hour)
	for _, c := range []struct {
		mine, its   portion
		as          hubspot.Priority
		takes, give bool
	}{
		{portion{1, 900, soon}, portion{1, 800, soon}, hubspot.Backfill, true, false},
		{portion{1, 800, soon}, portion{1, 900, soon}, hubspot.Backfill, false, false}, // the last reader stays
		{portion{3, 900, soon}, portion{1, 800, soon}, hubspot.Backfill, false, false}, // 450 for each of the two left, 400 for the other's
		{portion{3, 900, soon}, portion{1, 1000, soon}, hubspot.Backfill, false, true},
		{portion{3, 900, soon}, portion{1, 1000, soon}, hubspot.Reconcile, true, false},
		{portion{3, 900, soon}, portion{1, 1000, time.Now()}, hubspot.Backfill, true, false}, // HubSpot does not answer, or nothing can be divided
		{portion{1, 0, soon}, portion{1, 0, soon}, hubspot.Backfill, true, false},            // nobody knows
	} {
		r, mine, other := new(Readers), of(hubspot.Backfill), of(c.as)
		r.portions = map[*reading]*portion{mine: &c.mine, other: &c.its}
		if takes, gives := r.takes(mine), r.gives(mine); takes != c.takes || gives != c.give {
			t.Errorf("%+v: takes %v, gives %v", c, takes, gives)
		}
		if other.Pause = time.Second; !r.takes(mine) || r.gives(mine) {
			t.Errorf("%+v: it leaves readers to a sweep that pauses", c)
		}
	}
}

// TestOffsets_ACursorOfASweepIsReadBack: what is left of the ranges, and a cursor of
// one range as it always was.
func TestOffsets_ACursorOfASweepIsReadBack(t *testing.T) {
	for _, ranges := range [][]offsets.Range{
		{{From: "0"}},
		{{From: "0", After: "124", ID: "123"}},
		{{From: "0", After: "NTI1", ID: "524"}},
		{{From: "0", To: "500", After: "124", ID: "123"}, {From: "500", To: "900", After: "500"}, {From: "1200", After: "1311", ID: "1310"}},
	} {
		left := chainsOf(ranges, false).After(nil)
		var got []offsets.Range
		for _, c := range left {
			got = append(got, rangeOf(c))
		}
		if !slices.Equal(got, ranges) {
			t.Errorf("%+v, want %+v", got, ranges)
		}
	}
	// An operator moved it: the place is the last id, until HubSpot has given one.
	moved := chainsOf([]offsets.Range{{From: "0", ID: "123"}}, false).After(nil)
	if c := moved[0]; !c.Entered || c.Place != "123" || c.Last != 123 {
		t.Errorf("%+v", c)
	}
	if again := chainsOf([]offsets.Range{rangeOf(moved[0])}, false).After(nil); !again[0].Entered {
		t.Errorf("after a restart: %+v", again[0])
	}
}
