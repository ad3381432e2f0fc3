package connector_test

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR12_DeletesOfATypeWithoutAnArchivedList: in a custom type of 100,000
// records, the connector publishes an archived and a purged record, the first that
// go, within five minutes and the time of the second confirm, at the default
// intervals. It deletes nothing else.
func TestR12_DeletesOfATypeWithoutAnArchivedList(t *testing.T) {
	long(t)
	t.Parallel()
	opt := hubspottest.Options{Seed: 21, Types: []string{}, NoHistory: true}
	inWorld(t, opt, nil, func(w *world) {
		t := w.T
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		w.Portal.SetArchivedList(car, false)
		ids := w.Portal.Seed(car, 100_000)
		time.Sleep(time.Minute)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(100_000, []string{car}) })
		time.Sleep(5 * time.Minute)
		calls := w.Portal.Stats().Calls
		time.Sleep(10 * time.Minute)
		quiet := w.Portal.Stats().Calls
		for endpoint, n := range quiet {
			if d := n - calls[endpoint]; d > 0 {
				t.Logf("idle: %.1f calls of %s a minute", float64(d)/10, endpoint)
			}
		}

		w.Portal.Archive(car, ids[70_000])
		w.Portal.Purge(car, ids[30_000])
		took := w.SleepUntil(10*time.Minute, func() bool { return p.backfilled(1, []string{car}) && p.live(car) == 99_998 })
		t.Logf("both deletes were published after %v", took)
		if took > 5*time.Minute+31*time.Second {
			t.Errorf("took %v", took)
		}
		p.Stop()
		want := map[string]string{idText(ids[70_000]): "archived", idText(ids[30_000]): "purged"}
		for _, e := range w.Events(car) {
			if e.Op != "d" {
				continue
			}
			if want[e.Key] != e.Source["reason"] || e.Source["stream"] != "census" {
				t.Errorf("delete of %s: reason %v by %v", e.Key, e.Source["reason"], e.Source["stream"])
			}
			delete(want, e.Key)
		}
		for key, reason := range want {
			t.Errorf("no delete of %s (%s)", key, reason)
		}
	})
}

// TestR9_TheBrakeHoldsAMassDelete: when much of a type disappears at once without
// a trace, the connector reports it, holds the deletes for an hour, then
// publishes them.
func TestR9_TheBrakeHoldsAMassDelete(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 22, NoHistory: true}
	inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		t := w.T
		ids := w.Portal.Seed("contacts", 1_000)
		time.Sleep(time.Minute)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(1_000, []string{"contacts"}) })
		time.Sleep(5 * time.Minute)
		for _, id := range ids[:150] {
			w.Portal.Purge("contacts", id)
		}
		time.Sleep(50 * time.Minute)
		if live := p.live("contacts"); live != 1_000 {
			t.Errorf("%d records are live after fifty minutes, want all 1,000", live)
		}
		if problems := p.ready().Problems; len(problems) == 0 {
			t.Error("the brake holds the deletes, but /readyz does not say so")
		}
		held := func() float64 { return figures(t, p)[`hubspot_cdc_held_records{object="contacts"}`] }
		if n := held(); n != 150 {
			t.Errorf("the metrics have %v records held, want 150", n)
		}
		w.SleepUntil(time.Hour, func() bool { return p.live("contacts") == 850 })
		time.Sleep(2 * time.Minute)
		if problems := p.ready().Problems; len(problems) != 0 {
			t.Errorf("problems are left: %v", problems)
		}
		if n := held(); n != 0 {
			t.Errorf("the metrics still have %v records held", n)
		}
		p.Stop()
	})
}

// TestR9_WhatWasReadLastMayBePurgedWithoutATrace: an import is read, and then more of it is
// purged than may be stuck (R18): the newest records of the type, far beyond the first page
// of its list, and all that the confirms take as controls (R7). Nothing is stuck, and the
// deletes follow after the brake.
func TestR9_WhatWasReadLastMayBePurgedWithoutATrace(t *testing.T) {
	t.Parallel()
	long(t)
	opt := hubspottest.Options{Seed: 21, Types: []string{"contacts"}}
	inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_LEADING_INTERVAL=10s"}, func(w *world) {
		w.Portal.Seed("contacts", 3_000)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
		var ids []uint64
		for range 2_500 {
			ids = append(ids, w.Portal.Create("contacts", map[string]string{"firstname": "Ada"}))
		}
		w.SleepUntil(10*time.Minute, func() bool { return p.live("contacts") == 5_500 })
		for _, id := range ids {
			w.Portal.Purge("contacts", id)
		}
		w.SleepUntil(2*time.Hour, func() bool {
			for _, problem := range p.ready().Problems {
				if problem.Stream != "brake" {
					w.T.Fatalf("problem %+v", problem)
				}
			}
			return p.live("contacts") == 3_000
		})
		p.Stop()
		w.check("contacts")
	})
}

func (p *process) live(object string) int {
	status := p.Status()
	if status == nil {
		return -1
	}
	return status.Live()[object]
}

// censusSearches counts the searches of the census: those that ask for no time.
func censusSearches(opt *hubspottest.Options) *atomic.Int64 {
	n := new(atomic.Int64)
	opt.OnRequest = func(r hubspottest.Request) {
		if r.Endpoint == hubspottest.EndpointSearch && !bytes.Contains(r.Body, []byte(`"GTE"`)) {
			n.Add(1)
		}
	}
	return n
}

// TestR12_AnIndexThatIsNeverRightCostsSearches: it loses ever more rows for an hour, so
// no count agrees. Nothing is deleted, and the census spends at most a search in five
// seconds: rounds, and as many searches for what differs. The lost rows are disputed.
func TestR12_AnIndexThatIsNeverRightCostsSearches(t *testing.T) {
	long(t)
	t.Parallel()
	opt := hubspottest.Options{Seed: 24, Types: []string{}, NoHistory: true}
	searches := censusSearches(&opt)
	inWorld(t, opt, nil, func(w *world) {
		t := w.T
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		w.Portal.SetArchivedList(car, false)
		ids := w.Portal.Seed(car, 3_000)
		time.Sleep(time.Minute)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(3_000, []string{car}) })
		w.Portal.Archive(car, ids[0]) // from now on the rounds are frequent
		w.SleepUntil(10*time.Minute, func() bool { return p.live(car) == 2_999 })

		lose := func(id uint64) { // archived and restored before anybody looks, and indexed an hour late
			w.Portal.SetIndex(hubspottest.Index{Immediate: true})
			w.Portal.Archive(car, id)
			w.Portal.SetIndex(hubspottest.Index{Min: time.Hour, Max: time.Hour})
			w.Portal.Restore(car, id, false)
		}
		for _, id := range ids[1000:1030] {
			lose(id)
			time.Sleep(20 * time.Second) // the spare searches are spent
		}
		searches.Store(0)
		reads := w.Portal.Stats().Calls[hubspottest.EndpointBatchRead]
		const span = 30 * time.Minute
		for i := range int(span / (20 * time.Second)) {
			lose(ids[2000+i*7])
			time.Sleep(20 * time.Second)
		}
		rate := float64(searches.Load()) / span.Seconds()
		t.Logf("%.2f searches and %.2f batch reads a second", rate, float64(w.Portal.Stats().Calls[hubspottest.EndpointBatchRead]-reads)/span.Seconds())
		if rate > 0.26 {
			t.Errorf("%.2f searches of the census a second", rate)
		}
		metrics := p.Get("/metrics").Body.String()
		if strings.Contains(metrics, `disputed_records{object="`+car+`"} 0`) {
			t.Error("no record is disputed")
		}
		p.Stop()
		for _, e := range w.Events(car) {
			if e.Op == "d" && e.Key != idText(ids[0]) {
				t.Errorf("record %s was deleted", e.Key)
			}
		}
	})
}

// TestR12_AStormOfCreatesAndDeletesIsBounded: the census spends about a search a second,
// nothing is deleted that is there, and what is gone is deleted ten minutes after the storm.
func TestR12_AStormOfCreatesAndDeletesIsBounded(t *testing.T) {
	long(t)
	t.Parallel()
	opt := hubspottest.Options{Seed: 25, Types: []string{}}
	searches := censusSearches(&opt)
	inWorld(t, opt, nil, func(w *world) {
		t := w.T
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		w.Portal.SetArchivedList(car, false)
		w.Portal.Seed(car, 2_000)
		time.Sleep(time.Minute)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(2_000, []string{car}) })
		time.Sleep(5 * time.Minute)
		searches.Store(0)
		const span = 20 * time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), span)
		defer cancel()
		w.Portal.Live(ctx, 1, hubspottest.Life{Seed: 25, Create: 50, Archive: 45, Purge: 5})
		rate := float64(searches.Load()) / span.Seconds()
		t.Logf("%.2f searches a second", rate)
		if rate > 1.5 {
			t.Errorf("%.2f searches of the census a second", rate)
		}
		time.Sleep(10 * time.Minute)
		p.Stop()
		w.check(car)
	})
}
