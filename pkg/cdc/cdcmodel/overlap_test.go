package cdcmodel

import (
	"context"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestR9_TwoConfirmsThatOverlapAreOne: the search found this. Two finders miss a
// record at the same moment and confirm it. The answer to the last read of the
// second confirm comes late, and by its Date the two seem to lie apart. But all
// that the second knew before is as old as the first.
func TestR9_TwoConfirmsThatOverlapAreOne(t *testing.T) {
	ctx := context.Background()
	w := newWorld()
	w.begin(&choices{})
	lane := cdc.NewLane(cdc.LaneConfig{
		Object: "contacts", Slots: slots, Content: content,
		Patience: cdc.Patience{Second: 30 * time.Second, Repeat: time.Hour}, Committer: w,
	})
	publish := func(r cdc.Reading) cdc.Left {
		r.ID, r.Slots, r.Stamp = 1, slots, lane.Now()
		left, err := lane.Publish(ctx, cdc.Page{Stream: "leading", Readings: []cdc.Reading{r}})
		if err != nil {
			t.Fatal(err)
		}
		return left
	}
	at := func(seconds int) hubspot.Millis { return epoch.Add(time.Duration(seconds) * time.Second) }
	publish(cdc.Reading{
		Outcome: cdc.IsLive, SentAt: at(10), Date: at(10),
		Record: &hubspot.Record{ID: 1, Updated: at(0), Values: [][]byte{numbers[1], nil}},
	})
	publish(cdc.Reading{Outcome: cdc.IsGone, SentAt: at(100), Date: at(100)})

	if left := publish(cdc.Reading{Outcome: cdc.IsGone, SentAt: at(100), Date: at(140)}); len(left.Later) != 1 {
		t.Errorf("a confirm as old as the first one led to a purge: %v", w.events[1])
	}
	if left := publish(cdc.Reading{Outcome: cdc.IsGone, SentAt: at(131), Date: at(131)}); len(left.Later) != 0 || len(w.events[1]) != 2 {
		t.Errorf("a confirm 31 s later led to no purge: %v, left %v", w.events[1], left)
	}
}
