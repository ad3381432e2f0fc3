package stream

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestR18_WhatIsAnsweredTakesNoPlace: HubSpot answers about all that was stuck, and the
// brake holds their deletes. Another record that it does not answer about finds a place.
func TestR18_WhatIsAnsweredTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStuck(subject{"contacts", NewStatus(ownClock), slog.New(slog.DiscardHandler)}, NewMetrics(prometheus.NewRegistry()), nil,
			func(context.Context, cdc.Cursor) error { return nil })
		var ids []hubspot.ID
		for id := range hubspot.ID(stuckMost) {
			ids = append(ids, id+1)
		}
		if err := s.set(t.Context(), ids); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		taken, _ := s.take(stuckMost)
		if err := s.unset(t.Context(), taken, taken); err != nil {
			t.Fatal(err)
		}
		if s.full([]hubspot.ID{9999}) {
			t.Error("one more record that HubSpot does not answer about makes the type count as refused")
		}
	})
}
