package stream

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestR18_WhatIsStuckIsCommittedAtLast: the pass that came upon a record ended before the
// cursor was committed, because of a pause or of another stream's refusal. The next pass
// passes over the record without a question, and commits the cursor before its page.
func TestR18_WhatIsStuckIsCommittedAtLast(t *testing.T) {
	var committed []string
	fail := true
	s := newStuck(subject{"contacts", NewStatus(ownClock), slog.New(slog.DiscardHandler)}, NewMetrics(prometheus.NewRegistry()), nil, func(_ context.Context, c cdc.Cursor) error {
		if fail {
			return errors.New("the pass ends")
		}
		committed = append(committed, string(c.Value))
		return nil
	})
	if err := s.set(t.Context(), []hubspot.ID{7}); err == nil {
		t.Fatal("the commit fails and set does not")
	}
	fail = false
	if !s.has(7) {
		t.Fatal("the record is not stuck")
	}
	if err := s.set(t.Context(), []hubspot.ID{7}); err != nil { // the next pass does not ask about it
		t.Fatal(err)
	}
	if len(committed) != 1 {
		t.Errorf("the cursor was committed as %v, want once, with the record", committed)
	}
}
