package connector_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// attempts runs a started connector for a while and gives the number of requests
// that the portal saw in that time.
func attempts(w *world, d time.Duration) int {
	before := total(w.Portal.Stats())
	time.Sleep(d)
	return total(w.Portal.Stats()) - before
}

func total(s hubspottest.Stats) int {
	n := 0
	for _, calls := range s.Calls {
		n += calls
	}
	return n
}

// failing is a way in which HubSpot can fail.
type failing struct {
	name  string
	fault hubspottest.Fault
}

// TestHubSpotsFailuresPass: while a failure lasts, there is at most one attempt a
// second after the first three. When it ends, everything is published, and the
// token appears nowhere.
func TestHubSpotsFailuresPass(t *testing.T) {
	t.Parallel()
	causes := []failing{
		{"token refused", hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 401}},
		{"half a body", hubspottest.Fault{Kind: hubspottest.FaultCut}},
		{"HubSpot down", hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 503}},
		{"HTML for JSON", hubspottest.Fault{Kind: hubspottest.FaultHTML, Status: 200}},
		{"HTML with 404", hubspottest.Fault{Kind: hubspottest.FaultHTML, Status: 404}},
		{"connections reset", hubspottest.Fault{Kind: hubspottest.FaultReset}},
	}
	for i, cause := range causes {
		t.Run(cause.name, func(t *testing.T) {
			if i%2 != 0 {
				long(t)
			}
			env := []string{"SYNC_LEADING_INTERVAL=1s", "SYNC_ARCHIVE_INTERVAL=5s", "SYNC_TRAILING_LAG=20s"}
			inWorld(t, hubspottest.Options{Seed: 7}, env, func(w *world) {
				ids := w.Portal.Seed("contacts", 300)
				p := w.start()
				defer p.Stop()
				for _, when := range []string{"in the middle", "again"} {
					w.SleepUntil(2*time.Minute, func() bool { return p.backfilled(1, []string{"contacts"}) })
					remove := w.Portal.Inject(cause.fault)
					time.Sleep(5 * time.Second) // the first attempts
					if n := attempts(w, 2*time.Minute); n > 120+3 {
						t.Errorf("%s: %d requests in two minutes", when, n)
					}
					p.Leaks()
					w.Portal.Update("contacts", ids[0], map[string]string{"firstname": when})
					remove()
					w.ReadUntil(3*time.Minute, func() bool {
						return w.FirstName(ids[0]) == when
					})
				}
			})
		})
	}
}

// TestBrokersAndRegistryMayGoAway, at the start and in the middle: attempts stay
// rare, and once they are back everything is published, once.
func TestBrokersAndRegistryMayGoAway(t *testing.T) {
	t.Parallel()
	causes := []struct {
		name     string
		cut      func(*world)
		mend     func(*world)
		attempts func(*world) int64
		middle   bool
	}{
		{"brokers at the start", func(w *world) { w.Brokers.Cut() }, func(w *world) { w.Brokers.Mend() },
			func(w *world) int64 { return w.Brokers.Dials.Load() }, false},
		{"brokers in the middle", func(w *world) { w.Brokers.Cut() }, func(w *world) { w.Brokers.Mend() },
			func(w *world) int64 { return w.Brokers.Dials.Load() }, true},
		{"registry at the start", func(w *world) { w.Registry.Cut() }, func(w *world) { w.Registry.Mend() },
			func(w *world) int64 { return w.Registry.Requests.Load() }, false},
	}
	for _, cause := range causes {
		t.Run(cause.name, func(t *testing.T) {
			inWorld(t, hubspottest.Options{Seed: 9}, []string{"SYNC_LEADING_INTERVAL=1s"}, func(w *world) {
				ids := w.Portal.Seed("contacts", 250)
				if !cause.middle {
					cause.cut(w)
				}
				p := w.start()
				if cause.middle {
					w.SleepUntil(time.Minute, func() bool { return p.backfilled(250, []string{"contacts"}) })
					cause.cut(w)
				}
				w.Portal.Update("contacts", ids[3], map[string]string{"firstname": "Back"})
				time.Sleep(10 * time.Second)
				before := cause.attempts(w)
				time.Sleep(2 * time.Minute)
				if n := cause.attempts(w) - before; n > 120+3 {
					t.Errorf("%d attempts in two minutes", n)
				}
				if p.ready().Ready {
					t.Error("the connector is ready, but it cannot publish")
				}
				cause.mend(w)
				w.ReadUntil(3*time.Minute, func() bool { return w.FirstName(ids[3]) == "Back" })
				w.SleepUntil(time.Minute, func() bool { return p.ready().Ready })
				p.Stop()
				seen := map[string]int{}
				for _, e := range w.Events("contacts") {
					seen[e.Key]++
				}
				for _, id := range ids[4:] {
					if seen[idText(id)] != 1 {
						t.Errorf("record %d was published %d times", id, seen[idText(id)])
					}
				}
			})
		})
	}
}

// TestASignalEndsTheRunInTime, even while the brokers are away (docs/contract.md
// section 7).
func TestASignalEndsTheRunInTime(t *testing.T) {
	t.Parallel()
	for _, away := range []bool{false, true} {
		inWorld(t, hubspottest.Options{Seed: 3}, nil, func(w *world) {
			w.Portal.Seed("contacts", 300)
			p := w.start()
			w.SleepUntil(time.Minute, func() bool { return p.backfilled(300, []string{"contacts"}) })
			if away {
				w.Brokers.Cut()
				w.Portal.Create("contacts", map[string]string{"firstname": "Late"})
				time.Sleep(3 * time.Second)
			}
			began := time.Now()
			p.Stop()
			if d := time.Since(began); d > 10*time.Second {
				t.Errorf("brokers away %v: ended after %v", away, d)
			}
		})
	}
}

// TestPromise5_AnEventTooLargeLeavesOutItsLargestValues and names them; the other
// events are not affected.
func TestPromise5_AnEventTooLargeLeavesOutItsLargestValues(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 4}, []string{"KAFKA_MAX_MESSAGE_BYTES=20000", "HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		for i := range 200 { // their list in the state is larger than an event may be
			w.Portal.AddProperty("contacts", hubspottest.Property{Name: fmt.Sprintf("a_property_with_a_long_name_%d", i), Label: strings.Repeat("label ", 10)})
		}
		large := w.Portal.Create("contacts", map[string]string{"firstname": "Large", "lastname": strings.Repeat("x", 30_000)})
		small := w.Portal.Create("contacts", map[string]string{"firstname": "Small"})
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.backfilled(2, []string{"contacts"}) })
		p.Stop()
		got := map[string]event{}
		for _, e := range w.Events("contacts") {
			got[e.Key] = e
		}
		e := got[idText(large)]
		if omitted, _ := e.Source["omitted"].([]any); len(omitted) != 1 || omitted[0] != "lastname" || e.Property("lastname") != nil || e.Property("firstname") != "Large" {
			t.Errorf("large record: omitted %v, firstname %v", e.Source["omitted"], e.Property("firstname"))
		}
		if e := got[idText(small)]; e.Property("firstname") != "Small" || e.Source["omitted"] != nil {
			t.Errorf("small record: %v", e)
		}
	})
}

// counted reports whether a counter has reached least.
func (p *process) counted(name string, least float64) bool {
	for line := range strings.Lines(p.Get("/metrics").Body.String()) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "hubspot_cdc_"+name+" "); ok {
			n, err := strconv.ParseFloat(text, 64)
			return err == nil && n >= least
		}
	}
	return false
}

// TestHandler_AfterTheEnd: an embedding program that goes on serving is not told
// that all is well.
func TestHandler_AfterTheEnd(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 41}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		p := w.start()
		w.SleepUntil(time.Minute, p.streams)
		p.Stop()
		if r := p.ready(); r.Ready || len(r.Problems) != 1 || r.Problems[0].Action == "" {
			t.Errorf("after the end: %+v", r)
		}
	})
}
