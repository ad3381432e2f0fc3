package stream

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestR12_AGapOfManyRecordsStartsAReconcile: no id is known to halve the range at. Where
// the object store has none of the records, the index is wrong, and nothing is started.
func TestR12_AGapOfManyRecordsStartsAReconcile(t *testing.T) {
	const n = 50_000
	for _, there := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			object, _ := answering(func(r *http.Request) (int, string) {
				s, ok := search(t, r)
				switch {
				case ok:
					total, next := max(0, min(s.upTo, n)-s.after), ""
					var ids []int
					for id := s.after + 1; id <= s.after+min(total, s.limit); id++ {
						ids = append(ids, id)
					}
					if len(ids) < total {
						next = "200"
					}
					return 200, strings.Replace(listPage(ids, next), "{", fmt.Sprintf(`{"total":%d,`, total), 1)
				case there:
					return 200, listPage(inputs(t, r), "")
				}
				var gone []string
				for _, id := range inputs(t, r) {
					gone = append(gone, strconv.Quote(strconv.Itoa(id)))
				}
				return 207, `{"results":[],"errors":[{"category":"OBJECT_NOT_FOUND","context":{"ids":[` + strings.Join(gone, ",") + `]}}]}`
			}).contacts(t)
			c := &Census{Object: object, Interval: time.Minute, Recent: 2 * time.Minute, Recheck: time.Hour, doubts: map[hubspot.ID]doubt{}, spare: spareMost, spared: time.Now()}
			if err := c.pass(t.Context()); err != nil {
				t.Fatal(err)
			}
			select {
			case <-object.wanted:
				if !there {
					t.Error("a reconcile is asked for because of records that the object store does not have")
				}
			default:
				if there {
					t.Errorf("no reconcile is asked for, and %d of %d records are published", object.Lane.Live(), n)
				}
			}
		})
	}
}
