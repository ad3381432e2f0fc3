package cdc

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// gapsLane publishes records 1 to 9 as live.
func gapsLane(t *testing.T) *Lane {
	t.Helper()
	slots := hubspot.NewSlots(nil)
	l := NewLane(LaneConfig{Slots: slots, Content: NewContent(nil), Committer: &record{}})
	publishLive(t, l, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	return l
}

func publishLive(t *testing.T, l *Lane, ids ...hubspot.ID) {
	t.Helper()
	p := Page{Stream: "leading"}
	for _, id := range ids {
		p.Readings = append(p.Readings, Reading{
			ID: id, Record: &hubspot.Record{ID: id, Updated: hubspot.Millis(l.Now() + 1)}, Slots: l.Slots(), Stamp: l.Now(), Date: 1,
		})
	}
	if _, err := l.Publish(context.Background(), p); err != nil {
		t.Fatal(err)
	}
}

func lacking(t *testing.T, l *Lane, after, upTo hubspot.ID, present []hubspot.ID, stamp uint64) []hubspot.ID {
	t.Helper()
	ids, err := l.Lacking(context.Background(), after, upTo, present, stamp)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestR11_APageIsCompleteForItsRange: what is live in (a, b] and not in the page
// goes to confirm, and nothing outside does. The last page has no end.
func TestR11_APageIsCompleteForItsRange(t *testing.T) {
	l := gapsLane(t)
	if got, want := lacking(t, l, 2, 6, []hubspot.ID{3, 6}, l.Now()), []hubspot.ID{4, 5}; !slices.Equal(got, want) {
		t.Errorf("page of 3 and 6 after 2: %v, want %v", got, want)
	}
	if got, want := lacking(t, l, 6, 0, []hubspot.ID{8}, l.Now()), []hubspot.ID{7, 9}; !slices.Equal(got, want) {
		t.Errorf("last page of 8 after 6: %v, want %v", got, want)
	}
	if got := lacking(t, l, 0, 3, []hubspot.ID{1, 2, 3}, l.Now()); len(got) != 0 {
		t.Errorf("a complete page lacks %v", got)
	}
}

// TestR11_ARecordDecidedAfterThePageWasSentIsNoGap: the page could not have a new
// record. One that changed or came back later has a newer reading.
func TestR11_ARecordDecidedAfterThePageWasSentIsNoGap(t *testing.T) {
	l := gapsLane(t)
	sent := l.Now()
	publishLive(t, l, 4, 20) // 4 changed, 20 is new
	if got, want := lacking(t, l, 0, 0, []hubspot.ID{1, 2, 3, 6, 7, 8, 9}, sent), []hubspot.ID{5}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestR11_ADeletedRecordIsNoGap: its delete is published.
func TestR11_ADeletedRecordIsNoGap(t *testing.T) {
	l := gapsLane(t)
	p := Page{Stream: "archive", Readings: []Reading{{
		ID: 5, Outcome: IsArchived, Record: &hubspot.Record{ID: 5, Archived: true, ArchivedAt: 7}, Slots: l.Slots(), Stamp: l.Now(), Date: 8,
	}}}
	if _, err := l.Publish(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if got := lacking(t, l, 4, 6, []hubspot.ID{6}, l.Now()); len(got) != 0 {
		t.Errorf("a deleted record counts as a gap: %v", got)
	}
}

// TestR12_CountsAgreeWithACountByHand, for random tables and ranges. Keys that began
// or ceased to be live lately are counted apart, unless a search showed them.
func TestR12_CountsAgreeWithACountByHand(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		slots := hubspot.NewSlots(nil)
		l := NewLane(LaneConfig{Slots: slots, Content: NewContent(nil), Committer: &record{}})
		live, lately := map[hubspot.ID]bool{}, map[hubspot.ID]bool{}
		for step := range 6 {
			date := hubspot.Millis(1_000_000 + 60_000*step)
			p := Page{Stream: "leading", Searched: rng.IntN(2) == 0}
			for range rng.IntN(8) {
				id := hubspot.ID(1 + rng.IntN(30))
				if slices.ContainsFunc(p.Readings, func(r Reading) bool { return r.ID == id }) {
					continue
				}
				r := Reading{ID: id, Record: &hubspot.Record{ID: id, Updated: date}, Slots: slots, Stamp: l.Now(), SentAt: date, Date: date}
				if rng.IntN(2) == 0 && live[id] {
					r.Outcome, r.Record = IsMerged, nil
				}
				p.Readings = append(p.Readings, r)
				if is := r.Outcome == IsLive; is != live[id] {
					live[id] = is
					lately[id] = step >= 4 && !(is && p.Searched)
				}
			}
			if _, err := l.Publish(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		in := Range{hubspot.ID(rng.IntN(30)), hubspot.ID(rng.IntN(31))}
		if in.UpTo != 0 && in.UpTo < in.After {
			in.After, in.UpTo = in.UpTo, in.After
		}
		var want Count
		for id := hubspot.ID(1); id <= 30; id++ {
			switch {
			case !in.Contains(id):
			case lately[id]:
				want.Recent++
			case live[id]:
				want.Certain++
			}
		}
		got, err := l.Count(t.Context(), in, 1_000_000+60_000*3)
		if err != nil || got != want {
			t.Fatalf("count of %+v: %+v (%v), want %+v", in, got, err, want)
		}
	}
}
