package connector_test

import (
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestSignals_ANewTopicPausesToo: in a signals topic that was deleted and made again,
// offsets begin again, and its signals count.
func TestSignals_ANewTopicPausesToo(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 54, Types: []string{"contacts"}}, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 5)
		p := w.start()
		w.synced(p)
		for range 3 {
			w.signal(signalOf("pause", "contacts"), signalOf("resume"))
		}
		w.SleepUntil(time.Minute, func() bool { return p.shows(`hubspot_cdc_signals_total{result="accepted"} 6`) })
		if _, err := w.Kafka.Admin().DeleteTopics(w.T.Context(), "hubspot.signals"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		w.signal(execute("again", ids[:1], "contacts"))
		w.completed(1)
		time.Sleep(time.Minute)
		p.Stop()
		p = w.start()
		w.synced(p)
		for _, want := range []int{1, 0} {
			w.signal(signalOf([]string{"resume", "pause"}[want], "contacts"))
			time.Sleep(time.Minute)
			if got := p.paused(); len(got) != want {
				t.Errorf("paused are %v, want %d", got, want)
			}
		}
		p.Stop()
	})
}
