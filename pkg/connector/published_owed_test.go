package connector_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// TestR20_TheSweepAfterALossIsOwedOverARestart: a topic is published again, and the
// connector dies before the sweep that follows has ended. The sweep follows all the same,
// long before the interval, and nothing is verified (R17) until it has shown everything:
// what the topic has lost may include a delete.
func TestR20_TheSweepAfterALossIsOwedOverARestart(t *testing.T) {
	t.Parallel()
	for topic, cursor := range map[string]string{
		contactsTopic: `{"portal":4242,"object":"contacts","stream":"reconcile"}`,
		linksTopic:    `{"portal":4242,"object":"contacts:companies","stream":"associations"}`,
	} {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			opt := hubspottest.Options{Seed: 20, Types: []string{"contacts", "companies"}, ListPage: 5, Latency: hubspottest.Span{Min: 200 * time.Millisecond, Max: 300 * time.Millisecond}}
			inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_RECONCILE_INTERVAL=4m", "SYNC_ASSOCIATIONS_INTERVAL=4m", "SYNC_CENSUS_INTERVAL=10s"}, func(w *world) {
				ids, _ := w.peopled(30)
				p := w.start()
				w.ReadUntil(10*time.Minute, func() bool { return w.frontier(topic).Verified != nil })
				n := len(w.Records(topic))
				w.Portal.Purge("contacts", ids[8])
				purged := w.Portal.Now()
				w.ReadUntil(20*time.Minute, func() bool { return len(w.Records(topic)) > n && after(w.frontier(topic).Verified, purged) })
				time.Sleep(20 * time.Second)
				p.Stop()
				w.Set("SYNC_RECONCILE_INTERVAL=24h", "SYNC_ASSOCIATIONS_INTERVAL=24h", "SYNC_CENSUS_INTERVAL=24h")
				loss{"cut", n, true}.befall(w, topic)
				lost, said := w.Portal.Now(), len(w.frontiers(topic))
				p = w.start()
				w.SleepUntil(time.Minute, func() bool { return p.Log.Has("everything is published again") })
				p.Kill()
				w.Brokers.Mend()
				p = w.start()
				took := w.ReadUntil(30*time.Minute, func() bool {
					late := w.frontiers(topic)[said:]
					return len(late) > 0 && late[len(late)-1].Verified != nil
				})
				var sweep struct{ Started, Completed *time.Time }
				if err := json.Unmarshal([]byte(w.Cursors()[cursor]), &sweep); err != nil || !after(sweep.Started, lost) || sweep.Completed == nil {
					t.Errorf("%v after the restart verified is %v, and no sweep has ended that began after %v: %s", took, w.frontier(topic).Verified, lost, w.Cursors()[cursor])
				}
				p.Stop()
			})
		})
	}
}

// TestR20_ATopicThatIsLostAgainWhileASweepIsOwed: a topic was published again, and is
// deleted before the sweep that follows has ended. What the new loss took is published
// again too.
func TestR20_ATopicThatIsLostAgainWhileASweepIsOwed(t *testing.T) {
	t.Parallel()
	for _, topic := range []string{contactsTopic, linksTopic} {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			inWorld(t, hubspottest.Options{Seed: 20, Types: []string{"contacts", "companies", "deals"}}, published, func(w *world) {
				w.peopled(30)
				p := w.start()
				time.Sleep(3 * time.Minute)
				p.Stop()
				for range 2 {
					loss{keep: -1}.befall(w, topic)
					p = w.start()
					w.SleepUntil(time.Minute, func() bool { return p.Log.Has("everything is published again") })
					p.Kill()
					w.Brokers.Mend()
				}
				p = w.start()
				time.Sleep(5 * time.Minute)
				p.Stop()
				for key, n := range w.whole(topic) {
					if n != 1 {
						t.Errorf("%d events of %s, want 1", n, key)
					}
				}
			})
		})
	}
}

// TestR21_ASweepThatIsOwedAheadOfHubSpotsTime: the cursor of republish owes a sweep since a
// time that is hours away. It is moved back, and the log says so. The sweep that follows
// at once pays it off, and verifies what it has shown.
func TestR21_ASweepThatIsOwedAheadOfHubSpotsTime(t *testing.T) {
	t.Parallel()
	for object, topic := range map[string]string{"contacts": contactsTopic, toCompanies.String(): linksTopic} {
		t.Run(object, func(t *testing.T) {
			t.Parallel()
			env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_ASSOCIATIONS_INTERVAL=24h", "SYNC_CENSUS_INTERVAL=24h"}
			inWorld(t, hubspottest.Options{Seed: 6, Types: []string{"contacts", "companies"}}, env, func(w *world) {
				w.peopled(30)
				p := w.start()
				w.ReadUntil(5*time.Minute, func() bool { return w.frontier(topic).Verified != nil })
				p.Stop()
				key := `{"portal":4242,"object":"` + object + `","stream":"republish"}`
				ahead := hubspot.MillisOf(w.Portal.Now().Add(6 * time.Hour))
				w.Produce("hubspot.offsets", key, string(offsets.Republish{Records: 30, Swept: true, Owed: ahead}.Bytes()))
				said := len(w.frontiers(topic))
				p = w.start()
				w.ReadUntil(5*time.Minute, func() bool {
					late := w.frontiers(topic)[said:]
					return len(late) > 1 && late[len(late)-1].Verified != nil
				})
				time.Sleep(time.Minute)
				if left := w.Cursors()[key]; left != "" || p.said("a cursor lies ahead of HubSpot's time") != 1 {
					t.Errorf("the cursor %q is left; the log says %d times that it lies ahead", left, p.said("a cursor lies ahead of HubSpot's time"))
				}
				p.Stop()
			})
		})
	}
}
