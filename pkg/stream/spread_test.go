package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// TestSweep_WhateverGapsTheIDsHave: nothing says how HubSpot spreads its ids, and
// old records may have much lower ones. A backfill fills the limit all the same, with
// few searches and few pages that are read in vain.
func TestSweep_WhateverGapsTheIDsHave(t *testing.T) {
	n, spare := 60_000, 8 // per cent, for the beginning and the end
	if testing.Short() {
		n, spare = 12_000, 40
	}
	slow := map[string]time.Duration{"and slow brokers": 150 * time.Millisecond} // more than the time between two pages
	for name, id := range map[string]func(i int) int{
		"and slow brokers":     func(i int) int { return 101 + 3*i },
		"even":                 func(i int) int { return 101 + 3*i },
		"far up":               func(i int) int { return 26_256_445_664 + 1013*i },
		"ever farther":         func(i int) int { return 101 + i*i },
		"ever closer":          func(i int) int { return 1 + n*n - (n-i)*(n-i) },
		"few old ones":         func(i int) int { return 51 + i + i/500*26_256_445_664 },
		"half of them old":     func(i int) int { return 51 + 7*i + i/(n/2)*26_256_445_664 },
		"in bulks":             func(i int) int { return 51 + i + i/1000*1_000_000 },
		"a gap within the end": func(i int) int { return 51 + i + i/(n-700)*900_000_000_000 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ids := make([]int, n)
				for i := range ids {
					ids[i] = id(i)
				}
				slices.Sort(ids)
				var lists, searches atomic.Int64
				client := answering(func(r *http.Request) (int, string) {
					if strings.HasSuffix(r.URL.Path, "/search") {
						searches.Add(1)
						return 200, count(r, ids)
					}
					lists.Add(1)
					return 200, listed(r, ids)
				})
				hub := answering(func(r *http.Request) (int, string) {
					time.Sleep(225 * time.Millisecond)
					return client(r)
				})
				object, _ := hub.contacts(t)
				object.Lane = cdc.NewLane(cdc.LaneConfig{
					Object: "contacts", Slots: &hubspot.Slots{}, Content: cdc.NewContent(nil), Committer: brokers(slow[name]),
				})
				rates := hubspot.Rates{Objects: 8, Day: math.Inf(1)} // the share of a Free account's limit
				object.Readers = &Readers{rates: func() hubspot.Rates { return rates }, least: SplitLeast}
				s := &Sweep{Object: object, Stream: offsets.BackfillStream, Priority: hubspot.Backfill, Place: offsets.Sweep{Ranges: []offsets.Range{{From: "0"}}}}
				began := time.Now()
				if err := s.sweep(t.Context()); err != nil || object.Lane.Live() != n {
					t.Fatalf("%v, %d records", err, object.Lane.Live())
				}
				took := time.Since(began)
				least := time.Duration(n/100) * time.Second / 8
				t.Logf("%v, %.1f %% of the limit; %d pages more than there are, %d searches", took, 100*least.Seconds()/took.Seconds(), int(lists.Load())-n/100, searches.Load())
				if took > least*time.Duration(100+spare)/100 || searches.Load() > 120 {
					t.Errorf("it took %v and %d searches", took, searches.Load())
				}
			})
		})
	}
}

// brokers take so long for a transaction.
type brokers time.Duration

func (b brokers) Commit(context.Context, *cdc.Batch) error {
	time.Sleep(time.Duration(b))
	return nil
}

// count answers a search of a range with its total.
func count(r *http.Request, ids []int) string {
	var body struct {
		FilterGroups []struct {
			Filters []struct{ Operator, Value string }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return ""
	}
	from, to := 0, len(ids)
	for _, g := range body.FilterGroups { // a search of everything has none
		for _, f := range g.Filters {
			value, _ := strconv.Atoi(f.Value)
			i, found := slices.BinarySearch(ids, value)
			if found {
				i++
			}
			switch f.Operator {
			case "GT":
				from = i
			case "LTE":
				to = i
			}
		}
	}
	return fmt.Sprintf(`{"total":%d,"results":[]}`, max(0, to-from))
}

// listed answers a list page of a hundred records.
func listed(r *http.Request, ids []int) string {
	after, _ := strconv.Atoi(r.URL.Query().Get("after"))
	i, _ := slices.BinarySearch(ids, after)
	page := ids[i:min(len(ids), i+100)]
	if i+100 < len(ids) {
		return listPage(page, strconv.Itoa(page[99]+1))
	}
	return listPage(page, "")
}
