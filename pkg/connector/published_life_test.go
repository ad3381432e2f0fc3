package connector_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR20_RandomLosses: in a portal that is in use, topics are lost at random,
// while the connector runs and while it is stopped, between kills and restarts. In
// the end every topic shows what the portal has. A topic that was lost begins its
// life again, so only what is left in it can be checked.
func TestR20_RandomLosses(t *testing.T) {
	long(t)
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			opt := hubspottest.Harsh(seed)
			opt.Types = []string{"contacts", "companies", "deals"}
			settings := append([]string{"SYNC_RECONCILE_INTERVAL=1h", "SYNC_SCHEMA_INTERVAL=40s"}, published...)
			inWorld(t, opt, settings, func(w *world) {
				rng := rand.New(rand.NewPCG(seed, 20))
				w.peopled(120)
				life := hubspottest.Life{
					Create: 20, Update: 45, Archive: 10, Restore: 5, Merge: 3, Associate: 20, Dissociate: 10, Owner: 3,
					Pairs: [][2]string{{"contacts", "companies"}},
				}
				p := w.start()
				time.Sleep(2 * time.Minute)
				hit := 0
				for end := time.Now().Add(25 * time.Minute); time.Now().Before(end); {
					for range rng.IntN(6) {
						w.Portal.Step(rng, life)
					}
					time.Sleep(time.Duration(rng.IntN(8000)) * time.Millisecond)
					running := rng.IntN(3) > 0
					if rng.IntN(12) > 0 {
						continue
					}
					if !running {
						if rng.IntN(2) == 0 {
							p.Brokers.Cut()
						}
						p.Stop()
						p.Brokers.Mend()
					}
					if topic := kinds[rng.IntN(len(kinds))]; w.Kafka.TopicInfo(topic) != nil {
						loss{"", rng.IntN(20) - 5, false}.befall(w, topic)
						hit++
					}
					if !running {
						p = w.start()
					}
				}
				time.Sleep(130 * time.Minute) // as in TestPromises_RandomLife
				p.Stop()
				if hit < 5 {
					t.Errorf("only %d losses", hit)
				}
				for _, topic := range []string{contactsTopic, linksTopic, "hubspot.owners"} {
					w.whole(topic)
				}
				for _, finding := range cdctest.Lost(cdctest.HistoryOf(w.Portal, "contacts"), w.Seen("contacts")) {
					t.Error(finding)
				}
				w.check("companies", "deals")
			})
		})
	}
}
