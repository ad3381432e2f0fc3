package stream

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestR12_ARefusedRoundWithoutAnEndIsMadeUpFor: it is the one in 15 min that sees what lies
// above the highest known id, and the one that counts a part.
func TestR12_ARefusedRoundWithoutAnEndIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3
		refuse, open := false, 0
		object, _ := answering(func(r *http.Request) (int, string) {
			s, ok := search(t, r)
			if !ok {
				return 200, listPage(inputs(t, r), "")
			}
			if refuse {
				return 403, refusal
			}
			if s.upTo > n {
				open++
			}
			var ids []int
			for id := s.after + 1; id <= min(s.upTo, n); id++ {
				ids = append(ids, id)
			}
			return 200, strings.Replace(listPage(ids, ""), "{", fmt.Sprintf(`{"total":%d,`, len(ids)), 1)
		}).contacts(t)
		c := &Census{Object: object, Interval: time.Minute, Recent: 2 * time.Minute, Recheck: time.Hour, doubts: map[hubspot.ID]doubt{}, spare: spareMost, spared: time.Now()}
		round := func() (counts int) {
			time.Sleep(time.Minute)
			open = 0
			if err := c.pass(t.Context()); (err != nil) != refuse {
				t.Fatal(err)
			}
			return open
		}
		round()
		for range openRounds - 1 {
			if round() != 0 {
				t.Fatal("one round in ten counts without an end, and this one does")
			}
		}
		refuse = true
		round()
		if refuse = false; round() == 0 {
			t.Error("the round after the refusal does not count without an end")
		}
	})
}
