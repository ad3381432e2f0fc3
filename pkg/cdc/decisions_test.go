package cdc

import (
	"fmt"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestDecisions_ForgottenMeansStale: R1 lets a lane forget when a key changed only if
// readings from before are then read again.
func TestDecisions_ForgottenMeansStale(t *testing.T) {
	var d decisions
	for i := range hubspot.ID(3*decidedKept + 10) {
		d.note(i+1, uint64(i)+1)
	}
	if n := len(d.at) + len(d.before); n < decidedKept || n > 2*decidedKept {
		t.Errorf("%d are kept", n)
	}
	for _, c := range []struct {
		id    hubspot.ID
		stamp uint64
		stale bool
	}{
		{1, 0, true}, {1, 2 * decidedKept, true}, // forgotten, so stale
		{1 << 40, 2 * decidedKept, true},
		{1, 2*decidedKept + 1, false},
		{2*decidedKept + 5, 2*decidedKept + 4, true}, {2*decidedKept + 5, 2*decidedKept + 5, false},
		{3*decidedKept + 10, 3*decidedKept + 9, true}, {3*decidedKept + 10, 3*decidedKept + 10, false},
	} {
		if got := d.stale(c.id, c.stamp); got != c.stale {
			t.Errorf("%s: stale %v, want %v", fmt.Sprint(c.id, " read at ", c.stamp), got, c.stale)
		}
	}
}
