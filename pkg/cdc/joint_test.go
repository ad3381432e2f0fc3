package cdc

import (
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestR3_AJointWalkMovesEachTierByItsOwnLag: a walk of the leading tier that carries
// others searches from the earliest start, skips from the latest, and moves nobody
// but itself before it ends (docs/contract.md section 2).
func TestR3_AJointWalkMovesEachTierByItsOwnLag(t *testing.T) {
	at := func(d time.Duration) hubspot.Millis { return hubspot.Millis(1_000_000_000).Add(d) }
	tier := func(start, lag time.Duration) TierWindow { return TierWindow{Window{Start: at(start)}, lag} }
	j := Joint{
		Own:    tier(-10*time.Second, 0),
		Others: []TierWindow{tier(-5*time.Minute, 5*time.Minute), tier(-2*time.Hour, time.Hour)},
	}
	page := func(date time.Duration, last hubspot.ID, more bool) *Walk {
		return &Walk{End: last, Page: hubspot.SearchPage{Answer: hubspot.Answer{Date: at(date)}, More: more}}
	}
	if q := j.Search(hubspot.SearchQuery{}); q.Since != at(-2*time.Hour) || q.Started {
		t.Errorf("the first page is asked from %v after %v, want the earliest start", q.Since, q.After)
	}
	if got := j.SkipFrom(); got != at(-10*time.Second) {
		t.Errorf("rows are skipped from %v, want the latest start", got)
	}
	half := j.Past(page(0, 7, true))
	if !half.Own.Walking() || half.Own.Last != 7 || half.Own.Start != j.Own.Start {
		t.Errorf("after the first page the walk is at %+v", half.Own)
	}
	for i := range half.Others {
		if half.Others[i] != j.Others[i] {
			t.Errorf("the first page moved a carried tier to %+v", half.Others[i])
		}
	}
	if q := half.Search(hubspot.SearchQuery{}); q.Since != at(-2*time.Hour) || !q.Started || q.After != 7 {
		t.Errorf("the second page is asked from %v after %v, started %v", q.Since, q.After, q.Started)
	}
	end := half.Past(page(time.Minute, 9, false)) // t0 is the first page's
	for i, want := range []TierWindow{
		tier(-2*time.Second, 0),
		tier(-5*time.Minute, 5*time.Minute), // it is there already
		tier(-time.Hour-2*time.Second, time.Hour),
	} {
		if got := append([]TierWindow{end.Own}, end.Others...)[i]; got != want {
			t.Errorf("tier %d is at %+v, want %+v", i, got, want)
		}
	}
}
