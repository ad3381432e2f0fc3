package stream

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// TestR17_WhatASnapshotLeavesOutStaysUnfound: a page of a snapshot is committed as a whole
// or not at all. While one of its sets is read again, the set of a record that HubSpot did
// not find before is not published.
func TestR17_WhatASnapshotLeavesOutStaysUnfound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *Pair
		p, _, _ = testPair(t, func(call int, _ []string) string {
			if call == 2 && !slices.Contains(p.unfound.all(), 5) {
				t.Error("while the page is not published, its record counts as found")
			}
			return answer(result(6, "", 70, 71))
		})
		now := hubspot.MillisOf(time.Now())
		set := func(from hubspot.ID, to hubspot.ID) cdc.LinkReading {
			return cdc.LinkReading{From: from, Links: []hubspot.Link{{To: to, Category: "HUBSPOT_DEFINED", TypeID: 279}}, Stamp: p.Lane.Now(), SentAt: now.Add(time.Minute), Date: now.Add(time.Minute), Calls: 1}
		}
		p.unfound.add([]hubspot.ID{5}, now)
		readings := []cdc.LinkReading{set(5, 50), set(6, 60)}
		p.look(t, 6) // it decides the links of 6: the set above is old
		if err := p.publish(t.Context(), cdc.LinkPage{Stream: offsets.SignalsStream, Snapshot: true, Readings: readings}); err != nil {
			t.Fatal(err)
		}
		if left := p.unfound.all(); len(left) > 0 {
			t.Errorf("in the end %v count as not found", left)
		}
	})
}
