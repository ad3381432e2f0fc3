package hubspottest

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func at(t testing.TB, p *Portal, id uint64) State {
	t.Helper()
	st, ok := p.Record("contacts", id)
	if !ok {
		t.Fatalf("there is no contact %d", id)
	}
	return st
}

func TestWhatMovesUpdatedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := calm()
		id := p.Create("contacts", email("a@example.com"))
		born := at(t, p, id).UpdatedAt
		tick := func() int64 { time.Sleep(time.Second); return p.Now().UnixMilli() }

		now := tick()
		p.Update("contacts", id, email("b@example.com"))
		if got := at(t, p, id); got.UpdatedAt != now || got.CreatedAt != born {
			t.Errorf("update: got created %d updated %d, want %d %d", got.CreatedAt, got.UpdatedAt, born, now)
		}
		tick()
		p.UpdateCalculated("contacts", id, map[string]string{"hubspotscore": "7"})
		if got := at(t, p, id); got.UpdatedAt != now || got.Properties["hubspotscore"] != "7" {
			t.Errorf("calculated: got %+v, want updated %d and the value", got, now)
		}
		archived := tick()
		p.Archive("contacts", id)
		if got := at(t, p, id); got.UpdatedAt != now || got.ArchivedAt != archived || !got.Archived {
			t.Errorf("archive: got %+v, want updated %d archived %d", got, now, archived)
		}
		tick()
		p.Restore("contacts", id, false)
		if got := at(t, p, id); got.UpdatedAt != now || got.Archived {
			t.Errorf("restore: got %+v, want updated %d, live", got, now)
		}
		p.Archive("contacts", id)
		now = tick()
		p.Restore("contacts", id, true)
		if got := at(t, p, id); got.UpdatedAt != now {
			t.Errorf("restore that moves: got updated %d, want %d", got.UpdatedAt, now)
		}
		now = tick()
		p.Touch("contacts", id)
		if got := at(t, p, id); got.UpdatedAt != now || got.Properties["email"] != "b@example.com" {
			t.Errorf("touch: got %+v, want updated %d and nothing else", got, now)
		}
	})
}

func TestBulkUpdateIsOneMillisecond(t *testing.T) {
	p := calm()
	ids := p.Seed("contacts", 1000)
	if got := p.BulkUpdate("contacts", ids, email("x@example.com")); got != 1000 {
		t.Fatalf("got %d updated, want 1000", got)
	}
	first := at(t, p, ids[0]).UpdatedAt
	for _, st := range p.Records("contacts") {
		if st.UpdatedAt != first {
			t.Fatalf("got updatedAt %d and %d, want one", first, st.UpdatedAt)
		}
	}
}

func TestMergeMakesANewRecordThatBothIDsResolveTo(t *testing.T) {
	p := calm()
	a := p.Create("contacts", map[string]string{"email": "a@example.com", "city": ""})
	b := p.Create("contacts", map[string]string{"email": "b@example.com", "city": "Oslo"})
	other := p.Create("contacts", nil)
	survivor := p.Merge("contacts", a, b)
	if survivor == a || survivor == b || survivor == 0 {
		t.Fatalf("got survivor %d of %d and %d, want a new id", survivor, a, b)
	}
	// One result for both, under its own id, without an error.
	r := batch(t, p, "", a, b).want(t, 200)
	wantIDs(t, r.page(t).ids(), survivor)
	rec := r.page(t).Results[0]
	if got, want := *rec.Properties["hs_merged_object_ids"], strings.Join([]string{str(a), str(b)}, ";"); got != want {
		t.Errorf("hs_merged_object_ids: got %s, want %s", got, want)
	}
	if got := at(t, p, survivor).Properties; got["email"] != "a@example.com" || got["city"] != "Oslo" {
		t.Errorf("got %v, want the primary's values and the secondary's where it had none", got)
	}
	do(t, p, "GET", contactsPath+"/"+str(a), "").want(t, 200).says(t, `"id":"`+str(survivor)+`"`)
	wantIDs(t, list(t, p, "").ids(), other, survivor)
	wantIDs(t, search(t, p, 10).ids(), other, survivor)
	wantIDs(t, list(t, p, "?archived=true").ids())
	if p.Restore("contacts", a, true) {
		t.Error("the loser of a merge was restored")
	}

	// Merged again: the chain resolves, and every loser is named.
	last := p.Merge("contacts", survivor, other)
	wantIDs(t, batch(t, p, "", a).want(t, 200).page(t).ids(), last)
	if got := at(t, p, last).Properties["hs_merged_object_ids"]; got != strings.Join([]string{str(a), str(b), str(survivor), str(other)}, ";") {
		t.Errorf("hs_merged_object_ids: got %s", got)
	}
	p.Archive("contacts", last)
	batch(t, p, "", a).want(t, 207).says(t, `"ids":["`+str(a)+`"]`)
}

func TestMergeIntoKeepsTheID(t *testing.T) {
	p := calm()
	a, b := p.Create("contacts", nil), p.Create("contacts", email("b@example.com"))
	if !p.MergeInto("contacts", a, b) {
		t.Fatal("the merge was refused")
	}
	wantIDs(t, batch(t, p, "", b).want(t, 200).page(t).ids(), a)
	wantIDs(t, list(t, p, "").ids(), a)
	if got := at(t, p, a).Properties; got["hs_merged_object_ids"] != str(b) || got["email"] != "b@example.com" {
		t.Errorf("got %v", got)
	}
}

func TestLosersOfAMergeMayStandInTheArchivedList(t *testing.T) {
	p := New(Options{MergedInArchive: true})
	a, b := p.Create("contacts", nil), p.Create("contacts", nil)
	survivor := p.Merge("contacts", a, b)
	wantIDs(t, list(t, p, "?archived=true").ids(), a, b)
	wantIDs(t, batch(t, p, "", a).page(t).ids(), survivor)
}

// TestWhatReadsKnowOfAMergedRecord: HubSpot does not document what becomes of its id
// once the survivor is archived, so the portal plays each way.
func TestWhatReadsKnowOfAMergedRecord(t *testing.T) {
	for name, opt := range map[string]Options{"default": {}, "unknown": {MergedUnknown: true}, "copies": {MergedCopies: true}} {
		p := New(opt)
		a, b := p.Create("contacts", nil), p.Create("contacts", nil)
		survivor := p.Merge("contacts", a, b)
		if live := batch(t, p, "", a).page(t).ids(); (len(live) == 0) != (name == "unknown") {
			t.Errorf("%s: a live read answers %v", name, live)
		}
		p.Archive("contacts", survivor)
		batch(t, p, "", a).want(t, 207)
		if copies := batch(t, p, "?archived=true", a).page(t).ids(); (len(copies) == 1) != (name == "copies") {
			t.Errorf("%s: a read of archived records answers %v", name, copies)
		}
	}
}

func TestPurgedRecordsLeaveNoTrace(t *testing.T) {
	p := calm()
	id, kept := p.Create("contacts", nil), p.Create("contacts", nil)
	p.Archive("contacts", id)
	p.Purge("contacts", id)
	wantIDs(t, list(t, p, "").ids(), kept)
	wantIDs(t, list(t, p, "?archived=true").ids())
	batch(t, p, "?archived=true", id).want(t, 207)
	do(t, p, "GET", contactsPath+"/"+str(id), "").want(t, 404)
	if p.Update("contacts", id, email("x@example.com")) || p.Archive("contacts", id) || p.Restore("contacts", id, true) || p.Purge("contacts", id) {
		t.Error("a purged record accepted a change")
	}
}

func TestTheRecycleBinKeepsRecordsFor90Days(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := calm()
		a, b := p.Create("contacts", nil), p.Create("contacts", nil)
		p.Archive("contacts", b)
		time.Sleep(24 * time.Hour)
		p.Archive("contacts", a)
		time.Sleep(89*24*time.Hour - time.Second)
		wantIDs(t, list(t, p, "?archived=true").ids(), a, b)
		time.Sleep(time.Second)
		wantIDs(t, list(t, p, "?archived=true").ids(), a)
		batch(t, p, "?archived=true", b).want(t, 207)
		time.Sleep(24 * time.Hour)
		if _, ok := p.Record("contacts", a); ok || p.Restore("contacts", a, true) {
			t.Error("a record is still there after 90 days in the bin")
		}
	})
}

func TestIDsRiseWithGapsAndSometimesFall(t *testing.T) {
	p := New(Options{LowIDs: 0.3})
	falls, seen := 0, map[uint64]bool{}
	last := uint64(0)
	for range 500 {
		id := p.Create("contacts", nil)
		if seen[id] {
			t.Fatalf("id %d was given twice", id)
		}
		if id < last {
			falls++
		}
		seen[id], last = true, id
		if len(seen)%3 == 0 {
			p.Purge("contacts", id) // its id must not come back
		}
	}
	if falls == 0 {
		t.Error("no id was lower than the one before")
	}
	if !slices.IsSorted(p.IDs("contacts")) {
		t.Error("the store is not in order of id")
	}
}

func TestWriteDelayPutsUpdatedAtBeforeTheMomentOfTheChange(t *testing.T) {
	p := New(Options{WriteDelay: 2 * time.Second})
	earlier := 0
	for range 50 {
		now := p.Now().UnixMilli()
		st := at(t, p, p.Create("contacts", nil))
		if st.UpdatedAt < now-2000 || st.UpdatedAt > p.Now().UnixMilli() {
			t.Fatalf("got updatedAt %d at %d, want at most 2 s before", st.UpdatedAt, now)
		}
		if st.UpdatedAt < now-10 {
			earlier++
		}
	}
	if earlier == 0 {
		t.Error("every updatedAt was the moment of the change")
	}
}

func TestHistoryHoldsEveryState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := calm()
		id := p.Create("contacts", email("a@example.com"))
		time.Sleep(time.Second)
		p.Update("contacts", id, email(""))
		p.UpdateCalculated("contacts", id, map[string]string{"hubspotscore": "1"})
		p.Touch("contacts", id)
		p.RemoveProperty("contacts", "hubspotscore")
		p.Archive("contacts", id)
		p.Restore("contacts", id, true)
		other := p.Create("contacts", nil)
		survivor := p.Merge("contacts", id, other)
		p.Purge("contacts", survivor)

		var ops []Op
		history := p.RecordHistory("contacts", id)
		for _, c := range history {
			ops = append(ops, c.Op)
		}
		want := []Op{OpCreate, OpUpdate, OpCalculated, OpTouch, OpPropertyRemoved, OpArchive, OpRestore, OpMergedAway}
		if !slices.Equal(ops, want) {
			t.Errorf("got %v, want %v", ops, want)
		}
		if got := history[0].State.Properties["email"]; got != "a@example.com" {
			t.Errorf("the first state changed afterwards: email is %q", got)
		}
		if text, ok := history[1].State.Properties["email"]; !ok || text != "" {
			t.Errorf("a cleared value: got %q, %v, want an empty text", text, ok)
		}
		if got := history[1].At - history[0].At; got != 1000 {
			t.Errorf("got %d ms between the first changes, want 1000", got)
		}
		if got := history[len(history)-1].State; !got.Gone || got.MergedInto != survivor {
			t.Errorf("the loser's last state: got %+v, want merged into %d", got, survivor)
		}
		all := p.History("contacts")
		if last := all[len(all)-1]; last.Op != OpPurge || last.State.ID != survivor {
			t.Errorf("got last change %+v, want the purge of %d", last, survivor)
		}
	})
}

func TestUsersCannotSetWhatHubSpotKeeps(t *testing.T) {
	for _, name := range []string{"hs_object_id", "lastmodifieddate", "createdate", "no_such_property"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("setting %s was accepted", name)
				}
			}()
			calm().Create("contacts", map[string]string{name: "1"})
		}()
	}
}

func TestSeededRecordsAreOfThePast(t *testing.T) {
	p := calm()
	ids := p.Seed("contacts", 5000)
	if len(ids) != 5000 || !slices.Equal(ids, p.IDs("contacts")) {
		t.Fatalf("got %d ids, in order %v", len(ids), slices.IsSorted(ids))
	}
	now := p.Now().UnixMilli()
	times := map[int64]bool{}
	for _, st := range p.Records("contacts") {
		if st.CreatedAt > st.UpdatedAt || st.UpdatedAt > now {
			t.Fatalf("got created %d, updated %d at %d", st.CreatedAt, st.UpdatedAt, now)
		}
		times[st.UpdatedAt] = true
	}
	if len(times) == 5000 {
		t.Error("no two records share a millisecond")
	}
	if got := search(t, p, 1).Total; got != 5000 {
		t.Errorf("the index holds %d seeded records, want all", got)
	}
}
