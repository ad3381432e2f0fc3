package connector_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

func TestLoaded_IsCalledBeforeARunReadsRecords(t *testing.T) {
	var loaded, early atomic.Int32
	opt := hubspottest.Options{Seed: 3, Types: []string{"contacts"}, OnRequest: func(r hubspottest.Request) {
		if r.Endpoint == hubspottest.EndpointSearch && loaded.Load() == 0 {
			early.Add(1)
		}
	}}
	inWorld(t, opt, nil, func(w *world) {
		w.Loaded = func() { loaded.Add(1) }
		w.Portal.Seed("contacts", 3)
		for start := int32(1); start <= 2; start++ {
			p := w.start()
			w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
			p.Stop()
			if got := loaded.Load(); got != start {
				t.Errorf("Loaded was called %d times in %d runs", got, start)
			}
		}
		if n := early.Load(); n > 0 {
			t.Errorf("%d searches before Loaded", n)
		}
	})
}
