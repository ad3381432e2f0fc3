//go:build integration

package crash

import (
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// checkFrontiers checks every frontier that was ever written: its offsets, and what it
// says is complete and verified, by the portal's history (R17). What searches showed,
// on which leading depends, nobody notes here; the random lives of pkg/connector do.
func (l *life) checkFrontiers(t *testing.T, c *consumer, prefix string) {
	t.Helper()
	events := map[string][]cdctest.Event{}
	for _, e := range c.events(t, prefix) {
		events[e.Key.Object] = append(events[e.Key.Object], e)
	}
	frontiers, verifications := 0, 0
	for _, object := range l.objects {
		all, of := c.frontiersOf(prefix, object), events[object]
		var places []cdctest.Place
		for i := range of {
			e := &of[i]
			places = append(places, cdctest.Place{Key: e.Key.ID, Partition: e.Partition, Offset: e.Offset, Tombstone: e.Tombstone, Deleted: e.Op == "d", Seq: e.Seq})
		}
		wrong := append(
			cdctest.CheckFrontierPlaces(places, all, false),
			cdctest.CheckFrontiers(cdctest.HistoryOf(l.portal, object), of, all, nil, longestLag, func(string) bool { return false }, cdctest.Hidings{})...)
		if len(wrong) > 0 {
			t.Errorf("%s: %d claims of %d frontiers are wrong (-seed %d):\n%s", object, len(wrong), len(all), *seed, strings.Join(wrong[:min(len(wrong), 12)], "\n"))
		}
		var verified hubspot.Millis
		for _, f := range all {
			if f.Verified > verified {
				verified, verifications = f.Verified, verifications+1
			}
		}
		frontiers += len(all)
	}
	t.Logf("frontiers %d, verified times %d", frontiers, verifications)
	if frontiers < 10**kills || verifications < *kills/2 {
		t.Errorf("only %d frontiers with %d verified times", frontiers, verifications)
	}
}

// longestLag is that of the connector's last trailing tier.
const longestLag = 12 * time.Second
