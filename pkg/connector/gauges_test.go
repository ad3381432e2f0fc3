package connector_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestMetrics_SayWhatReadyzSays, at any moment of an outage of each dependency, and on
// a standby.
func TestMetrics_SayWhatReadyzSays(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 46}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		t := w.T
		seen := map[string]bool{}
		agree := func(p *process) {
			t.Helper()
			synctest.Wait() // so that nothing changes between the two answers
			ready, got := p.ready(), figures(t, p)
			count := map[string]float64{"hubspot": 0, "kafka": 0, "registry": 0, "loading": 0, "connector": 0, "stream": 0}
			for _, problem := range ready.Problems {
				count[problem.Area]++
				seen[problem.Area] = true
			}
			for area, want := range count {
				if n, there := got[`hubspot_cdc_problems{area="`+area+`"}`]; n != want || !there {
					t.Errorf("%v problems of %s (there: %v), and /readyz shows %v", n, area, there, ready.Problems)
				}
			}
			if got["hubspot_cdc_ready"] != map[bool]float64{true: 1}[ready.Ready] || got["hubspot_cdc_role"] != map[bool]float64{true: 1}[ready.Role == "owner"] {
				t.Errorf("ready %v and role %v, and /readyz says %+v", got["hubspot_cdc_ready"], got["hubspot_cdc_role"], ready)
			}
		}
		p := w.start()
		agree(p)
		w.SleepUntil(time.Minute, func() bool { return p.ready().Ready })
		agree(p)
		second := w.startBeside()
		w.SleepUntil(time.Minute, func() bool { return second.ready().Ready })
		agree(second)
		for _, line := range []interface {
			Cut()
			Mend()
		}{w.Registry, p.HubSpot, p.Brokers} {
			line.Cut()
			for range 5 {
				time.Sleep(10 * time.Second)
				agree(p)
				agree(second)
			}
			line.Mend()
			time.Sleep(2 * time.Minute)
			agree(p)
			agree(second)
		}
		for _, area := range []string{"hubspot", "kafka", "registry", "loading"} {
			if !seen[area] {
				t.Errorf("no problem of %s was seen", area)
			}
		}
		text := p.Get("/metrics").Body.String()
		for _, line := range []string{`hubspot_cdc_build_info{commit="`, `version="test"} 1`, "\ngo_goroutines ", "\nprocess_start_time_seconds "} {
			if !strings.Contains(text, line) {
				t.Errorf("the metrics lack %q", line)
			}
		}
		p.Stop()
		second.Stop()
	})
}

// TestMetrics_BehindFromTheCursor: a process that has not finished a pass yet is as
// far behind as the cursors of the one before.
func TestMetrics_BehindFromTheCursor(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 47}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		t := w.T
		w.Ran(20)
		time.Sleep(time.Hour)
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 503})
		p := w.start()
		defer p.Stop()
		time.Sleep(time.Minute)
		if b := behind(t, p); b != 0 {
			t.Errorf("%v ms behind before anything is known", b)
		}
		w.Portal.ClearFaults()
		w.Portal.Inject(hubspottest.Fault{Endpoint: hubspottest.EndpointSearch, Kind: hubspottest.FaultStatus, Status: 503})
		time.Sleep(3 * time.Minute)
		hour := float64(time.Hour.Milliseconds())
		for _, stream := range []string{"leading", "trailing-5m", "trailing-1h", "reconcile"} {
			name := `hubspot_cdc_milliseconds_behind_source{object="contacts",stream="` + stream + `"}`
			before := figures(t, p)[name]
			time.Sleep(time.Minute)
			if now := figures(t, p)[name]; now < before+59_000 || now < hour || now > hour+15*60_000 {
				t.Errorf("%s was %v and is %v a minute later", name, before, now)
			}
		}
		w.Portal.ClearFaults()
		w.SleepUntil(5*time.Minute, func() bool { return behind(t, p) < 60_000 })
	})
}

// TestMetrics_BehindWhileKafkaTakesNothing, as with too few replicas in sync: idle
// streams note their places for a transaction to come, and go on. So does each next run.
func TestMetrics_BehindWhileKafkaTakesNothing(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 48}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=5s"}, func(w *world) {
		t := w.T
		w.Portal.Seed("contacts", 20)
		p := w.start()
		defer p.Stop()
		time.Sleep(3 * time.Minute)
		mended := make(chan struct{})
		mend := sync.OnceFunc(func() { close(mended) })
		defer mend()
		w.Kafka.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			w.Kafka.KeepControl()
			w.Kafka.SleepControl(func() { <-mended })
			return nil, nil, false
		})
		time.Sleep(30 * time.Second)
		for age := behind(t, p); age < 300_000; {
			time.Sleep(10 * time.Second)
			now := behind(t, p)
			if now < age+9_000 {
				t.Fatalf("%v ms behind, after %v ten seconds before", now, age)
			}
			age = now
		}
		mend()
		w.SleepUntil(5*time.Minute, func() bool { return behind(t, p) < 15_000 })
	})
}
