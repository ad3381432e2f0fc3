package connector_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR9_ATypeThatComesBackInARun: HubSpot denied a custom type twice, and shows it again
// under the same id: its streams begin again.
func TestR9_ATypeThatComesBackInARun(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 8, Types: []string{"contacts"}}, []string{"SYNC_SCHEMA_INTERVAL=1m"}, func(w *world) {
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		w.Portal.Seed(car, 20)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(20, []string{car}) })
		back := w.denies()
		w.SleepUntil(10*time.Minute, func() bool { return p.live(car) == 0 })
		back()
		w.SleepUntil(10*time.Minute, func() bool { return p.live(car) == 20 })
		time.Sleep(5 * time.Minute)
		p.Stop()
	})
}

// TestR20_ALossIsMadeGoodOnce: the topic of a custom type was deleted, and everything of it
// was published again. In the same run HubSpot denies the type twice, and shows it again.
// Nothing is lost by then, so what comes back is published as always.
func TestR20_ALossIsMadeGoodOnce(t *testing.T) {
	t.Parallel()
	inWorldOfCars(t, 150, loss{keep: -1}, func(w *world, car, topic string) {
		p := w.start()
		w.SleepUntil(10*time.Minute, func() bool { return p.Log.Has("everything is published again") })
		back := w.denies()
		w.SleepUntil(10*time.Minute, func() bool { return p.live(car) == 0 })
		back()
		w.SleepUntil(10*time.Minute, func() bool { return p.live(car) == 150 })
		time.Sleep(10 * time.Minute)
		p.Stop()
		again := 0
		for _, e := range w.eventsOf(topic) {
			if e.Source["snapshot"] == "incremental" {
				again++
			}
		}
		if again != 150 {
			t.Errorf("%d records were published again, want 150", again)
		}
	})
}

// TestR20_ATypeThatComesBackToATopicMadeAgain: the topic of a custom type was deleted while
// the connector was stopped, and HubSpot denies the type when it starts. The connector makes
// the topic again to publish the type's end. When the type comes back in the same run,
// nothing is lost, so it is published as always.
func TestR20_ATypeThatComesBackToATopicMadeAgain(t *testing.T) {
	t.Parallel()
	inWorldOfCars(t, 150, loss{keep: -1}, func(w *world, car, topic string) {
		back := w.denies()
		p := w.start()
		w.SleepUntil(10*time.Minute, func() bool { return p.Log.Has("an object type was removed from the portal") })
		time.Sleep(time.Minute)
		back()
		w.SleepUntil(10*time.Minute, func() bool { return p.live(car) == 150 })
		time.Sleep(10 * time.Minute)
		p.Stop()
		for key, n := range w.keysOf(topic) {
			if n != 2 { // the delete and what came back
				t.Fatalf("%d events of %s, want 2", n, key)
			}
		}
	})
}

// TestR20_ATypeThatComesBackWhileItsEndWaits: the topic of a custom type has lost something
// while the connector was stopped. HubSpot denies the type, and nothing can be written to
// the topic. When the type comes back, so does what the topic has lost, in the same run.
func TestR20_ATypeThatComesBackWhileItsEndWaits(t *testing.T) {
	t.Parallel()
	for _, lost := range []loss{{"deleted", -1, false}, {"made again", 0, false}} {
		t.Run(lost.name, func(t *testing.T) {
			t.Parallel()
			inWorldOfCars(t, 20, lost, func(w *world, car, topic string) {
				accepting := w.Registry.Turn(nil)
				w.Registry.Turn(hiding{to: accepting, subjects: topic + "-value"})
				back := w.denies()
				p := w.start()
				time.Sleep(10 * time.Minute)
				p.waits(car, "subject "+topic+"-value")
				w.Registry.Turn(accepting)
				back()
				time.Sleep(10 * time.Minute)
				if n := p.said("the run ended; the next one begins"); n > 0 {
					t.Errorf("%d runs ended", n)
				}
				if n := len(w.keysOf(topic)); n != 20 {
					t.Errorf("%d records are live in the topic, want 20", n)
				}
				p.Stop()
				w.publishesNothing(topic)
			})
		})
	}
}

// denies makes HubSpot deny that there are custom types, until back is called.
func (w *world) denies() (back func()) {
	list := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultShort, Lost: hubspottest.LostAll, Endpoint: hubspottest.EndpointSchemas})
	own := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: http.StatusNotFound, Endpoint: hubspottest.EndpointSchema})
	return func() { list(); own() }
}

// inWorldOfCars gives f a world whose custom type was published, and whose topic has lost
// something since the connector was stopped.
func inWorldOfCars(t *testing.T, n int, lost loss, f func(w *world, car, topic string)) {
	opt := hubspottest.Options{Seed: 11, ListPage: 5, Latency: hubspottest.Span{Min: 100 * time.Millisecond, Max: 400 * time.Millisecond}, Types: []string{"contacts"}}
	inWorld(t, opt, []string{"SYNC_SCHEMA_INTERVAL=1m", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		w.Portal.Seed(car, n)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(n, []string{car}) })
		p.Stop()
		lost.befall(w, "hubspot."+car)
		f(w, car, "hubspot."+car)
	})
}
