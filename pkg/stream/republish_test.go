package stream

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// TestR20_APauseWithTheCommitOfAPagePublishesItOnce: a sweep that has ended waits for what
// is not decided yet (R17), and another stream is just looking at it. The page is
// committed, whether or not that look comes to an end.
func TestR20_APauseWithTheCommitOfAPagePublishesItOnce(t *testing.T) {
	for name, begin := range map[string]func(*testing.T, commits) (*Republish, *verification){
		"records": func(t *testing.T, c commits) (*Republish, *verification) {
			o, _ := answering(func(*http.Request) (int, string) { return http.StatusOK, listPage([]int{1, 2, 3}, "") }).contacts(t)
			o.Lane = cdc.NewLane(cdc.LaneConfig{Object: "contacts", Slots: hubspot.NewSlots(nil), Content: cdc.NewContent(nil), Committer: c})
			return NewObjectRepublish(o, "hubspot", offsets.Republish{}), o.verified
		},
		"links": func(t *testing.T, c commits) (*Republish, *verification) {
			p, _, _ := testPair(t, func(_ int, asked []string) string {
				var sets []string
				for _, text := range asked {
					id, _ := strconv.Atoi(text)
					to := []int{id}
					sets = append(sets, result(id, "", to[:min(1, 3/id)]...)) // those of the first three have a link
				}
				return answer(sets...)
			})
			p.Lane = cdc.NewLinkLane(cdc.LinkLaneConfig{Pair: p.Lane.Pair(), From: p.From.Lane, Swept: true, Committer: c})
			return NewPairRepublish(p, "hubspot", offsets.Republish{}), p.verified
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				paused, pause := context.WithCancel(t.Context())
				events := 0
				r, verified := begin(t, func(b *cdc.Batch) {
					events += len(b.Changes) + len(b.Links)
					pause()
				})
				verified.some.Store(true)
				verified.turn <- struct{}{}
				err := r.pass(paused)
				<-verified.turn
				if !errors.Is(err, errFinished) {
					err = r.pass(t.Context())
				}
				if !errors.Is(err, errFinished) || events != 3 {
					t.Errorf("%d events in the end, want 3; %v", events, err)
				}
			})
		})
	}
}
