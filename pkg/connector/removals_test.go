package connector_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// TestR9_AKillInTheMidstOfARemoval: the deletes of a removed type's records are
// published, and those of its links and pipelines not yet. The next run publishes them.
func TestR9_AKillInTheMidstOfARemoval(t *testing.T) {
	t.Parallel()
	env := []string{"SYNC_SCHEMA_INTERVAL=1m", "SYNC_ASSOCIATIONS_INTERVAL=2m", "HUBSPOT_ASSOCIATIONS=contacts:p4242_car,p4242_car:contacts"}
	inWorld(t, hubspottest.Options{Seed: 11, Types: []string{"contacts"}}, env, func(w *world) {
		person := w.Portal.Seed("contacts", 1)[0]
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		w.Portal.Associate("contacts", person, car, w.Portal.Seed(car, 1)[0], "", 0)
		w.Portal.AddPipeline(car, hubspottest.Pipeline{Label: "Sales"})
		there, back := cdc.Pair{From: "contacts", To: car}, cdc.Pair{From: car, To: "contacts"}
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.live(car) == 1 && p.live(there.String()) == 1 && p.live(back.String()) == 1 })
		time.Sleep(5 * time.Minute)
		p.Stop()
		accepting := w.Registry.Turn(nil)
		w.Registry.Turn(hiding{to: accepting, subjects: "hubspot.associations."})
		p = w.start()
		time.Sleep(time.Minute)
		w.Portal.RemoveCustomType(car)
		w.ReadUntil(10*time.Minute, func() bool { return len(w.keysOf("hubspot."+car)) == 0 })
		p.Kill()
		w.Brokers.Mend()
		if len(w.keysOf(offsets.PairTopic("hubspot", there))) == 0 {
			t.Error("no link is left at the kill")
		}
		w.Registry.Turn(accepting)
		p = w.start()
		time.Sleep(10 * time.Minute)
		p.Stop()
		w.check(car)
		w.checkLinks(there)
		w.checkLinks(back)
		if n := len(w.keysOf("hubspot.pipelines")); n != 0 {
			t.Errorf("%d pipelines are live", n)
		}
	})
}

// TestR9_ATypeWithoutRecordsIsRemovedWhileStopped: its pipelines are deleted.
func TestR9_ATypeWithoutRecordsIsRemovedWhileStopped(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 11, Types: []string{"contacts"}}, []string{"SYNC_SCHEMA_INTERVAL=1m"}, func(w *world) {
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		w.Portal.AddPipeline(car, hubspottest.Pipeline{Label: "Sales"})
		p := w.start()
		w.ReadUntil(time.Hour, func() bool { return len(w.keysOf("hubspot.pipelines")) == 1 })
		p.Stop()
		w.Portal.RemoveCustomType(car)
		p = w.start()
		time.Sleep(10 * time.Minute)
		p.Stop()
		if n := len(w.keysOf("hubspot.pipelines")); n != 0 {
			t.Errorf("%d pipelines are live", n)
		}
	})
}

// TestR9_ATypeIsRemovedWhileATopicIsRefused: the topic of the type, of its links or of its
// pipelines cannot be written. What it holds of the type waits, with a problem, in the same
// run. Everything else goes on, and once the topic can be written nothing is left.
func TestR9_ATypeIsRemovedWhileATopicIsRefused(t *testing.T) {
	t.Parallel()
	const car = "p4242_car"
	there := cdc.Pair{From: "contacts", To: car}
	topics := []string{"hubspot." + car, offsets.PairTopic("hubspot", there), "hubspot.pipelines"}
	for i, topic := range topics {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			env := []string{"SYNC_SCHEMA_INTERVAL=1m", "SYNC_ASSOCIATIONS_INTERVAL=2m", "HUBSPOT_ASSOCIATIONS=" + there.String()}
			inWorld(t, hubspottest.Options{Seed: 11, Types: []string{"contacts"}}, env, func(w *world) {
				person := w.Portal.Seed("contacts", 1)[0]
				w.Portal.AddCustomType("car")
				w.Portal.Associate("contacts", person, car, w.Portal.Seed(car, 1)[0], "", 0)
				w.Portal.AddPipeline(car, hubspottest.Pipeline{Label: "Sales"})
				p := w.start()
				w.SleepUntil(time.Hour, func() bool { return p.live(car) == 1 && p.live(there.String()) == 1 })
				time.Sleep(5 * time.Minute)
				p.Stop()
				accepting := w.Registry.Turn(nil)
				w.Registry.Turn(hiding{to: accepting, subjects: topic + "-value"})
				p = w.start()
				time.Sleep(time.Minute)
				w.Portal.RemoveCustomType(car)
				time.Sleep(10 * time.Minute)
				p.waits(car, "subject "+topic+"-value")
				for j, other := range topics {
					if n := len(w.keysOf(other)); n != 0 && i > 0 && j != i { // what is not refused has ended
						t.Errorf("%d keys of %s are live", n, other)
					}
				}
				w.Portal.Update("contacts", person, map[string]string{"firstname": "Ada"})
				w.ReadUntil(time.Minute, func() bool { return w.FirstName(person) == "Ada" })
				w.Registry.Turn(accepting)
				w.SleepUntil(5*time.Minute, func() bool { r := p.ready(); return r.Ready && len(r.Problems) == 0 })
				if ended, told := p.said("the run ended; the next one begins"), p.said("an object type was removed from the portal"); ended != 0 || told != 1 {
					t.Errorf("%d runs ended, and the log says the removal %d times", ended, told)
				}
				p.Stop()
				w.check(car)
				for _, topic := range topics {
					if n := len(w.keysOf(topic)); n != 0 {
						t.Errorf("%d keys of %s are live", n, topic)
					}
				}
			})
		})
	}
}

// TestR9_ATypeComesBackWhileItsEndWaits: the records of a type are published as deleted and
// its links are not yet, because their topic is refused. Then HubSpot shows the type again,
// or another one under its name: in the end that is what is published.
func TestR9_ATypeComesBackWhileItsEndWaits(t *testing.T) {
	t.Parallel()
	const car = "p4242_car"
	there := cdc.Pair{From: "contacts", To: car}
	for _, another := range []bool{false, true} {
		t.Run(fmt.Sprint("another: ", another), func(t *testing.T) {
			t.Parallel()
			env := []string{"SYNC_SCHEMA_INTERVAL=1m", "SYNC_ASSOCIATIONS_INTERVAL=2m", "HUBSPOT_ASSOCIATIONS=" + there.String()}
			inWorld(t, hubspottest.Options{Seed: 11, Types: []string{"contacts"}}, env, func(w *world) {
				person := w.Portal.Seed("contacts", 1)[0]
				w.Portal.AddCustomType("car")
				w.Portal.Associate("contacts", person, car, w.Portal.Seed(car, 1)[0], "", 0)
				p := w.start()
				w.SleepUntil(time.Hour, func() bool { return p.live(car) == 1 && p.live(there.String()) == 1 })
				time.Sleep(5 * time.Minute)
				p.Stop()
				accepting, topic := w.Registry.Turn(nil), offsets.PairTopic("hubspot", there)
				w.Registry.Turn(hiding{to: accepting, subjects: topic + "-value"})
				p = w.start()
				time.Sleep(time.Minute)
				if another {
					w.Portal.RemoveCustomType(car)
				} else {
					w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultShort, Lost: hubspottest.LostAll, Endpoint: hubspottest.EndpointSchemas})
					w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 404, Endpoint: hubspottest.EndpointSchema})
				}
				w.ReadUntil(10*time.Minute, func() bool { return len(w.keysOf("hubspot."+car)) == 0 })
				p.waits(car, "subject "+topic+"-value")
				links := 1
				if another {
					w.Portal.AddCustomType("car")
					w.Portal.Seed(car, 1)
					links = 0
				}
				w.Portal.ClearFaults()
				time.Sleep(5 * time.Minute)
				w.Registry.Turn(accepting)
				w.SleepUntil(5*time.Minute, func() bool { r := p.ready(); return r.Ready && len(r.Problems) == 0 })
				time.Sleep(5 * time.Minute)
				if n := p.said("the run ended; the next one begins"); n > 0 {
					t.Errorf("%d runs ended", n)
				}
				p.Stop()
				if n, m := len(w.keysOf("hubspot."+car)), len(w.keysOf(topic)); n != 1 || m != links {
					t.Errorf("%d records are live, and %d links, want 1 and %d", n, m, links)
				}
			})
		})
	}
}

// TestR9_ATypeUnderARemovedOnesNameKeepsItsLinks: its own topic waits, and its links are
// published. A restart does not take them for those of the type before.
func TestR9_ATypeUnderARemovedOnesNameKeepsItsLinks(t *testing.T) {
	t.Parallel()
	const car = "p4242_car"
	there := cdc.Pair{From: "contacts", To: car}
	env := []string{"SYNC_SCHEMA_INTERVAL=1m", "SYNC_ASSOCIATIONS_INTERVAL=2m", "HUBSPOT_ASSOCIATIONS=" + there.String()}
	inWorld(t, hubspottest.Options{Seed: 11, Types: []string{"contacts"}}, env, func(w *world) {
		person := w.Portal.Seed("contacts", 1)[0]
		w.Portal.AddCustomType("car")
		w.Portal.Associate("contacts", person, car, w.Portal.Seed(car, 1)[0], "", 0)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.live(car) == 1 && p.live(there.String()) == 1 })
		time.Sleep(5 * time.Minute)
		w.Registry.Turn(answering{w.Registry.Turn(nil), "hubspot." + car + "-value", http.StatusForbidden, denied})
		w.Portal.RemoveCustomType(car)
		w.Portal.AddCustomType("car", hubspottest.Property{Name: "doors"})
		w.Portal.Associate("contacts", person, car, w.Portal.Seed(car, 1)[0], "", 0)
		w.SleepUntil(10*time.Minute, func() bool { return len(w.story(there)) == 3 })
		p.Stop()
		p = w.start()
		time.Sleep(10 * time.Minute)
		p.Stop()
		if story := w.story(there); len(story) != 3 {
			t.Errorf("links: %v", story)
		}
	})
}
