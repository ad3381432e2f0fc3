package cdc

import (
	"slices"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestR9_AWitnessMakesAConfirmDueSooner: whoever is told that an id may be confirmed
// sooner makes it so. The finder that named it first stays its finder.
func TestR9_AWitnessMakesAConfirmDueSooner(t *testing.T) {
	q, now := Rechecks{}, time.Unix(1000, 0)
	q.Add(now, "census", []Later{{ID: 1, After: 30 * time.Second}, {ID: 2, After: 30 * time.Second}})
	q.Add(now, "journal", []Later{{ID: 1, After: 2 * time.Second}})
	q.Add(now, "archive", []Later{{ID: 1, After: time.Hour}})
	if stream, ids, wait := q.Take(now); len(ids) > 0 || wait != 2*time.Second+dateStep {
		t.Fatalf("at once: %v of %q, wait %v", ids, stream, wait)
	}
	stream, ids, _ := q.Take(now.Add(2*time.Second + dateStep))
	if stream != "census" || !slices.Equal(ids, []hubspot.ID{1}) {
		t.Errorf("after 3 s: got %v of %q, want [1] of census", ids, stream)
	}
	if _, ids, _ := q.Take(now.Add(time.Minute)); !slices.Equal(ids, []hubspot.ID{2}) {
		t.Errorf("after a minute: got %v, want [2]", ids)
	}
}

// TestR9_AConfirmIsDueByHubSpotsClock: an id whose wait counts from HubSpot's time is due
// as soon as HubSpot's clock has reached its end, and not before.
func TestR9_AConfirmIsDueByHubSpotsClock(t *testing.T) {
	q, now := Rechecks{}, time.UnixMilli(1_000_700)
	q.Add(now, "journal", []Later{{ID: 1, After: 2 * time.Second, From: 1_000_000}})
	if _, ids, wait := q.Take(now); len(ids) > 0 || wait != 1300*time.Millisecond {
		t.Errorf("at once: %v, wait %v", ids, wait)
	}
	if _, ids, _ := q.Take(time.UnixMilli(1_002_000)); !slices.Equal(ids, []hubspot.ID{1}) {
		t.Errorf("after 2 s: got %v, want [1]", ids)
	}
}
