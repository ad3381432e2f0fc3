package connector_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR16_TheAppIsUninstalledAndInstalledAgain while the connector runs. HubSpot may
// refuse the journal meanwhile, or leave out this portal without a word; and the
// subscriptions may be gone. Polling finds what changes, and the connector subscribes
// again by itself: at once where it was refused, else within the hour.
func TestR16_TheAppIsUninstalledAndInstalledAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		noReads, forgets bool
		within           time.Duration
	}{
		"reads are refused":                          {true, false, 6 * time.Minute},
		"reads are refused, subscriptions are gone":  {true, true, 6 * time.Minute},
		"nothing is refused":                         {false, false, 0},
		"nothing is refused, subscriptions are gone": {false, true, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.noReads != c.forgets {
				long(t)
			}
			journalWorld(t, 169, "auto", func(w *world, contacts, companies []uint64) {
				w.Set("SYNC_LEADING_INTERVAL=20s")
				p := w.start()
				p.streaming()
				w.link(contacts[40], companies[0], time.Minute)
				w.Portal.SetJournal(hubspottest.Journal{App: journalApp, NotInstalled: true, NoReads: c.noReads, Forgets: c.forgets})
				time.Sleep(10 * time.Minute)
				w.rename(contacts[1], time.Minute)
				w.Portal.SetJournal(hubspottest.Journal{App: journalApp})
				time.Sleep(c.within + time.Minute)
				w.link(contacts[41], companies[1], time.Minute)
				if r := p.ready(); !r.Ready || len(r.Problems) > 0 {
					w.T.Errorf("%+v", r)
				}
				gone := "HubSpot no longer wrote this portal's changes into the webhooks journal"
				if n := p.Log.Count(gone); n > 1 || c.forgets != (n == 1) {
					w.T.Errorf("the log says %d times that the subscriptions are gone", n)
				}
				p.Stop()
			})
		})
	}
}

// TestR16_OnlyOtherPortals: where the app's journal has nothing but events of other
// portals, for hours, the connector moves on in it and asks nothing about them.
func TestR16_OnlyOtherPortals(t *testing.T) {
	t.Parallel()
	journalWorld(t, 170, "on", func(w *world, contacts, companies []uint64) {
		w.Set("SYNC_LEADING_INTERVAL=20s")
		p := w.start()
		p.streaming()
		before, events := w.polled(), len(w.Events("contacts"))
		time.Sleep(20 * time.Minute)
		usual := w.polled() - before
		before = w.polled()
		for i := range 60 {
			w.Portal.ForeignEvent("0-1", contacts[i]) // ids of different portals may be equal
			time.Sleep(20 * time.Second)
		}
		if polled := w.polled() - before; polled > usual+usual/10 {
			w.T.Errorf("%d calls beside the journal, %d without events", polled, usual)
		}
		if n := len(w.Events("contacts")) - events; n > 0 {
			w.T.Errorf("%d events", n)
		}
		foreign := fmt.Sprintf("hubspot_cdc_journal_events_total{outcome=%q} 60\n", "foreign")
		if text := p.Get("/metrics").Body.String(); !strings.Contains(text, foreign) {
			w.T.Errorf("the metrics lack %s", foreign)
		}
		offsets := w.Portal.JournalOffsets()
		w.SleepUntil(time.Minute, func() bool { return strings.Contains(w.Cursors()[journalKey], offsets[len(offsets)-1]) })
		w.link(contacts[40], companies[0], time.Minute)
		if r := p.ready(); !r.Ready || len(r.Problems) > 0 {
			w.T.Errorf("%+v", r)
		}
		p.Stop()
	})
}
