package cdc

import (
	"fmt"
	"slices"
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

// TestDecisions_AFenceStays: what is decided after a fence, the first key of a run and
// the last that a generation takes included, does not let readings from before it count
// again (R17).
func TestDecisions_AFenceStays(t *testing.T) {
	for _, before := range []hubspot.ID{0, 1, decidedKept - 1, decidedKept, 2*decidedKept + 5} {
		var d decisions
		counter := uint64(0)
		decide := func(ids hubspot.ID) {
			for i := range ids {
				counter++
				d.note(1000+i, counter)
			}
		}
		decide(before)
		sent := counter
		counter++
		d.fence(counter)
		for range 3 {
			decide(decidedKept)
			if !d.stale(1, sent) {
				t.Errorf("%d keys decided before the fence, %d since: a reading from before it counts", before, counter-sent-1)
			}
		}
	}
}

// TestR17_AFenceOutlastsTheNextDecision: a confirm is under way when a sweep begins. The
// sweep shows the record as it is published, and decides about another one. The late
// answer, that the record is archived, has to be asked for again.
func TestR17_AFenceOutlastsTheNextDecision(t *testing.T) {
	slots, content := hubspot.NewSlots(nil), NewContent(nil)
	table := NewTable() // as a run finds it in the state topic: nothing is decided yet
	table.Put(1, Row{Live: true, Version: 1 << 40, Settled: true, Hash: content.Hash(&hubspot.Record{})})
	l := NewLane(LaneConfig{Object: "contacts", Table: table, Slots: slots, Content: content, Committer: &record{}})
	sent := l.Now()
	if err := l.Fence(t.Context()); err != nil {
		t.Fatal(err)
	}
	read := func(id hubspot.ID, outcome Outcome, stamp uint64) Left {
		t.Helper()
		left, err := l.Publish(t.Context(), Page{Stream: "reconcile", Readings: []Reading{{
			ID: id, Outcome: outcome, Record: &hubspot.Record{ID: id, Updated: 1 << 40}, Slots: l.Slots(), Stamp: stamp, Date: 1,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		return left
	}
	read(1, IsLive, l.Now())
	read(4711, IsLive, l.Now()) // new
	if left := read(1, IsArchived, sent); len(left.Again) != 1 || len(left.Committed) != 0 {
		t.Errorf("an answer from before the sweep decided: committed %v, again %v", left.Committed, left.Again)
	}
}

// TestR1_WhatALaneForgetsItHasReadAgain: a reading from before so many decisions that
// the record's own is forgotten must not overrule it, and a list page from then shows
// no gap. What was sent later counts as ever.
func TestR1_WhatALaneForgetsItHasReadAgain(t *testing.T) {
	l := gapsLane(t)
	sent := l.Now() - 1 // before they were decided
	publish := func(stamp uint64) Left {
		t.Helper()
		left, err := l.Publish(t.Context(), Page{Stream: "leading", Readings: []Reading{{
			ID: 1, Record: &hubspot.Record{ID: 1, Updated: 1 << 40}, Slots: l.Slots(), Stamp: stamp, Date: 1,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		return left
	}
	next := hubspot.ID(100)
	for range 3 {
		var ids []hubspot.ID
		for range decidedKept {
			ids = append(ids, next)
			next++
		}
		publishLive(t, l, ids...)
	}
	if _, kept := l.table.decided.at[1]; kept {
		t.Fatal("nothing was forgotten")
	}
	if left := publish(sent); !slices.Equal(left.Again, []Again{{1, Stale}}) {
		t.Errorf("a reading from before it was decided leaves %v, want 1 to be read again", left)
	}
	if got := lacking(t, l, 0, 9, nil, sent); len(got) > 0 {
		t.Errorf("a page from before they were decided lacks %v", got)
	}
	if got := lacking(t, l, 0, 3, nil, l.Now()); !slices.Equal(got, []hubspot.ID{1, 2, 3}) {
		t.Errorf("a page from now lacks %v, want 1 to 3", got)
	}
	if left := publish(l.Now()); len(left.Again) > 0 || len(left.Committed) != 1 {
		t.Errorf("a reading from now leaves %v", left)
	}
}

// TestR17_ASnapshotFromBeforeASweepHidesNoDelete: a snapshot read a record that was purged
// then. Were its answer published again, a list page of the sweep that was sent before
// that would not show the record to be missing.
func TestR17_ASnapshotFromBeforeASweepHidesNoDelete(t *testing.T) {
	slots, content := hubspot.NewSlots(nil), NewContent(nil)
	table := NewTable()
	table.Put(1, Row{Live: true, Version: 1 << 40, Settled: true, Hash: content.Hash(&hubspot.Record{})})
	l := NewLane(LaneConfig{Object: "contacts", Table: table, Slots: slots, Content: content, Committer: &record{}})
	sent := l.Now()
	if err := l.Fence(t.Context()); err != nil {
		t.Fatal(err)
	}
	page := l.Now()
	left, err := l.Publish(t.Context(), Page{Stream: "snapshot", Snapshot: true, Readings: []Reading{{
		ID: 1, Outcome: IsLive, Record: &hubspot.Record{ID: 1, Updated: 1 << 40}, Slots: l.Slots(), Stamp: sent, Date: 1,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(left.Again) != 1 {
		t.Errorf("the answer from before the sweep is published: %+v", left)
	}
	if lacking, err := l.Lacking(t.Context(), 0, 0, nil, page); err != nil || len(lacking) != 1 {
		t.Errorf("the sweep's page shows %v to be missing, %v", lacking, err)
	}
}
