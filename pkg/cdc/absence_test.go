package cdc

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

type anyCommit struct{}

func (anyCommit) Commit(context.Context, *Batch) error { return nil }

// missed is a lane in which records 1 and 2 are published as live, and a way to read one.
func missed(t *testing.T) (l *Lane, read func(id hubspot.ID, as Outcome, version, at hubspot.Millis) Reading, publish func(Page) Left) {
	slots := hubspot.NewSlots([]string{"a"})
	l = NewLane(LaneConfig{
		Object: "contacts", Slots: slots, Content: NewContent([]string{"a"}), Committer: anyCommit{},
		Patience: Patience{Second: 30 * time.Second, Witnessed: 2 * time.Second, Repeat: time.Hour},
	})
	read = func(id hubspot.ID, as Outcome, version, at hubspot.Millis) Reading {
		r := Reading{ID: id, Outcome: as, Slots: slots, Stamp: l.Now(), SentAt: at, Date: at / 1000 * 1000}
		if as == IsLive {
			r.Record = &hubspot.Record{ID: id, Created: 1, Updated: version, Values: [][]byte{[]byte("x")}}
		}
		return r
	}
	publish = func(p Page) Left {
		left, err := l.Publish(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		return left
	}
	publish(Page{Stream: "backfill", Readings: []Reading{read(1, IsLive, 100, 5_000), read(2, IsLive, 100, 5_000)}})
	return l, read, publish
}

// TestR17_AnAnswerFromBeforeTakesNoDoubtAway: a record is read as live and purged within a
// second, and a sweep begins and finds it gone before that answer is published.
func TestR17_AnAnswerFromBeforeTakesNoDoubtAway(t *testing.T) {
	l, read, publish := missed(t)
	before := read(1, IsLive, 100, 20_100)
	if err := l.Fence(t.Context()); err != nil {
		t.Fatal(err)
	}
	publish(Page{Stream: "reconcile", Readings: []Reading{read(1, IsGone, 0, 20_300)}})
	publish(Page{Stream: "leading", Readings: []Reading{before}})
	if ids, err := l.Waiting(t.Context()); err != nil || !slices.Equal(ids, []hubspot.ID{1}) {
		t.Errorf("the record that is gone and published as live does not wait: %v, %v", ids, err)
	}
}

// TestR17_WhatASnapshotLeavesOutStaysInDoubt: a page of a snapshot is committed as a whole
// or not at all. Where one of its records is to be read again, the delete of another one
// is not published yet.
func TestR17_WhatASnapshotLeavesOutStaysInDoubt(t *testing.T) {
	l, read, publish := missed(t)
	publish(Page{Stream: "reconcile", Readings: []Reading{read(1, IsGone, 0, 20_300)}})
	left := publish(Page{Stream: "signals", Snapshot: true, Readings: []Reading{read(1, IsMerged, 0, 25_000), read(2, IsLive, 50, 25_000)}})
	if len(left.Again) != 1 || len(left.Committed) != 0 {
		t.Fatalf("the page left %+v", left)
	}
	if ids, err := l.Waiting(t.Context()); err != nil || !slices.Equal(ids, []hubspot.ID{1}) {
		t.Errorf("the record that is gone and published as live does not wait: %v, %v", ids, err)
	}
}

// TestR9_TheBrakeEndsWhereEveryConfirmIsDoubtful: when much of a type is purged, the control
// ids may be gone themselves. One doubt costs one more confirm, and not the hour again and
// again.
func TestR9_TheBrakeEndsWhereEveryConfirmIsDoubtful(t *testing.T) {
	_, read, publish := missed(t)
	const most = brakeLeast + 1
	confirm := func(at hubspot.Millis) Left {
		p := Page{Stream: "census"}
		for id := range hubspot.ID(most) {
			r := read(id+1, IsGone, 0, at)
			r.Doubtful = true
			p.Readings = append(p.Readings, r)
		}
		return publish(p)
	}
	var live []Reading
	for id := range hubspot.ID(most) {
		live = append(live, read(id+1, IsLive, 100, 6_000))
	}
	publish(Page{Stream: "backfill", Readings: live})
	for _, at := range []hubspot.Millis{10_000, 50_000, 90_000} {
		if left := confirm(at); len(left.Later) != most {
			t.Fatalf("at %v %d deletes wait, want %d", at, len(left.Later), most)
		}
	}
	if left := confirm(90_000 + hubspot.Millis(time.Hour.Milliseconds())); len(left.Committed) != most {
		t.Errorf("after the hour %d deletes are published, want %d", len(left.Committed), most)
	}
}
