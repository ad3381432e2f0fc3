package connector_test

import (
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR12_DeletesOfATypeWithoutAnArchivedList: in a custom type of 100,000
// records, the connector publishes an archived and a purged record in the time
// that two rounds of the census, the second confirm and the index take, at the
// default intervals. It deletes nothing else. An id that the index lost is
// disputed and stays.
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

		began := time.Now()
		w.Portal.Archive(car, ids[70_000])
		w.Portal.Purge(car, ids[30_000])
		took := w.SleepUntil(10*time.Minute, func() bool { return p.backfilled(1, []string{car}) && p.live(car) == 99_998 })
		t.Logf("both deletes were published after %v", took)
		// Two rounds, a minute apart; the second confirm; the index's six seconds; requests.
		if limit := 2*time.Minute + 30*time.Second + 10*time.Second; time.Since(began) > limit+30*time.Second {
			t.Errorf("took %v, want at most about %v", took, limit)
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
		w.SleepUntil(time.Hour, func() bool { return p.live("contacts") == 850 })
		time.Sleep(2 * time.Minute)
		if problems := p.ready().Problems; len(problems) != 0 {
			t.Errorf("problems are left: %v", problems)
		}
		p.Stop()
	})
}

func (p *process) live(object string) int {
	status := p.Status()
	if status == nil {
		return -1
	}
	return status.Live()[object]
}
