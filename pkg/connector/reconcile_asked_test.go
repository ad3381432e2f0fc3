package connector_test

import (
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// reconciled is the cursor of the reconcile of contacts.
func (w *world) reconciled() offsets.Sweep {
	w.T.Helper()
	place, _ := offsets.ParseSweep([]byte(w.Cursors()[`{"portal":4242,"object":"contacts","stream":"reconcile"}`]))
	return place
}

// TestReconcile_OneThatWasAskedForDoesNotPause: not after a resume nor for a property that
// is gone (docs/changes.md), and not after a restart in its middle. One that a restart finds
// under way as usual hurries too, once another one is asked for.
func TestReconcile_OneThatWasAskedForDoesNotPause(t *testing.T) {
	t.Parallel()
	resume := func(w *world) hubspot.Millis {
		w.signal(signalOf("pause", "contacts"))
		time.Sleep(time.Minute)
		defer w.signal(signalOf("resume", "contacts"))
		return hubspot.MillisOf(w.Portal.Now().Add(-10 * time.Second)) // a Date has no milliseconds
	}
	remove := func(w *world) hubspot.Millis {
		defer w.Portal.RemoveProperty("contacts", "lastname")
		return hubspot.MillisOf(w.Portal.Now().Add(-10 * time.Second)) // a Date has no milliseconds
	}
	for name, c := range map[string]struct {
		interval string
		ask      func(*world) hubspot.Millis
		restart  bool
		within   time.Duration
	}{
		"a resume":                       {"24h", resume, false, time.Minute},
		"a restart after a resume":       {"24h", resume, true, time.Minute},
		"a property that is gone":        {"24h", remove, false, 8 * time.Minute},
		"a restart while one is removed": {"24h", remove, true, time.Minute},
		"while another one is under way": {"1h", func(w *world) hubspot.Millis {
			w.ReadUntil(2*time.Hour, func() bool { s := w.reconciled(); return s.Started != 0 && !s.Done })
			return resume(w)
		}, false, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opt := hubspottest.Options{Seed: 73, Types: []string{"contacts"}, ListPage: 2, Latency: hubspottest.Span{Min: 100 * time.Millisecond, Max: 100 * time.Millisecond}}
			inWorld(t, opt, []string{oneType, "HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=" + c.interval}, func(w *world) {
				w.Portal.Seed("contacts", 240)
				p := w.start()
				w.synced(p)
				time.Sleep(time.Minute)
				asked := c.ask(w)
				if c.restart {
					w.ReadUntil(time.Hour, func() bool {
						s := w.reconciled()
						return s.Started >= asked && !s.Done && len(s.Ranges) > 0 && s.Ranges[0].ID != ""
					})
					p.Stop()
					p = w.start()
				}
				took := w.ReadUntil(2*time.Hour, func() bool { s := w.reconciled(); return s.Started >= asked && s.Done })
				if took > c.within { // with pauses twenty minutes
					t.Errorf("%v until a reconcile that began after it has ended, want at most %v", took, c.within)
				}
				p.Stop()
			})
		})
	}
}
