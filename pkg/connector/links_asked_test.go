package connector_test

import (
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// TestSignals_TheSweepOfAResumedPairBeginsAtOnce: one that is under way at its usual pace
// does not hold it up (docs/contract.md section 4).
func TestSignals_TheSweepOfAResumedPairBeginsAtOnce(t *testing.T) {
	t.Parallel()
	env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_ASSOCIATIONS_INTERVAL=20m"}
	inWorld(t, hubspottest.Options{Seed: 75, Types: []string{"contacts", "companies"}}, env, func(w *world) {
		w.Portal.Seed("contacts", 9_500)
		p := w.start()
		w.synced(p)
		swept := func() offsets.Associations {
			place, _ := offsets.ParseAssociations([]byte(w.Cursors()[`{"portal":4242,"object":"contacts:companies","stream":"associations"}`]))
			return place
		}
		time.Sleep(time.Minute)
		w.ReadUntil(time.Hour, func() bool { s := swept(); return s.ID > 0 && s.Started > s.Completed })
		w.signal(signalOf("pause", "contacts:companies"))
		time.Sleep(20 * time.Second)
		resumed := hubspot.MillisOf(w.Portal.Now().Add(-10 * time.Second)) // a Date has no milliseconds
		w.signal(signalOf("resume", "contacts:companies"))
		// Ten seconds for a pause that has just begun, and ten for the cursor of an idle pass.
		if took := w.ReadUntil(time.Hour, func() bool { return swept().Started >= resumed }); took > 30*time.Second {
			t.Errorf("the sweep begins %v after the resume", took)
		}
		p.Stop()
	})
}
