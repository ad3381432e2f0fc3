package connector_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR16_TheJournalLosesATenth: at 20 changes a second, a journal that loses a tenth
// of its events, and tells others doubled, late or out of order, is complete by
// polling, and the connector says how many changes it lost, within 5 %.
func TestR16_TheJournalLosesATenth(t *testing.T) {
	long(t)
	t.Parallel()
	opt := hubspottest.Options{
		Seed: 5, Types: []string{"contacts"}, NoHistory: true,
		Latency: hubspottest.Span{Min: 150 * time.Millisecond, Max: 300 * time.Millisecond},
		Journal: hubspottest.Journal{
			App:  &hubspottest.JournalApp{ClientID: "app", ClientSecret: "secret-of-the-app"},
			Lost: 0.1, Doubled: 0.05, Late: 0.05, LateBy: hubspottest.Span{Min: time.Minute, Max: 8 * time.Minute}, Disorder: 0.1,
		},
	}
	inWorld(t, opt, []string{"HUBSPOT_JOURNAL_CLIENT_ID=app", "HUBSPOT_JOURNAL_CLIENT_SECRET=secret-of-the-app"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 2000)
		time.Sleep(time.Minute)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(len(ids), opt.Types) })
		time.Sleep(15 * time.Minute)
		rng := rand.New(rand.NewPCG(1, 2))
		before := p.missed()
		for i := range 20 * 60 * 10 {
			time.Sleep(50 * time.Millisecond)
			w.Portal.Update("contacts", ids[rng.IntN(len(ids))], map[string]string{"firstname": fmt.Sprint(i)})
		}
		time.Sleep(12 * time.Minute)
		// A record may change again before polling finds the change that the journal
		// lost. Then that change is never published, and nothing is missed.
		published := map[string]bool{}
		for _, e := range w.Events("contacts") {
			published[fmt.Sprint(e.Key, " ", e.Source["ts_ms"])] = true
		}
		events, lost := 0, 0.0
		for _, l := range w.Portal.JournalCounts().Losses {
			if events++; published[fmt.Sprint(l.ID, " ", l.At)] {
				lost++
			}
		}
		missed := p.missed() - before
		t.Logf("%d events lost, of which %.0f were of changes that were published, %.0f changes missed", events, lost, missed)
		if lost == 0 || math.Abs(missed-lost) > 0.05*lost {
			t.Errorf("%.0f changes missed by the journal, which lost %.0f events", missed, lost)
		}
		p.Stop()
	})
}

// missed is how many changes of contacts the journal missed.
func (p *process) missed() (n float64) {
	p.w.T.Helper()
	for line := range strings.Lines(p.Get("/metrics").Body.String()) {
		if rest, ok := strings.CutPrefix(line, `hubspot_cdc_journal_missed_total{object="contacts"} `); ok {
			if _, err := fmt.Sscan(rest, &n); err != nil {
				p.w.T.Fatal(err)
			}
		}
	}
	return n
}
